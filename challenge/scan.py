"""The rows of a file of flights as cells of a model's grid.

DuckDB reads the file and numbers every row that is certainly valid, in SQL; of any
other, `FlightReader` decides, the one authority on what is wrong with a flight.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import os
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from challenge.errors import FlightsFileError, MissingColumnsError
from challenge.flights import (
    AIRLINE,
    DEPARTED,
    DESTINATION,
    FLIGHT_FIELDS,
    FLIGHT_TYPE,
    MONTH,
    MONTHS,
    REQUIRED_FIELDS,
    SCHEDULED,
    TIME_PATTERN,
    Fault,
)
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb

SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")
ENGINE_MEMORY: Final = "256MB"
UNCERTAIN: Final = -1

_FIELDS: Final = (*FLIGHT_FIELDS, DEPARTED)
_WHOLE_TYPES: Final = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT")


class FlightsScan:
    """The rows of a .csv, .csv.gz or .parquet file, to be asked of a model.

    Args:
        connection: from `engine`, with the same model.
        model: whose grid numbers the flights.
        path: the file.

    Attributes:
        columns: the names of the file's columns.
        first_row: what people call its first row: 2 in a CSV, under the header.

    Raises:
        MissingColumnsError: a column that is needed is not there.
        FlightsFileError: the file cannot be read.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, model: DelayModel, path: Path
    ) -> None:
        self.connection = connection
        self.model = model
        self.path = path
        self.first_row = first_row(path)
        with reading(path):
            self._source = source_sql(path)
            relation = connection.sql(f"SELECT * FROM {self._source}")
            self.columns = relation.columns
            self._types = dict(zip(relation.columns, map(str, relation.types)))
        missing = [name for name in REQUIRED_FIELDS if name not in self.columns]
        if missing:
            raise MissingColumnsError(missing, self.columns)

    def cells(self) -> Iterator[list[int]]:
        """The cell of each row, in batches; UNCERTAIN where `judge` must decide."""
        import nanoarrow

        with reading(self.path):
            query = self._query(f"coalesce(cell, {UNCERTAIN}) AS cell")
            for batch in nanoarrow.ArrayStream(self.connection.cursor().sql(query)):
                column = batch.child(0)
                values = memoryview(column.buffers[1]).cast("B").cast("q")
                yield values[column.offset : column.offset + len(column)].tolist()

    def count_cells(self) -> dict[int, int]:
        """How many rows each cell has; those that `judge` must decide: UNCERTAIN."""
        with reading(self.path):
            counted = self.connection.cursor().execute(
                f"SELECT coalesce(cell, {UNCERTAIN}), count(*) "
                f"FROM ({self._query('cell')}) GROUP BY ALL"
            )
            return dict(counted.fetchall())

    def uncertain_rows(self) -> Iterator[dict[str, object]]:
        """The fields of the rows without a certain cell, in their order."""
        names = [name for name in _FIELDS if name in self.columns]
        with reading(self.path):
            chosen = ", ".join(f'"{name}"' for name in names)
            rows = self.connection.cursor().execute(
                self._query(chosen, "WHERE cell IS NULL")
            )
            while values := rows.fetchmany(1_000):
                yield from (dict(zip(names, row)) for row in values)

    def rows(self, positions: Collection[int]) -> dict[int, dict[str, object]]:
        """The values of all columns of some rows, by their positions from 0."""
        if not positions:
            return {}
        wanted = ", ".join(map(str, positions))
        with reading(self.path):
            rows = self.connection.cursor().execute(
                f"SELECT row_, * EXCLUDE row_ FROM ({numbered_sql(self.path, '*')}) "
                f"WHERE row_ IN ({wanted})"
            )
            return {
                position: dict(zip(self.columns, values))
                for position, *values in rows.fetchall()
            }

    def judge(self, row: Mapping[str, object]) -> int | list[Fault]:
        """The cell of a row, or all that is wrong with it."""
        flight = {name: row.get(name) for name in _FIELDS}
        month = flight[MONTH]
        if self._types[MONTH] in ("FLOAT", "DOUBLE"):
            flight[MONTH] = whole_float(month)
        elif self.path.suffix != ".parquet":
            flight[MONTH] = whole_number(month)
        return self.model.cell(flight)

    def _query(self, chosen: str, where: str = "") -> str:
        """SQL for the rows with their `cell`, NULL unless one is certainly valid."""
        grid = self.model.grid
        scheduled = f'"{SCHEDULED}"' if SCHEDULED in self.columns else "NULL"
        cell = (
            f"airline_ * {grid.airline_stride} + type_ * {grid.flight_type_stride}"
            f" + (month_ - 1) * {grid.month_stride}"
            f" + destination_ * {grid.destination_stride}"
            f" + CASE WHEN {scheduled} IS NULL OR {scheduled}::VARCHAR = '' THEN 0"
            f" WHEN month(time_) = month_ THEN {grid.time_stride}"
            f" * ((isodow(time_) - 1) * 24 + hour(time_) + 1) + {self._day_step()} END"
        )
        coded = (
            f"{self._code(AIRLINE, 'airline')} AS airline_, "
            f"{self._code(FLIGHT_TYPE, 'flight_type')} AS type_, "
            f"{month_sql(self._types[MONTH], self.path.suffix == '.parquet')} AS month_, "
            f"{self._destination()} AS destination_, "
            f"{time_sql(SCHEDULED, self._types.get(SCHEDULED))} AS time_"
        )
        return (
            f"SELECT {chosen} FROM (SELECT *, ({cell})::BIGINT AS cell FROM "
            f"(SELECT *, {coded} FROM {self._source})) {where}"
        )

    def _day_step(self) -> str:
        """SQL for what the day of `time_` adds, as `Recent.step` says it."""
        recent = self.model.recent
        if recent is None:
            return "0"
        place = f"(time_::DATE - DATE '{recent.first}')"
        return (
            f"CASE WHEN {place} BETWEEN 0 AND {recent.days - 1} "
            f"THEN ({place} + 1) * {self.model.grid.cells} ELSE 0 END"
        )

    def _code(self, name: str, enum: str) -> str:
        if self._types[name] != "VARCHAR":
            return "NULL::BIGINT"
        return f'enum_code(TRY_CAST("{name}" AS {enum}))::BIGINT'

    def _destination(self) -> str:
        if DESTINATION not in self.columns:
            return "0"
        absent = f'"{DESTINATION}" IS NULL OR "{DESTINATION}"::VARCHAR = \'\''
        code = self._code(DESTINATION, "destination")
        return f"CASE WHEN {absent} THEN 0 ELSE {code} + 1 END"


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


def month_sql(kind: str, is_parquet: bool) -> str:
    """SQL for the month, 1 to 12, NULL where it is not certainly one.

    Args:
        kind: the column's type.
        is_parquet: there a text is no month; in a CSV everything is one.
    """
    if kind in _WHOLE_TYPES:
        month = f'TRY_CAST("{MONTH}" AS INTEGER)'
        return f"CASE WHEN {month} BETWEEN 1 AND 12 THEN {month} END"
    if is_parquet or kind != "VARCHAR":
        return "NULL::INTEGER"
    # A list of the twelve texts would become a join, which mixes up the rows.
    form = f"regexp_full_match(\"{MONTH}\", '[1-9]|1[0-2]')"
    return f'CASE WHEN {form} THEN TRY_CAST("{MONTH}" AS INTEGER) END'


def time_sql(name: str, kind: str | None) -> str:
    """SQL for a local time, NULL where it is not certainly one.

    Args:
        name: the column.
        kind: its type; None if it is not there.
    """
    if kind == "VARCHAR":
        form = f'regexp_full_match("{name}", {sql_text(TIME_PATTERN)})'
        # There is no year 0 but to DuckDB.
        form += f" AND \"{name}\" >= '0001'"
        return f'CASE WHEN {form} THEN TRY_CAST("{name}" AS TIMESTAMP) END'
    if kind is not None and kind.startswith("TIMESTAMP") and "ZONE" not in kind:
        return f'"{name}"'
    return "NULL::TIMESTAMP"


@contextlib.contextmanager
def engine(model: DelayModel) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that knows the model's vocabulary and spills what is too large."""
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        settings = engine_settings() | {"temp_directory": folder}
        with duckdb.connect(config=settings) as connection:
            for name, values in (
                ("airline", model.vocabulary.airlines),
                ("flight_type", model.vocabulary.flight_types),
                ("destination", model.vocabulary.destinations),
            ):
                texts = ", ".join(map(sql_text, values)) or "''"
                connection.execute(f"CREATE TYPE {name} AS ENUM ({texts})")
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


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong in here is told as a fault of the file.

    Raises:
        FlightsFileError: the file is of another kind, missing, or cannot be read.
    """
    import duckdb

    if not path.name.endswith(SUFFIXES):
        raise FlightsFileError(path, "is not a .csv, .csv.gz or .parquet file")
    if not path.is_file():
        raise FlightsFileError(path, "does not exist or is not a file")
    try:
        yield
    except (duckdb.Error, OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        reason = str(error).strip().splitlines()[0]
        raise FlightsFileError(path, f"cannot be read: {reason}") from error


def whole_number(text: object) -> object:
    """In a CSV everything is text; what is not digits is for the rules to refuse."""
    if isinstance(text, str) and text.isascii():
        if text.removeprefix("-").isdecimal():
            return int(text)
    return text


def whole_float(value: object) -> object:
    """A column with gaps holds floats: 3.0 is the month 3."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def sql_text(text: str) -> str:
    """A text as SQL writes it."""
    return "'" + text.replace("'", "''") + "'"
