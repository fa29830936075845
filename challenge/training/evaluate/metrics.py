"""Measures of a model's predictions, with bootstrap confidence intervals.

All measures are sums over the distinct probabilities, from the highest, so each is one
array expression that serves for the predictions themselves and, along a leading axis,
for all bootstrap replicates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.training.evaluate.bootstrap import CountsByProbability

REPLICATES: Final = 500
INTERVAL: Final = (0.025, 0.975)
CALIBRATION_BINS: Final = 10
TOP_SHARE: Final = 0.1
# A curve is many measures: fewer replicates show how wide its interval is.
CURVE_REPLICATES: Final = 200
# Keeps the log loss finite where a model is certain and wrong.
SMALLEST_PROBABILITY: Final = 1e-7
NO_THRESHOLD: Final = 0.5
# As reports name the estimates in `Quality`.
MEASURES: Final = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "log_loss": "log loss",
    "ece": "calibration error",
    "lift_at_10": "lift at 10 %",
    "precision_at_10": "precision at 10 %",
    "recall": "recall of delays",
    "precision": "precision of delays",
    "f1": "F1 of delays",
    "on_time_recall": "recall of on time",
    "on_time_precision": "precision of on time",
    "on_time_f1": "F1 of on time",
}


@dataclass(frozen=True)
class Predictions:
    """What a model predicted of some flights, and what happened.

    Attributes:
        probability: of a delay, shape (flights,), 0 to 1.
        delayed: 1 for a delayed flight, else 0, shape (flights,).
        days: the day of each flight, shape (flights,); None where it does not matter.
    """

    probability: NDArray[np.floating]
    delayed: NDArray[np.int8]
    days: NDArray[np.datetime64] | None = None

    def __len__(self) -> int:
        return len(self.delayed)

    def __getitem__(self, flights: NDArray[Any]) -> Predictions:
        days = None if self.days is None else self.days[flights]
        return Predictions(self.probability[flights], self.delayed[flights], days)

    @property
    def has_both_classes(self) -> bool:
        return has_both_classes(self.delayed)


def has_both_classes(delayed: NDArray[np.int8]) -> bool:
    """Whether some flights are delayed, and some are not."""
    return 0 < int(delayed.sum()) < len(delayed)


@dataclass(frozen=True)
class Estimate:
    """A measure and its 95 % interval; None where the flights do not define it."""

    value: float | None
    low: float | None
    high: float | None


class Difference(NamedTuple):
    """A measure of two models on the same flights: `one` less `other`, with the 95 %
    interval of that."""

    one: float
    other: float
    difference: Estimate


@dataclass(frozen=True)
class Confusion:
    """Flights by what was predicted and what happened."""

    on_time_as_on_time: int
    on_time_as_delayed: int
    delayed_as_on_time: int
    delayed_as_delayed: int


@dataclass(frozen=True)
class Quality:
    """How good predictions are.

    `brier` is the mean squared error of the probability, `log_loss` is in nats, `ece`
    the expected calibration error over ten bins of equal width. Recall, precision and
    F1 are those of the delayed flights at the threshold, and with `on_time_` before
    the name those of the others. At 10 % means among the tenth of the flights with the
    highest probabilities; lift is the share of delays there over that among all.
    """

    flights: int
    delay_rate: float
    mean_probability: float
    threshold: float
    confusion: Confusion
    roc_auc: Estimate
    average_precision: Estimate
    brier: Estimate
    log_loss: Estimate
    ece: Estimate
    lift_at_10: Estimate
    precision_at_10: Estimate
    recall: Estimate
    precision: Estimate
    f1: Estimate
    on_time_recall: Estimate
    on_time_precision: Estimate
    on_time_f1: Estimate

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def measure(
    predictions: Predictions, threshold: float, replicates: int = REPLICATES
) -> Quality:
    """The quality of at least one prediction; those above the threshold are warnings.

    The intervals are percentiles of the measures over bootstrap replicates: as many
    days, drawn with replacement (Efron, 1979), always with the same seed, as the flights
    of a day are late together. Of predictions that tell no days, flights are drawn; such
    intervals are too narrow.
    """
    counted = _counted(predictions)
    values = _measures(counted.probability, counted.whole(), threshold)
    replicated = [
        _measures(counted.probability, sample, threshold)
        for sample in counted.replicates(replicates)
    ]
    estimates = {
        name: _estimate(
            float(value), np.concatenate([measures[name] for measures in replicated])
        )
        for name, value in values.items()
    }
    # As wide as the threshold, or a probability just above it might not be.
    warned = predictions.probability.astype(np.float64) > threshold
    late = predictions.delayed == 1
    return Quality(
        flights=len(predictions),
        delay_rate=float(late.mean()),
        mean_probability=float(predictions.probability.mean()),
        threshold=threshold,
        confusion=Confusion(
            on_time_as_on_time=int((~warned & ~late).sum()),
            on_time_as_delayed=int((warned & ~late).sum()),
            delayed_as_on_time=int((~warned & late).sum()),
            delayed_as_delayed=int((warned & late).sum()),
        ),
        **estimates,
    )


def compare_predictions(
    predictions: Predictions, others: Predictions, measures: Sequence[str]
) -> dict[str, Difference]:
    """Compare two models on the same flights, among which are both classes.

    Each replicate draws the same flights for both (a paired bootstrap), so that what
    makes a flight hard to predict cancels out.

    Args:
        predictions, others: of the two, for the same flights in the same order.
        measures: names of estimates in `Quality` that need no threshold.
    """
    one, other = _counted(predictions), _counted(others)
    pairs = zip(one.replicates(REPLICATES), other.replicates(REPLICATES), strict=True)
    replicates = [
        (
            _measures(one.probability, of_one, NO_THRESHOLD),
            _measures(other.probability, of_other, NO_THRESHOLD),
        )
        for of_one, of_other in pairs
    ]
    ours, theirs = (
        _measures(counted.probability, counted.whole(), NO_THRESHOLD)
        for counted in (one, other)
    )
    return {
        name: Difference(
            float(ours[name]),
            float(theirs[name]),
            _estimate(
                float(ours[name] - theirs[name]),
                np.concatenate([mine[name] - its[name] for mine, its in replicates]),
            ),
        )
        for name in measures
    }


def average_precision_of(predictions: Predictions) -> float:
    """The average precision of predictions for flights of both classes."""
    return float(average_precision(_counted(predictions).whole()))


def roc_auc(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The chance that a delayed flight has a higher probability than another one.

    Equal probabilities count half (Hanley and McNeil, 1982).

    Args:
        counts: flights on time and delayed at each distinct probability, the highest
            first, shape (…, probabilities, 2).
    """
    on_time, delayed = counts[..., 0], counts[..., 1]
    above = np.cumsum(delayed, axis=-1) - delayed
    pairs = (on_time * (above + delayed / 2)).sum(axis=-1)
    return _ratio(pairs, delayed.sum(axis=-1) * on_time.sum(axis=-1))


def average_precision(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """The precision at each probability, weighted by the recall that it adds.

    `counts` are those that `roc_auc` takes.
    """
    delayed = counts[..., 1]
    warned = np.cumsum(counts.sum(axis=-1), axis=-1)
    # Where a replicate has no flight yet there is no delayed one to weigh either.
    precision = np.cumsum(delayed, axis=-1) / np.maximum(warned, 1)
    return _ratio((precision * delayed).sum(axis=-1), delayed.sum(axis=-1))


def recall_at(counts: NDArray[np.int64], share: float) -> NDArray[np.float64]:
    """The recall when a share of the flights is selected, the highest first.

    Among flights of equal probability, those needed are selected at random.

    Args:
        counts: those that `roc_auc` takes.
        share: of the flights, 0 to 1.
    """
    flights, delayed = counts.sum(axis=-1), counts[..., 1]
    reached = np.cumsum(flights, axis=-1)
    needed = share * reached[..., -1:]
    selected = np.clip(needed - (reached - flights), 0, flights)
    return _ratio(
        (delayed * selected / np.maximum(flights, 1)).sum(axis=-1), delayed.sum(axis=-1)
    )


def cumulative_gains_curve(
    predictions: Predictions, shares: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The cumulative gains curve: the recall at each share of the flights selected.

    Returns:
        value, low and high, each of shape (shares,); intervals as of `measure`.
    """
    counted = _counted(predictions)
    whole, replicates = counted.whole(), list(counted.replicates(CURVE_REPLICATES))
    estimates = [
        _estimate(
            float(recall_at(whole, share)),
            np.concatenate([recall_at(sample, share) for sample in replicates]),
        )
        for share in shares.tolist()
    ]
    value, low, high = (
        np.array([getattr(one, name) for one in estimates], dtype=np.float64)
        for name in ("value", "low", "high")
    )
    return value, low, high


def _counted(predictions: Predictions) -> CountsByProbability:
    return CountsByProbability.of(
        predictions.probability, predictions.delayed, predictions.days
    )


def _measures(
    probability: NDArray[np.float64], counts: NDArray[np.int64], threshold: float
) -> dict[str, NDArray[np.float64]]:
    on_time, delayed = counts[..., 0], counts[..., 1]
    flights = counts.sum(axis=(-1, -2))
    on_times, delays = on_time.sum(axis=-1), delayed.sum(axis=-1)
    certain = np.clip(probability, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    warned = int((probability > threshold).sum())
    hits, false_alarms = (
        side[..., :warned].sum(axis=-1) for side in (delayed, on_time)
    )
    top_recall = recall_at(counts, TOP_SHARE)
    return {
        "roc_auc": roc_auc(counts),
        "average_precision": average_precision(counts),
        "brier": (delayed @ (1 - probability) ** 2 + on_time @ probability**2)
        / flights,
        "log_loss": -(delayed @ np.log(certain) + on_time @ np.log(1 - certain))
        / flights,
        "ece": _calibration_error(probability, counts) / flights,
        "lift_at_10": top_recall / TOP_SHARE,
        "precision_at_10": top_recall / TOP_SHARE * _ratio(delays, flights),
        "recall": _ratio(hits, delays),
        "precision": _ratio(hits, hits + false_alarms),
        "f1": _ratio(2 * hits, hits + false_alarms + delays),
        "on_time_recall": _ratio(on_times - false_alarms, on_times),
        "on_time_precision": _ratio(
            on_times - false_alarms, flights - hits - false_alarms
        ),
        "on_time_f1": _ratio(
            2 * (on_times - false_alarms), flights - hits - false_alarms + on_times
        ),
    }


def _calibration_error(
    probability: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The sum over the bins of |delays - expected delays| (Naeini et al., 2015)."""
    bins = calibration_bin(probability)
    surplus = counts[..., 1] - counts.sum(axis=-1) * probability
    in_bin = bins[:, np.newaxis] == np.arange(CALIBRATION_BINS)
    error: NDArray[np.float64] = np.abs(surplus @ in_bin).sum(axis=-1)
    return error


def calibration_bin(probability: NDArray[np.floating]) -> NDArray[np.int64]:
    """Which of the ten bins of equal width a probability is in; 1 is in the last."""
    bins = (probability * CALIBRATION_BINS).astype(np.int64)
    return np.minimum(bins, CALIBRATION_BINS - 1)


def _ratio(part: NDArray[Any], whole: NDArray[Any]) -> NDArray[np.float64]:
    """NaN where the whole is 0: there is nothing to take a share of."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.true_divide(part, whole), dtype=np.float64)


def _estimate(value: float, replicates: NDArray[np.float64]) -> Estimate:
    if np.isnan(value):
        return Estimate(None, None, None)
    defined = replicates[~np.isnan(replicates)]
    low, high = np.quantile(defined, INTERVAL) if defined.size else (value, value)
    return Estimate(value, float(low), float(high))
