"""Opens files of flights of any dialect as plain ones."""

from __future__ import annotations

import contextlib
import csv
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from challenge.errors import FlightsFileError
from challenge.files.bounds import OWN_FILES, Bounds
from challenge.files.cancellation import Cancellation
from challenge.files.dialects import Dialect, find_header, recognize_text
from challenge.files.excel import Workbook, value_text
from challenge.files.faults import EMPTY, UNREADABLE
from challenge.files.kinds import (
    FileKind,
    kind_of,
    open_text,
    reading,
    zipped_name,
)
from challenge.files.plain_file import PlainFile
from challenge.files.records import byte_records
from challenge.files.rewriting import rewritten
from challenge.files.row_numbers import RowNumbers

T = TypeVar("T")

_ROWS_LOOKED_AT: Final = 50
_CHUNK_BYTES: Final = 1 << 20


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
                plain = rewritten(path, dialect, Path(folder), bounds, cancellation)
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
    if kind is FileKind.PARQUET:
        return Dialect(kind)
    if path.suffix.lower() == ".parquet":
        raise UNREADABLE.error(path, reason="it is no Parquet file")
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
        raise EMPTY.error(path)
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
