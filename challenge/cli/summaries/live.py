"""Results of `evaluate --live` on a terminal."""

from __future__ import annotations

from typing import Final

from challenge.cli.tables import interval, rates, show, table
from challenge.training.evaluate.live import LiveEvaluation
from challenge.training.evaluate.metrics import MEASURES

SHOWN: Final = ("roc_auc", "average_precision", "brier", "ece")
HELPING: Final = ("asked … before", "what helps", "aircraft told")


def print_live(live: LiveEvaluation | None) -> None:
    """Print the quality by distance, without and with what was known on the day."""
    if live is None:
        show("There are too few flights that have left to replay them.")
        return
    rows = []
    for one in live.distances:
        told = f"{one.told:.0%}"
        qualities = [
            (one.ahead, "", one.without),
            ("  without the aircraft", told, one.without_aircraft),
            ("  with all that was known", told, one.with_state),
        ]
        rows += [
            [name, share, *rates(q), *(interval(getattr(q, m)) for m in SHOWN)]
            for name, share, q in qualities
            if q is not None
        ]
    headers = ["asked … before", "told", "flights", "delayed", "predicted"]
    helping = [
        [one.ahead, ", ".join(one.groups) or "nothing", f"{one.aircraft_told:.0%}"]
        for one in live.distances
        if one.groups is not None
    ]
    show(
        f"The last {live.held_out:,} flights, asked about with what was known by then, "
        f"after training on the {live.training:,} before: the table alone, and adjusted "
        "by the state of the day.\nIntervals are over days.",
        table([*headers, *(MEASURES[name] for name in SHOWN)], rows),
        table(HELPING, helping, left=HELPING[:2]),
    )
