"""Excel's files: the rows of their sheets, read one by one.

Readers that load a sheet as a whole take memory for its area, and end the process where
a file of some kB has a value in the last of all columns and rows.
"""

from __future__ import annotations

import posixpath
import re
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

# Entities are refused.
from xml.parsers import expat  # nosec B407

from challenge.files.bounds import MAX_COLUMNS, Bounds
from challenge.files.faults import LARGE_TEXTS, MANY_COLUMNS, UNREADABLE

Value: TypeAlias = str | float | bool | datetime | None

_WORKBOOK: Final = "xl/workbook.xml"
_CHUNK_BYTES: Final = 1 << 16
# The formats of Excel's own that show a date or a time.
_DATE_FORMATS: Final = frozenset(
    [*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)]
)
_NOT_SHOWN_AS_DATE: Final = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.|_.|\*.')
_DATE_LETTERS: Final = re.compile(r"[ymdhs]", re.IGNORECASE)
# Days are counted from here, as 1900 is no leap year but to Excel.
_EPOCH: Final = datetime(1899, 12, 30)
_EPOCH_1904: Final = datetime(1904, 1, 1)
_LAST_DAY: Final = 2_958_465
_COLUMN: Final = re.compile("[A-Z]{1,3}")
# Larger pieces of it than expat should hold at one time.
_MARKUP_BYTES: Final = 1 << 22
_MAX_ROWS: Final = 1_048_576
_MAX_DEPTH: Final = 1_000
# Excel's own is 32,767.
_MAX_TEXT: Final = 1_000_000


class Workbook:
    """The sheets of an .xlsx file.

    Args:
        path: the file.
        bounds: how much it may unpack to, and how large its texts may be.

    Attributes:
        sheets: the names of its sheets, in their order.

    Raises:
        FlightsFileError: it cannot be read, or is over the bounds.
    """

    def __init__(self, path: Path, bounds: Bounds) -> None:
        self._path = path
        self._bounds = bounds
        self._archive = zipfile.ZipFile(path)
        # No more than that is read of each part.
        sizes = (part.file_size for part in self._archive.infolist())
        bounds.check_unpacked(path, sum(sizes))
        self._parts = {name.lower(): name for name in self._archive.namelist()}
        self._epoch = _EPOCH
        self._targets: dict[str, str] = {}
        self._texts: list[str] | None = None
        self._date_styles: set[int] = set()
        self._read_workbook()
        self._read_styles()
        self.sheets = list(self._targets)

    def __enter__(self) -> Workbook:
        return self

    def __exit__(self, *error: object) -> None:
        self._archive.close()

    def rows(self, sheet: str) -> Iterator[tuple[int, list[Value]]]:
        """The rows of a sheet that are not empty, with their numbers from 1."""
        if self._texts is None:
            self._texts = self._read_texts()
        row = _Rows(self._value, self._path)
        for _ in self._parse(self._targets[sheet], row):
            yield from row.take()

    def _value(self, kind: str, style: str, text: str) -> Value:
        """What a cell holds, by its attributes `t` and `s` and its text."""
        assert self._texts is not None
        if kind == "s":
            return self._texts[int(text)]
        if kind == "b":
            return text == "1"
        if kind in ("str", "inlineStr", "e"):
            return text
        if kind == "d":
            return datetime.fromisoformat(text).replace(tzinfo=None)
        number = float(text)
        if style and int(style) in self._date_styles and 0 <= number < _LAST_DAY:
            seconds = round(number * 86_400)
            return self._epoch + timedelta(seconds=seconds)
        return number

    def _read_workbook(self) -> None:
        names: dict[str, str] = {}

        def start(tag: str, attributes: dict[str, str]) -> None:
            if tag == "sheet":
                # The namespace's prefix is the writer's choice.
                [identity] = [v for k, v in attributes.items() if k.endswith(":id")]
                names[attributes["name"]] = identity
            elif tag == "workbookPr" and attributes.get("date1904") in ("1", "true"):
                self._epoch = _EPOCH_1904

        targets: dict[str, str] = {}

        def relation(tag: str, attributes: dict[str, str]) -> None:
            if tag == "Relationship":
                targets[attributes["Id"]] = attributes["Target"]

        self._parse_all(_WORKBOOK, start)
        self._parse_all("xl/_rels/workbook.xml.rels", relation)
        for name, identity in names.items():
            if identity in targets:
                target = posixpath.join("/xl", targets[identity])
                self._targets[name] = posixpath.normpath(target).lstrip("/")

    def _read_styles(self) -> None:
        dates = set(_DATE_FORMATS)
        styles: list[int] = []
        within = ""

        def start(tag: str, attributes: dict[str, str]) -> None:
            nonlocal within
            if tag == "numFmt":
                shown = _NOT_SHOWN_AS_DATE.sub("", attributes["formatCode"])
                if _DATE_LETTERS.search(shown):
                    dates.add(int(attributes["numFmtId"]))
            elif tag in ("cellXfs", "cellStyleXfs"):
                within = tag
            elif tag == "xf" and within == "cellXfs":
                styles.append(int(attributes.get("numFmtId", 0)))

        if "xl/styles.xml" in self._parts:
            self._parse_all("xl/styles.xml", start)
        self._date_styles = {n for n, style in enumerate(styles) if style in dates}

    def _read_texts(self) -> list[str]:
        texts = _Texts(self._path, self._bounds)
        if "xl/sharedstrings.xml" in self._parts:
            for _ in self._parse("xl/sharedStrings.xml", texts):
                pass
        return texts.found

    def _parse_all(
        self, part: str, start: Callable[[str, dict[str, str]], None]
    ) -> None:
        for _ in self._parse(part, _Elements(start)):
            pass

    def _parse(self, part: str, handler: _Elements) -> Iterator[None]:
        """Parse a part of the file; yields after each piece of it."""
        name = self._parts.get(part.lower())
        if name is None:
            raise UNREADABLE.error(self._path, reason=f"it has no {part!r}")
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = handler.start
        parser.EndElementHandler = handler.end
        parser.CharacterDataHandler = handler.text
        parser.StartDoctypeDeclHandler = self._refuse_entities
        try:
            with self._archive.open(name) as stream:
                parsed = 0
                while chunk := stream.read(_CHUNK_BYTES):
                    parser.Parse(chunk)
                    parsed += len(chunk)
                    if parsed - parser.CurrentByteIndex > _MARKUP_BYTES:
                        raise ValueError("it has a tag without an end")
                    if handler.depth > _MAX_DEPTH:
                        raise ValueError("its elements are nested too deeply")
                    yield
            parser.Parse(b"", True)
            yield
        except (
            *(expat.ExpatError, LookupError, ValueError, OverflowError, RuntimeError),
        ) as error:
            # Of a file that another program would not read either.
            reason = f"{part!r} is not as Excel writes it: {error}"
            raise UNREADABLE.error(self._path, reason=reason) from error

    def _refuse_entities(self, *declaration: object) -> None:
        raise ValueError("it declares a document type")


class _Elements:
    """What expat calls, with the names of elements without their prefix."""

    def __init__(
        self, opened: Callable[[str, dict[str, str]], None] = lambda tag, of: None
    ) -> None:
        self._opened = opened
        self._pieces: list[str] = []
        self._length = 0
        self.depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        self._opened(tag.rpartition(":")[2], attributes)

    def end(self, tag: str) -> None:
        self.depth -= 1
        self._closed(tag.rpartition(":")[2])

    def text(self, text: str) -> None:
        if self._is_wanted():
            self._length += len(text)
            if self._length > _MAX_TEXT:
                raise ValueError(f"a text has over {_MAX_TEXT:,} characters")
            self._pieces.append(text)

    def _take_text(self) -> str:
        text = "".join(self._pieces)
        self._pieces.clear()
        self._length = 0
        return text

    def _is_wanted(self) -> bool:
        return False

    def _closed(self, tag: str) -> None:
        """Nothing to do at the end of an element."""


class _Texts(_Elements):
    """The texts that cells share; what is read aloud of one (rPh) is none of it."""

    def __init__(self, path: Path, bounds: Bounds) -> None:
        super().__init__(self._open)
        self.found: list[str] = []
        self._path = path
        self._limit = bounds.text_bytes
        self._size = 0
        self._is_text = False
        self._is_aloud = False

    def _open(self, tag: str, attributes: dict[str, str]) -> None:
        self._is_aloud |= tag == "rPh"
        self._is_text = tag == "t" and not self._is_aloud

    def _is_wanted(self) -> bool:
        return self._is_text

    def _closed(self, tag: str) -> None:
        self._is_text = False
        if tag == "rPh":
            self._is_aloud = False
        elif tag == "si":
            text = self._take_text()
            self.found.append(text)
            self._size += sys.getsizeof(text)
            if self._size > self._limit:
                raise LARGE_TEXTS.error(self._path, most=self._limit)


class _Rows(_Elements):
    """The cells of a sheet as rows."""

    def __init__(self, value: Callable[[str, str, str], Value], path: Path) -> None:
        super().__init__(self._open)
        self._value = value
        self._path = path
        self._done: list[tuple[int, list[Value]]] = []
        self._number = 0
        self._cells: list[Value] = []
        self._kind = self._style = ""
        self._column = 0
        self._is_value = False

    def take(self) -> list[tuple[int, list[Value]]]:
        """The rows that are complete."""
        done, self._done = self._done, []
        return done

    def _open(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == "c":
            place = _COLUMN.match(attributes.get("r", ""))
            self._column = _number_of(place[0]) if place else self._column + 1
            if self._column > MAX_COLUMNS:
                columns = self._column
                raise MANY_COLUMNS.error(self._path, columns=columns, most=MAX_COLUMNS)
            if self._column <= len(self._cells):
                raise ValueError(f"row {self._number} has a cell twice")
            self._kind = attributes.get("t", "n")
            self._style = attributes.get("s", "")
        elif tag == "row":
            self._number = int(attributes.get("r", self._number + 1))
            if self._number > _MAX_ROWS:
                raise ValueError(f"it has a row {self._number}")
            self._column = 0
            self._cells = []
        self._is_value = tag in ("v", "t")

    def _is_wanted(self) -> bool:
        return self._is_value

    def _closed(self, tag: str) -> None:
        self._is_value = False
        if tag == "c":
            if text := self._take_text():
                self._cells += [None] * (self._column - 1 - len(self._cells))
                self._cells.append(self._value(self._kind, self._style, text))
        elif tag == "row" and any(one not in (None, "") for one in self._cells):
            self._done.append((self._number, self._cells))


def value_text(value: Value) -> str:
    """A value as a CSV file has it: 3.0 is 3, a date has its time."""
    match value:
        case None:
            return ""
        case bool():
            return str(int(value))
        case float():
            return str(int(value)) if value.is_integer() else repr(value)
        case datetime():
            return value.isoformat(" ")
    return value


def _number_of(letters: str) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + ord(letter) - ord("A") + 1
    return number
