"""What is told of a flight that is asked about, with its local times as moments."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

from challenge.flights.faults import Fault, shown
from challenge.flights.fields import (
    AIRCRAFT,
    ARRIVED,
    DUE,
    EXPECTED,
    FLIGHT_NUMBER,
    NOT_GIVEN,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.rules import FlightRules
from challenge.flights.times import read_time
from challenge.live.clock import Clocks, seconds
from challenge.live.identity import flight_number
from challenge.live.known import Question

# What `Day.question` is given of a flight, in this order.
QUESTION_FIELDS: Final = (
    *(SCHEDULED, ORIGIN, AIRCRAFT, DUE, EXPECTED, ARRIVED),
    FLIGHT_NUMBER,
)
_TIMES_KEPT: Final = 8_192


class Facts(NamedTuple):
    """What is told of one of today's flights; times in seconds since 1970, UTC.

    Attributes:
        aircraft: the registration; empty if it is not known.
        due, expected, arrived: when the aircraft should come in for it, is expected to,
            and came; None if it is not known.
        departed: when it left; None if it has not.
        is_cancelled: whether it was cancelled.
    """

    aircraft: str = ""
    due: int | None = None
    expected: int | None = None
    arrived: int | None = None
    departed: int | None = None
    is_cancelled: bool = False

    def completed(self, question: Question) -> Question:
        """A question about the flight, with these where it does not say otherwise. Of
        another aircraft than these are about it says all itself."""
        at, scheduled, aircraft, due, expected, arrived = question
        if aircraft and self.aircraft and aircraft != self.aircraft:
            return question
        return Question(
            at,
            scheduled,
            aircraft or self.aircraft,
            self.due if due is None else due,
            self.expected if expected is None else expected,
            self.arrived if arrived is None else arrived,
        )


class Places:
    """Counts the flights of a request that have no number, and all else in common."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[int, int | None]] = Counter()

    def next(self, cell: int, scheduled: int | None, number: object) -> int:
        """The place of the next flight among them; 0 of one with a number.

        Args:
            cell: the flight.
            scheduled: when it should leave, in seconds since 1970, UTC.
            number: as its field tells it.
        """
        if flight_number(number):
            return 0
        place = self._counts[cell, scheduled]
        self._counts[cell, scheduled] += 1
        return place


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
        self._local = lru_cache(_TIMES_KEPT)(self._read_local)

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

    def text(self, moment: int, origin: object) -> str:
        """A moment as the local time that a request would name."""
        zone = self._clocks.of(self._code(origin)).zone or UTC
        return f"{datetime.fromtimestamp(moment, zone):%Y-%m-%d %H:%M:%S}"

    def midnight(self, moment: int, origin: object) -> int:
        """The midnight that begins the day of a moment at an origin."""
        return self._clocks.of(self._code(origin)).midnight(moment)

    def moment(self, text: str) -> int | Fault:
        """A moment that is asked about: a local time, or one with an offset from UTC."""
        return read_moment(text, self._clocks)

    def _code(self, origin: object) -> int:
        """The code of an origin, where it matters and is known."""
        if not self.differ:
            return NOT_GIVEN
        code = self._rules.code(ORIGIN, origin, hints=False)
        return NOT_GIVEN if isinstance(code, Fault) else code

    def _read_local(self, value: object, origin: int) -> int | None:
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


def read_moment(text: str, clocks: Clocks) -> int | Fault:
    """A moment in seconds since 1970, UTC, of a text: a local time, or one with an offset
    from UTC.

    Args:
        text: it.
        clocks: of the airports; where they differ an offset is needed.
    """
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        time = None
    if time is not None and time.tzinfo is not None:
        return int(time.timestamp())
    read = read_time("at", text)
    if not isinstance(read, datetime):
        message = f"{shown(text)} is not a time like '2017-03-06 08:15'"
        return Fault(("at",), "datetime_format", message, text, {"reason": "time"})
    if clocks.differ:
        message = (
            f"{shown(text)} has no offset from UTC, and the model's airports are in "
            "several time zones; write one like '2017-03-06T08:15-03:00'"
        )
        return Fault(("at",), "datetime_format", message, text, {"reason": "no_offset"})
    return clocks.of(NOT_GIVEN).utc(seconds(read))


def registration(aircraft: object) -> str:
    """The registration of an aircraft as it is compared; empty where none is told. A
    column of numbers with gaps holds 123.0."""
    if isinstance(aircraft, float) and aircraft.is_integer():
        aircraft = int(aircraft)
    if isinstance(aircraft, str | int):
        # The same ones come day by day.
        return sys.intern(str(aircraft).strip().upper())
    return ""


def _may_be_time(value: object) -> bool:
    """Whether a value is of a type that times have; others cannot be remembered."""
    return isinstance(value, str | datetime)
