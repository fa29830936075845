"""Training and held-out flights, as positions in a dataset."""

from __future__ import annotations

from math import ceil
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.training.data.dataset import Dataset

HELD_OUT_SHARE: Final = 0.33
SPLIT_SEED: Final = 42
TRAINING_SHARE: Final = 0.67


class Split(NamedTuple):
    """Positions of flights, none of them in both parts."""

    training: NDArray[np.intp]
    held_out: NDArray[np.intp]


def random_split(dataset: Dataset) -> Split | None:
    """The notebook's split: a random third held out, of the rows in their order.

    It is scikit-learn's `train_test_split(test_size=0.33, random_state=42)`, which
    does not stratify. None if a part has flights of one class only: there are too few.
    """
    flights = len(dataset.codes)
    shuffled = np.random.RandomState(SPLIT_SEED).permutation(flights)
    held_out = ceil(flights * HELD_OUT_SHARE)
    return _usable(dataset, Split(shuffled[held_out:], shuffled[:held_out]))


def forward_split(
    dataset: Dataset, flights: NDArray[np.intp] | None = None
) -> Split | None:
    """The first 67 % of the flights by scheduled time to train on, the later held out.

    Flights without a time are in neither part. None as in `random_split`.

    Args:
        dataset: the flights.
        flights: the positions of those to divide; all by default.
    """
    if flights is None:
        flights = np.arange(len(dataset.codes))
    timed = flights[~np.isnat(dataset.scheduled[flights])]
    order = timed[np.argsort(dataset.scheduled[timed], kind="stable")]
    past = int(len(order) * TRAINING_SHARE)
    return _usable(dataset, Split(order[:past], order[past:]))


def _usable(dataset: Dataset, split: Split) -> Split | None:
    parts = (dataset.delayed[part] for part in split)
    both_classes = all(0 < part.sum() < len(part) for part in parts)
    return split if both_classes else None
