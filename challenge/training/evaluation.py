"""How good a model is on flights that it has not seen."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.model_selection import train_test_split

from challenge.model import DelayModel
from challenge.training.dataset import Dataset

HELD_OUT: Final = 0.33
SPLIT_SEED: Final = 42
_ROWS_TO_SPLIT: Final = 20


@dataclass(frozen=True)
class Quality:
    """Measures of a model's answers on `flights` flights.

    `brier` is the mean squared error of the probability; recall, precision and F1 are
    of the class of delayed flights, at the model's threshold. All are 0 to 1.
    """

    flights: int
    delay_rate: float
    roc_auc: float
    average_precision: float
    brier: float
    recall: float
    precision: float
    f1: float

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def held_out_quality(model: DelayModel, dataset: Dataset) -> Quality | None:
    """Fit the model to two thirds of the flights and measure it on the rest.

    The split is random, stratified by delay, and always the same for the same flights
    in the same order. None when there are too few flights of either kind to split.

    Returns the quality; the model is left fitted to the two thirds.
    """
    if np.bincount(dataset.delayed, minlength=2).min() < _ROWS_TO_SPLIT:
        return None
    positions = np.arange(len(dataset.codes))
    training, held_out = train_test_split(
        positions,
        test_size=HELD_OUT,
        random_state=SPLIT_SEED,
        stratify=dataset.delayed,
    )
    model.fit_counts(dataset.counts(training))
    return measure(model, dataset, held_out)


def measure(model: DelayModel, dataset: Dataset, rows: Any) -> Quality:
    """The quality of a fitted model on the flights at some positions of a dataset."""
    counts = dataset.counts(rows)
    probability = model.probabilities_of(counts.codes).astype(np.float64)
    scores = np.concatenate([probability, probability])
    labels = np.repeat([1, 0], len(probability))
    weights = np.concatenate([counts.delayed, counts.flights - counts.delayed])
    predicted = scores > model.threshold
    hits = float(weights[predicted & (labels == 1)].sum())
    recall = hits / counts.delayed.sum()
    precision = hits / max(float(weights[predicted].sum()), 1.0)
    return Quality(
        flights=counts.total,
        delay_rate=counts.delay_rate,
        roc_auc=float(roc_auc_score(labels, scores, sample_weight=weights)),
        average_precision=float(
            average_precision_score(labels, scores, sample_weight=weights)
        ),
        brier=float(np.average((scores - labels) ** 2, weights=weights)),
        recall=float(recall),
        precision=precision,
        f1=2 * hits / max(float(weights[predicted].sum() + counts.delayed.sum()), 1.0),
    )
