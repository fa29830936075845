"""The rows of any file as messages would tell them: our fields as texts, times by the clock
of the airport, whether a flight left, and whether it was cancelled."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
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
from challenge.files.mapping import LEFT_OUT, read_flights
from challenge.files.plain_file import PlainFile
from challenge.files.sql import Source, text_sql
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
    SCHEDULED,
)
from challenge.flights.times import read_time
from challenge.live.clock import Clock, seconds

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


class ToldRow(NamedTuple):
    """A row of a file.

    Attributes:
        position: its, from 0.
        zone: the name of the time zone of its airport; None if it is not known.
        fault: what is wrong with it as a whole; None if nothing is.
        is_cancelled: whether the flight was cancelled.
        told: its values by our names, but those that are blank.
    """

    position: int
    zone: str | None
    fault: str | None
    is_cancelled: bool
    told: dict[str, str]


class Telling:
    """The rows of a file as messages would tell them.

    Args:
        connection: the one that reads it.
        file: the file.
        source: its rows.
        options: how it is to be read.
        needed: which columns of ours cannot be done without.
        wanted: the columns of ours that will be read.
        zones: of airports.

    Raises:
        MissingColumnsError, FlightsFileError: as of `read_flights`.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        file: PlainFile,
        source: Source,
        options: ReadOptions,
        needed: Needed,
        wanted: Collection[str],
        zones: Zones,
    ) -> None:
        self._connection = connection
        options = _with_columns_of_today(file.source, source, options, needed)
        read = read_flights(connection, file, source, options, needed, wanted, zones)
        self._read = read
        columns = read.columns
        self._names = [name for name in dict.fromkeys(wanted) if name in columns]
        self._is_shown = {
            DEPARTED: read.has_clock_departures,
            DUE: read.has_clock_arrivals,
            ARRIVED: read.has_clock_arrivals,
        }
        self.time = columns.time(SCHEDULED)
        self.fault = read.rows.fault or "NULL::VARCHAR"

    def rows(self, where: str = "true") -> Iterator[ToldRow]:
        """The rows for which SQL, with `time` and `fault`, is true, in their order."""
        read, columns = self._read, self._read.columns
        zone = read.zone.name if read.zone else "NULL::VARCHAR"
        left_out = columns.column(LEFT_OUT) if LEFT_OUT in columns else "NULL::VARCHAR"
        chosen = ["row_", zone, self.fault, left_out, *map(self._text, self._names)]
        found = self._connection.execute(
            f"SELECT {', '.join(chosen)} FROM {read.rows.numbered_sql} "
            f"WHERE {where} ORDER BY row_"
        )
        while batch := found.fetchmany(1_000):
            for position, zone_name, fault, why, *values in batch:
                told = {
                    name: value for name, value in zip(self._names, values) if value
                }
                yield ToldRow(position, zone_name, fault, why == _CONDITION, told)

    def flight(self, number: int, row: ToldRow) -> ToldFlight | Fault:
        """The flight of a row that tells a scheduled time.

        Args:
            number: of the row, as people count.
            row: without a fault.
        """
        zone, told = None if row.zone is None else ZoneInfo(row.zone), row.told
        scheduled = read_time(SCHEDULED, told[SCHEDULED], zone)
        if not isinstance(scheduled, datetime):
            assert scheduled is not None
            return scheduled
        clock, local = clock_of(zone), seconds(scheduled)
        fields: dict[str, Told] = {**told, SCHEDULED: f"{scheduled:{_TIME_FORMAT}}"}
        moments: dict[str, int] = {}
        for name, shown in self._is_shown.items():
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
        if row.is_cancelled:
            fields[CANCELLED] = True
        return ToldFlight(
            number,
            fields,
            clock.utc(local),
            moments.get(DEPARTED),
            moments.get(ARRIVED),
            zone,
        )

    def _text(self, name: str) -> str:
        """SQL for a value as a text, NULL where it is blank."""
        read, columns = self._read, self._read.columns
        text = (
            f"nullif(trim({text_sql(columns.column(name), columns.types[name])}), '')"
        )
        if name != EXPECTED:
            return text
        clock = clock_sql(text, read.dates)
        if (told_by := read.found.format.clock) != LOCAL and read.zone is not None:
            moment = f"timezone({sql_text(told_by)}, {clock})"
            clock = f"timezone({read.zone.name}, {moment})"
        return f"coalesce(strftime({clock}, {sql_text(_TIME_FORMAT)}), {text})"


@lru_cache
def clock_of(zone: ZoneInfo | None) -> Clock:
    """The clock of a time zone."""
    return Clock(zone)


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


def _local(moment: int, zone: ZoneInfo | None) -> datetime:
    """What the clock of an airport shows at a moment."""
    return datetime.fromtimestamp(moment, zone or UTC).replace(tzinfo=None)
