"""The items of a large JSON list, one at a time.

Values take up to forty times the memory of their text, so a large list is decoded through
a window on its text, and is never held as a whole.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from typing import Any, Final

import msgspec

# No flight, and no value of a tensor, is that long.
MAX_ITEM_BYTES: Final = 65_536

_BETWEEN: Final = re.compile(r"[ \t\n\r,]*")
# Finds the end of an item; numbers are left as texts, which may have any length.
_decoder: Final = json.JSONDecoder(parse_int=str, parse_float=str)


class ItemTooLongError(ValueError):
    """An item of a list is over MAX_ITEM_BYTES."""


def values_at_most(text: bytes) -> int:
    """More values than that cannot be in a JSON text: an upper bound, found fast."""
    return 1 + text.count(b",") + text.count(b"[") + text.count(b"{")


def list_items(text: bytes) -> Iterator[Any]:
    """Decode the items of a list one by one.

    Args:
        text: a list that msgspec.Raw accepted.

    Raises:
        ItemTooLongError, msgspec.DecodeError, UnicodeDecodeError, RecursionError: at an
            item that is too long, not valid, or nested too deeply.
    """
    begin = text.index(b"[") + 1
    while True:
        is_last = begin + MAX_ITEM_BYTES >= len(text)
        part = text[begin : begin + MAX_ITEM_BYTES]
        window, _ = codecs.utf_8_decode(part, "strict", is_last)
        place = _skip(window, 0)
        while place < len(window) and window[place] != "]":
            try:
                _, end = _decoder.raw_decode(window, place)
            except json.JSONDecodeError:
                break
            if end == len(window) and not is_last:
                break  # of a number there may be more
            yield msgspec.json.decode(window[place:end])
            place = _skip(window, end)
        if is_last:
            return
        if not place:
            raise ItemTooLongError
        begin += len(window[:place].encode())


def _skip(text: str, place: int) -> int:
    found = _BETWEEN.match(text, place)
    return found.end() if found else place
