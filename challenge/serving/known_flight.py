"""A flight that messages tell of, and its probability by what was known at a moment."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from challenge.files.prediction_log import PROBABILITY_DECIMALS
from challenge.flights.fields import (
    DELAY_THRESHOLD_MINUTES,
    FLIGHT_NUMBER,
    ORIGIN,
    SCHEDULED,
)
from challenge.live.day import Day
from challenge.live.identity import FlightKey
from challenge.live.known import Question
from challenge.live.questions import Facts
from challenge.live.state import LiveFlight, LiveState
from challenge.model import DelayModel


class KnownFlight(NamedTuple):
    """A flight of the state, with all that is told of it."""

    key: FlightKey
    known: LiveFlight
    told: dict[str, Any]
    facts: Facts

    @classmethod
    def of(cls, state: LiveState, key: FlightKey) -> Self | None:
        """That with a key; None if messages tell of no such flight."""
        known, facts = state.flights.get(key), state.facts(key)
        if known is None or facts is None:
            return None
        return cls(key, known, state.fields(key), facts)

    @property
    def scheduled(self) -> int:
        """When it should leave, in seconds since 1970, UTC."""
        return self.key[1]

    @property
    def place(self) -> int:
        """Which one it is of those without a number that have all else in common."""
        number = self.key[3]
        return number[1] if isinstance(number, tuple) else 0

    def question(self, day: Day | None, cell: int) -> Question | None:
        """What is asked about it, if nothing but the key is told."""
        if day is None:
            return None
        return day.question(
            self.told[SCHEDULED],
            self.told.get(ORIGIN),
            number=self.told.get(FLIGHT_NUMBER),
            cell=cell,
            place=self.place,
        )

    def is_late(self, at: int) -> bool:
        """Whether it is late at a moment for the reason alone that it has not left."""
        return at - self.scheduled > 60 * DELAY_THRESHOLD_MINUTES

    def probability(self, model: DelayModel, at: int) -> float | None:
        """That of a delay by what was known at a moment before it left, with the model of
        then; None if the model does not know its airline or origin, or not all is told.
        """
        cell = self.known.cell
        if cell is None:
            return None
        if self.is_late(at):
            return 1.0
        return answer(model, cell, self.question(model.day, cell))

    def by_schedule(self, state: LiveState) -> float | None:
        """The probability that its schedule alone says, likewise."""
        cell = self.known.cell
        if cell is None:
            return None
        return round(state.rules.expected(cell), PROBABILITY_DECIMALS)


def answer(model: DelayModel, cell: int, question: Question | None) -> float:
    """The probability of a flight as the service tells it."""
    asked = {} if question is None else {0: question}
    return round(model.predict_flights([cell], asked)[0], PROBABILITY_DECIMALS)
