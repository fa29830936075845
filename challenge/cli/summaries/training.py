"""Results of `train` and `update` on a terminal."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from challenge.artifact.card import SAMPLE_DATA
from challenge.cli.tables import columns, interval, number, show
from challenge.files.history import Update
from challenge.flights.fields import ORIGIN
from challenge.live.history import KEPT_DAYS
from challenge.training.data.dataset import Dataset
from challenge.training.evaluate.metrics import Quality
from challenge.training.train import Training

NAMES_SHOWN: Final = 8


def print_training(training: Training, output: Path) -> None:
    """Print the rows, the quality on held-out flights, and the model file."""
    lines = dict(dataset_lines(training.dataset))
    if not training.results:
        lines["held out"] = "none: too few flights to evaluate the model on"
    for name, judged in training.results.items():
        lines[name] = _quality_text(judged.quality)
    if training.comparison is not None:
        lines["baseline"] = str(training.comparison)
    lines["threshold"] = f"{training.threshold:.3f}"
    lines["model"] = f"{output} ({training.fingerprint[:12]})"
    show(columns(lines.items()))


def print_update(update: Update, output: Path) -> None:
    """Print how many flights the model keeps, and until when."""
    history = update.history
    assert history.clock is not None
    until = datetime.fromtimestamp(history.clock, UTC)
    lines = {
        "flights": f"{len(history):,} of {update.flights:,}, of the last {KEPT_DAYS} days "
        f"until {until:%Y-%m-%d %H:%M} UTC",
    }
    if update.left_out:
        lines["left out"] = (
            f"{update.left_out:,} flights without a time, that were cancelled, or of an "
            "airline that the model does not know"
        )
    lines["model"] = f"{output} ({update.fingerprint[:12]})"
    show(columns(lines.items()))


def dataset_lines(dataset: Dataset) -> Iterator[tuple[str, str]]:
    """Names and values that describe a dataset."""
    yield "read", f"{dataset.rows:,} rows of {dataset.name}"
    if dataset.is_sample:
        yield "data", SAMPLE_DATA
    counted = dataset.counted
    yield "format", counted.format
    yield "rejected", str(counted.rejected) if dataset.rejected else "none"
    if counted.left_out:
        yield "left out", left_out_text(counted.left_out)
    if dataset.every > 1:
        yield "evaluated", f"on a sample of {len(dataset.codes):,} of the flights"
    if dataset.period is not None:
        yield "period", " to ".join(dataset.period)
    if counted.vocabulary[ORIGIN]:
        yield "from", names_text(counted.vocabulary[ORIGIN])
    yield "time zone", zones_text(counted.time_zones, counted.skipped_times)


def left_out_text(left_out: Mapping[str, int]) -> str:
    """Flights that are not learned from, like "1,203 cancelled, 12 diverted"."""
    return ", ".join(f"{flights:,} {reason}" for reason, flights in left_out.items())


def names_text(names: Collection[str]) -> str:
    """Some names, the first few if there are many."""
    shown = ", ".join(list(names)[:NAMES_SHOWN])
    more = len(names) - NAMES_SHOWN
    return f"{shown} and {more} more" if more > 0 else shown


def zones_text(zones: Mapping[str, str], skipped_times: int) -> str:
    """The time zones of origins, and what was found at changes of the clock."""
    distinct = sorted(set(zones.values()))
    if not distinct:
        return "not known; a change of the clock is not taken into account (--timezone)"
    if not skipped_times:
        return names_text(distinct)
    noun = "flight has a time" if skipped_times == 1 else "flights have a time"
    return (
        f"{names_text(distinct)}; {skipped_times:,} {noun} that the clock skipped, "
        "which is taken for the hour after"
    )


def _quality_text(quality: Quality) -> str:
    return (
        f"{quality.flights:,} flights held out, {quality.delay_rate:.1%} delayed: "
        f"ROC AUC {interval(quality.roc_auc)}, "
        f"average precision {interval(quality.average_precision)}, "
        f"Brier score {number(quality.brier, 4)}\n"
        f"of delays: recall {number(quality.recall, 2)}, "
        f"precision {number(quality.precision, 2)}, F1 {number(quality.f1, 2)}; "
        f"calibration error {number(quality.ece, 4)}"
    )
