"""How the probability of a flight went over the day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from typing import Final, NamedTuple

from challenge.flights.fields import ORIGIN
from challenge.live.clock import DAY_SECONDS
from challenge.live.identity import FlightKey
from challenge.model import DelayModel
from challenge.serving.known_flight import KnownFlight
from challenge.serving.live_feed import LiveFeed
from challenge.serving.problems import overloaded

STEP_SECONDS: Final = 1_800
# Each waits for those before, which take some tenths of a second.
_MOST_WAITING: Final = 8
_FLIGHTS_KEPT: Final = 500


class Trend(NamedTuple):
    """The probabilities of a flight.

    Attributes:
        moments: of the day, in seconds since 1970, UTC.
        probabilities: by what was known at each; None where it is unknown, or the flight
            was cancelled.
        by_schedule: what the schedule alone says.
    """

    moments: list[int]
    probabilities: list[float | None]
    by_schedule: float | None


class Trends:
    """Tells them.

    Args:
        feed: what messages tell.
    """

    def __init__(self, feed: LiveFeed) -> None:
        self._feed = feed
        # What was said of a flight before, of moments that are over. Of another cell it
        # is another flight to the model.
        self._known: dict[tuple[FlightKey, int | None], dict[int, float | None]] = {}
        # From here on other is known now than when it was asked last.
        self._changed_from = inf
        self._making = asyncio.Lock()
        self._waiting = 0
        feed.past_changed = self._forget

    async def of(self, key: FlightKey) -> Trend | None:
        """That of a flight, each half hour since midnight, at most a day, until it left or
        up to now; None if messages tell of no such flight.

        Raises:
            RejectedRequest: so many others are being made.
        """
        if self._waiting >= _MOST_WAITING:
            raise overloaded()
        self._waiting += 1
        try:
            async with self._making:
                return await self._make(key)
        finally:
            self._waiting -= 1

    async def _make(self, key: FlightKey) -> Trend | None:
        state, model = self._feed.state, self._feed.model
        one, clock = KnownFlight.of(state, key), state.moment
        if one is None or clock is None:
            return None
        departed, by_schedule = one.facts.departed, one.by_schedule(state)
        end = clock if departed is None else min(clock, departed)
        moments = self._moments(one, clock, end)
        latest: list[float | None] = []
        if end == clock:
            latest = [None if one.facts.is_cancelled else one.probability(model, clock)]
        before = await self._before(one, moments)
        if latest:
            moments.append(clock)
        return Trend(moments, before + latest, by_schedule)

    def _moments(self, one: KnownFlight, clock: int, end: int) -> list[int]:
        """The half hours before an end: since the midnight that begins the day of a
        flight, or of the clock if that is before, and for no more than a day."""
        times, origin = self._feed.state.rules.times, one.told.get(ORIGIN)
        midnight = min(times.midnight(at, origin) for at in (one.scheduled, clock))
        over = max(clock - DAY_SECONDS - midnight, 0)
        first = midnight + -(-over // STEP_SECONDS) * STEP_SECONDS
        return list(range(first, end, STEP_SECONDS))

    async def _before(self, one: KnownFlight, moments: list[int]) -> list[float | None]:
        """The probabilities of a flight at moments that are over."""
        name = one.key, one.known.cell
        known = self._known.pop(name, {})
        missing = [at for at in reversed(moments) if at not in known]
        self._changed_from = inf
        found: list[float | None] = []
        if self._feed.model.day is None:
            found = [one.probability(self._feed.model, at) for at in missing]
        elif missing:
            found = await self._feed.each_as_of(missing, _ask_about(one))
        known |= dict(zip(missing, found, strict=True))
        self._known[name] = {
            at: known[at] for at in sorted(known) if at < self._changed_from
        }
        if len(self._known) > _FLIGHTS_KEPT:
            del self._known[next(iter(self._known))]
        return [known[at] for at in moments]

    def _forget(self, moment: float) -> None:
        """Other is known now of what was known at a moment and later."""
        self._changed_from = min(moment, self._changed_from)
        for known in self._known.values():
            # In their order: mostly the last one is before.
            while known and (last := next(reversed(known))) >= moment:
                del known[last]


def _ask_about(one: KnownFlight) -> Callable[[DelayModel, int], float | None]:
    """Asks a model about a flight by what was known at a moment."""

    def ask(model: DelayModel, at: int) -> float | None:
        known = model.known_day.known
        facts = None if known is None else known(one.key)
        is_cancelled = facts is not None and facts.is_cancelled
        return None if is_cancelled else one.probability(model, at)

    return ask
