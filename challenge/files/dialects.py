"""How a file of flights is written, recognized by its beginning."""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Final, NamedTuple
from urllib.parse import quote

from challenge.errors import FlightsFileError
from challenge.files.kinds import FileKind
from challenge.files.records import Record, records
from challenge.flights.fields import OUR_COLUMNS

DELIMITERS: Final = (",", ";", "\t", "|")
WINDOWS: Final = "cp1252"
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_ENCODING_NAMES: Final = {
    "utf-8": "UTF-8",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16BE",
    WINDOWS: "Windows-1252",
}
_SAMPLE_BYTES: Final = 1 << 20
# The header is looked for in so many records.
_RECORDS_LOOKED_AT: Final = 50
_SEPARATOR_LINE: Final = re.compile(r'"?sep=([,;|\t])"?\s*?[\r\n]', re.I)
_UTF8_CHARACTER: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}"
)
_FAR_MORE: Final = 10
_NOT_ASCII: Final = re.compile(rb"[\x80-\xff]")


@dataclass(frozen=True)
class Dialect:
    """How a file is written.

    Attributes:
        kind: what the file is.
        delimiter: what separates the values.
        encoding: as Python calls it.
        mark: the bytes before the first character that tell the encoding.
        header_row: the row of the header, from 1.
        line_end: of the header.
        has_decimal_commas: whether numbers are written like 3,5.
        part: the sheet of an Excel file, or the file in a ZIP file.
        format: that of its columns, where it is not ours.
    """

    kind: FileKind = FileKind.TEXT
    delimiter: str = ","
    encoding: str = "utf-8"
    mark: bytes = b""
    header_row: int = 1
    line_end: str = "\n"
    has_decimal_commas: bool = False
    part: str = ""
    format: str = ""

    @property
    def is_text(self) -> bool:
        """Whether it is text, compressed or not."""
        return self.kind in (FileKind.TEXT, FileKind.GZIP, FileKind.ZIP)

    @property
    def is_plain(self) -> bool:
        """Whether DuckDB can read the file as it is."""
        if self.kind is FileKind.PARQUET:
            return True
        return (
            self.kind in (FileKind.TEXT, FileKind.GZIP)
            and (self.delimiter, self.encoding, self.header_row) == (",", "utf-8", 1)
            and self.line_end != "\r"
        )

    @property
    def encoding_name(self) -> str:
        """The encoding as people call it."""
        return _ENCODING_NAMES[self.encoding]

    def properties(self) -> dict[str, str | int]:
        """What is other than in a plain file, by the names of the HTTP header."""
        found: dict[str, str | int] = {}
        if self.format:
            found["format"] = self.format
        if self.kind is FileKind.EXCEL:
            found["sheet"] = self.part
        if self.kind is FileKind.ZIP:
            found["file"] = self.part
        if self.delimiter != ",":
            found["delimiter"] = "tab" if self.delimiter == "\t" else self.delimiter
        if self.encoding != "utf-8":
            found["encoding"] = self.encoding_name
        if self.header_row != 1:
            found["header-row"] = self.header_row
        if self.has_decimal_commas:
            found["decimal"] = ","
        return found

    def to_header(self) -> str:
        """As an HTTP header: a list of names and values, those of texts as in URLs."""
        return ", ".join(
            (
                f'{name}="{quote(value, safe=";,| ")}"'
                if isinstance(value, str)
                else f"{name}={value}"
            )
            for name, value in self.properties().items()
        )

    def __str__(self) -> str:
        """One line for people; empty for a plain file."""
        words = {
            "format": "format {}",
            "sheet": "sheet {!r}",
            "file": "file {!r}",
            "delimiter": "separated by {!r}",
            "encoding": "{}",
            "header-row": "header in line {}",
            "decimal": "decimal commas",
        }
        if self.delimiter == "\t":
            words["delimiter"] = "separated by tabs"
        return ", ".join(words[n].format(v) for n, v in self.properties().items())


class Header(NamedTuple):
    """Where a table begins.

    Attributes:
        row: of the header, from 0.
        known: how many of its names are known.
    """

    row: int
    known: int


def as_known(names: Sequence[str]) -> list[str]:
    """Names of columns, those that are ours spelled as we do.

    A name with blanks around it or other capitals stands for a known one, unless that
    or another such name is there as well.
    """
    spelling = {name.lower(): name for name in OUR_COLUMNS}
    meant = [spelling.get(name.strip().lower(), name) for name in names]
    times = Counter(meant)
    return [
        name if name in OUR_COLUMNS or times[one] > 1 else one
        for name, one in zip(names, meant, strict=True)
    ]


def recognize_text(stream: IO[bytes], kind: FileKind, path: Path, part: str) -> Dialect:
    """The dialect of a text file, by its first megabyte.

    Args:
        stream: the file, unpacked.
        kind: the file's.
        path: of the file, for errors.
        part: the file in a ZIP file.
    """
    beginning = stream.read(_SAMPLE_BYTES)
    mark, encoding = _encoding(beginning)
    text = _decoded(beginning.removeprefix(mark), encoding)
    given = _SEPARATOR_LINE.match(text)
    delimiter, header = _table(text, given[1] if given else None, path)
    begin = list(islice(_sample(text, delimiter, path), header.row + 1))
    return Dialect(
        kind,
        delimiter,
        encoding,
        mark,
        header.row + 1,
        (begin[-1].end if begin else "") or "\n",
        part=part,
    )


def find_header(rows: Sequence[Sequence[str]]) -> Header:
    """The header among the first rows of a table, blank ones of which have no values:
    that with the most known names, else the first that is not mostly empty."""
    best = Header(0, 0)
    for row, values in enumerate(rows):
        known = len(set(OUR_COLUMNS).intersection(as_known(values)))
        if known > best.known:
            best = Header(row, known)
    if best.known:
        return best
    [(width, _)] = Counter(map(len, rows)).most_common(1) or [(0, 0)]
    for row, values in enumerate(rows):
        if 2 * sum(map(bool, values)) >= max(width, 2):
            return Header(row, 0)
    return best


def detect_windows(stream: IO[bytes]) -> bool:
    """Whether a text is Windows-1252 and not UTF-8: of what is not ASCII, by far the most
    is no character of UTF-8. A few that are one may be so by chance."""
    good = bad = 0
    rest = b""
    while chunk := stream.read(_SAMPLE_BYTES):
        chunk = rest + chunk
        # Between lines no character is cut.
        cut = chunk.rfind(b"\n") + 1 or len(chunk)
        rest = chunk[cut:]
        good, bad = map(sum, zip((good, bad), _characters(chunk[:cut]), strict=True))
    characters, others = _characters(rest)
    return bad + others > _FAR_MORE * (good + characters)


def _characters(chunk: bytes) -> tuple[int, int]:
    """How many characters of UTF-8 beyond ASCII there are, and other such bytes."""
    if chunk.isascii():
        return 0, 0
    others, characters = _UTF8_CHARACTER.subn(b"", chunk)
    return characters, len(_NOT_ASCII.findall(others))


def _encoding(beginning: bytes) -> tuple[bytes, str]:
    for mark, encoding in _MARKS.items():
        if beginning.startswith(mark):
            return mark, encoding
    try:
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except UnicodeDecodeError:
        if detect_windows(io.BytesIO(beginning)):
            return b"", WINDOWS
    return b"", "utf-8"


def _decoded(beginning: bytes, encoding: str) -> str:
    # The last character may be cut.
    return codecs.getincrementaldecoder(encoding)("replace").decode(beginning)


def _table(text: str, given: str | None, path: Path) -> tuple[str, Header]:
    """The delimiter and the header of a text."""
    best: tuple[tuple[int, float, int], str, Header] | None = None
    for delimiter in [given] if given else DELIMITERS:
        rows = [one.fields for one in _sample(text, delimiter, path)]
        header = find_header(rows)
        width = len(rows[header.row]) if rows else 0
        alike = sum(len(row) == width for row in rows) / max(len(rows), 1)
        score = (header.known, alike if width > 1 else 0.0, width)
        if best is None or score > best[0]:
            best = score, delimiter, header
    assert best is not None
    return best[1], best[2]


def _sample(text: str, delimiter: str, path: Path) -> Iterator[Record]:
    """The first records of a text, as far as they are records by this delimiter."""
    found = records(io.StringIO(text, newline=""), delimiter, path)
    try:
        yield from islice(found, _RECORDS_LOOKED_AT)
    except FlightsFileError:
        return
