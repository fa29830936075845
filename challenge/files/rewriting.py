"""Writes a file of flights of any dialect again, as a plain temporary one.

One parser, Python's, decides what a record is, here and where answers are written. The last
column of the plain file tells what is wrong with a row as a whole.
"""

from __future__ import annotations

import contextlib
import csv
import errno
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import IO, Final

from challenge.files.bounds import Bounds, check_columns
from challenge.files.cancellation import Cancellation
from challenge.files.dialects import WINDOWS, Dialect, detect_windows
from challenge.files.excel import value_text
from challenge.files.faults import OPEN_QUOTE, RAGGED_ROW, UNDECODABLE_ROW, UNWRITABLE
from challenge.files.kinds import FileKind, open_text
from challenge.files.plain_file import ROW_FAULT, PlainFile
from challenge.files.records import Record
from challenge.files.row_numbers import RowNumbers
from challenge.flights.faults import shown

_DECIMAL_COMMA: Final = re.compile(r"-?[0-9]+,[0-9]+")
# Between two looks at whether the work was stopped.
_ROWS_AT_ONCE: Final = 1_000


def rewritten(
    path: Path,
    dialect: Dialect,
    folder: Path,
    bounds: Bounds,
    cancellation: Cancellation | None,
) -> PlainFile:
    """Write a file again.

    Args:
        path: the file.
        dialect: what its beginning shows of how it is written.
        folder: where to write.
        bounds: how much the work may take.
        cancellation: stops it.

    Raises:
        FlightsFileError: the file cannot be read, or there is no room for the other.
    """
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
                values = list(map(with_point, given := values))
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
            raise UNWRITABLE.error(path, reason=error.strerror) from None
        raise


def with_point(value: str) -> str:
    """A number with a decimal comma as one with a point; other texts as they are."""
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
        return OPEN_QUOTE.of_row()
    if len(record.fields) != columns:
        return _ragged(len(record.fields), columns)
    if not record.text.isascii():
        try:
            record.text.encode()
        except UnicodeEncodeError as error:
            begin = max(error.start - 10, 0)
            near = _legible(record.text[begin : error.end + 10])
            encoding = dialect.encoding_name
            return UNDECODABLE_ROW.of_row(encoding=encoding, near=shown(near))
    return ""


def _ragged(values: int, columns: int) -> str:
    noun = "value" if values == 1 else "values"
    return RAGGED_ROW.of_row(values=values, noun=noun, columns=columns)


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
                problem = _ragged(len(texts), columns)
            yield texts + [""] * (columns - len(texts)), problem
            expected = number + 1
        position += 1
