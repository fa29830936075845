"""What was known of flights at a moment: the only module that looks at how flights left.

A fact has a moment from which it is known, and no question asked about an earlier moment
sees it. All times are seconds since 1970, UTC.

- That a flight has left, and how late: from its departure.
- That it is late: from its departure, or from 16 minutes after its schedule, whichever
  is first.
- That its aircraft has come: from the arrival. Until then the aircraft is expected at its
  scheduled arrival, moved by the delay with which it left for here, or by how far that
  departure is overdue.

`challenge.training.live.known` answers the same for many flights at once.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from itertools import accumulate, groupby
from math import inf
from typing import Final, NamedTuple

from challenge.flights.fields import DELAY_THRESHOLD_MINUTES
from challenge.live.clock import DAY_SECONDS

NOT_LEFT: Final = -(1 << 62)
# Where a flight goes that comes to no origin that is known; no code is that.
ELSEWHERE: Final = -2
# A flight that has not left so long after it was known to be late was cancelled, a day
# after its time.
WAITING_SECONDS: Final = DAY_SECONDS - 60 * (DELAY_THRESHOLD_MINUTES + 1)
LATE_FROM_MINUTES: Final = DELAY_THRESHOLD_MINUTES + 1
# An aircraft that came in earlier than so long ago stood here overnight or longer.
MAX_HOURS_BETWEEN_LEGS: Final = 48


class Lateness(NamedTuple):
    """Whether a flight is late, more than 15 minutes, and when that becomes known."""

    is_late: bool
    known_from: int


class Question(NamedTuple):
    """What is told of a flight that is asked about, beside its cell.

    Attributes:
        at: the moment of the question.
        scheduled: when the flight should leave.
        aircraft: the registration; empty if it is not known.
        due: when the aircraft should come in for it; None if it is not known.
        expected: when it is expected to by now; None for what `due` and its last leg say.
        arrived: when it came; None if it has not.
    """

    at: int
    scheduled: int
    aircraft: str = ""
    due: int | None = None
    expected: int | None = None
    arrived: int | None = None


class Inbound(NamedTuple):
    """What is known of the aircraft that a flight waits for.

    Attributes:
        due: when it should arrive.
        expected: when it arrived, or is expected to.
        has_landed: whether it has arrived.
        has_left: whether it has left for here; False where its leg is not known.
        has_not_left: whether it is known not to have.
    """

    due: int
    expected: int
    has_landed: bool
    has_left: bool
    has_not_left: bool


class LastDeparture(NamedTuple):
    """When an aircraft last left, and by how many seconds later than scheduled."""

    departed: int
    delay: int


class Sums(NamedTuple):
    """Of flights: how many, how many of them were late, how many were expected to be."""

    flights: int
    late: int
    expected: float

    def plus(self, other: Sums) -> Sums:
        """Those of both."""
        return Sums(
            self.flights + other.flights,
            self.late + other.late,
            self.expected + other.expected,
        )


def lateness(scheduled: int, departed: int) -> Lateness:
    """Whether a flight is late, and from when that is known; of one that has not left
    (NOT_LEFT) it is late once its time has passed."""
    late_from = scheduled + 60 * LATE_FROM_MINUTES
    if departed == NOT_LEFT:
        return Lateness(True, late_from)
    if departed - scheduled > 60 * DELAY_THRESHOLD_MINUTES:
        return Lateness(True, min(departed, late_from))
    return Lateness(False, departed)


class Windows:
    """How flights that have something in common left, in any window of time.

    Args:
        moments: when the lateness of flights became known, in their order.
        late: in that order, 1 for each that was late, else 0.
        expected: the probability with which it was expected to be.
        groups: what it has in common with others, one group for each kind.
    """

    def __init__(
        self,
        moments: array[int],
        late: Sequence[int],
        expected: Sequence[float],
        groups: Iterable[Iterable[Hashable]],
    ) -> None:
        self._moments = moments
        places: dict[Hashable, array[int]] = defaultdict(lambda: array("i"))
        for place, of_flight in enumerate(groups):
            for group in of_flight:
                places[group].append(place)
        self._groups = {
            group: _RunningSums(of_group, late, expected)
            for group, of_group in places.items()
        }

    def __len__(self) -> int:
        return len(self._moments)

    def sums(
        self,
        groups: Sequence[Hashable],
        at: int,
        hours: Sequence[int],
        most: float = inf,
    ) -> list[list[Sums]]:
        """The sums of groups over so many hours before a moment, but no more than `most`
        seconds, by group and hours."""
        end = bisect_right(self._moments, at)
        begins = [
            bisect_right(self._moments, at - min(3_600 * one, most)) for one in hours
        ]
        return [
            (
                [Sums(0, 0, 0.0)] * len(hours)
                if (running := self._groups.get(group)) is None
                else running.between(begins, end)
            )
            for group in groups
        ]


class _RunningSums:
    """Sums over the first flights of a group, with the places of all its flights."""

    def __init__(
        self, places: array[int], late: Sequence[int], expected: Sequence[float]
    ) -> None:
        # Of all flights these are all places; no room is left for more.
        is_whole = len(places) == len(late)
        self._places = range(len(places)) if is_whole else array("i", places)
        counted = accumulate(map(late.__getitem__, places), initial=0)
        self._late = array("H" if len(places) < 1 << 16 else "i", counted)
        self._expected = array(
            "d", accumulate(map(expected.__getitem__, places), initial=0.0)
        )

    def between(self, begins: Iterable[int], end: int) -> list[Sums]:
        """The sums from each of some places until another."""
        places, late, expected = self._places, self._late, self._expected
        last = bisect_left(places, end)
        firsts = (bisect_left(places, begin, 0, last) for begin in begins)
        return [
            Sums(
                last - first, late[last] - late[first], expected[last] - expected[first]
            )
            for first in firsts
        ]


class Aircraft:
    """Where aircraft were.

    Args:
        registrations: of the aircraft.
        aircraft: of flights in the order of their schedules, the positions of their
            aircraft in `registrations`; -1 where it is not known.
        scheduled, departed: when the flights should leave, and did.
        comes_to: tells of the position of a flight the origin that it goes to, by its
            code, or ELSEWHERE.
    """

    def __init__(
        self,
        registrations: Sequence[str],
        aircraft: Sequence[int],
        scheduled: array[int],
        departed: array[int],
        comes_to: Callable[[int], int],
    ) -> None:
        self._scheduled = scheduled
        self._departed = departed
        self._comes_to = comes_to
        # By aircraft, and then by time.
        self._by_schedule = _ordered(aircraft)
        self._by_departure = _ordered(aircraft, departed)
        self._legs = _spans(registrations, aircraft, self._by_schedule)
        self._departures = _spans(registrations, aircraft, self._by_departure)

    def last_departure(self, aircraft: str, at: int) -> LastDeparture | None:
        """The last departure of an aircraft, from any airport that the flights tell."""
        first, end = self._departures.get(aircraft, (0, 0))
        of_time, order = self._departed.__getitem__, self._by_departure
        before = bisect_right(order, at, first, end, key=of_time)
        if before == first:
            return None
        place = order[before - 1]
        departed = self._departed[place]
        return LastDeparture(departed, departed - self._scheduled[place])

    def inbound(self, question: Question, origin: int) -> Inbound | None:
        """Where the aircraft of a flight from an origin is; None if it is not known when
        it should come, nor when it is expected to, nor that it came."""
        at, arrived = question.at, question.arrived
        due = question.expected if question.due is None else question.due
        if due is None and arrived is not None and arrived <= at:
            due = arrived
        if due is None:
            return None
        if arrived is not None and arrived <= at:
            return Inbound(due, arrived, True, False, False)
        place = self._leg(question, origin)
        if place is None:
            has_left = has_not_left = False
            delay = 0
        else:
            scheduled, departed = self._scheduled[place], self._departed[place]
            has_left = NOT_LEFT != departed <= at
            has_not_left = not has_left
            delay = departed - scheduled if has_left else max(at - scheduled, 0)
        expected = due + delay if question.expected is None else question.expected
        return Inbound(due, max(at, expected), False, has_left, has_not_left)

    def _leg(self, question: Question, origin: int) -> int | None:
        """The flight on which the aircraft comes: its last one before, if that comes here
        and fits the schedule."""
        first, end = self._legs.get(question.aircraft, (0, 0))
        of_time, order = self._scheduled.__getitem__, self._by_schedule
        after = bisect_left(order, question.scheduled, first, end, key=of_time)
        if after == first or question.due is None:
            return None
        place = order[after - 1]
        ago = question.due - self._scheduled[place]
        fits = 0 < ago < 3_600 * MAX_HOURS_BETWEEN_LEGS
        overdue = question.at - self._scheduled[place]
        if self._departed[place] == NOT_LEFT and overdue > DAY_SECONDS:
            fits = False  # it was cancelled
        return place if fits and self._comes_to(place) == origin else None


def _ordered(
    aircraft: Sequence[int], departed: Sequence[int] | None = None
) -> array[int]:
    """The places of flights by aircraft, and within by schedule, or those that have left
    by departure."""
    places = [place for place, number in enumerate(aircraft) if number >= 0]
    if departed is not None:
        places = [place for place in places if departed[place] != NOT_LEFT]
        places.sort(key=departed.__getitem__)
    places.sort(key=aircraft.__getitem__)
    return array("i", places)


def _spans(
    registrations: Sequence[str], aircraft: Sequence[int], order: Sequence[int]
) -> dict[str, tuple[int, int]]:
    """Where the flights of each aircraft begin and end in an order by aircraft."""
    spans: dict[str, tuple[int, int]] = {}
    for number, places in groupby(
        range(len(order)), key=lambda place: aircraft[order[place]]
    ):
        first = next(places)
        spans[registrations[number]] = first, first + 1 + sum(1 for _ in places)
    return spans
