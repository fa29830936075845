"""The flights of the day with their odds now and before, as GET /flights tells them."""

from __future__ import annotations

import asyncio
from typing import Final, Literal

from challenge.flights.fields import AIRCRAFT, ORIGIN, Language
from challenge.live.clock import DAY_SECONDS
from challenge.live.identity import FlightKey
from challenge.live.known import ELSEWHERE, Aircraft, Inbound, Question
from challenge.live.messages import aircraft_before, told_by
from challenge.live.questions import Facts
from challenge.live.state import LiveFlight
from challenge.serving.board_rows import FlightOfToday, FlightToCome, InboundAircraft
from challenge.serving.evidence import evidence_of
from challenge.serving.known_flight import KnownFlight, answer
from challenge.serving.live_feed import LiveFeed
from challenge.serving.reasons import reasons

HOUR_SECONDS: Final = 3_600
# How a flight that has left was called: by what was known so long before its time.
CALLED_SECONDS: Final = HOUR_SECONDS
_AT_ONCE: Final = 20
_LISTED_AT_ONCE: Final = 200
_NO_LEGS: Final = Aircraft(())


class Board:
    """Tells the flights of the day, each once for each state of the feed.

    Args:
        feed: what messages tell.
    """

    def __init__(self, feed: LiveFeed) -> None:
        self._feed = feed
        self._version = -1
        self._to_come: dict[tuple[FlightKey, Language], FlightToCome] = {}
        # It is a fact, as long as nothing else is told of the flight.
        self._called: dict[FlightKey, tuple[LiveFlight, float | None]] = {}
        self._making = asyncio.Lock()
        feed.changed = self._forget_called

    async def to_come(self, hours: float, language: Language) -> list[FlightToCome]:
        """The flights that have not left and should within some hours, by their time."""
        # Several callers wait for the same.
        async with self._making:
            # For the reasons.
            await evidence_of(self._feed.model)
            clock = self._clock
            if clock is None:
                return []
            if self._version != self._feed.version:
                self._to_come.clear()
                self._version = self._feed.version
            last = clock + HOUR_SECONDS * hours
            listed = [
                one
                # A day after its time it was cancelled.
                for one in await self._flights(clock - DAY_SECONDS, last)
                if not (one.facts.is_cancelled or _has_left(one.facts, clock))
            ]
            return [
                await self._flight_to_come(one, clock, language, place)
                for place, one in enumerate(listed)
            ]

    async def of_today(self, hours: float) -> list[FlightOfToday]:
        """The flights that should have left in the last hours, and have or will not, by
        their time."""
        found: list[FlightOfToday] = []
        async with self._making:
            clock = self._clock
            if clock is None:
                return []
            old, first = clock - 2 * DAY_SECONDS, clock - HOUR_SECONDS * hours
            for key in [key for key in self._called if key[1] < old]:
                del self._called[key]
            for one in await self._flights(first, clock + DAY_SECONDS):
                if one.facts.is_cancelled:
                    found.append(self._cancelled_flight(one))
                elif _has_left(one.facts, clock):
                    found.append(await self._flight_that_left(one))
        return found

    @property
    def _clock(self) -> int | None:
        return self._feed.state.moment

    def _forget_called(self, moment: float) -> None:
        """Something else is known of a moment and those after it than before."""
        for key in [key for key in self._called if key[1] - CALLED_SECONDS >= moment]:
            del self._called[key]

    async def _flights(self, first: float, last: float) -> list[KnownFlight]:
        """The flights with scheduled times after one moment and up to another, in their
        order."""
        state = self._feed.state
        within = [
            key
            # More may come while they are looked at.
            for key in list(state.flights)
            if first < key[1] <= last
        ]
        listed = []
        for place, key in enumerate(sorted(within, key=_time)):
            if place % _LISTED_AT_ONCE == 0:
                await asyncio.sleep(0)
            one = KnownFlight.of(state, key)
            assert one is not None
            listed.append(one)
        return listed

    async def _flight_to_come(
        self, one: KnownFlight, clock: int, language: Language, place: int
    ) -> FlightToCome:
        known = self._to_come.get((one.key, language))
        if known is not None:
            return known
        state, model, cell = self._feed.state, self._feed.model, one.known.cell
        minutes = (one.scheduled - clock) // 60
        row = FlightToCome(
            flight=one.told,
            place=one.place,
            status="scheduled" if minutes >= 0 else "overdue",
            minutes=minutes,
            probability=one.probability(model, clock),
            schedule_probability=one.by_schedule(state),
            inbound=self._inbound(one, clock),
        )
        if one.told.get(AIRCRAFT):
            row.aircraft_before = aircraft_before(one.known.reports) or None
        if cell is None or row.probability is None:
            row.status = "unknown"
        else:
            row.delay = int(row.probability > model.threshold)
            if not one.is_late(clock):
                question = one.question(model.day, cell)
                row.reasons = reasons(model, cell, question, language)
            midnight = state.rules.times.midnight(clock, one.told.get(ORIGIN))
            row.hour_ago = await self._probability_at(clock - HOUR_SECONDS, one)
            row.midnight = await self._probability_at(midnight, one)
        self._to_come[one.key, language] = row
        if place % _AT_ONCE == 0:
            await asyncio.sleep(0)
        return row

    async def _probability_at(self, at: int, one: KnownFlight) -> float | None:
        """The probability of a flight by what was known at a moment."""
        model = self._feed.model
        if model.day is not None:
            model = await self._feed.as_of(at)
        return one.probability(model, at)

    def _inbound(self, one: KnownFlight, clock: int) -> InboundAircraft | None:
        """Where the aircraft of a flight is; None if nothing is told of its arrival."""
        day, cell, facts = self._feed.model.day, one.known.cell, one.facts
        question = Question(clock, one.scheduled, *facts[:4])
        if day is None or cell is None:
            inbound = _NO_LEGS.inbound(question, ELSEWHERE)
        else:
            inbound = day.inbound(cell, question)
        if inbound is None:
            return None

        def text(moment: int | None) -> str | None:
            if moment is None:
                return None
            times, origin = self._feed.state.rules.times, one.told.get(ORIGIN)
            return times.text(moment, origin)

        return InboundAircraft(
            due=text(facts.due),
            expected=None if inbound.has_landed else text(inbound.expected),
            arrived=text(inbound.expected) if inbound.has_landed else None,
            status=_status(inbound),
        )

    def _cancelled_flight(self, one: KnownFlight) -> FlightOfToday:
        return FlightOfToday(
            flight=one.told,
            place=one.place,
            status="cancelled",
            schedule_probability=one.by_schedule(self._feed.state),
        )

    async def _flight_that_left(self, one: KnownFlight) -> FlightOfToday:
        departed = one.facts.departed
        assert departed is not None
        known, called = self._called.get(one.key, (None, None))
        if known is not one.known:
            called = self._call(one)
            self._called[one.key] = one.known, called
            await asyncio.sleep(0)
        decision = None if called is None else int(called > self._feed.model.threshold)
        return FlightOfToday(
            flight=one.told,
            place=one.place,
            status="left",
            minutes_late=(departed - one.scheduled) // 60,
            late=int(one.is_late(departed)),
            schedule_probability=one.by_schedule(self._feed.state),
            called=called,
            called_delay=decision,
        )

    def _call(self, one: KnownFlight) -> float | None:
        """The probability of a flight an hour before its time, by what is known now of
        the other flights, and was then of its own."""
        model, cell, at = (
            self._feed.model,
            one.known.cell,
            one.scheduled - CALLED_SECONDS,
        )
        if cell is None:
            return None
        question = None
        if model.day is not None:
            day = model.day.at_moment(at)
            day.known = None
            question = one.question(day, cell)
        if question is not None:
            told = told_by(one.known.reports, at)
            question = self._feed.state.rules.judge(told).facts.completed(question)
        return answer(model, cell, question)


def _time(key: FlightKey) -> int:
    return key[1]


def _has_left(facts: Facts, clock: int) -> bool:
    return facts.departed is not None and facts.departed <= clock


def _status(inbound: Inbound) -> Literal["landed", "in_air", "not_left", "unknown"]:
    if inbound.has_landed:
        return "landed"
    if inbound.has_left:
        return "in_air"
    return "not_left" if inbound.has_not_left else "unknown"
