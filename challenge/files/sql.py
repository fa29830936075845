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

from challenge.files.bounds import (
    MAX_HEADER_CHARACTERS,
    OWN_FILES,
    Bounds,
    check_columns,
)
from challenge.files.cancellation import Cancellation
from challenge.files.dialects import as_known
from challenge.files.faults import COLUMN_TWICE, EMPTY, LONG_HEADER
from challenge.files.field_sql import name_types, sql_text
from challenge.files.plain_file import PlainFile
from challenge.flights.faults import shown
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb


_NO_EXTENSIONS: Final = {
    "autoload_known_extensions": False,
    "autoinstall_known_extensions": False,
    "allow_community_extensions": False,
}


def engine_settings(bounds: Bounds = OWN_FILES) -> dict[str, Any]:
    """How much DuckDB may take: as many threads as OMP_NUM_THREADS says, which Dask
    sets to one in its workers, else all."""
    settings: dict[str, Any] = {"memory_limit": bounds.engine_memory} | _NO_EXTENSIONS
    if threads := os.environ.get("OMP_NUM_THREADS"):
        settings["threads"] = threads
    return settings


@contextlib.contextmanager
def engine(
    model: DelayModel,
    file: PlainFile,
    output: Path | None = None,
    cancellation: Cancellation | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that knows the model's vocabulary and spills what is too large.

    Args:
        model: the model.
        file: the only file that it may read.
        output: the only one that it may write; beside it, it spills.
        cancellation: stops its queries.
    """
    import duckdb

    beside = None if output is None else output.absolute().parent
    with tempfile.TemporaryDirectory(dir=beside) as folder:
        settings = engine_settings(file.bounds) | {"temp_directory": folder}
        with duckdb.connect(config=settings) as connection:
            for statement in name_types(model.vocabulary):
                connection.execute(statement)
            lock(connection, [file.path], output)
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
        types: the type of each column, by its name and in its order. A name that is
            known is spelled as it is known.
        names: of the columns, as they stand in the file.
        fault: SQL for what is wrong with a row as a whole, NULL where nothing is; None
            if nothing can be.
    """

    sql: str
    numbered_sql: str
    types: dict[str, str]
    names: list[str]
    fault: str | None = None


def file_source(connection: duckdb.DuckDBPyConnection, file: PlainFile) -> Source:
    """How to read a file; in a CSV file all columns are texts.

    Raises:
        FlightsFileError: a CSV file is empty, or a name stands twice.
        FileTooLargeError: a Parquet file has more values than it may.
    """
    path = file.path
    if file.is_parquet:
        _check_values(connection, file)
        names = _parquet_names(connection, path)
    else:
        names = csv_header(path)
    fault = None
    if file.is_rewritten:
        fault = f"nullif(c{len(names) - 1}, '')"
        names = names[:-1]
    check_columns(file.source, len(names))
    # A column without a name, as an exported index has, gets its number.
    names = [name or f"column {place}" for place, name in enumerate(names)]
    for name, times in Counter(names).items():
        if times > 1:
            raise COLUMN_TWICE.error(file.source, name=shown(name))
    known = as_known(names)
    columns = ", ".join(_numbered_names(names))
    counted = "*, row_number() OVER () - 1 AS row_"
    if not file.is_parquet:
        types = dict.fromkeys(known, "VARCHAR")
        read = _read_csv(path, len(names) + (fault is not None))
        numbered = f"(SELECT {counted} FROM {read})"
        return Source(read, numbered, types, names, fault)
    read = f"read_parquet({_path_sql(path)}, hive_partitioning = false)"
    rows = f"(FROM {read}) AS rows({columns})"
    if "file_row_number" in map(str.lower, names):
        numbered = f"(SELECT {counted} FROM {rows})"
    else:
        # Known without reading the rows before.
        read = read.removesuffix(")") + ", file_row_number = true)"
        numbered = f"(FROM {read}) AS rows({columns}, row_)"
    kinds = map(str, connection.sql(f"SELECT * FROM {rows}").types)
    return Source(rows, numbered, dict(zip(known, kinds, strict=True)), names)


def frame_source(connection: duckdb.DuckDBPyConnection, frame: str) -> Source:
    """The same of a data frame that was registered under a name."""
    relation = connection.sql(f"SELECT * FROM {frame}")
    rows = f"(FROM {frame}) AS rows({', '.join(_numbered_names(relation.columns))})"
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    numbered = f"(SELECT *, row_number() OVER () - 1 AS row_ FROM {rows})"
    return Source(rows, numbered, types, list(types))


def csv_header(path: Path) -> list[str]:
    """The names of a CSV file's columns.

    Raises:
        FlightsFileError: the file is empty, or its first line has no end.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
        text = stream.read(MAX_HEADER_CHARACTERS)
    if len(text) == MAX_HEADER_CHARACTERS and not set(text) & set("\r\n"):
        raise LONG_HEADER.error(path, characters=len(text))
    header = next(csv.reader(io.StringIO(text, newline="")), [])
    if not header:
        raise EMPTY.error(path)
    return header


def _check_values(connection: duckdb.DuckDBPyConnection, file: PlainFile) -> None:
    counted = connection.execute(
        "SELECT coalesce(max(n), 0)::BIGINT FROM (SELECT sum(num_values) AS n "
        f"FROM parquet_metadata({_path_sql(file.path)}) GROUP BY path_in_schema)"
    ).fetchone()
    assert counted is not None
    file.bounds.check_values(file.source, counted[0])


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
