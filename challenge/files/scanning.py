"""The rows of a file of flights as cells of a model's grid.

DuckDB reads the file and numbers every row that is certainly valid, in SQL; of any
other, `FlightRules` decides, the one authority on what is wrong with a flight.
"""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from challenge.errors import FlightsFileError
from challenge.files.cancellation import Cancellation
from challenge.files.field_sql import FieldColumns, day_step
from challenge.files.flight_times import Zones
from challenge.files.formats import ReadOptions, needed_to_predict
from challenge.files.mapping import read_flights
from challenge.files.sql import file_source, first_row
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    DEPARTED,
    FLIGHT_FIELDS,
    MONTH,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.rules import whole_number
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb

SUFFIXES: Final = (".csv", ".csv.gz", ".parquet")
UNCERTAIN: Final = -1
_FIELDS: Final = (*FLIGHT_FIELDS, DEPARTED)


class FlightsScan:
    """The rows of a .csv, .csv.gz or .parquet file, to be asked of a model.

    Args:
        connection: from `engine`, with the same model.
        model: whose grid numbers the flights.
        path: the file.
        cancellation: stops its queries.
        options: how it is to be read; None for a file of a caller who cannot say it.

    Attributes:
        source: the file for DuckDB, as it is.
        columns: the names of the file's columns.
        first_row: what people call its first row: 2 in a CSV, under the header.

    Raises:
        MissingColumnsError: a column that is needed is not there.
        FlightsFileError: the file cannot be read, or its times may mean several things.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        model: DelayModel,
        path: Path,
        cancellation: Cancellation | None = None,
        options: ReadOptions | None = None,
    ) -> None:
        self._connection = connection
        self._cancellation = cancellation
        self.model = model
        self.path = path
        self.first_row = first_row(path)
        with reading(path):
            self.source = file_source(connection, path)
            read = read_flights(
                connection,
                path,
                self.source,
                options,
                needed_to_predict,
                _FIELDS,
                zones_of_model(model),
            )
        self.columns = list(self.source.types)
        self._rows, self._fields = read.rows, read.columns
        self._names = [name for name in _FIELDS if name in self._fields]

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Another connection to the same database, for a query beside others."""
        cursor = self._connection.cursor()
        if self._cancellation is not None:
            self._cancellation.watch(cursor)
        return cursor

    def cells(self) -> Iterator[list[int]]:
        """The cell of each row, in batches; UNCERTAIN where `judge` must decide."""
        import nanoarrow

        with reading(self.path):
            query = self._query(f"coalesce(cell_, {UNCERTAIN})")
            for batch in nanoarrow.ArrayStream(self.cursor().sql(query)):
                if self._cancellation is not None:
                    self._cancellation.check()
                column = batch.child(0)
                values = memoryview(column.buffers[1]).cast("B").cast("q")
                yield values[column.offset : column.offset + len(column)].tolist()

    def count_cells(self) -> dict[int, int]:
        """How many rows each cell has; those that `judge` must decide: UNCERTAIN."""
        with reading(self.path):
            counted = self.cursor().execute(
                f"SELECT coalesce(cell_, {UNCERTAIN}), count(*) "
                f"FROM ({self._query('cell_')}) GROUP BY ALL"
            )
            return dict(counted.fetchall())

    def uncertain_rows(self) -> Iterator[dict[str, object]]:
        """The fields of the rows without a certain cell, in their order."""
        with reading(self.path):
            chosen = ", ".join(map(self._fields.judged_value, self._names))
            rows = self.cursor().execute(self._query(chosen, "WHERE cell_ IS NULL"))
            while values := rows.fetchmany(1_000):
                yield from (dict(zip(self._names, row)) for row in values)

    def rows(self, positions: Collection[int]) -> dict[int, dict[str, object]]:
        """The values of all columns of some rows, by their positions from 0."""
        if not positions:
            return {}
        wanted = ", ".join(map(str, positions))
        of_file = FieldColumns(self.source.types, self.path.suffix == ".parquet")
        values = ", ".join(map(of_file.value, self.columns))
        with reading(self.path):
            rows = self.cursor().execute(
                f"SELECT row_, {values} FROM {self.source.numbered_sql} "
                f"WHERE row_ IN ({wanted})"
            )
            return {
                position: dict(zip(self.columns, row, strict=True))
                for position, *row in rows.fetchall()
            }

    def judge(self, row: Mapping[str, object]) -> int | list[Fault]:
        """The cell of a row, or all that is wrong with it."""
        if not self._fields.is_parquet:
            row = {**row, MONTH: whole_number(row.get(MONTH))}
        return self.model.encoder.cell(row)

    def _query(self, chosen: str, where: str = "") -> str:
        """SQL for the rows with their `cell_`, NULL unless one is certainly valid."""
        fields, model = self._fields, self.model
        steps = [fields.step(axis, model.vocabulary) for axis in model.grid.axes]
        on_day = (
            f"CASE WHEN {fields.is_not_given(SCHEDULED)} THEN 0 "
            f"ELSE {day_step(model.recent, model.grid.cells)} END"
        )
        return (
            f"SELECT {chosen} FROM (SELECT *, ({' + '.join([*steps, on_day])})::BIGINT "
            f"AS cell_ FROM (SELECT *, {fields.month()} AS month_, "
            f"{fields.time(SCHEDULED)} AS time_ "
            f"FROM ({fields.select(self._names, self._rows.sql)}))) {where}"
        )


def zones_of_model(model: DelayModel) -> Zones:
    """The time zones of a model's origins, by their names and codes."""

    def of(airports: Collection[str]) -> dict[str, str | None]:
        known = model.card.time_zones
        codes = model.vocabulary.aliases.get(ORIGIN, {})
        names = {name: name for name in known} | dict(codes)
        return {spelling.upper(): known.get(name) for spelling, name in names.items()}

    return Zones(of)


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
        # A caller's file has a name of ours.
        reason = str(error).replace(str(path), path.name).strip().splitlines()[0]
        raise FlightsFileError(path, f"cannot be read: {reason}") from error
