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
from collections.abc import Hashable, Iterable, Sequence
from itertools import accumulate, chain, takewhile
from math import inf
from operator import attrgetter, itemgetter, sub
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


_NOTHING: Final = Sums(0, 0, 0.0)


def lateness(scheduled: int, departed: int) -> Lateness:
    """Whether a flight is late, and from when that is known; of one that has not left
    (NOT_LEFT) it is late once its time has passed."""
    late_from = scheduled + 60 * LATE_FROM_MINUTES
    if departed == NOT_LEFT:
        return Lateness(True, late_from)
    if departed - scheduled > 60 * DELAY_THRESHOLD_MINUTES:
        return Lateness(True, min(departed, late_from))
    return Lateness(False, departed)


class Outcome(NamedTuple):
    """How a flight left, as windows count it.

    Attributes:
        known_from: the moment from which it is known whether it was late.
        late: 1 if it was, else 0.
        expected: the probability with which it was expected to be.
    """

    known_from: int
    late: int
    expected: float


# An outcome, and what its flight has in common with others: a group for each kind.
Counted = tuple[Outcome, Sequence[Hashable]]


class Windows:
    """How flights that have something in common left, in any window of time.

    Args:
        counted: the flights, in any order.
    """

    def __init__(self, counted: Iterable[Counted]) -> None:
        groups: dict[Hashable, list[Outcome]] = defaultdict(list)
        for outcome, of_flight in sorted(counted, key=_known_from):
            for group in of_flight:
                groups[group].append(outcome)
        self._groups = {
            group: _RunningSums.of(of_group) for group, of_group in groups.items()
        }

    def __bool__(self) -> bool:
        return bool(self._groups)

    def changed(self, removed: Iterable[Counted], added: Iterable[Counted]) -> Windows:
        """Those without some of the flights and with others; these stay as they are."""
        changes: dict[Hashable, tuple[list[Outcome], list[Outcome]]] = defaultdict(
            lambda: ([], [])
        )
        for place, counted in enumerate((removed, added)):
            for outcome, of_flight in counted:
                for group in of_flight:
                    changes[group][place].append(outcome)
        windows = Windows(())
        windows._groups = self._groups.copy()
        for group, (out, into) in changes.items():
            of_group = windows._groups.get(group) or _RunningSums.of(())
            of_group = of_group.changed(out, into)
            if of_group:
                windows._groups[group] = of_group
            else:
                windows._groups.pop(group, None)
        return windows

    def sums(
        self, group: Hashable, at: int, hours: Sequence[int], most: float = inf
    ) -> list[Sums]:
        """The sums of a group over so many hours before a moment, but no more than
        `most` seconds."""
        running = self._groups.get(group)
        if running is None:
            return [_NOTHING] * len(hours)
        return running.before(at, [min(3_600 * one, most) for one in hours])


def _known_from(counted: Counted) -> int:
    return counted[0].known_from


class _RunningSums(NamedTuple):
    """Sums over the first flights of a group, in the order of the moments at which their
    lateness became known; the first sums are those of none. It is never changed."""

    moments: array[int]
    late: array[int]
    expected: array[float]

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> _RunningSums:
        """Those of outcomes in the order of their moments."""
        return cls(
            array("q", [one.known_from for one in outcomes]),
            array("i", accumulate((one.late for one in outcomes), initial=0)),
            array("d", accumulate((one.expected for one in outcomes), initial=0.0)),
        )

    def __bool__(self) -> bool:
        return bool(self.moments)

    def changed(
        self, removed: Sequence[Outcome], added: Sequence[Outcome]
    ) -> _RunningSums:
        """Those without some outcomes and with others."""
        # All before the first change stays as it is; mostly that is nearly all.
        first = min(one.known_from for one in chain(removed, added))
        start = bisect_left(self.moments, first)
        late, expected = self.late[start:], self.expected[start:]
        rest: list[tuple[int, int, float]] = list(
            zip(
                self.moments[start:],
                map(sub, late[1:], late),
                map(sub, expected[1:], expected),
            )
        )
        for outcome in removed:
            del rest[_place_of(outcome, rest)]
        rest.extend(added)
        rest.sort()
        moments, sums = self.moments[:start], self.late[:start]
        means = self.expected[:start]
        moments.extend([moment for moment, _, _ in rest])
        sums.extend(accumulate((one for _, one, _ in rest), initial=late[0]))
        means.extend(accumulate((one for _, _, one in rest), initial=expected[0]))
        return _RunningSums(moments, sums, means)

    def before(self, at: int, seconds: Iterable[float]) -> list[Sums]:
        """The sums over so many seconds before a moment."""
        moments, late, expected = self
        last = bisect_right(moments, at)
        firsts = (bisect_right(moments, at - one, 0, last) for one in seconds)
        return [
            Sums(
                last - first, late[last] - late[first], expected[last] - expected[first]
            )
            for first in firsts
        ]


def _place_of(outcome: Outcome, outcomes: Sequence[tuple[int, int, float]]) -> int:
    """Where an outcome is among those in the order of their moments. What was expected
    of it comes from sums, and is a little off."""
    moment, late, expected = outcome
    place = bisect_left(outcomes, moment, key=itemgetter(0))
    equals = takewhile(lambda i: outcomes[i][0] == moment, range(place, len(outcomes)))
    return min(
        equals,
        key=lambda i: (outcomes[i][1] != late, abs(outcomes[i][2] - expected)),
    )


class Leg(NamedTuple):
    """A flight of an aircraft.

    Attributes:
        aircraft: its registration.
        scheduled, departed: when it should leave, and did; NOT_LEFT if it has not.
        comes_to: the origin that it goes to, by its code, or ELSEWHERE.
    """

    aircraft: str
    scheduled: int
    departed: int
    comes_to: int


class _Legs(NamedTuple):
    """The flights of one aircraft by their schedules, and those that have left by their
    departures. It is never changed."""

    scheduled: array[int]
    departed: array[int]
    comes_to: array[int]
    departures: array[int]
    delays: array[int]

    @classmethod
    def of(cls, legs: Iterable[Leg]) -> _Legs:
        legs = sorted(legs, key=attrgetter("scheduled"))
        left = sorted(
            (one.departed, one.departed - one.scheduled)
            for one in legs
            if one.departed != NOT_LEFT
        )
        return cls(
            array("q", [one.scheduled for one in legs]),
            array("q", [one.departed for one in legs]),
            array("i", [one.comes_to for one in legs]),
            array("q", [departed for departed, _ in left]),
            array("q", [delay for _, delay in left]),
        )

    def of_aircraft(self, aircraft: str) -> list[Leg]:
        """They, one by one."""
        each = zip(self.scheduled, self.departed, self.comes_to)
        return [Leg(aircraft, *one) for one in each]


class Aircraft:
    """Where aircraft were.

    Args:
        legs: their flights, in any order; those without a registration are left out.
    """

    def __init__(self, legs: Iterable[Leg]) -> None:
        of_aircraft: dict[str, list[Leg]] = defaultdict(list)
        for leg in legs:
            if leg.aircraft:
                of_aircraft[leg.aircraft].append(leg)
        self._legs = {name: _Legs.of(legs) for name, legs in of_aircraft.items()}

    def changed(self, removed: Iterable[Leg], added: Iterable[Leg]) -> Aircraft:
        """Those without some of the flights and with others; these stay as they are."""
        aircraft = Aircraft(())
        aircraft._legs = self._legs.copy()
        changes: dict[str, tuple[list[Leg], list[Leg]]] = defaultdict(lambda: ([], []))
        for place, legs in enumerate((removed, added)):
            for leg in legs:
                changes[leg.aircraft][place].append(leg)
        changes.pop("", None)
        for name, (out, into) in changes.items():
            before = self._legs.get(name)
            kept = [] if before is None else before.of_aircraft(name)
            for leg in out:
                kept.remove(leg)
            aircraft._legs[name] = _Legs.of([*kept, *into])
        return aircraft

    def last_departure(self, aircraft: str, at: int) -> LastDeparture | None:
        """The last departure of an aircraft, from any airport that the flights tell."""
        legs = self._legs.get(aircraft)
        before = 0 if legs is None else bisect_right(legs.departures, at)
        if legs is None or not before:
            return None
        return LastDeparture(legs.departures[before - 1], legs.delays[before - 1])

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
        leg = self._leg(question, origin)
        if leg is None:
            has_left = has_not_left = False
            delay = 0
        else:
            has_left = NOT_LEFT != leg.departed <= at
            has_not_left = not has_left
            late = leg.departed if has_left else max(at, leg.scheduled)
            delay = late - leg.scheduled
        expected = due + delay if question.expected is None else question.expected
        return Inbound(due, max(at, expected), False, has_left, has_not_left)

    def _leg(self, question: Question, origin: int) -> Leg | None:
        """The flight on which the aircraft comes: its last one before, if that comes here
        and fits the schedule."""
        legs = self._legs.get(question.aircraft)
        after = 0 if legs is None else bisect_left(legs.scheduled, question.scheduled)
        if legs is None or not after or question.due is None:
            return None
        place = after - 1
        leg = Leg(
            question.aircraft,
            legs.scheduled[place],
            legs.departed[place],
            legs.comes_to[place],
        )
        fits = 0 < question.due - leg.scheduled < 3_600 * MAX_HOURS_BETWEEN_LEGS
        if leg.departed == NOT_LEFT and question.at - leg.scheduled > DAY_SECONDS:
            fits = False  # it was cancelled
        return leg if fits and leg.comes_to == origin else None
