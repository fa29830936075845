"""The rows of a file of flights as cells of a model's grid.

DuckDB reads the file and numbers every row that is certainly valid, in SQL; of any
other, `FlightRules` decides, the one authority on what is wrong with a flight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Final

from challenge.files.cancellation import Cancellation
from challenge.files.field_sql import FieldColumns, day_step
from challenge.files.flight_times import Zones
from challenge.files.formats import OURS, ReadOptions
from challenge.files.kinds import reading
from challenge.files.mapping import Reading, read_flights
from challenge.files.plain_file import PlainFile, row_fault
from challenge.files.sql import Source, file_source
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    DEPARTED,
    FLIGHT_FIELDS,
    MONTH,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.rules import missing_columns, whole_number
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb

UNCERTAIN: Final = -1
# No field: what is wrong with a row as a whole.
_FAULT: Final = ""
_FIELDS: Final = (*FLIGHT_FIELDS, DEPARTED)


class FlightsScan:
    """The rows of a file, to be asked of a model.

    Args:
        connection: from `engine`, with the same model.
        model: whose grid numbers the flights.
        file: the file.
        cancellation: stops its queries.
        options: how it is to be read; None for a file of a caller who cannot say it.
        average: whether a name that is not known is taken as not given, where it may be.

    Attributes:
        format: the name of its format; empty for ours.
        averaged: how many values were taken as not given, by their fields.
        source: the file for DuckDB, as it is.
        columns: the names of the file's columns, known ones as they are known.

    Raises:
        MissingColumnsError: a column that is needed is not there.
        FlightsFileError: the file cannot be read, or its times may mean several things.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        model: DelayModel,
        file: PlainFile,
        cancellation: Cancellation | None = None,
        options: ReadOptions | None = None,
        average: bool = False,
    ) -> None:
        self._connection = connection
        self._cancellation = cancellation
        self.model = model
        self._average = average
        self.averaged: Counter[str] = Counter()
        self.file = file
        with reading(file.source):
            self.source = file_source(connection, file)
            read = read_asked(connection, model, file, self.source, _FIELDS, options)
        self.columns = list(self.source.types)
        self._rows, self._fields = read.rows, read.columns
        name = read.found.format.name
        self.format = "" if name == OURS else name
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

        with reading(self.file.source):
            query = self._query(f"coalesce(cell_, {UNCERTAIN})")
            for batch in nanoarrow.ArrayStream(self.cursor().sql(query)):
                if self._cancellation is not None:
                    self._cancellation.check()
                column = batch.child(0)
                values = memoryview(column.buffers[1]).cast("B").cast("q")
                yield values[column.offset : column.offset + len(column)].tolist()

    def count_cells(self) -> dict[int, int]:
        """How many rows each cell has; those that `judge` must decide: UNCERTAIN."""
        with reading(self.file.source):
            counted = self.cursor().execute(
                f"SELECT coalesce(cell_, {UNCERTAIN}), count(*) "
                f"FROM ({self._query('cell_')}) GROUP BY ALL"
            )
            return dict(counted.fetchall())

    def uncertain_rows(self) -> Iterator[dict[str, object]]:
        """The fields of the rows without a certain cell, in their order."""
        with reading(self.file.source):
            names, chosen = [*self._names], [
                *map(self._fields.judged_value, self._names)
            ]
            if self._rows.fault is not None:
                names.append(_FAULT)
                chosen.append("fault_")
            rows = self.cursor().execute(
                self._query(", ".join(chosen), "WHERE cell_ IS NULL")
            )
            while values := rows.fetchmany(1_000):
                yield from (dict(zip(names, row)) for row in values)

    def rows(self, positions: Collection[int]) -> dict[int, dict[str, object]]:
        """The values of all columns of some rows, by their positions from 0."""
        if not positions:
            return {}
        wanted = ", ".join(map(str, positions))
        of_file = FieldColumns(self.source.types, self.file.is_parquet)
        values = ", ".join(map(of_file.value, self.columns))
        with reading(self.file.source):
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
        if fault := row.get(_FAULT):
            return [row_fault(str(fault))]
        if not self._fields.is_parquet:
            row = {**row, MONTH: whole_number(row.get(MONTH))}
        if not self._average:
            return self.model.encoder.cell(row)
        outcome, notes = self.model.encoder.cell_averaged(row)
        self.averaged.update(note.field for note in notes)
        return outcome

    def _query(self, chosen: str, where: str = "") -> str:
        """SQL for the rows with their `cell_`, NULL unless one is certainly valid."""
        fields, model = self._fields, self.model
        steps = [fields.step(axis, model.vocabulary) for axis in model.grid.axes]
        on_day = (
            f"CASE WHEN {fields.is_not_given(SCHEDULED)} THEN 0 "
            f"ELSE {day_step(model.recent, model.grid.cells)} END"
        )
        cell, others = f"({' + '.join([*steps, on_day])})::BIGINT", []
        if self._rows.fault is not None:
            cell = f"CASE WHEN fault_ IS NULL THEN {cell} END"
            others = [f"{self._rows.fault} AS fault_"]
        return (
            f"SELECT {chosen} FROM (SELECT *, {cell} "
            f"AS cell_ FROM (SELECT *, {fields.month()} AS month_, "
            f"{fields.time(SCHEDULED)} AS time_ "
            f"FROM ({fields.select(self._names, self._rows.sql, *others)}))) {where}"
        )


def read_asked(
    connection: duckdb.DuckDBPyConnection,
    model: DelayModel,
    file: PlainFile,
    source: Source,
    wanted: Collection[str],
    options: ReadOptions | None = None,
    others: Collection[str] = (),
) -> Reading:
    """Read the rows of a file as flights that a model is asked about.

    Args:
        model: its vocabulary says what is needed, its time zones are those of airports.
        source: the rows.
        connection, file, wanted, options, others: as for `read_flights`.
    """
    return read_flights(
        connection,
        file,
        source,
        options,
        lambda columns: missing_columns(columns, model.vocabulary),
        wanted,
        _zones_of_model(model),
        others,
    )


def _zones_of_model(model: DelayModel) -> Zones:
    """The time zones of a model's origins, by their names and codes."""

    def of(airports: Collection[str]) -> dict[str, str | None]:
        zones = model.encoder.rules.time_zones
        known = {name: zone.key for name, zone in zones.items()}
        codes = model.vocabulary.aliases.get(ORIGIN, {})
        names = {name: name for name in known} | dict(codes)
        return {spelling.upper(): known.get(name) for spelling, name in names.items()}

    return Zones(of)
