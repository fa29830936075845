"""How good a model is on flights that it has not seen."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from challenge.counts import Counts
from challenge.model import DelayModel
from challenge.training.dataset import Dataset

HELD_OUT: Final = 0.33
SPLIT_SEED: Final = 42


@dataclass(frozen=True)
class Quality:
    """Measures of a model's answers on `flights` flights, all 0 to 1.

    `brier` is the mean squared error of the probability; recall, precision and F1 are
    of the class of delayed flights, at the model's threshold.
    """

    flights: int
    delay_rate: float
    roc_auc: float
    average_precision: float
    brier: float
    recall: float
    precision: float
    f1: float


def split(flights: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The notebook's split: positions to train on, and a random third held out.

    It is that of scikit-learn's `train_test_split(test_size=0.33, random_state=42)`.
    """
    shuffled = np.random.RandomState(SPLIT_SEED).permutation(flights)
    held_out = ceil(flights * HELD_OUT)
    return shuffled[held_out:], shuffled[:held_out]


def held_out_quality(model: DelayModel, dataset: Dataset) -> Quality | None:
    """Fit the model to two thirds of the flights and measure it on the rest.

    None when either part lacks delayed flights or others: there are too few.
    """
    training, held_out = (dataset.counts(rows) for rows in split(len(dataset.codes)))
    if not (_has_both(training) and _has_both(held_out)):
        return None
    return measure(model.fit_counts(training), held_out)


def measure(model: DelayModel, counts: Counts) -> Quality:
    """The quality of a fitted model on counted flights, which hold both classes."""
    probability = model.probabilities_of(counts.codes)
    predicted = probability > model.threshold
    hits = int(counts.delayed[predicted].sum())
    alarms = int(counts.flights[predicted].sum())
    delays = int(counts.delayed.sum())
    missed = counts.delayed * (1 - probability) ** 2
    feared = (counts.flights - counts.delayed) * probability**2
    return Quality(
        flights=counts.total,
        delay_rate=counts.delay_rate,
        roc_auc=roc_auc(probability, counts),
        average_precision=average_precision(probability, counts),
        brier=float((missed + feared).sum()) / counts.total,
        recall=hits / delays,
        precision=hits / alarms if alarms else 0.0,
        f1=2 * hits / (alarms + delays),
    )


def roc_auc(probability: NDArray[np.floating], counts: Counts) -> float:
    """The chance that a delayed flight has a higher probability than another one.

    Equal probabilities count half (Hanley and McNeil, 1982). `probability` is of shape
    (kinds,).
    """
    delayed, on_time = _from_the_highest(probability, counts)
    above = np.cumsum(delayed) - delayed
    pairs = (on_time * (above + delayed / 2)).sum()
    return float(pairs / (delayed.sum() * on_time.sum()))


def average_precision(probability: NDArray[np.floating], counts: Counts) -> float:
    """The precision at each probability, weighted by the recall that it adds."""
    delayed, on_time = _from_the_highest(probability, counts)
    precision = np.cumsum(delayed) / np.cumsum(delayed + on_time)
    return float((precision * delayed).sum() / delayed.sum())


def _from_the_highest(
    probability: NDArray[np.floating], counts: Counts
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Delayed and other flights at each distinct probability, the highest first."""
    _, place = np.unique(-probability, return_inverse=True)
    delayed = np.bincount(place, weights=counts.delayed)
    flights = np.bincount(place, weights=counts.flights)
    return delayed.astype(np.float64), (flights - delayed).astype(np.float64)


def _has_both(counts: Counts) -> bool:
    return counts.total > 0 and 0 < counts.delayed.sum() < counts.total
