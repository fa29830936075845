"""A file of flights as messages tell them: today's as they are known now, or those of a
past day with the moments at which more became known."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from challenge.files.field_sql import sql_text
from challenge.files.flight_times import Zones
from challenge.files.formats import (
    LOCAL,
    OURS,
    Format,
    FoundColumns,
    Needed,
    ReadOptions,
    built_in_formats,
    find_format,
)
from challenge.files.kinds import reading
from challenge.files.mapping import LEFT_OUT, Reading, read_flights
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile, row_fault
from challenge.files.sources import fetched
from challenge.files.sql import Source, engine_settings, file_source, lock, text_sql
from challenge.files.time_sql import clock_sql
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    ARRIVED,
    CANCELLED,
    DEPARTED,
    DUE,
    EXPECTED,
    FIELDS,
    MONTH,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.rules import missing_columns
from challenge.flights.times import is_not_given, read_time
from challenge.flights.vocabulary import Vocabulary
from challenge.live.clock import Clock, Clocks, seconds

if TYPE_CHECKING:
    import duckdb

Told: TypeAlias = str | bool

# What messages tell; the time tells the month.
TOLD_FIELDS: Final = (
    *(one.name for one in FIELDS if one.name != MONTH),
    DEPARTED,
)
_TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
_CONDITION: Final = "cancelled"
_YES: Final = ("true", "t", "1", "1.0", "yes", "y", "si", "s", "x")
_CANCELLED_WORDS: Final = ("cancelled", "canceled", "cancelado", "cancelada")
# Columns that files of past flights are not asked for.
_OF_TODAY: Final = Format(
    "today",
    "",
    {
        _CONDITION: "strip_accents(lower(trim(is_cancelled::VARCHAR))) IN "
        f"({', '.join(map(sql_text, _YES + _CANCELLED_WORDS))})",
        EXPECTED: EXPECTED,
    },
    {"is_cancelled": (CANCELLED, "Cancelled", "Canceled")},
)


class ServedModel(NamedTuple):
    """What must be known of a server's model to read a file for it.

    Attributes:
        vocabulary: the names that it knows.
        time_zones: of its origins, by their names, as far as they are known.
    """

    vocabulary: Vocabulary
    time_zones: Mapping[str, str]

    @property
    def clocks(self) -> Clocks:
        """Those of its origins."""
        zones = {name: ZoneInfo(zone) for name, zone in self.time_zones.items()}
        return Clocks(tuple(zones), zones)

    def needed(self, others: Collection[str] = ()) -> Needed:
        """Which columns of ours cannot be done without, with others that are wanted."""
        names = [SCHEDULED, *others]
        if len(self.vocabulary[ORIGIN]) > 1:
            names.append(ORIGIN)

        def missing(columns: Collection[str]) -> list[str]:
            lacking = missing_columns(columns, self.vocabulary)
            lacking += [name for name in names if name not in columns]
            return [name for name in lacking if name != MONTH]

        return missing


class ToldFlight(NamedTuple):
    """A flight as a row of a file tells it; moments in seconds since 1970, UTC.

    Attributes:
        row: its number, as people count.
        fields: what is told, by the names that messages have; times are those that
            the clock of the airport shows.
        scheduled: when it should leave.
        departed, arrived: when it left and when its aircraft came in, if that is told.
        zone: the time zone of its airport; None if it is not known.
    """

    row: int
    fields: dict[str, Told]
    scheduled: int
    departed: int | None
    arrived: int | None
    zone: ZoneInfo | None


@dataclass
class ToldFlights:
    """The flights of a file.

    Attributes:
        flights: in the order of the file.
        faults: rows that tell no flight, by their numbers.
        without_time: how many others have no scheduled time.
    """

    flights: list[ToldFlight] = field(default_factory=list)
    faults: list[tuple[int, Fault]] = field(default_factory=list)
    without_time: int = 0


def read_told_flights(
    source: str,
    model: ServedModel,
    first: datetime,
    last: datetime,
    options: ReadOptions = ReadOptions(),
    needed: Collection[str] = (),
) -> ToldFlights:
    """Read the flights of some days.

    Args:
        source: a file.
        model: the server's.
        first, last: their scheduled local times are from the first until before the last.
        options: how the file is to be read.
        needed: columns of ours that it must have beside those that messages need.

    Raises:
        MissingColumnsError: a column that is needed is not there.
        FlightsFileError: the file cannot be read.
    """
    with fetched(source) as path:
        return read_plain(
            path,
            lambda file: _read(file, model, first, last, options, needed),
        )


@lru_cache
def clock_of(zone: ZoneInfo | None) -> Clock:
    """The clock of a time zone."""
    return Clock(zone)


def local_midnight(zone: ZoneInfo | None, moment: int) -> int:
    """When the day of a moment began, by the clock of a time zone."""
    return clock_of(zone).midnight(moment)


def _read(
    file: PlainFile,
    model: ServedModel,
    first: datetime,
    last: datetime,
    options: ReadOptions,
    needed: Collection[str],
) -> ToldFlights:
    read = ToldFlights()
    with _connected(file) as connection, reading(file.source):
        source = file_source(connection, file)
        is_needed = model.needed(needed)
        wanted = (*TOLD_FIELDS, *needed)
        options = _with_columns_of_today(file.source, source, options, is_needed)
        rows = read_flights(
            connection, file, source, options, is_needed, wanted, _zones(model)
        )
        names = [name for name in TOLD_FIELDS if name in rows.columns]
        to_flight = _flight_reader(rows)
        for position, zone, fault, left_out, *values in _rows(
            connection, rows, names, first, last
        ):
            row = file.row_numbers[position]
            told = {name: value for name, value in zip(names, values) if value}
            if fault is not None:
                read.faults.append((row, row_fault(fault)))
            elif is_not_given(told.get(SCHEDULED)):
                read.without_time += 1
            else:
                flight = to_flight(row, told, zone, left_out == _CONDITION)
                if isinstance(flight, Fault):
                    read.faults.append((row, flight))
                else:
                    read.flights.append(flight)
    return read


@contextlib.contextmanager
def _connected(file: PlainFile) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        settings = engine_settings(file.bounds) | {"temp_directory": folder}
        with duckdb.connect(config=settings) as connection:
            lock(connection, [file.path])
            yield connection


def _with_columns_of_today(
    path: Path, source: Source, options: ReadOptions, needed: Needed
) -> ReadOptions:
    """The options with those columns beside ours that tell what a past flight's file does
    not: cancellations, and when aircraft are expected."""
    found = find_format(path, source.types, options, needed)
    own = options.columns
    if own is None and found.format.name != OURS:
        return options
    added = FoundColumns(_OF_TODAY, source.types)
    more = {k: v for k, v in added.expressions.items() if k not in found.expressions}
    if not more:
        return options
    if EXPECTED in more and "ZONE" in source.types.get(EXPECTED, ""):
        utc = f"timezone('UTC', \"{EXPECTED}\")"
        more[EXPECTED] = f"strftime({utc}, '%Y-%m-%dT%H:%M:%SZ')"
    base = built_in_formats()[OURS] if own is None else own
    extended = replace(
        base,
        name=_OF_TODAY.name if own is None else own.name,
        expressions=dict(found.expressions if own is None else base.expressions) | more,
        names=dict(base.names) | dict(_OF_TODAY.names),
    )
    return replace(options, format=None, columns=extended)


def _zones(model: ServedModel) -> Zones:
    known = {name.upper(): zone for name, zone in model.time_zones.items()}

    def of(airports: Iterable[str]) -> dict[str, str | None]:
        return {name: known.get(name) for name in {*airports, *known}}

    return Zones(of)


def _rows(
    connection: duckdb.DuckDBPyConnection,
    rows: Reading,
    names: Collection[str],
    first: datetime,
    last: datetime,
) -> Iterator[tuple[int, str | None, str | None, str | None, *tuple[str | None, ...]]]:
    """The position of each row, its time zone, its fault, why a model would not learn
    from it, and its values as texts; rows of other days are left out."""
    columns = rows.columns
    time = columns.time(SCHEDULED)
    fault = rows.rows.fault or "NULL::VARCHAR"
    zone = rows.zone.name if rows.zone else "NULL::VARCHAR"
    left_out = columns.column(LEFT_OUT) if LEFT_OUT in columns else "NULL::VARCHAR"
    values = [_text(rows, name) for name in names]
    bounds = " AND ".join(
        f"{time} {sign} TIMESTAMP {sql_text(str(bound))}"
        for sign, bound in ((">=", first), ("<", last))
    )
    found = connection.execute(
        f"SELECT row_, {zone}, {fault}, {left_out}, {', '.join(values)} "
        f"FROM {rows.rows.numbered_sql} "
        f"WHERE {fault} IS NOT NULL OR {time} IS NULL OR {bounds} ORDER BY row_"
    )
    while batch := found.fetchmany(1_000):
        yield from batch


def _text(rows: Reading, name: str) -> str:
    """SQL for a value as a text, NULL where it is blank."""
    columns = rows.columns
    text = f"nullif(trim({text_sql(columns.column(name), columns.types[name])}), '')"
    if name != EXPECTED:
        return text
    clock = clock_sql(text, rows.dates)
    if (told_by := rows.found.format.clock) != LOCAL and rows.zone is not None:
        clock = f"timezone({rows.zone.name}, timezone({sql_text(told_by)}, {clock}))"
    return f"coalesce(strftime({clock}, {sql_text(_TIME_FORMAT)}), {text})"


def _flight_reader(
    rows: Reading,
) -> Callable[[int, dict[str, str], str | None, bool], ToldFlight | Fault]:
    """Makes flights of what rows tell."""
    is_shown = {
        DEPARTED: rows.has_clock_departures,
        DUE: rows.has_clock_arrivals,
        ARRIVED: rows.has_clock_arrivals,
    }

    def flight(
        row: int, told: dict[str, str], zone_name: str | None, is_cancelled: bool
    ) -> ToldFlight | Fault:
        zone = None if zone_name is None else ZoneInfo(zone_name)
        scheduled = read_time(SCHEDULED, told[SCHEDULED], zone)
        if not isinstance(scheduled, datetime):
            assert scheduled is not None
            return scheduled
        clock, local = clock_of(zone), seconds(scheduled)
        fields: dict[str, Told] = {**told, SCHEDULED: f"{scheduled:{_TIME_FORMAT}}"}
        moments: dict[str, int] = {}
        for name, shown in is_shown.items():
            time = read_time(name, told.get(name), zone)
            # What is no time is for the server to say.
            if not isinstance(time, datetime):
                continue
            if shown:
                moments[name] = clock.utc_by_schedule(local, seconds(time))
            else:
                moments[name] = clock.utc(local) + seconds(time) - local
                time = _local(moments[name], zone)
            fields[name] = f"{time:{_TIME_FORMAT}}"
        if is_cancelled:
            fields[CANCELLED] = True
        return ToldFlight(
            row,
            fields,
            clock.utc(local),
            moments.get(DEPARTED),
            moments.get(ARRIVED),
            zone,
        )

    return flight


def _local(moment: int, zone: ZoneInfo | None) -> datetime:
    """What the clock of an airport shows at a moment."""
    return datetime.fromtimestamp(moment, zone or UTC).replace(tzinfo=None)
