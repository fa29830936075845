"""Files of flights as DuckDB reads them: as they are, or written again plainly.

A plain file is UTF-8, separated by commas, with its header in the first line; or Parquet.
Any other is read by one parser, which also says where answers are written, and becomes a
temporary plain one. Its last column tells what is wrong with a row as a whole.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import re
import sys
import tempfile
from array import array
from bisect import bisect_right
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, Final, TypeVar

from challenge.errors import FlightsFileError
from challenge.files.bounds import OWN_FILES, Bounds, check_columns
from challenge.files.cancellation import Cancellation
from challenge.files.dialects import (
    WINDOWS,
    Dialect,
    detect_windows,
    find_header,
    recognize_text,
)
from challenge.files.excel import Value, Workbook, value_text
from challenge.files.kinds import (
    FileKind,
    kind_of,
    open_text,
    reading,
    zipped_name,
)
from challenge.files.records import Record, byte_records, records, text_stream
from challenge.flights.faults import Fault, shown

T = TypeVar("T")

ROW_FAULT: Final = "what is wrong with the row"
_DECIMAL_COMMA: Final = re.compile(r"-?[0-9]+,[0-9]+")
_ROWS_LOOKED_AT: Final = 50
# Between two looks at whether the work was stopped.
_ROWS_AT_ONCE: Final = 1_000
_CHUNK_BYTES: Final = 1 << 20
_MAX_BLANK_PLACES: Final = 1_000_000


class RowNumbers:
    """What people call the rows of a file: their lines in the program that shows it.

    Args:
        path: the file, for errors.
        first: the number of its first row.
        blank: the positions of the rows before which there is a blank line, in their
            order; looked at as far as rows are asked for.
    """

    def __init__(self, path: Path, first: int, blank: Iterator[int] = iter(())) -> None:
        self._path = path
        self._first = first
        self._ahead = blank
        self._looked_at = -1
        # The rows before which there are blank lines, and how many are above each.
        self._positions = array("q")
        self._blank = array("q")

    def skip(self, position: int, lines: int = 1) -> None:
        """Take note of blank lines before a row, of which the last ones were noted.

        Raises:
            FlightsFileError: there are very many.
        """
        above = self._blank[-1] if self._blank else 0
        if self._positions and self._positions[-1] == position:
            self._blank[-1] = above + lines
            return
        if len(self._positions) == _MAX_BLANK_PLACES:
            problem = f"has blank lines in over {_MAX_BLANK_PLACES:,} places"
            raise FlightsFileError(self._path, problem)
        self._positions.append(position)
        self._blank.append(above + lines)

    def __getitem__(self, position: int) -> int:
        """The number of a row, by its position from 0."""
        while self._looked_at <= position:
            self._looked_at = next(self._ahead, sys.maxsize)
            if self._looked_at < sys.maxsize:
                self.skip(self._looked_at)
        place = bisect_right(self._positions, position)
        return self._first + position + (self._blank[place - 1] if place else 0)


@dataclass(frozen=True)
class PlainFile:
    """A file that DuckDB can read.

    Attributes:
        source: the file that it was given as.
        path: the file to read.
        dialect: how the source is written.
        is_rewritten: whether the path is another file, with a last column ROW_FAULT.
        bounds: how much the work may take.
        row_numbers: what people call the rows, by their positions from 0.
    """

    source: Path
    path: Path
    dialect: Dialect
    is_rewritten: bool
    bounds: Bounds
    row_numbers: RowNumbers

    @property
    def is_parquet(self) -> bool:
        return self.dialect.kind is FileKind.PARQUET

    def excel_rows(self) -> Iterator[tuple[int, list[Value]]]:
        """The rows of the source, an Excel file, from its first on, with their numbers."""
        with Workbook(self.source, self.bounds) as workbook:
            yield from workbook.rows(self.dialect.part)

    def records(self) -> Generator[Record, None, None]:
        """The records of the source, a text file, from its first line on."""
        return _records(self.source, self.dialect, self.bounds)


@contextlib.contextmanager
def plain_file(
    path: Path,
    beside: Path | None = None,
    bounds: Bounds = OWN_FILES,
    cancellation: Cancellation | None = None,
    rewrite: bool = False,
) -> Iterator[PlainFile]:
    """A file as DuckDB can read it, while the block runs.

    Args:
        path: the file.
        beside: the folder for a temporary file; None for that of the system.
        bounds: how much the work may take.
        cancellation: stops it.
        rewrite: write it again even if it looks plain.

    Raises:
        FlightsFileError: it cannot be read.
    """
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        with reading(path):
            kind = kind_of(path)
            if kind is FileKind.GZIP and bounds.unpacked_bytes is not None:
                _unpack(path, bounds, cancellation)
            dialect = _recognize(path, kind, bounds)
            if dialect.is_plain and not (rewrite and dialect.is_text):
                plain = _as_it_is(path, dialect, Path(folder), bounds)
            else:
                plain = _rewritten(path, dialect, Path(folder), bounds, cancellation)
        yield plain


def read_plain(
    path: Path,
    work: Callable[[PlainFile], T],
    beside: Path | None = None,
    bounds: Bounds = OWN_FILES,
    cancellation: Cancellation | None = None,
) -> T:
    """Work on a file as DuckDB can read it.

    If it looks plain, but a row or a byte further on is not, the work starts again on
    the file as it was written again, in which that is the fault of a row.

    Args:
        path, beside, bounds, cancellation: as for `plain_file`.
        work: done once or, if it raises FlightsFileError, twice.
    """
    with plain_file(path, beside, bounds, cancellation) as plain:
        try:
            return work(plain)
        except FlightsFileError as error:
            if plain.is_rewritten or plain.is_parquet or not _is_of_rows(error):
                raise
    with plain_file(path, beside, bounds, cancellation, rewrite=True) as plain:
        return work(plain)


def row_fault(text: str) -> Fault:
    """The fault that a value of the column ROW_FAULT tells."""
    kind, _, message = text.partition(" ")
    return Fault((), kind, message, None)


def _is_of_rows(error: FlightsFileError) -> bool:
    import duckdb

    of_rows = (duckdb.InvalidInputException, csv.Error, UnicodeDecodeError)
    return isinstance(error.__cause__, of_rows)


def _unpack(path: Path, bounds: Bounds, cancellation: Cancellation | None) -> None:
    """Unpack a gzip file once, so that one that is too large is refused before its first
    rows were worked on."""
    with open_text(path, FileKind.GZIP, bounds) as stream:
        while stream.read(_CHUNK_BYTES):
            if cancellation is not None:
                cancellation.check()


def _recognize(path: Path, kind: FileKind, bounds: Bounds) -> Dialect:
    if (path.suffix.lower() == ".parquet") != (kind is FileKind.PARQUET):
        if kind is not FileKind.PARQUET:
            raise FlightsFileError(path, "cannot be read: it is no Parquet file")
    if kind is FileKind.PARQUET:
        return Dialect(kind)
    if kind is FileKind.EXCEL:
        return _recognize_excel(path, bounds)
    part = zipped_name(path) if kind is FileKind.ZIP else ""
    with open_text(path, kind, bounds) as stream:
        return recognize_text(stream, kind, path, part)


def _recognize_excel(path: Path, bounds: Bounds) -> Dialect:
    """The first of the sheets with the most known columns."""
    best, known = Dialect(FileKind.EXCEL), -1
    with Workbook(path, bounds) as workbook:
        for sheet in workbook.sheets:
            rows = list(islice(workbook.rows(sheet), _ROWS_LOOKED_AT))
            texts = [list(map(value_text, values)) for _, values in rows]
            header = find_header(texts)
            if rows and header.known > known:
                known = header.known
                best = replace(best, part=sheet, header_row=rows[header.row][0])
    if known < 0:
        raise FlightsFileError(path, "is empty")
    return best


def _as_it_is(path: Path, dialect: Dialect, folder: Path, bounds: Bounds) -> PlainFile:
    named = path
    suffix = {FileKind.GZIP: ".gz", FileKind.PARQUET: ".parquet"}.get(dialect.kind, "")
    # DuckDB goes by the name.
    if suffix != (path.suffix if path.suffix.lower() in (".gz", ".parquet") else ""):
        named = folder / f"flights{suffix or '.csv'}"
        named.symlink_to(path.absolute())
    if dialect.kind is FileKind.PARQUET:
        numbers = RowNumbers(path, 1)
    else:
        numbers = RowNumbers(path, 2, _blank_lines(path, dialect, bounds))
    return PlainFile(path, named, dialect, False, bounds, numbers)


def _blank_lines(path: Path, dialect: Dialect, bounds: Bounds) -> Iterator[int]:
    """The positions of the rows before which there is a blank line, of a plain file."""
    with open_text(path, dialect.kind, bounds) as stream:
        position = -1
        for record, _ in byte_records(stream):
            if record:
                position += 1
            else:
                yield position


def _rewritten(
    path: Path,
    dialect: Dialect,
    folder: Path,
    bounds: Bounds,
    cancellation: Cancellation | None,
) -> PlainFile:
    if dialect.encoding in ("utf-8", WINDOWS) and dialect.is_text and not dialect.mark:
        with open_text(path, dialect.kind, bounds) as stream:
            encoding = WINDOWS if detect_windows(stream) else "utf-8"
        dialect = replace(dialect, encoding=encoding)
    numbers = RowNumbers(path, dialect.header_row + 1)
    plain = PlainFile(path, folder / "rewritten.csv", dialect, True, bounds, numbers)
    rows = _excel_rows(plain) if dialect.kind is FileKind.EXCEL else _text_rows(plain)
    has_decimal_commas = False
    with _written(plain.path) as stream:
        # Either character of this end is then quoted in a value.
        writer = csv.writer(stream, lineterminator="\r\n")
        columns = 0
        for number, (values, problem) in enumerate(rows):
            if not number:
                columns = len(values)
                check_columns(path, columns)
                writer.writerow([*values, ROW_FAULT])
                continue
            if cancellation is not None and not number % _ROWS_AT_ONCE:
                cancellation.check()
            if problem:
                values = [""] * columns
            elif dialect.delimiter != "," and "," in "".join(values):
                values = list(map(_with_point, given := values))
                has_decimal_commas = has_decimal_commas or values != given
            writer.writerow([*values, problem])
    return replace(
        plain, dialect=replace(dialect, has_decimal_commas=has_decimal_commas)
    )


@contextlib.contextmanager
def _written(path: Path) -> Iterator[IO[str]]:
    """Open a temporary file; a full disk is told of it, not of what it is made from."""
    try:
        with path.open("w", encoding="utf-8", newline="") as stream:
            yield stream
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            problem = f"cannot be written: {error.strerror}"
            raise FlightsFileError(path, problem) from None
        raise


def _with_point(value: str) -> str:
    if _DECIMAL_COMMA.fullmatch(value):
        return value.replace(",", ".")
    return value


def _text_rows(plain: PlainFile) -> Iterator[tuple[list[str], str]]:
    """The header and the rows of a text file, each with what is wrong with it."""
    dialect = plain.dialect
    table = islice(plain.records(), dialect.header_row - 1, None)
    header = next(table, None)
    if header is None:
        return
    yield list(map(_legible, header.fields)), ""
    position = 0
    for record in table:
        if not record.fields:
            plain.row_numbers.skip(position)
            continue
        yield record.fields, _problem(record, len(header.fields), dialect)
        position += 1


def _problem(record: Record, columns: int, dialect: Dialect) -> str:
    """What is wrong with a record, after the kind of fault; empty if nothing is."""
    if not record.is_closed:
        return "open_quote has a quote that is not closed; the file ends before"
    if len(record.fields) != columns:
        noun = "value" if len(record.fields) == 1 else "values"
        return f"ragged_row has {len(record.fields)} {noun}; the header has {columns} columns"
    if not record.text.isascii():
        try:
            record.text.encode()
        except UnicodeEncodeError as error:
            begin = max(error.start - 10, 0)
            near = _legible(record.text[begin : error.end + 10])
            return f"undecodable_row has what is no text in {dialect.encoding_name}: {shown(near)}"
    return ""


def _legible(text: str) -> str:
    """A text without what its encoding does not know."""
    return text.encode(errors="replace").decode()


def _excel_rows(plain: PlainFile) -> Iterator[tuple[list[str], str]]:
    """The same of an Excel file, whose rows are as wide as the header."""
    columns = 0
    expected = plain.dialect.header_row + 1
    position = -1
    for number, values in plain.excel_rows():
        if number < plain.dialect.header_row:
            continue
        texts = list(map(value_text, values))
        if position < 0:
            columns = len(texts)
            yield texts, ""
        else:
            if number > expected:
                plain.row_numbers.skip(position, number - expected)
            problem = ""
            if len(texts) > columns:
                problem = f"ragged_row has {len(texts)} values; the header has {columns} columns"
            yield texts + [""] * (columns - len(texts)), problem
            expected = number + 1
        position += 1


def _records(
    path: Path, dialect: Dialect, bounds: Bounds
) -> Generator[Record, None, None]:
    with open_text(path, dialect.kind, bounds) as stream:
        stream.read(len(dialect.mark))
        with text_stream(stream, dialect.encoding) as text:
            yield from records(text, dialect.delimiter, path)
