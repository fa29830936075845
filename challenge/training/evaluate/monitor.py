"""How good past predictions were, once the flights have left, week by week."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from challenge.artifact.card import ModelCard
from challenge.files.formats import ReadOptions
from challenge.files.prediction_log import is_prediction_log
from challenge.training.evaluate.departures import join_departures, read_logged
from challenge.training.evaluate.metrics import Estimate, Predictions, Quality, measure

# The measures compared with the model card, and whether higher is better.
PROMISED: Final = {"roc_auc": True, "ece": False}
WEEK_REPLICATES: Final = 200


@dataclass(frozen=True)
class Promise:
    """A measure now, and in the model card.

    Attributes:
        measure: its name in `Quality`.
        promised: its value in the model card, on held-out flights.
        now: its value on the flights predicted.
        is_worse: whether the interval of `now` lies wholly on the worse side of that
            of `promised`.
    """

    measure: str
    promised: Estimate
    now: Estimate
    is_worse: bool


@dataclass(frozen=True)
class Monitoring:
    """The quality of predictions, in all and by week, beside the model card's.

    Attributes:
        predictions: the number of predictions.
        departures: the number of flights that left.
        unanswered: departures without a prediction.
        unusable: rows of either file without a readable time or probability.
        too_late: departures among the unanswered for which there are only predictions
            that were made when they were known to have left, or behind the clock.
        quality: of the predictions for flights that left.
        weeks: the same by the Monday of the week of the scheduled time.
        promises: measures beside the model card's; empty if the card has none.
    """

    predictions: int
    departures: int
    unanswered: int
    unusable: int
    too_late: int
    quality: Quality
    weeks: dict[date, Quality]
    promises: list[Promise]

    @property
    def is_worse(self) -> bool:
        """Whether any measure is worse than promised, by more than chance explains."""
        return any(promise.is_worse for promise in self.promises)

    def to_dict(self) -> dict[str, Any]:
        weeks = {str(week): quality.to_dict() for week, quality in self.weeks.items()}
        return asdict(self) | {"weeks": weeks, "is_worse": self.is_worse}


def monitor(
    predictions: str | Path,
    flights: str | Path,
    card: ModelCard,
    options: ReadOptions = ReadOptions(),
) -> Monitoring:
    """Join predictions with departures, and measure their quality.

    Args:
        predictions: what `challenge.files.answering.predict_file` wrote, or any
            file of flights with a column `probability`; or the prediction log of a server.
        flights: the flights as they left, with Fecha-I and Fecha-O.
        card: of the model that predicted, for its threshold and its promises.
        options: how the files are to be read.

    Raises:
        MissingColumnsError: a file lacks a column.
        TrainingDataError: a file cannot be read, or no flight is in both.
    """
    joined = join_departures(
        read_logged(predictions) if is_prediction_log(predictions) else predictions,
        flights,
        options,
    )
    joined_predictions = Predictions(joined.probability, joined.delayed)
    quality = measure(joined_predictions, card.threshold)
    return Monitoring(
        predictions=joined.predictions,
        departures=joined.departures,
        quality=quality,
        weeks={
            week.item(): measure(
                joined_predictions[joined.week == week], card.threshold, WEEK_REPLICATES
            )
            for week in np.unique(joined.week)
        },
        promises=_promises(quality, card),
        unanswered=joined.departures - len(joined_predictions),
        unusable=joined.unusable,
        too_late=joined.too_late,
    )


def _promises(quality: Quality, card: ModelCard) -> list[Promise]:
    """The card's measures on later flights, or else on random ones, beside those now."""
    metrics = card.metrics or {}
    promised_metrics = metrics.get("forward") or metrics.get("random")
    if promised_metrics is None:
        return []
    promises = []
    for name, more_is_better in PROMISED.items():
        promised, now = Estimate(**promised_metrics[name]), getattr(quality, name)
        if None in (promised.low, promised.high, now.low, now.high):
            continue
        worse = now.high < promised.low if more_is_better else now.low > promised.high
        promises.append(Promise(name, promised, now, worse))
    return promises
