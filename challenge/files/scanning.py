"""The rows of a file of flights as cells of a model's grid.

DuckDB reads the file and numbers every row that is certainly valid, in SQL; of any
other, `FlightReader` decides, the one authority on what is wrong with a flight.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from challenge.errors import FlightsFileError, MissingColumnsError
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    AIRLINE,
    DEPARTED,
    DESTINATION,
    FLIGHT_FIELDS,
    FLIGHT_TYPE,
    MONTH,
    REQUIRED_FIELDS,
    SCHEDULED,
)
from challenge.flights.rules import whole_float, whole_number
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb

from challenge.files.sql import first_row, month_sql, numbered_sql, source_sql, time_sql

SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")
UNCERTAIN: Final = -1
_FIELDS: Final = (*FLIGHT_FIELDS, DEPARTED)


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
