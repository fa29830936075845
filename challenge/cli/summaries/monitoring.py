"""Results of `monitor` and `replay` on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Final

from rich.console import RenderableType
from rich.table import Table

from challenge.cli.tables import columns, interval, rates, show, table
from challenge.training.evaluate.metrics import MEASURES
from challenge.training.evaluate.monitor import Monitoring
from challenge.training.evaluate.replay import Moved, Replay

GROUPS_SHOWN: Final = 12


def print_monitoring(monitoring: Monitoring) -> None:
    """Print the quality by week and in all, compared with the model card."""
    lines = {
        "predicted": f"{monitoring.predictions:,} flights",
        "departed": f"{monitoring.departures:,} flights, {monitoring.unanswered:,} of "
        "them not predicted",
    }
    if monitoring.too_late:
        too_late = (
            f"{monitoring.too_late:,} of these only when they had left or were overdue"
        )
        lines["too late"] = too_late
    if monitoring.unusable:
        rows = f"{monitoring.unusable:,} rows without a time or probability"
        lines["left out"] = rows
    weeks = {str(week): quality for week, quality in monitoring.weeks.items()}
    items: list[RenderableType] = [
        columns(lines.items()),
        table(
            ["week of", "flights", "delayed", "predicted", "ROC AUC", "Brier score"],
            (
                [name, *rates(q), interval(q.roc_auc), interval(q.brier)]
                for name, q in (weeks | {"all": monitoring.quality}).items()
            ),
        ),
    ]
    if not monitoring.promises:
        items.append("The model card promises nothing to compare this with.")
    for promise in monitoring.promises:
        verdict = "WORSE THAN PROMISED" if promise.is_worse else "as promised"
        items.append(
            f"{MEASURES[promise.measure]}: {interval(promise.now)}, promised "
            f"{interval(promise.promised)}: {verdict}"
        )
    show(*items)


def print_replay(replay: Replay) -> None:
    """Print the decisions that change, by how much probabilities do, and the quality."""
    moved = replay.all
    low, middle, high = replay.change
    first, last = (time[:16].replace("T", " ") for time in replay.period)
    models = ", ".join(f"{model} ({n:,})" for model, n in replay.models.items())
    lines = {
        "replayed": f"{moved.answers:,} predictions, {first} to {last} UTC, of {models}",
        "flips": f"{moved.flips:,}: {moved.to_late:,} to late, {moved.to_on_time:,} to "
        f"on time; with unanswered ones {replay.flip_share:.2%}",
        "moved": f"from {moved.logged:.3f} to {moved.candidate:.3f} on average, by "
        f"{replay.mean_change:.3f} up or down; half of them by {middle:+.3f} or more, "
        f"9 in 10 by {low:+.3f} to {high:+.3f}",
    }
    if replay.unanswered:
        faults = ", ".join(
            f"{name} {kind}: {n:,}" for (name, kind), n in replay.faults.items()
        )
        lines["unanswered"] = f"{replay.unanswered:,} ({faults})"
    if replay.too_early:
        lines["too early"] = (
            f"{replay.too_early:,} of a moment before all past flights; give --history"
        )
    items: list[RenderableType] = [columns(lines.items())]
    items += [_moved_table(field, groups) for field, groups in replay.groups.items()]
    if replay.departed and not replay.quality:
        items.append("The flights that left were all late, or all on time.")
    if replay.quality:
        headers = [f"{replay.departed:,} flights that left", "logged", "candidate"]
        rows = [
            [
                MEASURES[name],
                f"{logged:.4f}",
                f"{candidate:.4f}",
                interval(difference, decimals=4, sign="+"),
            ]
            for name, (candidate, logged, difference) in replay.quality.items()
        ]
        items.append(table([*headers, "difference"], rows))
        items.append(f"The candidate is {'WORSE' if replay.is_worse else 'no worse'}.")
    show(*items)


def _moved_table(field: str, groups: Mapping[str, Moved]) -> Table:
    headers = [field, "predictions", "flips", "to late", "to on time"]
    rows = (
        [
            value,
            f"{moved.answers:,}",
            f"{moved.flips:,}",
            f"{moved.to_late:,}",
            f"{moved.to_on_time:,}",
            f"{moved.logged:.1%}",
            f"{moved.candidate:.1%}",
        ]
        for value, moved in islice(groups.items(), GROUPS_SHOWN)
    )
    return table([*headers, "logged", "candidate"], rows)
