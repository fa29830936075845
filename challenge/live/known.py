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
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from challenge.flights.fields import DELAY_THRESHOLD_MINUTES

NOT_LEFT: Final = -(1 << 62)
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


class Leg(NamedTuple):
    """A flight of an aircraft; `comes_to` is the origin that its destination is, by code,
    None for any other place."""

    scheduled: int
    departed: int
    comes_to: int | None


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
        late: in that order, whether each was late.
        expected: the probability with which it was expected to be.
        groups: what it has in common with others, one group for each kind.
    """

    def __init__(
        self,
        moments: array[int],
        late: Sequence[bool],
        expected: Sequence[float],
        groups: Iterable[Iterable[Hashable]],
    ) -> None:
        self._moments = moments
        places: dict[Hashable, list[int]] = defaultdict(list)
        for place, of_flight in enumerate(groups):
            for group in of_flight:
                places[group].append(place)
        self._groups = {
            group: _RunningSums(of_group, late, expected)
            for group, of_group in places.items()
        }

    def sums(
        self, groups: Sequence[Hashable], at: int, hours: Sequence[int]
    ) -> list[list[Sums]]:
        """The sums of groups over so many hours before a moment, by group and hours."""
        end = bisect_right(self._moments, at)
        begins = [bisect_right(self._moments, at - 3_600 * one) for one in hours]
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
        self, places: Sequence[int], late: Sequence[bool], expected: Sequence[float]
    ) -> None:
        self._places = array("i", places)
        self._late = array("i", accumulate(map(late.__getitem__, places), initial=0))
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
        legs: of each aircraft by its registration, in the order of their schedules.
    """

    def __init__(self, legs: Mapping[str, Sequence[Leg]]) -> None:
        self._legs = legs
        self._scheduled = {
            name: [leg.scheduled for leg in of_aircraft]
            for name, of_aircraft in legs.items()
        }
        self._departures = {
            name: sorted(
                LastDeparture(leg.departed, leg.departed - leg.scheduled)
                for leg in of_aircraft
                if leg.departed != NOT_LEFT
            )
            for name, of_aircraft in legs.items()
        }
        self._departed = {
            name: [one.departed for one in departures]
            for name, departures in self._departures.items()
        }

    def last_departure(self, aircraft: str, at: int) -> LastDeparture | None:
        """The last departure of an aircraft, from any airport that the flights tell."""
        before = bisect_right(self._departed.get(aircraft, []), at)
        return self._departures[aircraft][before - 1] if before else None

    def inbound(self, question: Question, origin: int) -> Inbound | None:
        """Where the aircraft of a flight from an origin is; None if it is not known when
        it should come."""
        if question.due is None:
            return None
        at, due, arrived = question.at, question.due, question.arrived
        if arrived is not None and arrived <= at:
            return Inbound(due, arrived, True, False, False)
        leg = self._leg(question, origin)
        has_left = leg is not None and NOT_LEFT != leg.departed <= at
        delay = 0
        if leg is not None:
            delay = leg.departed - leg.scheduled if has_left else at - leg.scheduled
        expected = due + (delay if has_left else max(delay, 0))
        if question.expected is not None:
            expected = question.expected
        has_not_left = leg is not None and not has_left
        return Inbound(due, max(at, expected), False, has_left, has_not_left)

    def _leg(self, question: Question, origin: int) -> Leg | None:
        """The flight on which the aircraft comes: its last one before, if that comes here
        and fits the schedule."""
        scheduled = self._scheduled.get(question.aircraft, [])
        before = bisect_left(scheduled, question.scheduled)
        if not before or question.due is None:
            return None
        leg = self._legs[question.aircraft][before - 1]
        ago = question.due - leg.scheduled
        is_leg = leg.comes_to == origin and 0 < ago < 3_600 * MAX_HOURS_BETWEEN_LEGS
        return leg if is_leg else None
