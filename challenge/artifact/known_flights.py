"""Known flights: some training flights with the answers that a model must give.

They stand in the card. Whoever loads a model asks it about them before it is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import Final

from challenge.artifact.card import KnownFlight
from challenge.flights.fields import NOT_GIVEN, Flight

COUNT: Final = 10
# The table adds what the classifier adds in another order, in single precision.
TOLERANCE: Final = 1e-5


def choose(sample: Sequence[Flight], day: date | None) -> list[Flight]:
    """Some flights of a sample, every other one without its optional fields.

    Args:
        sample: the flights.
        day: when those with a time leave; None for whenever they did.
    """
    step = max(1, len(sample) // COUNT)
    flights = [
        flight if place % 2 else Flight(*flight[:3])
        for place, flight in enumerate(sample[::step][:COUNT])
    ]
    if day is None:
        return flights
    return [
        (
            flight._replace(month=day.month - 1, weekday=day.weekday())
            if flight.hour != NOT_GIVEN
            else flight
        )
        for flight in flights
    ]


def first_wrong(
    known: Iterable[KnownFlight], ask: Callable[[Mapping[str, object]], float | None]
) -> tuple[KnownFlight, float] | None:
    """The first known flight that a model answers otherwise, with its answer.

    Args:
        known: the flights.
        ask: gives the probability of a flight, None if it cannot be answered.
    """
    for one in known:
        answer = ask(one.flight)
        answer = math.nan if answer is None else answer
        if not abs(answer - one.probability) <= TOLERANCE:
            return one, answer
    return None
