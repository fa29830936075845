"""A file of flights as DuckDB reads it: as it is, or written again plainly.

A plain file is UTF-8, separated by commas, with its header in the first line; or Parquet.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from challenge.files.bounds import Bounds
from challenge.files.dialects import Dialect
from challenge.files.excel import Value, Workbook
from challenge.files.kinds import FileKind, open_text
from challenge.files.records import Record, records, text_stream
from challenge.files.row_numbers import RowNumbers
from challenge.flights.faults import Fault

ROW_FAULT: Final = "what is wrong with the row"


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
        with open_text(self.source, self.dialect.kind, self.bounds) as stream:
            stream.read(len(self.dialect.mark))
            with text_stream(stream, self.dialect.encoding) as text:
                yield from records(text, self.dialect.delimiter, self.source)


def row_fault(text: str) -> Fault:
    """The fault that a value of the column ROW_FAULT tells."""
    kind, message, ctx = msgspec.json.decode(text)
    return Fault((), kind, message, None, ctx)
