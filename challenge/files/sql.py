"""How DuckDB reads the files of flights."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from challenge.errors import FlightsFileError
from challenge.files.cancellation import Cancellation
from challenge.files.field_sql import name_types, sql_text
from challenge.flights.faults import shown
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb


ENGINE_MEMORY: Final = "256MB"
MAX_COLUMNS: Final = 2_000
MAX_HEADER_CHARACTERS: Final = 1_000_000
_NO_EXTENSIONS: Final = {
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
}


def engine_settings() -> dict[str, Any]:
    """How much DuckDB may take: as many threads as OMP_NUM_THREADS says, which Dask
    sets to one in its workers, else all."""
    settings: dict[str, Any] = {"memory_limit": ENGINE_MEMORY} | _NO_EXTENSIONS
    if threads := os.environ.get("OMP_NUM_THREADS"):
        settings["threads"] = threads
    return settings


def first_row(path: Path) -> int:
    """What people call the first row of a file: 2 in a CSV, under its header."""
    return 1 if path.suffix == ".parquet" else 2


@contextlib.contextmanager
def engine(
    model: DelayModel,
    source: Path,
    output: Path | None = None,
    cancellation: Cancellation | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that knows the model's vocabulary and spills what is too large.

    Args:
        model: the model.
        source: the only file that it may read.
        output: the only one that it may write; beside it, it spills.
        cancellation: stops its queries.
    """
    import duckdb

    beside = None if output is None else output.absolute().parent
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        settings = engine_settings() | {"temp_directory": folder}
        with duckdb.connect(config=settings) as connection:
            for statement in name_types(model.vocabulary):
                connection.execute(statement)
            lock(connection, [source], output)
            if cancellation is not None:
                cancellation.watch(connection)
            yield connection


def lock(
    connection: duckdb.DuckDBPyConnection,
    sources: Iterable[Path],
    output: Path | None = None,
) -> None:
    """Let a connection read these files alone, and write one other."""
    # DuckDB looks at what it reads both before and after it takes it for a pattern, as
    # it does with every path.
    allowed = [
        text
        for one in sources
        for text in (_path_sql(one), sql_text(str(one.absolute())))
    ]
    if output is not None:
        allowed.append(sql_text(str(output.absolute())))
    connection.execute(f"SET allowed_paths = [{', '.join(allowed)}]")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def text_sql(column: str, kind: str) -> str:
    """SQL for a value of a column of a kind as a text; 226.0 is '226'."""
    if kind in ("FLOAT", "DOUBLE"):
        whole = f"TRY_CAST({column} AS BIGINT)"
        return f"CASE WHEN {column} = {whole} THEN {whole}::VARCHAR ELSE {column}::VARCHAR END"
    if kind.startswith("TIMESTAMP"):
        return f"strftime({column}, '%Y-%m-%d %H:%M:%S')"
    return f"{column}::VARCHAR"


class Source(NamedTuple):
    """The rows of a file, as DuckDB reads them.

    Attributes:
        sql: to put after FROM. It calls the columns c0, c1 … and no other name of the
            file is in it: none can take the place of one in a query.
        numbered_sql: the same with, as `row_`, the numbers of the rows from 0.
        types: the type of each column, by its name in the file and in its order.
    """

    sql: str
    numbered_sql: str
    types: dict[str, str]


def file_source(connection: duckdb.DuckDBPyConnection, path: Path) -> Source:
    """How to read a file; in a CSV file all columns are texts.

    Raises:
        FlightsFileError: a CSV file is empty, or a name stands twice.
    """
    is_parquet = path.suffix == ".parquet"
    names = _parquet_names(connection, path) if is_parquet else csv_header(path)
    if len(names) > MAX_COLUMNS:
        problem = f"has {len(names):,} columns; there may be {MAX_COLUMNS:,}"
        raise FlightsFileError(path, problem)
    # A column without a name, as an exported index has, gets its number.
    names = [name or f"column {place}" for place, name in enumerate(names)]
    for name, times in Counter(names).items():
        if times > 1:
            raise FlightsFileError(path, f"has the column {shown(name)} twice")
    columns = ", ".join(_numbered_names(names))
    counted = "*, row_number() OVER () - 1 AS row_"
    if not is_parquet:
        types = dict.fromkeys(names, "VARCHAR")
        read = _read_csv(path, len(names))
        return Source(read, f"(SELECT {counted} FROM {read})", types)
    read = f"read_parquet({_path_sql(path)}, hive_partitioning = false)"
    rows = f"(FROM {read}) AS rows({columns})"
    if "file_row_number" in map(str.lower, names):
        numbered = f"(SELECT {counted} FROM {rows})"
    else:
        # Known without reading the rows before.
        read = read.removesuffix(")") + ", file_row_number = true)"
        numbered = f"(FROM {read}) AS rows({columns}, row_)"
    kinds = map(str, connection.sql(f"SELECT * FROM {rows}").types)
    return Source(rows, numbered, dict(zip(names, kinds, strict=True)))


def frame_source(connection: duckdb.DuckDBPyConnection, frame: str) -> Source:
    """The same of a data frame that was registered under a name."""
    relation = connection.sql(f"SELECT * FROM {frame}")
    rows = f"(FROM {frame}) AS rows({', '.join(_numbered_names(relation.columns))})"
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    return Source(
        rows, f"(SELECT *, row_number() OVER () - 1 AS row_ FROM {rows})", types
    )


def csv_header(path: Path) -> list[str]:
    """The names of a CSV file's columns.

    Raises:
        FlightsFileError: the file is empty, or its first line has no end.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
        text = stream.read(MAX_HEADER_CHARACTERS)
    if len(text) == MAX_HEADER_CHARACTERS and not set(text) & set("\r\n"):
        problem = f"has no end of line in its first {len(text):,} characters"
        raise FlightsFileError(path, problem)
    header = next(csv.reader(io.StringIO(text, newline="")), [])
    if not header:
        raise FlightsFileError(path, "is empty")
    return header


def _parquet_names(connection: duckdb.DuckDBPyConnection, path: Path) -> list[str]:
    """The names of a Parquet file's columns as they stand there: DuckDB renames those
    that differ in nothing but capitals."""
    schema = connection.execute(
        f"SELECT name, coalesce(num_children, 0) FROM parquet_schema({_path_sql(path)})"
    ).fetchall()
    names: list[str] = []
    # The first is the root; the children of a nested column follow it.
    nested = 0
    for name, children in schema[1:]:
        if nested:
            nested -= 1
        else:
            names.append(name)
        nested += children
    return names


def _numbered_names(names: Sequence[str]) -> list[str]:
    return [f"c{place}" for place in range(len(names))]


def _read_csv(path: Path, columns: int) -> str:
    types = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(columns))
    # The dialect is given: cities hold quoted commas, which sniffers guess wrong.
    return (
        f"read_csv({_path_sql(path)}, auto_detect=false, header=true, delim=',', "
        f"quote='\"', escape='\"', columns={{{types}}}, hive_partitioning=false)"
    )


def _path_sql(path: Path) -> str:
    """A path as a text that DuckDB does not take for a pattern."""
    return sql_text(re.sub(r"([*?\[])", r"[\1]", str(path.absolute())))
