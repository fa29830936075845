"""Rules that choose the threshold above which a model predicts a delay.

A rule that needs data uses a validation part of the training flights, never the flights
that a model's quality is reported on.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from challenge.errors import TrainingDataError
from challenge.training.data.dataset import Dataset
from challenge.training.data.splits import SPLIT_SEED
from challenge.training.recipe import Recipe


class ThresholdRule(Protocol):
    """Chooses a threshold; the model card keeps the rule as `str(rule)`."""

    def choose(
        self, recipe: Recipe, dataset: Dataset, training: NDArray[np.intp]
    ) -> float | None:
        """The threshold for a model of this recipe; None for the balanced one.

        Args:
            recipe: how the model is made.
            dataset: the flights.
            training: the positions of those that may be used.
        """


@dataclass(frozen=True)
class Balanced:
    """Warn where a delay is more probable than on average: the default."""

    def __str__(self) -> str:
        return "balanced"

    def choose(
        self, recipe: Recipe, dataset: Dataset, training: NDArray[np.intp]
    ) -> None:
        return None


@dataclass(frozen=True)
class Given:
    """Warn above a probability that the user names, 0 to 1."""

    threshold: float

    def __str__(self) -> str:
        return "given"

    def choose(
        self, recipe: Recipe, dataset: Dataset, training: NDArray[np.intp]
    ) -> float:
        return self.threshold


@dataclass(frozen=True)
class LeastCost:
    """Warn where that costs less on average than not to, the costs both above 0.

    Of calibrated probabilities the least cost is at false_alarm / (false_alarm +
    missed_delay), whatever the data (Elkan, "The Foundations of Cost-Sensitive
    Learning", 2001).
    """

    false_alarm: float
    missed_delay: float

    def __str__(self) -> str:
        return (
            f"least cost: a false alarm {self.false_alarm:g}, "
            f"a missed delay {self.missed_delay:g}"
        )

    def choose(
        self, recipe: Recipe, dataset: Dataset, training: NDArray[np.intp]
    ) -> float:
        return self.false_alarm / (self.false_alarm + self.missed_delay)


class _FromPredictions(ABC):
    """A rule that needs predictions for flights that the model has not seen."""

    def choose(
        self, recipe: Recipe, dataset: Dataset, training: NDArray[np.intp]
    ) -> float:
        """Chosen on a third of the training flights by a model of the others.

        Raises:
            TrainingDataError: there are too few flights.
        """
        shuffled = np.random.default_rng(SPLIT_SEED).permutation(training)
        third = len(shuffled) // 3
        validation, fitted = shuffled[:third], shuffled[third:]
        late = dataset.delayed[validation] == 1
        if not late.any():
            raise TrainingDataError(
                f"{len(training)} training flights are too few to choose a threshold "
                f"by {self}; give a threshold instead"
            )
        model = recipe.fit(dataset.counts(fitted), dataset.vocabulary)
        return self._choose(model.predict_codes(dataset.codes[validation]), late)

    @abstractmethod
    def _choose(
        self, probability: NDArray[np.float32], late: NDArray[np.bool_]
    ) -> float: ...


@dataclass(frozen=True)
class MinRecall(_FromPredictions):
    """Warn of at least this share of the delays, above 0 to 1, with as few warnings as
    possible."""

    recall: float

    def __str__(self) -> str:
        return f"recall of at least {self.recall:g}"

    def _choose(
        self, probability: NDArray[np.float32], late: NDArray[np.bool_]
    ) -> float:
        highest_first = np.sort(probability[late])[::-1]
        lowest_warned = highest_first[int(np.ceil(self.recall * late.sum())) - 1]
        # Only what lies above the threshold is warned of.
        return float(np.nextafter(lowest_warned, np.float32(0)))


@dataclass(frozen=True)
class Capacity(_FromPredictions):
    """Warn of at most this share of the flights, above 0 to 1: those that there is
    capacity to handle."""

    share: float

    def __str__(self) -> str:
        return f"capacity for {self.share:g} of the flights"

    def _choose(
        self, probability: NDArray[np.float32], late: NDArray[np.bool_]
    ) -> float:
        highest_first = np.sort(probability)[::-1]
        first_too_many = int(self.share * len(probability))
        if first_too_many >= len(probability):
            return 0.0
        return float(highest_first[first_too_many])
