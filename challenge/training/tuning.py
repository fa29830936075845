"""Cross-validation of a classifier's parameters over a small space."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from challenge.errors import TrainingDataError
from challenge.training.data.dataset import Dataset
from challenge.training.data.splits import Split, random_split
from challenge.training.evaluate.evaluation import predict_held_out
from challenge.training.evaluate.metrics import Quality, measure
from challenge.training.recipe import Recipe

FOLDS: Final = 5
FOLD_SEED: Final = 0

# For each classifier the parameters that matter most, around the defaults.
SPACE: Final[dict[str, dict[str, Sequence[Any]]]] = {
    "xgboost": {
        "learning_rate": (0.05, 0.1),
        "max_depth": (5, 6, 7),
        "min_child_weight": (10, 30, 100),
        "rounds": (80, 120, 160),
    },
    "logistic-regression": {"C": (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)},
}
SCORES: Final = ("average_precision", "roc_auc", "brier", "ece", "recall", "f1")


@dataclass(frozen=True)
class Trial:
    """A combination of parameters, with the mean of each measure over the folds."""

    parameters: Mapping[str, Any]
    measures: Mapping[str, float]


def tune(
    classifier: str,
    dataset: Dataset,
    space: Mapping[str, Sequence[Any]] | None = None,
) -> list[Trial]:
    """Grid search over the parameters, sorted by average precision, the best first.

    Only the training part of the random split is used, in five stratified folds, so
    that quality can still be reported on the held-out third.

    Args:
        classifier: a name in `challenge.classifier.CLASSIFIERS`.
        dataset: the flights.
        space: the values of each parameter, by its name; SPACE by default.

    Raises:
        TrainingDataError: there are too few flights.
    """
    split = random_split(dataset)
    if split is None or dataset.delayed[split.training].sum() < FOLDS:
        raise TrainingDataError(
            f"{len(dataset.codes)} flights are too few for {FOLDS} folds"
        )
    space = SPACE[classifier] if space is None else space
    choices = [dict(zip(space, values)) for values in product(*space.values())]
    trials = []
    for number, parameters in enumerate(choices, start=1):
        recipe = Recipe(classifier, parameters=parameters)
        qualities = [
            _quality(recipe, dataset, fold)
            for fold in folds(dataset.delayed, split.training)
        ]
        means = {
            name: float(
                np.mean([getattr(quality, name).value for quality in qualities])
            )
            for name in SCORES
        }
        trials.append(Trial(parameters, means))
        print(f"{number} of {len(choices)}: {parameters}", file=sys.stderr)
    return sorted(trials, key=lambda t: -t.measures["average_precision"])


def folds(delayed: NDArray[np.int8], flights: NDArray[np.intp]) -> Iterator[Split]:
    """Five stratified folds, each of which holds out a fifth of some flights.

    Args:
        delayed: 0 or 1 for each flight of the dataset.
        flights: the positions of those to divide.
    """
    shuffled = np.random.default_rng(FOLD_SEED).permutation(flights)
    by_class = shuffled[np.argsort(delayed[shuffled], kind="stable")]
    fold = np.arange(len(by_class)) % FOLDS
    for number in range(FOLDS):
        yield Split(by_class[fold != number], by_class[fold == number])


def tuning_table(trials: Sequence[Trial]) -> str:
    """The trials as a table in Markdown."""
    names = [*trials[0].parameters, *SCORES]
    rows = [names, ["---"] * len(names)]
    for trial in trials:
        measures = (f"{trial.measures[name]:.4f}" for name in SCORES)
        rows.append([*map(str, trial.parameters.values()), *measures])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _quality(recipe: Recipe, dataset: Dataset, fold: Split) -> Quality:
    model = recipe.fit(dataset.counts(fold.training), dataset.vocabulary)
    predictions = predict_held_out(model, dataset, fold)
    return measure(predictions, model.threshold, replicates=1)
