"""How a model uses each field: importance, effect, and rates by airline and month."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_TYPE,
    HOURS,
    MONTHS,
    NOT_GIVEN,
    Flight,
)
from challenge.training.data.dataset import Dataset
from challenge.training.evaluate.evaluation import EvaluationResult
from challenge.training.evaluate.metrics import Predictions, average_precision_of

REPEATS: Final = 5
SAMPLE_SIZE: Final = 2_000
VALUES_SHOWN: Final = 15
AIRLINES_SHOWN: Final = 12
SEED: Final = 0

WEEKDAY_NAMES: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# The columns of a flight's codes that a person takes for one field.
FIELD_COLUMNS: Final[dict[str, tuple[int, ...]]] = {
    "airline": (0,),
    "flight type": (1,),
    "month": (2,),
    "destination": (3,),
    "scheduled time": (4, 5),
}


@dataclass(frozen=True)
class Importance:
    """The average precision that is lost when a field is shuffled among the flights."""

    field: str
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Effect:
    """Delay rates, observed and predicted, by the values of a field.

    Attributes:
        field: the name of the field.
        values: those that held-out flights have, in order or by number of flights.
        is_ordered: whether the values are ordered.
        flights, delayed: the number of held-out flights with each value.
        probability: the mean prediction if all flights had this value.
    """

    field: str
    values: list[str]
    is_ordered: bool
    flights: NDArray[np.int64]
    delayed: NDArray[Any]
    probability: NDArray[np.float64]


@dataclass(frozen=True)
class HeatMap:
    """Held-out flights by airline and month, arrays of shape (airlines, 12).

    `actual` and `predicted` are NaN where there are no flights.
    """

    airlines: list[str]
    flights: NDArray[np.int64]
    actual: NDArray[np.float64]
    predicted: NDArray[np.float64]


def importances(result: EvaluationResult, dataset: Dataset) -> list[Importance]:
    """Permutation importance (Breiman, "Random Forests", 2001) on held-out flights."""
    codes = dataset.codes[result.split.held_out]
    rng = np.random.default_rng(SEED)
    whole = average_precision_of(result.predictions)
    found = []
    for name, columns in FIELD_COLUMNS.items():
        if not _uses(result, columns[0]):
            continue
        losses = []
        for _ in range(REPEATS):
            shuffled = codes.copy()
            shuffled[:, columns] = codes[rng.permutation(len(codes))][:, columns]
            blind = Predictions(
                result.model.predict_codes(shuffled), result.predictions.delayed
            )
            losses.append(whole - average_precision_of(blind))
        found.append(Importance(name, float(np.mean(losses)), min(losses), max(losses)))
    return found


def effects(result: EvaluationResult, dataset: Dataset) -> list[Effect]:
    """Partial dependence (Friedman, 2001) beside observed rates, field by field."""
    vocabulary = dataset.vocabulary
    fields: tuple[tuple[str, int, list[str], bool], ...] = (
        ("hour", 4, [f"{hour}" for hour in range(HOURS)], True),
        ("weekday", 5, list(WEEKDAY_NAMES), True),
        ("month", 2, [str(month) for month in MONTHS], True),
        ("flight type", 1, list(vocabulary[FLIGHT_TYPE]), False),
        ("airline", 0, list(vocabulary[AIRLINE]), False),
        ("destination", 3, list(vocabulary[DESTINATION]), False),
    )
    codes = dataset.codes[result.split.held_out]
    sample = np.random.default_rng(SEED).permutation(codes)[:SAMPLE_SIZE]
    found = []
    for name, column, values, is_ordered in fields:
        given = codes[:, column] != NOT_GIVEN
        if not (_uses(result, column) and given.any()):
            continue
        of_flight = codes[given, column]
        flights = np.bincount(of_flight, minlength=len(values))
        delayed = np.bincount(of_flight, result.predictions.delayed[given], len(values))
        chosen = np.flatnonzero(flights)
        if not is_ordered:
            by_flights = chosen[np.argsort(-flights[chosen], kind="stable")]
            chosen = by_flights[:VALUES_SHOWN]
        predicted = []
        # Only flights that give the field can have another value of it.
        given_flights = sample[sample[:, column] != NOT_GIVEN]
        for code in chosen.tolist():
            moved = given_flights.copy()
            moved[:, column] = code
            predicted.append(float(result.model.predict_codes(moved).mean()))
        found.append(
            Effect(
                name,
                [values[code] for code in chosen],
                is_ordered,
                flights[chosen],
                delayed[chosen],
                np.array(predicted),
            )
        )
    return found


def heat_map(result: EvaluationResult, dataset: Dataset) -> HeatMap:
    """Rates by month, for the airlines with the most held-out flights."""
    codes = dataset.codes[result.split.held_out]
    airlines = len(dataset.vocabulary[AIRLINE])
    cell = codes[:, 0].astype(np.int64) * len(MONTHS) + codes[:, 2]

    def table(weights: NDArray[np.floating] | None = None) -> NDArray[np.float64]:
        counted = np.bincount(cell, weights, airlines * len(MONTHS))
        return counted.reshape(airlines, -1).astype(np.float64)

    flights = table()
    most = np.argsort(-flights.sum(axis=1), kind="stable")[:AIRLINES_SHOWN]
    some = np.where(flights > 0, flights, np.nan)
    return HeatMap(
        [dataset.vocabulary[AIRLINE][code] for code in most],
        flights[most].astype(np.int64),
        (table(result.predictions.delayed.astype(np.float64)) / some)[most],
        (table(result.predictions.probability) / some)[most],
    )


def _uses(result: EvaluationResult, column: int) -> bool:
    return Flight._fields[column] in result.model.features.fields
