"""Flights met day by day, each day with the recent form of the days before.

An offset moves the log-odds of a group's mean probability to those of the share that was
late, as if `prior` more flights had left just as the model says. For small moves that is
the sum of the residuals over the sum of p (1 - p) with a prior, one step of Newton's
method; that step by itself overshoots where many flights of a punctual airline are late.
Airlines are taken first, then destinations of what airlines leave.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.artifact.card import FormSettings
from challenge.compiled.log_odds import shifted
from challenge.flights.fields import (
    AIRLINE_CODE,
    DESTINATION,
    DESTINATION_CODE,
    NOT_GIVEN,
)
from challenge.live.recent import weight
from challenge.model import DelayModel
from challenge.training.data.dataset import Dataset
from challenge.training.evaluate.metrics import SMALLEST_PROBABILITY, Predictions

WINDOWS_DAYS: Final = (3, 5, 7, 14, 28)
# So many days since the last flight seen: updated each night, or not for so long.
NIGHTLY: Final = 1
LATER: Final = (1, 2, 4, 7, 14, 28)


class Sums(NamedTuple):
    """Of flights: how many there are, how many were late, and how many should have been.

    All have the shape (…, airlines, destinations + 1); the first destination is that of
    flights without one.
    """

    flights: NDArray[np.float64]
    late: NDArray[np.float64]
    expected: NDArray[np.float64]


class Nights:
    """A model that meets flights day by day.

    Args:
        model: the model.
        dataset: the flights.
        codes: all of them by the model's vocabulary.
        earlier: the positions of those that were there before, all with a time.
        asked: of those that are asked about, likewise.
        answers: of the model's table to these.

    Attributes:
        days: how many days the flights asked about are of.
    """

    def __init__(
        self,
        model: DelayModel,
        dataset: Dataset,
        codes: NDArray[np.int16],
        earlier: NDArray[np.intp],
        asked: NDArray[np.intp],
        answers: Predictions,
    ) -> None:
        day = _days(dataset, asked)
        first = day.min() - max(WINDOWS_DAYS) - max(LATER)
        earlier = earlier[_days(dataset, earlier) >= first]
        flights = np.concatenate([earlier, asked])
        in_table = model.predict_codes(codes[earlier])
        by_day = daily_sums(
            model,
            codes[flights],
            _days(dataset, flights) - first,
            dataset.delayed[flights],
            np.concatenate([in_table, answers.probability]),
            dataset.every,
        )
        self.table = answers
        self.months = dataset.scheduled[asked].astype("datetime64[M]")
        self.days = int(day.max() - day.min()) + 1
        self._codes = _told_apart(model, codes[asked])
        self._day = day - first
        # One entry more at the start: a sum over days is then a difference of two.
        self._until = [
            np.concatenate([np.zeros_like(sums[:1]), sums.cumsum(axis=0)])
            for sums in by_day
        ]

    def answers(self, settings: FormSettings, since: int = NIGHTLY) -> Predictions:
        """What the model says, each day with the form of so many days before."""
        end = np.maximum(np.arange(len(self._until[0]) - 1) - since + 1, 0)
        begin = np.maximum(end - settings.window_days, 0)
        in_window = Sums(*(until[end] - until[begin] for until in self._until))
        airlines, destinations = offsets_of(in_window, settings.prior)
        offset = weight(since, settings.half_life_days) * (
            airlines[self._day, self._codes[:, AIRLINE_CODE]]
            + destinations[self._day, self._codes[:, DESTINATION_CODE] + 1]
        )
        in_table = self.table.probability.astype(np.float64)
        return Predictions(shifted(in_table, np.exp(offset)), self.table.delayed)


def daily_sums(
    model: DelayModel,
    codes: NDArray[np.int16],
    day: NDArray[np.int64],
    delayed: NDArray[np.int8],
    probability: NDArray[np.floating],
    every: int,
) -> Sums:
    """The sums of each day, along a leading axis; each flight stands for so many."""
    sizes = model.vocabulary.sizes
    shape = (
        int(day.max(initial=0)) + 1,
        sizes[AIRLINE_CODE],
        sizes[DESTINATION_CODE] + 1,
    )
    codes = _told_apart(model, codes)
    place = np.ravel_multi_index(
        (day, codes[:, AIRLINE_CODE], codes[:, DESTINATION_CODE] + 1), shape
    )

    def summed(values: NDArray[Any]) -> NDArray[np.float64]:
        sums = np.bincount(place, values, int(np.prod(shape)))
        return every * sums.reshape(shape).astype(np.float64)

    return Sums(summed(np.ones(len(codes))), summed(delayed), summed(probability))


def _told_apart(model: DelayModel, codes: NDArray[np.int16]) -> NDArray[np.int16]:
    """The flights as far as the numbers of the model's grid tell them apart."""
    if model.grid.axis(DESTINATION).stride:
        return codes
    seen = codes.copy()
    seen[:, DESTINATION_CODE] = NOT_GIVEN
    return seen


def offsets_of(
    sums: Sums, prior: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The offsets of airlines and of destinations, the first of these 0."""
    flights, late, expected = sums
    airlines = _offset(flights.sum(-1), late.sum(-1), expected.sum(-1), prior)
    # As if all flights of a cell had its mean probability.
    odds_ratio = np.exp(airlines[..., np.newaxis])
    expected = flights * shifted(_mean(flights, expected), odds_ratio)
    destinations = _offset(flights.sum(-2), late.sum(-2), expected.sum(-2), prior)
    destinations[..., 0] = 0
    return airlines, destinations


def _offset(
    flights: NDArray[np.float64],
    late: NDArray[np.float64],
    expected: NDArray[np.float64],
    prior: float,
) -> NDArray[np.float64]:
    mean = _mean(flights, expected)
    share = (late + prior * mean) / (flights + prior)
    return _log_odds(share) - _log_odds(mean)


def _mean(
    flights: NDArray[np.float64], expected: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The mean probability; of no flights any will do, as nothing moves it."""
    mean = np.divide(expected, flights, np.full_like(expected, 0.5), where=flights > 0)
    return np.clip(mean, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)


def _log_odds(share: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(share / (1 - share))


def _days(dataset: Dataset, flights: NDArray[np.intp]) -> NDArray[np.int64]:
    return dataset.days[flights].astype(np.int64)
