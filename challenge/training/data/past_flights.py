"""A file of past flights in SQL: the times of each, and which are not learned from."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import duckdb
import pandas as pd

from challenge.files.faults import NO_ORIGIN
from challenge.files.field_sql import FieldColumns, sql_text
from challenge.files.flight_times import ARRIVALS, Zones
from challenge.files.formats import ORIGIN_CODE, ReadOptions, needed_to_learn
from challenge.files.mapping import LEFT_OUT, Reading, read_flights
from challenge.files.plain_file import PlainFile
from challenge.files.sql import engine_settings, file_source, lock
from challenge.files.time_sql import ZoneSql
from challenge.flights.fields import (
    CATEGORIES,
    DELAY,
    DEPARTED,
    FLIGHT_FIELDS,
    MONTH,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.frames import TIME_FORMAT
from challenge.flights.rules import whole_number
from challenge.flights.vocabulary import fold

COLUMNS: Final = (
    *FLIGHT_FIELDS,
    *(one.code_column for one in CATEGORIES if one.code_column is not None),
    DEPARTED,
    DELAY,
)


@contextlib.contextmanager
def connected(file: PlainFile) -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB that can read a file and nothing else, and spills what is too large."""
    with tempfile.TemporaryDirectory() as folder:
        settings = engine_settings() | {"temp_directory": folder}
        with duckdb.connect(config=settings) as connection:
            lock(connection, [file.path])
            yield connection


class PastFlights(NamedTuple):
    """The SQL of a file of past flights.

    Attributes:
        reading: the file.
        left_out: why a row is not learned from; NULL for others.
        wanted: the columns of ours that are read, where it has them.
    """

    reading: Reading
    left_out: str
    wanted: Sequence[str]

    @property
    def columns(self) -> FieldColumns:
        return self.reading.columns

    def timed(self, source: str) -> str:
        """The rows of a source with `zone`, `scheduled`, `departed`, by the clock of the
        schedule, `shown`, what a clock showed at the departure, and `skipped`, whether
        a clock skipped either time."""
        columns, zone = self.columns, self.zone
        departed, skipped, may_change = "shown", "false", "false"
        if zone is not None and self._is_corrected:
            may_change = zone.may_change("scheduled")
            real = zone.by_schedule("scheduled", "shown")
            departed = f"CASE WHEN may_change THEN {real} ELSE shown END"
            either = f"{zone.skips('scheduled')} OR {zone.skips('shown')}"
            skipped = f"CASE WHEN may_change THEN {either} ELSE false END"
        return (
            f"SELECT *, {departed} AS departed, {skipped} AS skipped "
            f"FROM (SELECT *, {may_change} AS may_change FROM (SELECT *, "
            f"{self.reading.zone.name if self.reading.zone else 'NULL'} AS zone, "
            f"{columns.time(SCHEDULED)} AS scheduled, "
            f"{columns.time(DEPARTED)} AS shown FROM {source}))"
        )

    @property
    def fault(self) -> str:
        """What is wrong with a row as a whole; NULL for others."""
        return self.reading.rows.fault or "NULL::VARCHAR"

    @property
    def zone(self) -> ZoneSql | None:
        """The time zone of `timed` rows."""
        zone = self.reading.zone
        return zone and zone._replace(name="zone")

    @property
    def _is_corrected(self) -> bool:
        """Whether departures are not as far from the schedule as they really were."""
        return self.reading.zone is not None and self.reading.has_clock_departures

    def named(self) -> str:
        """SQL for the columns that are wanted, by their names, of `timed` rows; their
        times are as far from the schedule as they really were."""
        named = [name for name in self.wanted if name in self.columns]
        return ", ".join(f'{self._value(name)} AS "{name}"' for name in named)

    def _value(self, name: str) -> str:
        value = self.columns.value(name)
        if name == DEPARTED and self._is_corrected:
            time = "departed"
        elif name in ARRIVALS and self.zone and self.reading.has_clock_arrivals:
            shown = self.columns.time(name)
            either = [self.zone.may_change(one) for one in ("scheduled", shown)]
            real = self.zone.by_schedule("scheduled", shown)
            time = f"CASE WHEN {' OR '.join(either)} THEN {real} ELSE {shown} END"
        else:
            return value
        if not self.columns.is_text(name):
            return time
        return f"coalesce(strftime({time}, '{TIME_FORMAT}'), {value})"

    def as_read(self, data: pd.DataFrame) -> pd.DataFrame:
        """A frame with whole numbers where a CSV has their texts."""
        if not self.columns.is_parquet:
            for name in (MONTH, DELAY):
                if name in data.columns:
                    data[name] = data[name].map(whole_number)
        return data


def past_flights(
    connection: duckdb.DuckDBPyConnection,
    plain: PlainFile,
    options: ReadOptions,
    zones: Zones,
    wanted: Sequence[str] = COLUMNS,
) -> PastFlights:
    """A file as past flights.

    Args:
        connection: the one that reads it.
        plain: the file.
        options: how it is to be read.
        zones: of airports.
        wanted: the columns of ours that are read, where it has them.

    Raises:
        MissingColumnsError: columns are missing.
        FlightsFileError: they cannot be read, or there is no origin to choose by.
    """
    file = file_source(connection, plain)
    read = read_flights(
        connection, plain, file, options, needed_to_learn, wanted, zones
    )
    columns = read.columns
    reasons = []
    if options.origin is not None:
        named = [name for name in (ORIGIN, ORIGIN_CODE) if name in columns]
        if not named:
            raise NO_ORIGIN.error(plain.source, column=ORIGIN)
        wanted = sql_text(fold(options.origin))
        is_other = " AND ".join(
            f"coalesce(strip_accents(lower(trim({columns.column(name)}))), '') <> {wanted}"
            for name in named
        )
        reasons.append(f"WHEN {is_other} THEN 'of other origins'")
    if LEFT_OUT in columns:
        reason = columns.column(LEFT_OUT)
        reasons.append(f"WHEN {reason} IS NOT NULL THEN {reason}")
    if DEPARTED in columns:
        absent = columns.is_not_given(DEPARTED)
        reasons.append(f"WHEN {absent} THEN 'without a departure'")
    if reasons and read.rows.fault is not None:
        # Nothing is known of such a row.
        reasons.insert(0, f"WHEN {read.rows.fault} IS NOT NULL THEN NULL")
    left_out = f"CASE {' '.join(reasons)} END" if reasons else "NULL::VARCHAR"
    return PastFlights(read, f"({left_out})", wanted)
