"""How good the answers given were, once the flights have left: week by week."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np

from challenge.artifact.card import ModelCard
from challenge.files.prediction_log import is_prediction_log
from challenge.training.evaluate.departures import join_departures, read_recorded
from challenge.training.evaluate.metrics import Answers, Estimate, Quality, measure

# What is compared with the model card, and whether more of it is better.
PROMISED: Final = {"roc_auc": True, "ece": False}
WEEK_REPLICATES: Final = 200


@dataclass(frozen=True)
class Promise:
    """A measure now, and what the model card says of it.

    Attributes:
        measure: its name in `Quality`.
        promised: on flights later than those that the model learned from.
        now: on those that were answered.
        is_worse: whether the two intervals do not meet, on the bad side.
    """

    measure: str
    promised: Estimate
    now: Estimate
    is_worse: bool


@dataclass(frozen=True)
class Monitoring:
    """What became of predictions.

    Attributes:
        predictions: how many flights were answered.
        departures: how many flights left.
        quality: of the answers about flights that left.
        weeks: the same by the Monday that the week of the scheduled time begins with.
        promises: each beside the model card's; none if that has no quality.
        unanswered: departures without a prediction.
        unusable: rows of either file without a readable time or probability.
    """

    predictions: int
    departures: int
    quality: Quality
    weeks: dict[date, Quality]
    promises: list[Promise]
    unanswered: int
    unusable: int

    @property
    def is_worse(self) -> bool:
        """Whether anything is worse than promised, by more than chance explains."""
        return any(promise.is_worse for promise in self.promises)

    def to_dict(self) -> dict[str, Any]:
        return {
            "predictions": self.predictions,
            "departures": self.departures,
            "unanswered": self.unanswered,
            "unusable": self.unusable,
            "quality": self.quality.to_dict(),
            "weeks": {str(week): q.to_dict() for week, q in self.weeks.items()},
            "promises": [asdict(promise) for promise in self.promises],
            "is_worse": self.is_worse,
        }


def monitor(
    predictions: str | Path, flights: str | Path, card: ModelCard
) -> Monitoring:
    """Join what was predicted with what happened, and measure it.

    Args:
        predictions: what `challenge.files.answering.score_file` wrote, or any .csv, .csv.gz or
            .parquet file with a column `probability`; or the record of a server.
        flights: the flights as they left, with Fecha-I and Fecha-O.
        card: of the model that answered; the threshold and the promises are its own.

    Raises:
        MissingColumnsError: a file lacks a column.
        TrainingDataError: a file cannot be read, or no flight is in both.
    """
    joined = join_departures(
        read_recorded(predictions) if is_prediction_log(predictions) else predictions,
        flights,
    )
    answers = Answers(joined.probability, joined.delayed)
    quality = measure(answers, card.threshold)
    return Monitoring(
        predictions=joined.predictions,
        departures=joined.departures,
        quality=quality,
        weeks={
            week.item(): measure(
                answers[joined.week == week], card.threshold, WEEK_REPLICATES
            )
            for week in np.unique(joined.week)
        },
        promises=_promises(quality, card),
        unanswered=joined.departures - len(answers),
        unusable=joined.unusable,
    )


def _promises(quality: Quality, card: ModelCard) -> list[Promise]:
    """What the card says of later flights, or else of others, beside what is."""
    metrics = card.metrics or {}
    told = metrics.get("forward") or metrics.get("random")
    if told is None:
        return []
    promises = []
    for name, more_is_better in PROMISED.items():
        promised, now = Estimate(**told[name]), getattr(quality, name)
        if None in (promised.low, promised.high, now.low, now.high):
            continue
        worse = now.high < promised.low if more_is_better else now.low > promised.high
        promises.append(Promise(name, promised, now, worse))
    return promises
