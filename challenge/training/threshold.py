"""Where to warn: rules that choose the threshold of a model.

A rule that needs data looks at a part of the training flights that its model has not
seen. No rule looks at the flights that a model is reported on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from challenge.errors import TrainingDataError
from challenge.training.data.dataset import Dataset
from challenge.training.data.splits import SPLIT_SEED
from challenge.training.recipe import Recipe


class ThresholdRule(Protocol):
    """Chooses a threshold; `str` of a rule is what the model card says of it."""

    def choose(
        self, recipe: Recipe, dataset: Dataset, training: NDArray[np.intp]
    ) -> float | None:
        """The threshold for a model of this recipe; None for the balanced one.

        Args:
            recipe: how the model is made.
            dataset: the flights.
            training: the positions of those that may be looked at.
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


@dataclass(frozen=True)
class MinRecall:
    """Warn of at least this share of the delays, above 0 to 1, as rarely as can be."""

    recall: float

    def __str__(self) -> str:
        return f"recall of at least {self.recall:g}"

    def choose(
        self, recipe: Recipe, dataset: Dataset, training: NDArray[np.intp]
    ) -> float:
        """The threshold that does so on a third of the training flights.

        Raises:
            TrainingDataError: there are too few flights to choose by.
        """
        probability, late = _answers_of_a_third(self, recipe, dataset, training)
        highest_first = np.sort(probability[late])[::-1]
        last_caught = highest_first[int(np.ceil(self.recall * late.sum())) - 1]
        # Warned of is what lies above the threshold, and this one must be.
        return float(np.nextafter(last_caught, np.float32(0)))


@dataclass(frozen=True)
class Capacity:
    """Warn of this share of the flights at most, above 0 to 1: as many as can be
    looked after."""

    share: float

    def __str__(self) -> str:
        return f"capacity for {self.share:g} of the flights"

    def choose(
        self, recipe: Recipe, dataset: Dataset, training: NDArray[np.intp]
    ) -> float:
        """The lowest threshold that does so on a third of the training flights.

        Raises:
            TrainingDataError: there are too few flights to choose by.
        """
        probability, _ = _answers_of_a_third(self, recipe, dataset, training)
        highest_first = np.sort(probability)[::-1]
        first_too_many = int(self.share * len(probability))
        if first_too_many >= len(probability):
            return 0.0
        return float(highest_first[first_too_many])


def _answers_of_a_third(
    rule: ThresholdRule,
    recipe: Recipe,
    dataset: Dataset,
    training: NDArray[np.intp],
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """The probabilities of a third of the training flights by a model of the others,
    and which of them were late.

    Raises:
        TrainingDataError: there are too few flights.
    """
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(training)
    third = len(shuffled) // 3
    judged, learned = shuffled[:third], shuffled[third:]
    late = dataset.delayed[judged] == 1
    if not late.any():
        raise TrainingDataError(
            f"{len(training)} training flights are too few to choose a threshold "
            f"by {rule}; give a threshold instead"
        )
    model = recipe.fit(dataset.counts(learned), dataset.vocabulary)
    return model.predict_codes(dataset.codes[judged]), late
