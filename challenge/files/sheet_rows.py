"""The rows of any file of flights as a sheet of Excel has them."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from datetime import date, datetime
from typing import Final

from challenge.files.excel import Value
from challenge.files.field_sql import FieldColumns
from challenge.files.kinds import FileKind, reading
from challenge.files.rewriting import with_point
from challenge.files.scanning import FlightsScan

# A sheet keeps no more digits of a number, and no date before.
_EXACT: Final = 10**15
_FIRST_YEAR: Final = 1900


def sheet_rows(flights: FlightsScan) -> Iterator[tuple[int, list[Value]]]:
    """The rows of a file from its first on, with their numbers in a sheet.

    Those of an Excel file stay where they are, and blank lines of a text are left out.
    What is a text in the file stays one, whatever it looks like; a decimal comma becomes
    a point.
    """
    kind = flights.file.dialect.kind
    if kind is FileKind.EXCEL:
        return flights.file.excel_rows()
    return enumerate(
        _parquet_rows(flights) if kind is FileKind.PARQUET else _text_rows(flights), 1
    )


def _text_rows(flights: FlightsScan) -> Iterator[list[Value]]:
    dialect = flights.file.dialect
    with contextlib.closing(flights.file.records()) as records:
        for number, record in enumerate(records, 1):
            if number <= dialect.header_row or not dialect.has_decimal_commas:
                texts = record.fields
            else:
                # As the file was read: nobody reads a sheet with decimal commas.
                texts = list(map(with_point, record.fields))
            if texts or number <= dialect.header_row:
                yield list(map(_whole, texts))


def _parquet_rows(flights: FlightsScan) -> Iterator[list[Value]]:
    yield list(flights.source.names)
    columns = FieldColumns(flights.source.types, is_parquet=True)
    chosen = ", ".join(map(columns.value, columns.types))
    with reading(flights.file.source):
        rows = flights.cursor().execute(f"SELECT {chosen} FROM {flights.source.sql}")
        while batch := rows.fetchmany(1_000):
            for row in batch:
                yield list(map(_value, row))


def _whole(text: str) -> str:
    """A text without the bytes that its encoding does not know."""
    return text.encode("utf-8", "replace").decode()


def _value(value: object) -> Value:
    """A value of a Parquet file; as a text where a sheet cannot hold it."""
    match value:
        case None | str() | bool():
            return value
        case int() if abs(value) < _EXACT:
            return value
        case float() if math.isfinite(value):
            return value
        case datetime() if value.tzinfo is None and value.year >= _FIRST_YEAR:
            return value
        case date() if not isinstance(value, datetime) and value.year >= _FIRST_YEAR:
            return datetime(value.year, value.month, value.day)
    return str(value)
