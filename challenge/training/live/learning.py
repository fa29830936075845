"""What a new model learns of the past day by day."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.live.history import KEPT_DAYS, History
from challenge.live.known import NOT_LEFT
from challenge.model import DelayModel
from challenge.training.data.past import Past
from challenge.training.evaluate.metrics import has_both_classes
from challenge.training.live.adjustment import fit_adjustment
from challenge.training.live.features import Replay
from challenge.training.live.forward import MIN_FLIGHTS
from challenge.training.live.regression import sigmoid
from challenge.training.live.tables import BOUNDARIES, told_later, walk_forward
from challenge.training.recipe import Recipe

_DAY: Final = np.timedelta64(1, "D")


def can_learn(past: Past, training: int) -> bool:
    """Whether the first flights of the past suffice to learn from."""
    first = past.late[: int(BOUNDARIES[0] * training)]
    return len(first) >= MIN_FLIGHTS and has_both_classes(first)


class Earlier(NamedTuple):
    """A model that learned from the first flights, up to a moment by the clock of the
    schedule."""

    model: DelayModel
    until: np.datetime64


def learn_day(
    model: DelayModel,
    recipe: Recipe,
    past: Past,
    time_zones: Mapping[str, str],
    earlier: Earlier | None = None,
) -> None:
    """Let a model know what the day adds to the odds of flights, if they suffice.

    Args:
        model: it learned from all flights, and has their vocabulary.
        recipe: how it was made.
        past: the flights.
        time_zones: of the origins, as far as they are known.
        earlier: with its answers to the flights after its own the card's quality by
            distance is measured; without it there is none.
    """
    if not can_learn(past, len(past)):
        return
    expected = walk_forward(recipe, past, len(past), model)
    schedule = (
        None if earlier is None else told_later(earlier.model, past, earlier.until)
    )
    replay = Replay(past, expected, model.grid)
    fitted = fit_adjustment(replay, len(past), schedule=schedule)
    history = _history(model, past, sigmoid(expected))
    quality = {str(distance): found for distance, found in fitted.quality.items()}
    model.learn_day(
        fitted.stored(), history.last_days(), fitted.helps(), time_zones, quality
    )


def _history(model: DelayModel, past: Past, expected: NDArray[np.float64]) -> History:
    """The flights of the last days that a table had not seen."""
    flights = past.flights
    # One wrong year would leave that flight alone.
    is_past = flights.scheduled <= np.datetime64("now") + _DAY
    last = flights.scheduled[is_past].max(initial=flights.scheduled[0])
    first = last - (KEPT_DAYS + 2) * _DAY
    kept = np.flatnonzero(is_past & (flights.scheduled >= first) & ~np.isnan(expected))

    def seconds(times: NDArray[np.datetime64]) -> array[int]:
        known = np.where(np.isnat(times), NOT_LEFT, times.astype(np.int64))
        return array("q", known[kept].tolist())

    return History(
        array("q", model.grid.numbers(past.codes[kept]).tolist()),
        seconds(flights.scheduled),
        seconds(flights.departed),
        array("i", flights.aircraft[kept].tolist()),
        array("d", expected[kept].tolist()),
        past.registrations,
    )
