"""Results of `evaluate` on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from rich.console import RenderableType
from rich.table import Table

from challenge.cli.summaries.training import dataset_lines
from challenge.cli.tables import columns, interval, number, rates, show, table
from challenge.training.evaluate.evaluation import Evaluation
from challenge.training.evaluate.metrics import MEASURES, Quality

OUTCOMES: Final = {
    "delayed_as_delayed": "delays caught",
    "delayed_as_on_time": "delays missed",
    "on_time_as_delayed": "false alarms",
    "on_time_as_on_time": "on time as predicted",
}
COMPARED: Final = ("roc_auc", "average_precision", "brier", "recall", "f1")
SPLITS: Final = {"random": "random third", "forward": "last third by date"}


def print_evaluation(evaluation: Evaluation, asked: Quality | None = None) -> None:
    """Print the quality on each split, other classifiers, and groups of flights.

    Args:
        evaluation: what is printed.
        asked: of the model as it is, with what was known before the flights left.
    """
    recipe = evaluation.recipe
    about = (
        f"{recipe.classifier} over the features {recipe.features!r}, threshold "
        f"{evaluation.rule}\ntrained anew for each split and evaluated on its held-out "
        "flights"
    )
    items: list[RenderableType] = [
        columns([*dataset_lines(evaluation.dataset), ("model", about)])
    ]
    qualities = {
        SPLITS[name]: judged.quality for name, judged in evaluation.results.items()
    }
    if evaluation.as_it_is is not None:
        qualities["the model as it is"] = evaluation.as_it_is
    if asked is not None:
        qualities["with what was known"] = asked
    if qualities:
        items.append(_quality_table(qualities))
    else:
        items.append("There are too few flights to evaluate a model on.")
    if evaluation.as_it_is is not None and evaluation.may_have_seen:
        items.append(
            "The model as it is may have been trained on some of these flights, which "
            "would make it look better than it is."
        )
    if evaluation.results:
        items.append(_comparison_table(evaluation.comparison))
    for split, judged in evaluation.results.items():
        for field, groups in judged.groups.items():
            items.append(_group_table(f"{field}, {SPLITS[split]}", groups))
    show(*items)


def _quality_table(qualities: Mapping[str, Quality]) -> Table:
    values = qualities.values()
    names = ("flights", "delayed", "predicted")
    rows = [
        [name, *cells] for name, *cells in zip(names, *map(rates, values), strict=True)
    ]
    for name, title in MEASURES.items():
        rows.append([title, *(interval(getattr(q, name), decimals=4) for q in values)])
    rows.append(["threshold", *(f"{q.threshold:.4f}" for q in values)])
    for name, title in OUTCOMES.items():
        rows.append([title, *(f"{getattr(q.confusion, name):,}" for q in values)])
    return table(["", *qualities], rows)


def _comparison_table(comparison: Mapping[str, Mapping[str, Quality]]) -> Table:
    headers = ["the same flights", "split", *(MEASURES[name] for name in COMPARED)]
    rows = [
        [model, split, *(number(getattr(quality, name), 4) for name in COMPARED)]
        for model, by_split in comparison.items()
        for split, quality in by_split.items()
    ]
    return table(headers, rows, left=headers[:2])


def _group_table(title: str, groups: Mapping[str, Quality]) -> Table:
    headers = [title, "flights", "delayed", "predicted", "ROC AUC", "Brier score", "F1"]
    rows = [
        [value, *rates(q), interval(q.roc_auc), interval(q.brier), interval(q.f1)]
        for value, q in groups.items()
    ]
    return table(headers, rows)
