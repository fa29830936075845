"""What was known of many flights at once, at a moment for each: the rules of
`challenge.live.known` in arrays. All times are UTC."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.flights.fields import DELAY_THRESHOLD_MINUTES
from challenge.live.known import LATE_FROM_MINUTES

# Seconds since 1970 need fewer bits, until the year 9999: above them a number has room
# for a key.
_KEY: Final = 1 << 40


class Flights(NamedTuple):
    """Flights and how they left; arrays of shape (flights,), times datetime64[s] in UTC.

    Attributes:
        scheduled: the departures as scheduled.
        departed: the departures; NaT of a flight that has not left.
        aircraft: a number for each aircraft, -1 where it is not known.
        due: when the flight's aircraft should arrive; NaT where it is not known.
        arrived: when it arrived; NaT if it has not.
        leg: the position of the flight on which it arrives, -1 where it is not known.
    """

    scheduled: NDArray[np.datetime64]
    departed: NDArray[np.datetime64]
    aircraft: NDArray[np.int64]
    due: NDArray[np.datetime64]
    arrived: NDArray[np.datetime64]
    leg: NDArray[np.intp]


class Inbound(NamedTuple):
    """What is known of the aircraft that flights wait for; of shape (flights,) each.

    Attributes:
        is_told: whether it is known when it should arrive; the others mean nothing else.
        has_landed: whether it has arrived.
        has_left: whether it has left for here; False where its flight is not known.
        has_not_left: whether it is known not to have.
        expected: when it arrived, or is expected to, datetime64[s].
    """

    is_told: NDArray[np.bool_]
    has_landed: NDArray[np.bool_]
    has_left: NDArray[np.bool_]
    has_not_left: NDArray[np.bool_]
    expected: NDArray[np.datetime64]


class LastDeparture(NamedTuple):
    """The last departure of the aircraft of flights; of shape (flights,) each.

    Attributes:
        is_known: whether there is one; the others mean nothing else.
        departed: when it left, datetime64[s].
        delay: by how much later than scheduled, timedelta64[s].
    """

    is_known: NDArray[np.bool_]
    departed: NDArray[np.datetime64]
    delay: NDArray[np.timedelta64]


class Known:
    """Answers what was known.

    Args:
        flights: those that there were.

    The methods take `asked`, positions of flights, and `at`, for each of them the moment
    that is asked about, datetime64[s].
    """

    def __init__(self, flights: Flights) -> None:
        self._flights = flights
        has_left = ~np.isnat(flights.departed)
        late_from = flights.scheduled + np.timedelta64(LATE_FROM_MINUTES, "m")
        # Without a departure, as of one in an unknown future.
        self._late = ~has_left | is_late(flights.scheduled, flights.departed)
        self._lateness_from = np.where(
            has_left & (~self._late | (flights.departed < late_from)),
            flights.departed,
            late_from,
        )
        of_aircraft = np.flatnonzero(has_left & (flights.aircraft >= 0))
        self._departures = _in_order(
            flights.aircraft[of_aircraft], flights.departed[of_aircraft]
        )
        self._departures = self._departures._replace(
            place=of_aircraft[self._departures.place]
        )

    def has_left(
        self, asked: NDArray[np.intp], at: NDArray[np.datetime64]
    ) -> NDArray[np.bool_]:
        """Whether the flights were known to have left."""
        left: NDArray[np.bool_] = self._flights.departed[asked] <= at
        return left

    def lateness(
        self,
        key: NDArray[np.int64],
        expected: NDArray[np.float64],
        asked: NDArray[np.intp],
        at: NDArray[np.datetime64],
        windows: Sequence[np.timedelta64],
    ) -> NDArray[np.float64]:
        """How flights like those asked about left in the time before.

        Args:
            key: what flights have in common, for each flight; at least 0.
            expected: the probability with which each flight was expected to be late; NaN
                of flights that do not count.
            asked, at: as above.
            windows: how long before `at` the lateness of a flight became known.

        Returns:
            Of shape (windows, asked, 3): how many flights, how many of them late, and
            how many were expected to be.
        """
        counted = np.flatnonzero(~np.isnan(expected))
        numbers, place = _in_order(key[counted], self._lateness_from[counted])
        place = counted[place]
        facts = np.zeros((len(place) + 1, 3))
        facts[1:, 0] = 1
        facts[1:, 1] = self._late[place]
        facts[1:, 2] = expected[place]
        until = facts.cumsum(axis=0)
        # Questions in order find their places faster.
        questions = _numbered(key[asked], at)
        order = np.argsort(questions, kind="stable")
        questions = questions[order]
        end = until[np.searchsorted(numbers, questions, "right")]
        sums = np.empty((len(windows), len(asked), 3))
        for window, of_window in zip(windows, sums, strict=True):
            seconds = int(window.astype("timedelta64[s]").astype(np.int64))
            begin = np.searchsorted(numbers, questions - seconds, "right")
            of_window[order] = end - until[begin]
        return sums

    def inbound(self, asked: NDArray[np.intp], at: NDArray[np.datetime64]) -> Inbound:
        """Where the aircraft of the flights were known to be."""
        due, arrived = self._flights.due[asked], self._flights.arrived[asked]
        leg = self._flights.leg[asked]
        departed, scheduled = self._flights.departed[leg], self._flights.scheduled[leg]
        is_told = ~np.isnat(due)
        has_landed = is_told & (arrived <= at)
        is_coming = is_told & ~has_landed & (leg >= 0)
        has_left = is_coming & (departed <= at)
        has_not_left = is_coming & ~has_left
        none = np.timedelta64(0, "s")
        overdue = np.maximum(at - scheduled, none)
        delay = np.where(has_left, departed - scheduled, none)
        delay = np.where(has_not_left, overdue, delay)
        expected = np.where(has_landed, arrived, np.maximum(at, due + delay))
        return Inbound(is_told, has_landed, has_left, has_not_left, expected)

    def last_departure(
        self, asked: NDArray[np.intp], at: NDArray[np.datetime64]
    ) -> LastDeparture:
        """The last departure of their aircraft, from any airport that the flights tell."""
        aircraft = self._flights.aircraft[asked]
        if not len(self._departures.place):
            never = np.full(len(asked), np.datetime64("NaT", "s"))
            return LastDeparture(np.zeros(len(asked), dtype=bool), never, never - never)
        questions = _numbered(np.maximum(aircraft, 0), at)
        before = np.searchsorted(self._departures.numbers, questions, "right") - 1
        last = self._departures.place[before]
        is_same = self._flights.aircraft[last] == aircraft
        departed = self._flights.departed[last]
        return LastDeparture(
            (before >= 0) & is_same & (aircraft >= 0),
            departed,
            departed - self._flights.scheduled[last],
        )


def is_late(
    scheduled: NDArray[np.datetime64], departed: NDArray[np.datetime64]
) -> NDArray[np.bool_]:
    """Whether flights left more than 15 minutes after their schedule."""
    threshold = np.timedelta64(DELAY_THRESHOLD_MINUTES, "m")
    late: NDArray[np.bool_] = departed - scheduled > threshold
    return late


class _Ordered(NamedTuple):
    """Facts by key and moment.

    Attributes:
        numbers: both in one, in order.
        place: the positions that they had before.
    """

    numbers: NDArray[np.int64]
    place: NDArray[np.intp]


def _in_order(key: NDArray[np.int64], moment: NDArray[np.datetime64]) -> _Ordered:
    numbers = _numbered(key, moment)
    place = np.argsort(numbers, kind="stable")
    return _Ordered(numbers[place], place)


def _numbered(
    key: NDArray[np.int64], moment: NDArray[np.datetime64]
) -> NDArray[np.int64]:
    seconds = moment.astype("datetime64[s]").astype(np.int64)
    return key.astype(np.int64) * _KEY + seconds
