"""The rows of a file of flights as cells of a model's grid.

DuckDB reads the file and numbers every row that is certainly valid, in SQL; of any
other, `FlightRules` decides, the one authority on what is wrong with a flight.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from challenge.files.cancellation import Cancellation
from challenge.files.dialects import Dialect
from challenge.files.field_sql import FieldColumns
from challenge.files.flight_times import Zones
from challenge.files.formats import OURS, Needed, ReadOptions
from challenge.files.kinds import reading
from challenge.files.mapping import Reading, read_flights
from challenge.files.plain_file import PlainFile, row_fault
from challenge.files.sql import Source, file_source
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    AIRCRAFT,
    DEPARTED,
    FIELDS,
    FLIGHT_FIELDS,
    FLIGHT_NUMBER,
    MONTH,
    ORIGIN,
    SCHEDULED,
    Kind,
)
from challenge.flights.rules import missing_columns, whole_number
from challenge.live.clock import DAY_SECONDS
from challenge.live.known import Question
from challenge.live.questions import QUESTION_FIELDS, Places
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb

UNCERTAIN: Final = -1
# A row to whose odds the day may add something has its cell below that.
_ASKED: Final = UNCERTAIN - 1
_CELL: Final = "cell_"
# No field: what is wrong with a row as a whole.
_FAULT: Final = ""
_FIELDS: Final = (*FLIGHT_FIELDS, DEPARTED)
_MOMENTS: Final = tuple(one.name for one in FIELDS if one.kind is Kind.MOMENT)
# What a question has beside them.
_OF_DAY: Final = (AIRCRAFT, *_MOMENTS)


class FlightsScan:
    """The rows of a file, to be asked of a model.

    Args:
        connection: from `engine`, with the same model.
        model: whose grid numbers the flights.
        file: the file.
        cancellation: stops its queries.
        options: how it is to be read; None for a file of a caller who cannot say it.
        average: whether a name that is not known is taken as not given, where it may be.
        others: columns of ours that are wanted beside those of a question.

    Attributes:
        format: the name of its format; empty for ours.
        averaged: how many values were taken as not given, by their fields.
        source: the file for DuckDB, as it is.
        columns: the names of the file's columns, known ones as they are known.
        fields: our columns that the file has, or that are made of its own.
        departures_as_shown: whether departures are what the clock of the airport showed;
            else they are as far from the schedule as they really were.

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
        others: Collection[str] = (),
    ) -> None:
        self._connection = connection
        self._cancellation = cancellation
        self.model = model
        self._average = average
        self.averaged: Counter[str] = Counter()
        self._looks_up = model.day is not None and model.day.known is not None
        self._places = Places()
        self.file = file
        with reading(file.source):
            self.source = file_source(connection, file)
            wanted = [*_FIELDS, *others, *(_OF_DAY if model.day else ())]
            if self._looks_up:
                wanted.append(FLIGHT_NUMBER)
            read = read_asked(connection, model, file, self.source, wanted, options)
        self.columns = list(self.source.types)
        self._rows, self._fields = read.rows, read.columns
        name = read.found.format.name
        self.format = "" if name == OURS else name
        self.fields = [name for name in wanted if name in self._fields]
        self._arrivals_as_shown = read.has_clock_arrivals
        self.departures_as_shown = read.has_clock_departures

    @property
    def read_as(self) -> dict[str, Dialect]:
        """The file's dialect by its name, unless it is plain."""
        if not (self.file.is_rewritten or self.format):
            return {}
        dialect = replace(self.file.dialect, format=self.format)
        return {self.file.source.name: dialect}

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Another connection to the same database, for a query beside others."""
        cursor = self._connection.cursor()
        if self._cancellation is not None:
            self._cancellation.watch(cursor)
        return cursor

    def cells(self) -> Iterator[list[int]]:
        """The cell of each row, in batches; UNCERTAIN where `judge` must decide, and
        below that where there may be a question about the day, see `asked_cell`."""
        import nanoarrow

        with reading(self.file.source):
            cell = f"CASE WHEN {self._is_near} THEN {_ASKED} - cell_ ELSE cell_ END"
            query = self._query(f"coalesce({cell}, {UNCERTAIN})")
            for batch in nanoarrow.ArrayStream(self.cursor().sql(query)):
                if self._cancellation is not None:
                    self._cancellation.check()
                column = batch.child(0)
                values = memoryview(column.buffers[1]).cast("B").cast("q")
                yield values[column.offset : column.offset + len(column)].tolist()

    def count_cells(self) -> dict[int, int]:
        """How many rows each cell has; those of which more must be known: UNCERTAIN."""
        with reading(self.file.source):
            certain = f"CASE WHEN {self._is_near} THEN NULL ELSE cell_ END AS cell_"
            counted = self.cursor().execute(
                f"SELECT coalesce(cell_, {UNCERTAIN}), count(*) "
                f"FROM ({self._query(certain)}) GROUP BY ALL"
            )
            return dict(counted.fetchall())

    def uncertain_rows(self) -> Iterator[dict[str, object]]:
        """The fields of the rows without a certain cell, in their order."""
        return self._some_rows("cell_ IS NULL")

    def asked_rows(self) -> Iterator[dict[str, object]]:
        """The fields of the rows with a certain cell, but below UNCERTAIN, in their
        order."""
        return self._some_rows(f"cell_ IS NOT NULL AND {self._is_near}")

    def past_rows(self) -> Iterator[tuple[int | None, dict[str, object]]]:
        """The cell of each row, None where `judge` must decide, and its fields."""
        for row in self._some_rows("true", _CELL):
            cell = row.pop(_CELL)
            yield (cell if isinstance(cell, int) else None), row

    def _some_rows(self, where: str, *others: str) -> Iterator[dict[str, object]]:
        with reading(self.file.source):
            names = [*self.fields, *others]
            chosen = [*map(self._fields.judged_value, self.fields), *others]
            if self._rows.fault is not None:
                names.append(_FAULT)
                chosen.append("fault_")
            rows = self.cursor().execute(
                self._query(", ".join(chosen), f"WHERE {where}")
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
        row = {**row, FLIGHT_NUMBER: None}
        if not self._fields.is_parquet:
            row = {**row, MONTH: whole_number(row.get(MONTH))}
        if not self._average:
            return self.model.encoder.cell(row)
        outcome, notes = self.model.encoder.cell_averaged(row)
        self.averaged.update(note.field for note in notes)
        return outcome

    def question(self, row: Mapping[str, object], cell: int) -> Question | None:
        """What is asked about a row that is valid; None if the day adds nothing.

        Args:
            row: its fields.
            cell: its cell.
        """
        day = self.model.day
        if day is None:
            return None
        scheduled, departed = row.get(SCHEDULED), row.get(DEPARTED)
        left, place = None, 0
        if departed:
            as_shown = self.departures_as_shown
            left = day.times.by_schedule(departed, scheduled, row.get(ORIGIN), as_shown)
        if self._looks_up:
            moment = day.times.scheduled(scheduled, row.get(ORIGIN))
            place = self._places.next(cell, moment, row.get(FLIGHT_NUMBER))
        return day.question(
            *map(row.get, QUESTION_FIELDS),
            cell=cell,
            place=place,
            departed=left,
            as_shown=self._arrivals_as_shown,
        )

    @property
    def _is_near(self) -> str:
        """SQL that is true of the rows to whose odds the day may add something."""
        span = None if self.model.day is None else self.model.day.span
        if span is None:
            return "false"
        # Whatever the time zones are.
        first, last = span[0] - DAY_SECONDS, span[1] + DAY_SECONDS
        return f"coalesce(epoch(time_) BETWEEN {first} AND {last}, false)"

    def _query(self, chosen: str, where: str = "") -> str:
        """SQL for the rows with their `cell_`, NULL unless one is certainly valid."""
        fields, model = self._fields, self.model
        steps = [fields.step(axis, model.vocabulary) for axis in model.grid.axes]
        cell, others = f"({' + '.join(steps)})::BIGINT", []
        for name in _MOMENTS:
            if name in self.fields:
                is_valid = (
                    f"{fields.is_not_given(name)} OR {fields.time(name)} IS NOT NULL"
                )
                cell = f"CASE WHEN {is_valid} THEN {cell} END"
        if self._rows.fault is not None:
            cell = f"CASE WHEN fault_ IS NULL THEN {cell} END"
            others = [f"{self._rows.fault} AS fault_"]
        return (
            f"SELECT {chosen} FROM (SELECT *, {cell} "
            f"AS cell_ FROM (SELECT *, {fields.month()} AS month_, "
            f"{fields.time(SCHEDULED)} AS time_ "
            f"FROM ({fields.select(self.fields, self._rows.sql, *others)}))) {where}"
        )


def asked_cell(number: int) -> int:
    """The cell of a row about which there may be a question, by what `cells` gave."""
    return _ASKED - number


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
        needed_to_ask(model),
        wanted,
        zones_of(model),
        others,
    )


def needed_to_ask(model: DelayModel) -> Needed:
    """Which columns of ours a model cannot do without to be asked."""
    return lambda columns: missing_columns(columns, model.vocabulary)


def zones_of(model: DelayModel) -> Zones:
    """The time zones of a model's origins, by their names and codes."""

    def of(airports: Collection[str]) -> dict[str, str | None]:
        zones = model.encoder.rules.time_zones
        known = {name: zone.key for name, zone in zones.items()}
        codes = model.vocabulary.aliases.get(ORIGIN, {})
        names = {name: name for name in known} | dict(codes)
        return {spelling.upper(): known.get(name) for spelling, name in names.items()}

    return Zones(of)
