"""Known flights: some training flights with the answers that a model must give.

They stand in the card. Whoever loads a model asks it about them before it is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Final

from challenge.artifact.card import KnownFlight
from challenge.flights.fields import NOT_GIVEN, Flight
from challenge.flights.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COUNT: Final = 10
# The table adds what the classifier adds in another order, in single precision.
TOLERANCE: Final = 1e-5


def make(
    sample: Sequence[Flight],
    vocabulary: Vocabulary,
    day: date | None,
    predict: Callable[
        [NDArray[np.int16], Sequence[Mapping[str, object]]], Sequence[float]
    ],
) -> list[KnownFlight]:
    """Some flights of a sample, every other one without its optional fields.

    Args:
        sample: the flights.
        vocabulary: names them.
        day: when those with a time leave; None for whenever they did.
        predict: the model's answers to flights, by their codes and their fields.
    """
    import numpy as np

    step = max(1, len(sample) // COUNT)
    flights = [
        flight if place % 2 else Flight(*flight[:3])
        for place, flight in enumerate(sample[::step][:COUNT])
    ]
    if day is not None:
        on_day = {"month": day.month - 1, "weekday": day.weekday()}
        flights = [
            flight if flight.hour == NOT_GIVEN else flight._replace(**on_day)
            for flight in flights
        ]
    named = [vocabulary.values(flight, day) for flight in flights]
    answers = predict(np.array(flights, np.int16), named)
    return list(map(KnownFlight, named, answers))


def problem(
    known: Iterable[KnownFlight], ask: Callable[[Mapping[str, object]], float | None]
) -> str | None:
    """What is wrong with a model that answers a known flight otherwise; None if nothing.

    Args:
        known: the flights.
        ask: gives the probability of a flight, None if it cannot be answered.
    """
    for one in known:
        answer = ask(one.flight)
        answer = math.nan if answer is None else answer
        if not abs(answer - one.probability) <= TOLERANCE:
            return (
                f"answers {one.flight} with {answer:.6f}; "
                f"its card says {one.probability:.6f}"
            )
    return None
