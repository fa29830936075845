"""How DuckDB reads the files of flights."""

from __future__ import annotations

import contextlib
import csv
import gzip
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from challenge.errors import FlightsFileError
from challenge.files.field_sql import name_types, sql_text
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb


ENGINE_MEMORY: Final = "256MB"


def engine_settings() -> dict[str, Any]:
    """How much DuckDB may take: as many threads as OMP_NUM_THREADS says, which Dask
    sets to one in its workers, else all."""
    settings: dict[str, Any] = {"memory_limit": ENGINE_MEMORY}
    if threads := os.environ.get("OMP_NUM_THREADS"):
        settings["threads"] = threads
    return settings


def first_row(path: Path) -> int:
    """What people call the first row of a file: 2 in a CSV, under its header."""
    return 1 if path.suffix == ".parquet" else 2


@contextlib.contextmanager
def engine(model: DelayModel) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that knows the model's vocabulary and spills what is too large."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        settings = engine_settings() | {"temp_directory": folder}
        with duckdb.connect(config=settings) as connection:
            for statement in name_types(model.vocabulary):
                connection.execute(statement)
            yield connection


def text_sql(column: str, kind: str) -> str:
    """SQL for a value of a column of a kind as a text; 226.0 is '226'."""
    if kind in ("FLOAT", "DOUBLE"):
        whole = f"TRY_CAST({column} AS BIGINT)"
        return f"CASE WHEN {column} = {whole} THEN {whole}::VARCHAR ELSE {column}::VARCHAR END"
    if kind.startswith("TIMESTAMP"):
        return f"strftime({column}, '%Y-%m-%d %H:%M:%S')"
    return f"{column}::VARCHAR"


def source_sql(path: Path) -> str:
    """SQL for the rows of a file, after FROM; in a CSV all columns are texts.

    Raises:
        FlightsFileError: a CSV file is empty or names a column twice.
    """
    if path.suffix == ".parquet":
        return f"read_parquet({sql_text(str(path))})"
    # A column without a name, as an exported index has, gets its number.
    names = [name or f"column {place}" for place, name in enumerate(csv_header(path))]
    return _csv_sql(path, names)


def positional_sql(
    connection: duckdb.DuckDBPyConnection, path: Path
) -> tuple[str, list[str]]:
    """SQL for the rows of a file under the names c0, c1 … and the names in the file:
    to DuckDB, names that differ in nothing but capitals are the same."""
    if path.suffix == ".parquet":
        names = connection.sql(f"SELECT * FROM {source_sql(path)}").columns
        places = ", ".join(f"c{place}" for place in range(len(names)))
        return f"(FROM {source_sql(path)}) AS rows({places})", names
    names = csv_header(path)
    return _csv_sql(path, [f"c{place}" for place in range(len(names))]), names


def _csv_sql(path: Path, names: list[str]) -> str:
    for name in names:
        if names.count(name) > 1:
            raise FlightsFileError(path, f"has the column {name!r} twice")
    columns = ", ".join(f"{sql_text(name)}: 'VARCHAR'" for name in names)
    # The dialect is given: cities hold quoted commas, which sniffers guess wrong.
    return (
        f"read_csv({sql_text(str(path))}, auto_detect=false, header=true, delim=',', "
        f"quote='\"', escape='\"', columns={{{columns}}})"
    )


def numbered_sql(path: Path, columns: str) -> str:
    """SQL for columns of a file and, as `row_`, the numbers of its rows from 0."""
    if path.suffix == ".parquet":
        source = source_sql(path).removesuffix(")") + ", file_row_number = true)"
        columns = columns.replace("*", "* EXCLUDE file_row_number")
        return f"SELECT {columns}, file_row_number AS row_ FROM {source}"
    return f"SELECT {columns}, row_number() OVER () - 1 AS row_ FROM {source_sql(path)}"


def csv_header(path: Path) -> list[str]:
    """The names of a CSV file's columns.

    Raises:
        FlightsFileError: the file is empty.
    """
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as stream:
        header = next(csv.reader(stream), [])
    if not header:
        raise FlightsFileError(path, "is empty")
    return header
