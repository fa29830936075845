"""The flights of the day with their odds now and before, as GET /flights tells them."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final, Literal, NamedTuple

from pydantic import BaseModel, Field

from challenge.files.prediction_log import PROBABILITY_DECIMALS
from challenge.flights.fields import (
    DELAY_THRESHOLD_MINUTES,
    FLIGHT_NUMBER,
    ORIGIN,
    SCHEDULED,
    Language,
)
from challenge.live.clock import DAY_SECONDS
from challenge.live.day import Day
from challenge.live.identity import FlightKey
from challenge.live.known import Question
from challenge.live.messages import told_by
from challenge.live.questions import Facts
from challenge.live.state import LiveFlight
from challenge.live.terms import term_text
from challenge.model import DelayModel
from challenge.serving.live_feed import LiveFeed

HOUR_SECONDS: Final = 3_600
# How a flight that has left was called: by what was known so long before its time.
CALLED_SECONDS: Final = HOUR_SECONDS
REASONS: Final = 3
_AT_ONCE: Final = 20
_LISTED_AT_ONCE: Final = 200


class Reason(BaseModel):
    """What the day adds to a flight's log-odds, and what people call it."""

    name: str
    log_odds: float


class FlightToCome(BaseModel):
    """A flight that has not left."""

    flight: Annotated[dict[str, Any], Field(description="All that was told of it")]
    status: Annotated[
        Literal["scheduled", "overdue", "unknown"],
        Field(
            description="`overdue` once its time has passed; `unknown` if the model does "
            "not know its airline or its origin, or not all was told"
        ),
    ]
    minutes: Annotated[
        int, Field(description="To its scheduled time, by the clock of the messages")
    ]
    probability: Annotated[
        float | None,
        Field(
            description="Of a delay of over 15 minutes; 1 once it is overdue by more, "
            "null if it is unknown"
        ),
    ] = None
    hour_ago: Annotated[
        float | None, Field(description="The same by what was known an hour ago")
    ] = None
    midnight: Annotated[
        float | None, Field(description="The same by what was known at midnight")
    ] = None
    delay: Annotated[
        int | None, Field(description="1 if that is above the threshold, else 0")
    ] = None
    reasons: Annotated[
        list[Reason], Field(description="What of the day counts most")
    ] = []


class FlightOfToday(BaseModel):
    """A flight that has left, or was cancelled."""

    flight: dict[str, Any]
    status: Literal["left", "cancelled"]
    minutes_late: int | None = None
    late: int | None = None
    called: Annotated[
        float | None, Field(description="The probability an hour before its time")
    ] = None
    called_delay: Annotated[
        int | None, Field(description="1 if that is above the threshold, else 0")
    ] = None


class _Listed(NamedTuple):
    """A flight of the state, with all that is told of it."""

    key: FlightKey
    known: LiveFlight
    told: dict[str, Any]
    facts: Facts


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
                    found.append(FlightOfToday(flight=one.told, status="cancelled"))
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

    async def _flights(self, first: float, last: float) -> list[_Listed]:
        """The flights with scheduled times after one moment and up to another, in their
        order."""
        state = self._feed.state
        within = [
            (key, flight)
            # More may come while they are looked at.
            for key, flight in state.flights.copy().items()
            if first < key[1] <= last
        ]
        listed = []
        for place, (key, flight) in enumerate(sorted(within, key=_by_time)):
            if place % _LISTED_AT_ONCE == 0:
                await asyncio.sleep(0)
            facts = state.facts(key)
            assert facts is not None
            listed.append(_Listed(key, flight, state.fields(key), facts))
        return listed

    async def _flight_to_come(
        self, one: _Listed, clock: int, language: Language, place: int
    ) -> FlightToCome:
        known = self._to_come.get((one.key, language))
        if known is not None:
            return known
        model, cell = self._feed.model, one.known.cell
        minutes = (one.key[1] - clock) // 60
        row = FlightToCome(flight=one.told, status="scheduled", minutes=minutes)
        if minutes < 0:
            row.status = "overdue"
        if cell is None:
            row.status = "unknown"
        elif clock - one.key[1] > 60 * DELAY_THRESHOLD_MINUTES:
            row.probability, row.delay = 1.0, 1
        else:
            question = _question(model.day, one, cell)
            row.probability = _answer(model, cell, question)
            row.delay = int(row.probability > model.threshold)
            if model.day is not None and question is not None:
                row.reasons = _reasons(model.day, cell, question, language)
        if cell is not None:
            times = self._feed.state.rules.times
            midnight = times.midnight(clock, one.told.get(ORIGIN))
            row.hour_ago = await self._answer_of(clock - HOUR_SECONDS, one, cell)
            row.midnight = await self._answer_of(midnight, one, cell)
        self._to_come[one.key, language] = row
        if place % _AT_ONCE == 0:
            await asyncio.sleep(0)
        return row

    async def _answer_of(self, at: int, one: _Listed, cell: int) -> float:
        """The probability of a flight by what was known at a moment."""
        if self._feed.model.day is None:
            return _answer(self._feed.model, cell, None)
        model = await self._feed.as_of(at)
        return _answer(model, cell, _question(model.day, one, cell))

    async def _flight_that_left(self, one: _Listed) -> FlightOfToday:
        departed = one.facts.departed
        assert departed is not None
        minutes = (departed - one.key[1]) // 60
        late = int(departed - one.key[1] > 60 * DELAY_THRESHOLD_MINUTES)
        known, called = self._called.get(one.key, (None, None))
        if known is not one.known:
            called = self._call(one)
            self._called[one.key] = one.known, called
            await asyncio.sleep(0)
        decision = None if called is None else int(called > self._feed.model.threshold)
        return FlightOfToday(
            flight=one.told,
            status="left",
            minutes_late=minutes,
            late=late,
            called=called,
            called_delay=decision,
        )

    def _call(self, one: _Listed) -> float | None:
        """The probability of a flight an hour before its time, by what is known now of
        the other flights, and was then of its own."""
        model, cell, at = self._feed.model, one.known.cell, one.key[1] - CALLED_SECONDS
        if cell is None:
            return None
        question = None
        if model.day is not None:
            day = model.day.at_moment(at)
            day.known = None
            question = _question(day, one, cell)
        if question is not None:
            told = told_by(one.known.reports, at)
            question = self._feed.state.rules.judge(told).facts.completed(question)
        return _answer(model, cell, question)


def _by_time(one: tuple[FlightKey, LiveFlight]) -> int:
    return one[0][1]


def _has_left(facts: Facts, clock: int) -> bool:
    return facts.departed is not None and facts.departed <= clock


def _question(day: Day | None, one: _Listed, cell: int) -> Question | None:
    """What is asked about a flight of which nothing but the key is told."""
    if day is None:
        return None
    number, told = one.key[3], one.told
    return day.question(
        told[SCHEDULED],
        told.get(ORIGIN),
        number=told.get(FLIGHT_NUMBER),
        cell=cell,
        place=number[1] if isinstance(number, tuple) else 0,
    )


def _answer(model: DelayModel, cell: int, question: Question | None) -> float:
    asked = {} if question is None else {0: question}
    return round(model.predict_flights([cell], asked)[0], PROBABILITY_DECIMALS)


def _reasons(
    day: Day, cell: int, question: Question, language: Language
) -> list[Reason]:
    terms = sorted(day.terms(cell, question).items(), key=lambda one: -abs(one[1]))
    return [
        Reason(
            name=term_text(term, language),
            log_odds=round(value, PROBABILITY_DECIMALS),
        )
        for term, value in terms[:REASONS]
    ]
