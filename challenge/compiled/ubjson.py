"""Reads Universal Binary JSON, in which XGBoost keeps a model (ubjson.org).

Nothing is reserved on the word of a length: what is not there cannot be read.
"""

from __future__ import annotations

import struct
from typing import Any, Final

_NUMBERS: Final = {
    marker: struct.Struct(f">{code}")
    for marker, code in zip(b"iUIlLdD", "bBhiqfd", strict=True)
}
_VALUES: Final = {ord("T"): True, ord("F"): False, ord("Z"): None}
# XGBoost needs eight.
_DEEPEST: Final = 32


def read_ubjson(data: bytes) -> Any:
    """The value that some bytes hold: of dicts, lists, texts, numbers and truth values.

    Raises:
        ValueError: they are not whole, or nested too deep.
    """
    reader = _Reader(data)
    try:
        value = reader.value(reader.byte(), _DEEPEST)
    except (IndexError, struct.error, UnicodeDecodeError) as error:
        raise ValueError(f"no Universal Binary JSON: {error}") from None
    if reader.place != len(data):
        raise ValueError("no Universal Binary JSON: more follows its end")
    return value


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.place = 0
        self._data = data

    def byte(self) -> int:
        self.place += 1
        return self._data[self.place - 1]

    def value(self, marker: int, depth: int) -> Any:
        if marker in _NUMBERS:
            return self._number(marker)
        if marker in _VALUES:
            return _VALUES[marker]
        if marker == ord("S"):
            return self._text()
        if not depth:
            raise ValueError(f"it is nested deeper than {_DEEPEST}")
        if marker == ord("["):
            return self._array(depth - 1)
        if marker == ord("{"):
            return self._object(depth - 1)
        raise ValueError(f"{marker:#x} begins no value")

    def _number(self, marker: int) -> Any:
        return self._unpacked(_NUMBERS[marker])[0]

    def _length(self) -> int:
        length = self._number(self._marker_of_number())
        if not isinstance(length, int) or not 0 <= length <= len(self._data):
            raise ValueError(f"{length} is no length of what is there")
        return length

    def _marker_of_number(self) -> int:
        marker = self.byte()
        if marker not in _NUMBERS:
            raise ValueError(f"{marker:#x} is the type of no number")
        return marker

    def _text(self) -> str:
        length = self._length()
        text = self._data[self.place : self.place + length]
        self.place += length
        if len(text) < length:
            raise ValueError("a text is cut short")
        return text.decode()

    def _array(self, depth: int) -> Any:
        if self._passed(b"$"):
            code = _NUMBERS[self._marker_of_number()].format[1:]
            if not self._passed(b"#"):
                raise ValueError("an array of one type tells no length")
            return self._unpacked(struct.Struct(f">{self._length()}{code}"))
        if self._passed(b"#"):
            return [self.value(self.byte(), depth) for _ in range(self._length())]
        values = []
        while not self._passed(b"]"):
            values.append(self.value(self.byte(), depth))
        return values

    def _object(self, depth: int) -> dict[str, Any]:
        values = {}
        while not self._passed(b"}"):
            name = self._text()
            values[name] = self.value(self.byte(), depth)
        return values

    def _passed(self, mark: bytes) -> bool:
        """Whether a mark is next; then it was read."""
        is_next = self._data[self.place : self.place + 1] == mark
        self.place += is_next
        return is_next

    def _unpacked(self, form: struct.Struct) -> tuple[Any, ...]:
        values = form.unpack_from(self._data, self.place)
        self.place += form.size
        return values
