"""The times of flights in files, in SQL: on which clock, in which order of dates, and
when the aircraft's leg before arrived."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from challenge.files import time_sql
from challenge.files.expressions import Expressions
from challenge.files.faults import AMBIGUOUS_DATES, NO_TIME_ZONE
from challenge.files.field_sql import sql_text
from challenge.files.formats import (
    ARRIVAL_MINUTES_LATE,
    LOCAL,
    MINUTES_LATE,
    MINUTES_SCHEDULED,
    ORIGIN_CODE,
    OWN_ARRIVAL,
    OWN_ARRIVAL_SCHEDULED,
    ReadOptions,
)
from challenge.files.time_sql import ZoneSql
from challenge.flights.fields import (
    AIRCRAFT,
    ARRIVED,
    DEPARTED,
    DESTINATION,
    DUE,
    ORIGIN,
    SCHEDULED,
)

if TYPE_CHECKING:
    import duckdb

# What times are called in the layers; of the aircraft's leg before:
ARRIVALS: Final = {DUE: "leg_due", ARRIVED: "leg_landed"}
_ALIASES: Final = {
    SCHEDULED: "scheduled",
    DEPARTED: "departed",
    OWN_ARRIVAL_SCHEDULED: "due",
    OWN_ARRIVAL: "landed",
    **ARRIVALS,
}


class Zones(NamedTuple):
    """The time zones of airports, as far as they are known.

    Attributes:
        of: gives the zones of airports, None where they are not known; it gets what the
            rows of a file call them, in capitals, and may give others, too.
        by_code: whether airports have their codes there, or the names of a model.
        rows: it gets the airports of so many rows; None for all.
    """

    of: Callable[[Collection[str]], Mapping[str, str | None]]
    by_code: bool = False
    rows: int | None = time_sql.SAMPLED


class FlightTimes:
    """The times that a file tells.

    Args:
        connection: the one that reads it.
        path: the file, for messages.
        expressions: its format's.
        options: how it is to be read.
        wanted: the columns of ours that will be read.
        zones: of airports.

    Attributes:
        arrivals: the columns of the aircraft's leg before that are wanted and there.
        tells_legs: whether that leg is wanted and can be told by other columns.
        dates: the order of days and months, if it matters.

    Raises:
        FlightsFileError: dates may be read in two ways.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        expressions: Expressions,
        options: ReadOptions,
        wanted: Collection[str],
        zones: Zones,
    ) -> None:
        self._connection = connection
        self._path = path
        self._expressions = expressions
        self._kinds = expressions.kinds
        self._value = expressions.value
        self._options = options
        self._zones = zones
        self._clock_zone = expressions.found.format.clock
        self._offsets_are_faults = False
        self.arrivals = [
            key
            for key in ARRIVALS
            if key in wanted and {key, SCHEDULED} <= self._kinds.keys()
        ]
        keys = (AIRCRAFT, ORIGIN, DESTINATION, SCHEDULED)
        self.tells_legs = (
            not ARRIVALS.keys().isdisjoint(wanted)
            and not self.arrivals
            and all(key in self._kinds for key in keys)
            and not {OWN_ARRIVAL_SCHEDULED, MINUTES_SCHEDULED}.isdisjoint(self._kinds)
        )
        self._wants_departure = DEPARTED in wanted
        read = [SCHEDULED, *self.arrivals]
        if self._wants_departure:
            read.append(DEPARTED)
        if self.tells_legs:
            read += [OWN_ARRIVAL_SCHEDULED, OWN_ARRIVAL]
        self._read = [key for key in read if key in self._kinds]
        source = expressions.rows(expressions.file.sql)
        self._writings = {
            key: time_sql.writing_of(connection, self._value(key), source)
            for key in self._read
            if self._kinds[key] == "VARCHAR"
        }
        self.dates = self._order_of_dates()

    @property
    def are_as_ours(self) -> bool:
        """Whether they can be read as they are."""
        plain = all(writing.is_plain for writing in self._writings.values())
        return plain and not self._has_offsets(*self._read)

    @property
    def are_local(self) -> bool:
        """Whether the clock of the airport tells schedules and departures."""
        return self._clock_zone == LOCAL and not self._has_offsets(SCHEDULED, DEPARTED)

    @property
    def has_clock_arrivals(self) -> bool:
        """Whether the clock of the airport tells the arrivals of the leg before."""
        if self._clock_zone != LOCAL or self.tells_legs:
            return False
        return not self._has_offsets(SCHEDULED, *self.arrivals)

    def zone(self, value: Callable[[str], str], source: str) -> ZoneSql | None:
        """The time zone of a flight's airport; None where it is not known or needed.

        Args:
            value: gives what an expression is called in the source.
            source: the rows.

        Raises:
            FlightsFileError: it is needed and not known.
        """
        zone = None
        tells_more = self._wants_departure or self.arrivals or self.tells_legs
        if tells_more or not self.are_local:
            zone = self._known_zone(value, source)
        if zone is None and self._clock_zone == LOCAL and self._writings:
            # A few times with an offset do not make a file unreadable.
            self._offsets_are_faults = True
        if zone is None and not self.are_local:
            raise NO_TIME_ZONE.error(self._path)
        return zone

    def layers(self, zone: ZoneSql | None) -> Iterator[list[str]]:
        """What each layer of SQL adds to the ones inside of it: in the end `zone`;
        `scheduled` and `departed`, by the clock of the airport, and of others than local
        times as far from each other as they really were; `leg_due` and `leg_landed`."""
        clocks = [f"{self._clock(key)} AS clock_{_ALIASES[key]}" for key in self._read]
        yield [f"({zone.name if zone else 'NULL::VARCHAR'}) AS zone", *clocks]
        if SCHEDULED not in self._read:
            return
        yield [f"{self._moment(key)} AS moment_{_ALIASES[key]}" for key in self._read]
        if self.are_local:
            yield ["clock_scheduled AS scheduled"]
        else:
            yield ["timezone(zone, moment_scheduled) AS scheduled"]
        if self._wants_departure and self._expressions.departure in self._kinds:
            yield [f"{self._departed()} AS departed"]
        for key in self.arrivals:
            alias = ARRIVALS[key]
            arrival = f"clock_{alias}"
            if not self.has_clock_arrivals:
                arrival = _by_clock_of_schedule(f"moment_{alias}")
            yield [f"{arrival} AS {alias}"]
        if self.tells_legs:
            yield from self._leg_layers()

    def _has_offsets(self, *keys: str) -> bool:
        """Whether times of columns say how far they are from UTC."""
        return any(
            "ZONE" in self._kinds.get(key, "")
            or (
                key in self._writings
                and self._writings[key].has_offsets
                and not self._offsets_are_faults
            )
            for key in keys
        )

    def _order_of_dates(self) -> str | None:
        keys = [key for key, writing in self._writings.items() if writing.has_dates]
        if not keys:
            return None
        if given := self._options.dates or self._expressions.found.format.dates:
            return given
        source = self._expressions.rows(self._expressions.file.sql)
        values = list(map(self._value, keys))
        dates, example = time_sql.order_of_dates(self._connection, values, source)
        if dates is None:
            raise AMBIGUOUS_DATES.error(self._path, example=example)
        return dates

    def _known_zone(self, value: Callable[[str], str], source: str) -> ZoneSql | None:
        if (only := self._options.timezone) is not None:
            return time_sql.zone_of(sql_text(only), [only])
        keys = (ORIGIN_CODE, ORIGIN) if self._zones.by_code else (ORIGIN,)
        key = next((one for one in keys if one in self._kinds), None)
        airports: list[str] = []
        if key is not None:
            airports = time_sql.airports_in(
                self._connection, value(key), source, self._zones.rows
            )
        zones = self._zones.of(airports)
        known = {one for one in zones.values() if one is not None}
        if not self._zones.by_code and len(known) == 1:
            # All flights of the model leave from there.
            [only] = known
            return time_sql.zone_of(sql_text(only), [only])
        if key is None or not known:
            return None
        return time_sql.zone_of_airport(self._connection, value(key), zones)

    def _clock(self, key: str) -> str:
        """What a clock shows, whatever its zone."""
        value, kind = self._value(key), self._kinds[key]
        if kind == "VARCHAR":
            return time_sql.clock_sql(value, self.dates)
        if kind.startswith("TIMESTAMP") and "ZONE" not in kind:
            return f"{value}::TIMESTAMP"
        return "NULL::TIMESTAMP"

    def _moment(self, key: str) -> str:
        value = self._value(key)
        if "ZONE" in self._kinds[key]:
            return value
        zone = "zone" if self._clock_zone == LOCAL else sql_text(self._clock_zone)
        moment = f"timezone({zone}, clock_{_ALIASES[key]})"
        if self._has_offsets(key):
            return f"coalesce({time_sql.moment_sql(value)}, {moment})"
        return moment

    def _departed(self) -> str:
        if self._expressions.departure == MINUTES_LATE:
            return time_sql.minutes_later("scheduled", self._value(MINUTES_LATE))
        if self.are_local:
            return "clock_departed"
        if self._has_offsets(SCHEDULED, DEPARTED):
            return _by_clock_of_schedule("moment_departed")
        clock = time_sql.zone_of(sql_text(self._clock_zone), [self._clock_zone])
        departed = clock.by_schedule("clock_scheduled", "clock_departed")
        return f"scheduled + ({departed} - clock_scheduled)"

    def _leg_layers(self) -> Iterator[list[str]]:
        """The aircraft's leg before this one: when it was to arrive here and when it did,
        where it came here at all."""
        due = "moment_due"
        if MINUTES_SCHEDULED in self._kinds:
            minutes = self._value(MINUTES_SCHEDULED)
            due = time_sql.minutes_later("moment_scheduled", minutes)
        yield [f"{due} AS arrival_due"]
        landed = "moment_landed" if OWN_ARRIVAL in self._kinds else "NULL::TIMESTAMPTZ"
        if ARRIVAL_MINUTES_LATE in self._kinds:
            minutes = self._value(ARRIVAL_MINUTES_LATE)
            landed = time_sql.minutes_later("arrival_due", minutes)
        yield [f"{landed} AS arrival"]
        aircraft, origin, destination = (
            f"nullif(trim({self._value(key)}::VARCHAR), '')"
            for key in (AIRCRAFT, ORIGIN, DESTINATION)
        )
        leg = f"{{'due': arrival_due, 'landed': arrival, 'at': {destination}}}"
        if "cancelled" in self._kinds:
            is_cancelled = self._expressions.is_true("cancelled")
            leg = f"CASE WHEN NOT {is_cancelled} THEN {leg} END"
        yield [
            f"lag({leg} IGNORE NULLS) OVER (PARTITION BY {aircraft} "
            "ORDER BY moment_scheduled, row_) AS leg"
        ]
        here = f"{aircraft} IS NOT NULL AND leg.at = {origin}"
        yield [
            f"CASE WHEN {here} THEN {_by_clock_of_schedule(f'leg.{name}')} END "
            f"AS leg_{name}"
            for name in ("due", "landed")
        ]


def _by_clock_of_schedule(moment: str) -> str:
    distance = f"epoch_us({moment}) - epoch_us(moment_scheduled)"
    return f"scheduled + to_microseconds({distance})"
