"""What is told of a flight that is asked about, with its local times as moments."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final

from challenge.flights.faults import Fault, shown
from challenge.flights.fields import (
    AIRCRAFT,
    ARRIVED,
    DUE,
    EXPECTED,
    NOT_GIVEN,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.rules import FlightRules
from challenge.flights.times import read_time
from challenge.live.clock import Clocks, seconds

# What `Day.question` is given of a flight, in this order.
QUESTION_FIELDS: Final = (SCHEDULED, ORIGIN, AIRCRAFT, DUE, EXPECTED, ARRIVED)
_TIMES_KEPT: Final = 8_192


class LocalTimes:
    """Reads the local times of flights as moments, in seconds since 1970, UTC.

    Args:
        rules: the model's.

    Attributes:
        differ: whether the origins are in several time zones; else they may be left out
            wherever one is asked for.
    """

    def __init__(self, rules: FlightRules) -> None:
        self._rules = rules
        self._clocks = Clocks(rules.vocabulary[ORIGIN], rules.time_zones)
        self.differ = self._clocks.differ
        # A schedule names the same times over and over. Nothing that is kept is a text
        # of any length that a caller made up.
        self._scheduled = lru_cache(_TIMES_KEPT)(self._read_scheduled)
        self._by_schedule = lru_cache(_TIMES_KEPT)(self._read_by_schedule)

    def scheduled(self, value: object, origin: object) -> int | None:
        """The moment of the scheduled time of a flight; None if it is none."""
        if not _may_be_time(value):
            return None
        return self._scheduled(value, self._code(origin))

    def by_schedule(
        self, value: object, scheduled: object, origin: object, as_shown: bool = True
    ) -> int | None:
        """The moment of another time of a flight; None if either is none.

        Args:
            value, scheduled: the time, and when the flight should leave.
            origin: its origin.
            as_shown: whether the time is what the clock of the airport shows; else it
                is as far from the schedule as it really is.
        """
        if not (_may_be_time(value) and _may_be_time(scheduled)):
            return None
        return self._by_schedule(value, scheduled, self._code(origin), as_shown)

    def moment(self, text: str) -> int | Fault:
        """A moment that is asked about: a local time, or one with an offset from UTC."""
        try:
            time = datetime.fromisoformat(text)
        except ValueError:
            time = None
        if time is not None and time.tzinfo is not None:
            return int(time.timestamp())
        read = read_time("at", text)
        if not isinstance(read, datetime):
            message = f"{shown(text)} is not a time like '2017-03-06 08:15'"
            return Fault(("at",), "datetime_format", message, text)
        if self.differ:
            message = (
                f"{shown(text)} has no offset from UTC, and the model's airports are in "
                "several time zones; write one like '2017-03-06T08:15-03:00'"
            )
            return Fault(("at",), "datetime_format", message, text)
        return self._clocks.of(NOT_GIVEN).utc(seconds(read))

    def _code(self, origin: object) -> int:
        """The code of an origin, where it matters and is known."""
        if not self.differ:
            return NOT_GIVEN
        code = self._rules.code(ORIGIN, origin, hints=False)
        return NOT_GIVEN if isinstance(code, Fault) else code

    def _local(self, value: object, origin: int) -> int | None:
        """A local time in seconds since 1970, as if it was UTC; None if it is none."""
        time = read_time(SCHEDULED, value, self._clocks.of(origin).zone)
        return seconds(time) if isinstance(time, datetime) else None

    def _read_by_schedule(
        self, value: object, scheduled: object, origin: int, as_shown: bool
    ) -> int | None:
        shown_time, local = self._local(value, origin), self._local(scheduled, origin)
        if shown_time is None or local is None:
            return None
        clock = self._clocks.of(origin)
        if as_shown:
            return clock.utc_by_schedule(local, shown_time)
        return clock.utc(local) + shown_time - local

    def _read_scheduled(self, value: object, origin: int) -> int | None:
        local = self._local(value, origin)
        return None if local is None else self._clocks.of(origin).utc(local)


def registration(aircraft: object) -> str:
    """The registration of an aircraft as it is compared; empty where none is told. A
    column of numbers with gaps holds 123.0."""
    if isinstance(aircraft, float) and aircraft.is_integer():
        aircraft = int(aircraft)
    if isinstance(aircraft, str | int):
        return str(aircraft).strip().upper()
    return ""


def _may_be_time(value: object) -> bool:
    """Whether a value is of a type that times have; others cannot be remembered."""
    return isinstance(value, str | datetime)
