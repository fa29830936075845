"""What training and evaluation found, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from challenge.training.data.dataset import Dataset
from challenge.training.evaluate.evaluation import Evaluation
from challenge.training.evaluate.metrics import MEASURES, Estimate, Quality
from challenge.training.evaluate.monitor import Monitoring
from challenge.training.evaluate.replay import Moved, Replay
from challenge.training.form import Rolling, Update
from challenge.training.train import Training

OUTCOMES: Final = {
    "delayed_as_delayed": "delays warned of",
    "delayed_as_on_time": "delays missed",
    "on_time_as_delayed": "false alarms",
    "on_time_as_on_time": "rightly left alone",
}
ROLLING: Final = ("roc_auc", "average_precision", "brier", "ece")
MOVED_SHOWN: Final = 5
GROUPS_SHOWN: Final = 12
SPLITS: Final = {"random": "random third", "forward": "last third by date"}


def training_summary(training: Training, output: str | Path) -> str:
    """Rows, what was rejected, quality on held-out flights, and where the model is."""
    lines = list(_dataset_lines(training.dataset))
    if not training.results:
        lines.append("held out   none: too few flights to measure the model on")
    for name, judged in training.results.items():
        quality = judged.quality
        lines += [
            f"{name:9}  {quality.flights:,} flights held out, "
            f"{quality.delay_rate:.1%} delayed: "
            f"ROC AUC {_interval(quality.roc_auc)}, "
            f"average precision {_interval(quality.average_precision)}, "
            f"Brier score {_number(quality.brier, 4)}",
            f"           of delays: recall {_number(quality.recall, 2)}, "
            f"precision {_number(quality.precision, 2)}, F1 {_number(quality.f1, 2)}; "
            f"calibration error {_number(quality.ece, 4)}",
        ]
    if training.comparison is not None:
        lines.append(f"baseline   {training.comparison}")
    lines.append(f"threshold  {training.threshold:.3f}")
    lines.append(f"model      {output} ({training.fingerprint[:12]})")
    return "\n".join(lines)


def evaluation_summary(evaluation: Evaluation) -> str:
    """All of an evaluation as tables."""
    recipe = evaluation.recipe
    parts = [
        "\n".join(
            [
                *_dataset_lines(evaluation.dataset),
                f"model      {recipe.classifier} over the features {recipe.features!r}, "
                f"threshold {evaluation.rule}",
                "           fitted anew for each split and judged by the held-out part",
            ]
        )
    ]
    qualities = {
        SPLITS[name]: judged.quality for name, judged in evaluation.results.items()
    }
    if evaluation.as_it_is is not None:
        qualities["the model as it is"] = evaluation.as_it_is
    if not qualities:
        parts.append("There are too few flights to measure a model on.")
    else:
        parts.append(_quality_table(qualities))
    if evaluation.as_it_is is not None and evaluation.may_have_seen:
        parts.append(
            "The model as it is may have been trained on some of these flights, which\n"
            "would make it look better than it is."
        )
    if evaluation.results:
        parts.append(_comparison_table(evaluation.comparison))
    for split, judged in evaluation.results.items():
        for field, groups in judged.groups.items():
            parts.append(_group_table(f"{field}, {SPLITS[split]}", groups))
    return "\n\n".join(parts)


def rolling_summary(rolling: Rolling | None) -> str:
    """The last months played day by day, without and with recent form."""
    if rolling is None:
        return "There are too few flights with a time to play them day by day."
    settings = rolling.settings
    rows = [
        ["", "flights", "delayed", "predicted", *(MEASURES[name] for name in ROLLING)]
    ]
    pairs = rolling.months | {"all": (rolling.without, rolling.with_form)}
    for month, (without, with_form) in pairs.items():
        for name, quality in ((month, without), ("  with form", with_form)):
            rows.append(
                [
                    name,
                    f"{quality.flights:,}",
                    f"{quality.delay_rate:.1%}",
                    f"{quality.mean_probability:.1%}",
                    *(_interval(getattr(quality, measure)) for measure in ROLLING),
                ]
            )
    return (
        "The months after training, day by day, without recent form and with one that is\n"
        f"updated each night: of the last {settings.window_days} days, prior "
        f"{settings.prior:g}, half-life {settings.half_life_days:g} days,\n"
        "as chosen on the flights before.\n\n" + _table(rows)
    )


def update_summary(update: Update, output: str | Path) -> str:
    """What moves now, and by how much."""
    form, settings = update.form, update.settings
    lines = [
        f"used       {form.flights:,} of {update.flights:,} flights, of the last "
        f"{settings.window_days} days until {form.until}",
    ]
    if update.unknown:
        lines.append(
            f"unknown    {update.unknown:,} flights that the model cannot know"
        )
    for title, offsets in (
        ("airlines", form.airlines),
        ("routes", form.destinations),
    ):
        most = sorted(offsets.items(), key=lambda item: -abs(item[1]))[:MOVED_SHOWN]
        moved = ", ".join(f"{name} {offset:+.2f}" for name, offset in most)
        lines.append(f"{title:9}  {moved or 'none moved'}")
    lines.append(f"model      {output} ({update.fingerprint[:12]})")
    return "\n".join(lines)


def monitoring_summary(monitoring: Monitoring) -> str:
    """The quality by week and in all, and whether the model card is kept."""
    rows = [
        ["week of", "flights", "delayed", "predicted", "ROC AUC", "Brier score"],
    ]
    qualities = {str(week): q for week, q in monitoring.weeks.items()}
    for name, quality in (qualities | {"all": monitoring.quality}).items():
        rows.append(
            [
                name,
                f"{quality.flights:,}",
                f"{quality.delay_rate:.1%}",
                f"{quality.mean_probability:.1%}",
                _interval(quality.roc_auc),
                _interval(quality.brier),
            ]
        )
    lines = [
        f"predicted  {monitoring.predictions:,} flights",
        f"departed   {monitoring.departures:,} flights, "
        f"{monitoring.unanswered:,} of them not predicted",
    ]
    if monitoring.unusable:
        lines.append(
            f"left out   {monitoring.unusable:,} rows without a time or probability"
        )
    parts = ["\n".join(lines), _table(rows)]
    if not monitoring.promises:
        parts.append("The model card promises nothing to compare this with.")
    for promise in monitoring.promises:
        verdict = "WORSE THAN PROMISED" if promise.is_worse else "as promised"
        parts.append(
            f"{MEASURES[promise.measure]}: {_interval(promise.now)}, promised "
            f"{_interval(promise.promised)}: {verdict}"
        )
    return "\n\n".join(parts)


def replay_summary(replay: Replay) -> str:
    """What flips and where, how far answers move, and which were better."""
    moved = replay.all
    low, middle, high = replay.change
    first, last = (time[:16].replace("T", " ") for time in replay.period)
    lines = [
        f"replayed   {moved.answers:,} answers, {first} to {last} UTC, of "
        + ", ".join(f"{model} ({n:,})" for model, n in replay.models.items()),
        f"flips      {moved.flips:,}: {moved.to_late:,} to late, {moved.to_on_time:,} to "
        f"on time; with unanswered ones {replay.flip_share:.2%}",
        f"moved      from {moved.recorded:.3f} to {moved.candidate:.3f} on average, by "
        f"{replay.mean_change:.3f} up or down; half of them by {middle:+.3f} or more, "
        f"9 in 10 by {low:+.3f} to {high:+.3f}",
    ]
    if replay.unanswered:
        told = ", ".join(
            f"{name} {kind}: {n:,}" for (name, kind), n in replay.faults.items()
        )
        lines.append(f"unanswered {replay.unanswered:,} ({told})")
    parts = ["\n".join(lines)]
    parts += [_moved_table(field, groups) for field, groups in replay.groups.items()]
    if replay.departed and not replay.quality:
        parts.append("The flights that left were all late, or all on time.")
    if replay.quality:
        rows = [[f"{replay.departed:,} flights that left", "recorded", "candidate", ""]]
        for name, compared in replay.quality.items():
            one, other, difference = compared
            rows.append(
                [MEASURES[name], f"{other:.4f}", f"{one:.4f}", _signed(difference)]
            )
        parts.append(_table(rows))
        parts.append(f"The candidate is {'WORSE' if replay.is_worse else 'no worse'}.")
    return "\n\n".join(parts)


def _moved_table(field: str, groups: Mapping[str, Moved]) -> str:
    rows = [[field, "answers", "flips", "to late", "to on time", "recorded", "now"]]
    for value, moved in list(groups.items())[:GROUPS_SHOWN]:
        rows.append(
            [
                value,
                f"{moved.answers:,}",
                f"{moved.flips:,}",
                f"{moved.to_late:,}",
                f"{moved.to_on_time:,}",
                f"{moved.recorded:.1%}",
                f"{moved.candidate:.1%}",
            ]
        )
    return _table(rows)


def _dataset_lines(dataset: Dataset) -> Iterable[str]:
    yield f"read       {dataset.rows:,} rows of {dataset.name}"
    rejected = "none"
    if dataset.rejected:
        rejected = str(dataset.counted.rejected)
    yield f"rejected   {rejected}"
    if dataset.every > 1:
        yield f"measured   on a sample of {len(dataset.codes):,} of the flights"
    if dataset.period is not None:
        yield f"period     {' to '.join(dataset.period)}"


def _quality_table(qualities: Mapping[str, Quality]) -> str:
    rows: list[list[str]] = [["", *qualities]]
    columns = list(qualities.values())
    rows.append(["flights", *(f"{q.flights:,}" for q in columns)])
    rows.append(["delayed", *(f"{q.delay_rate:.1%}" for q in columns)])
    rows.append(["predicted", *(f"{q.mean_probability:.1%}" for q in columns)])
    for name, title in MEASURES.items():
        cells = (_interval(getattr(q, name), decimals=4) for q in columns)
        rows.append([title, *cells])
    rows.append(["threshold", *(f"{q.threshold:.4f}" for q in columns)])
    for name, title in OUTCOMES.items():
        rows.append([title, *(f"{getattr(q.confusion, name):,}" for q in columns)])
    return _table(rows)


def _comparison_table(comparison: Mapping[str, Mapping[str, Quality]]) -> str:
    measures = ("roc_auc", "average_precision", "brier", "recall", "f1")
    rows = [["the same flights", "split", *(MEASURES[name] for name in measures)]]
    for model, by_split in comparison.items():
        for split, quality in by_split.items():
            cells = (_number(getattr(quality, name), 4) for name in measures)
            rows.append([model, split, *cells])
    return _table(rows)


def _group_table(title: str, groups: Mapping[str, Quality]) -> str:
    rows = [[title, "flights", "delayed", "predicted", "ROC AUC", "Brier score", "F1"]]
    for value, quality in groups.items():
        rows.append(
            [
                value,
                f"{quality.flights:,}",
                f"{quality.delay_rate:.1%}",
                f"{quality.mean_probability:.1%}",
                _interval(quality.roc_auc),
                _interval(quality.brier),
                _interval(quality.f1),
            ]
        )
    return _table(rows)


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Columns under each other, the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for first, *others in rows:
        cells = [first.ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(others, widths[1:])]
        lines.append("  ".join(cells).rstrip())
    rule = "-" * max(map(len, lines))
    return "\n".join([lines[0], rule, *lines[1:]])


def _number(estimate: Estimate, decimals: int = 3) -> str:
    return "-" if estimate.value is None else f"{estimate.value:.{decimals}f}"


def _signed(estimate: Estimate) -> str:
    if estimate.value is None:
        return "-"
    return f"{estimate.value:+.4f} ({estimate.low:+.4f} to {estimate.high:+.4f})"


def _interval(estimate: Estimate, decimals: int = 3) -> str:
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return "-"
    return (
        f"{estimate.value:.{decimals}f} "
        f"({estimate.low:.{decimals}f} to {estimate.high:.{decimals}f})"
    )
