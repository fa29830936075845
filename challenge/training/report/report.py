"""An evaluation as one HTML page with pictures, which needs no network to be read."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import jinja2
import numpy as np

from challenge.artifact import atomic
from challenge.artifact.card import SAMPLE_DATA
from challenge.errors import FlightProphetError
from challenge.training.evaluate.effects import effects, heat_map, importances
from challenge.training.evaluate.evaluation import Evaluation
from challenge.training.evaluate.live import LiveEvaluation
from challenge.training.evaluate.metrics import MEASURES, Estimate, Quality
from challenge.training.report import charts as figures

TEMPLATE: Final = "report.html.jinja"
TILES: Final = ("roc_auc", "average_precision", "brier", "ece", "recall", "f1")
COMPARISON_MEASURES: Final = ("roc_auc", "average_precision", "brier", "recall", "f1")
SPLIT_NAMES: Final = {"random": "a random third", "forward": "the last third by date"}
GROUP_NAMES: Final = {"OPERA": "airline", "MES": "month", "SIGLADES": "destination"}
# Of these a lower value is better.
_LOWER: Final = ("brier", "log_loss", "ece")


def write_report(
    evaluation: Evaluation, output: str | Path, live: LiveEvaluation | None = None
) -> None:
    """Write the page in one step; its folder is made when missing.

    Args:
        evaluation: what it shows.
        output: the file.
        live: the same flights, asked about again as the days went.

    Raises:
        FlightProphetError: it cannot be written; an old one is as it was.
    """
    path = Path(output)
    page = render(evaluation, live)
    try:
        atomic.replace(path, page.encode())
    except OSError as error:
        problem = f"report {str(path)!r} cannot be written: {error.strerror}"
        raise FlightProphetError(problem) from error


def render(evaluation: Evaluation, live: LiveEvaluation | None = None) -> str:
    """The page as text; the same evaluation gives the same."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True
    )
    environment.filters["number"] = _number
    environment.filters["interval"] = _interval
    source = files(__package__).joinpath(TEMPLATE).read_text(encoding="utf-8")
    return environment.from_string(source).render(
        evaluation=evaluation,
        dataset=evaluation.dataset,
        sample_data=SAMPLE_DATA,
        recipe=evaluation.recipe,
        results=evaluation.results,
        split_names=SPLIT_NAMES,
        group_names=GROUP_NAMES,
        measures=MEASURES,
        tiles=TILES,
        compared=COMPARISON_MEASURES,
        best=_best(evaluation.comparison),
        charts=_charts(evaluation) if evaluation.results else {},
        live=live
        and {
            "training": live.training,
            "held_out": live.held_out,
            "roc_auc": figures.by_distance(live, "roc_auc"),
            "average_precision": figures.by_distance(live, "average_precision"),
        },
    )


def _charts(evaluation: Evaluation) -> dict[str, Any]:
    """The charts by name; those of one split are of the random one if there is one."""
    results, dataset = evaluation.results, evaluation.dataset
    result = results.get("random") or next(iter(results.values()))
    predictions = {name: result.predictions for name, result in results.items()}
    heat = heat_map(result, dataset)
    # Small cells reach 1 by chance; they must not take the colours from the others.
    known = np.where(heat.flights >= figures.MIN_FLIGHTS, heat.actual, np.nan)
    highest = float(np.nanmax(known)) if np.isfinite(known).any() else 1.0
    return {
        "roc": figures.roc(predictions),
        "precision_recall": figures.precision_recall(predictions),
        "cumulative_gains": figures.cumulative_gains(predictions),
        "reliability": figures.reliability(predictions),
        "histogram": figures.histogram(result.predictions),
        "thresholds": figures.thresholds(result.predictions, result.quality.threshold),
        "importance": figures.importance(importances(result, dataset)),
        "effects": [
            (effect.field, figures.effect(effect))
            for effect in effects(result, dataset)
        ],
        "actual": figures.heat_map(heat, heat.actual, highest),
        "predicted": figures.heat_map(heat, heat.predicted, highest),
        "quality": result.quality,
    }


def _best(
    comparison: Mapping[str, Mapping[str, Quality]],
) -> dict[tuple[str, str], float]:
    """The best value of each measure on each split, by (split, measure)."""
    best: dict[tuple[str, str], float] = {}
    for by_split in comparison.values():
        for split, quality in by_split.items():
            for name in COMPARISON_MEASURES:
                value = getattr(quality, name).value
                if value is not None:
                    better = min if name in _LOWER else max
                    best[split, name] = better(best.get((split, name), value), value)
    return best


def _number(estimate: Estimate) -> str:
    return "–" if estimate.value is None else f"{estimate.value:.3f}"


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return ""
    return f"{estimate.low:.3f} to {estimate.high:.3f}"
