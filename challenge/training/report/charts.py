"""The charts of the evaluation report, as SVG that takes the page's own colours."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from challenge.explain import evidence
from challenge.training.evaluate.effects import Effect, HeatMap, Importance
from challenge.training.evaluate.live import LiveEvaluation
from challenge.training.evaluate.metrics import (
    CALIBRATION_BINS,
    MEASURES,
    Predictions,
    Quality,
    calibration_bin,
    cumulative_gains_curve,
)

# Okabe and Ito's, told apart by all eyes, legible on light and dark.
SPLIT_COLOURS: Final = {"random": "#0f85c9", "forward": "#d55e00"}
ON_TIME, DELAYED = "#0f85c9", "#d55e00"
QUIET: Final = "#8a8f98"
MIN_FLIGHTS: Final = 30
CURVE_POINTS: Final = 600

_SIZE: Final = (4.2, 3.3)
# Over the axes, where no curve can come.
_ABOVE: Final[dict[str, Any]] = {
    "loc": "lower left",
    "bbox_to_anchor": (0, 1),
    "ncols": 2,
    "borderaxespad": 0.2,
}
# Stands for the page's text colour, which changes with the reader's theme.
_TEXT: Final = "#010203"
_STYLE: Final[dict[Any, Any]] = {
    "axes.edgecolor": _TEXT,
    "axes.labelcolor": _TEXT,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "hatch.color": QUIET,
    "hatch.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "flight-prophet",
    "text.color": _TEXT,
    "xtick.color": _TEXT,
    "ytick.color": _TEXT,
}


def roc(predictions: Mapping[str, Predictions]) -> str:
    """The ROC curve of each split."""

    def draw(axes: Axes) -> None:
        _draw_diagonal(axes)
        for split, of_split in predictions.items():
            _, delayed, on_time = _from_the_highest(of_split)
            axes.plot(
                np.r_[0, on_time / on_time[-1]],
                np.r_[0, delayed / delayed[-1]],
                color=SPLIT_COLOURS[split],
                label=split,
            )
        _set_shares(axes, "false positive rate", "true positive rate", "lower right")

    return _svg(draw)


def precision_recall(predictions: Mapping[str, Predictions]) -> str:
    """The precision-recall curve of each split."""

    def draw(axes: Axes) -> None:
        for split, of_split in predictions.items():
            _, delayed, on_time = _from_the_highest(of_split)
            axes.plot(
                delayed / delayed[-1],
                delayed / (delayed + on_time),
                color=SPLIT_COLOURS[split],
                label=split,
            )
            axes.axhline(
                of_split.delayed.mean(), color=SPLIT_COLOURS[split], linestyle=":"
            )
        _set_shares(axes, "recall", "precision", "upper right")

    return _svg(draw)


def cumulative_gains(predictions: Mapping[str, Predictions]) -> str:
    """The share of delays among a share of the flights, the most probable first."""

    def draw(axes: Axes) -> None:
        _draw_diagonal(axes)
        shares = np.linspace(0, 1, 41)
        for split, of_split in predictions.items():
            value, low, high = cumulative_gains_curve(of_split, shares)
            colour = SPLIT_COLOURS[split]
            axes.plot(shares, value, color=colour, label=split)
            axes.fill_between(shares, low, high, color=colour, alpha=0.2, linewidth=0)
        _set_shares(axes, "share of flights", "share of delays", "lower right")

    return _svg(draw)


def reliability(predictions: Mapping[str, Predictions]) -> str:
    """Observed against predicted delay rates, in ten bins of equal width."""

    def draw(axes: Axes) -> None:
        _draw_diagonal(axes)
        for shift, (split, of_split) in zip((-0.004, 0.004), predictions.items()):
            bins = calibration_bin(of_split.probability)
            flights = np.bincount(bins, minlength=CALIBRATION_BINS)
            enough = flights >= MIN_FLIGHTS
            late = np.bincount(bins, of_split.delayed, CALIBRATION_BINS)[enough]
            expected = np.bincount(bins, of_split.probability, CALIBRATION_BINS)[enough]
            rate, low, high = wilson(late, flights[enough])
            axes.errorbar(
                expected / flights[enough] + shift,
                rate,
                yerr=[rate - low, high - rate],
                color=SPLIT_COLOURS[split],
                marker="o",
                markersize=4,
                linewidth=1,
                label=split,
            )
        _set_shares(axes, "predicted probability", "observed rate", "upper left")

    return _svg(draw)


def histogram(predictions: Predictions) -> str:
    """The number of flights by predicted probability, late and on time."""

    def draw(axes: Axes) -> None:
        edges = np.linspace(0, 1, 41)
        late = predictions.delayed == 1
        axes.hist(
            [predictions.probability[late], predictions.probability[~late]],
            bins=list(edges),
            stacked=True,
            color=[DELAYED, ON_TIME],
            label=["late", "on time"],
        )
        axes.set(xlabel="probability of a delay", ylabel="flights", xlim=(0, 1))
        axes.legend()

    return _svg(draw)


def thresholds(predictions: Predictions, threshold: float) -> str:
    """Recall, precision, F1 and the share of warnings by threshold."""

    def draw(axes: Axes) -> None:
        probability, delayed, on_time = _from_the_highest(predictions)
        warned = delayed + on_time
        for values, colour, style, label in (
            (delayed / delayed[-1], "#d55e00", "-", "recall"),
            (delayed / warned, "#0f85c9", "-", "precision"),
            (2 * delayed / (warned + delayed[-1]), "#009e73", "-", "F1"),
            (warned / warned[-1], QUIET, "--", "share of warnings"),
        ):
            axes.plot(probability, values, color=colour, linestyle=style, label=label)
        axes.axvline(threshold, color=_TEXT, linewidth=1)
        axes.annotate(
            f"threshold {threshold:.2f}", (threshold + 0.015, 0.02), fontsize=8
        )
        axes.set(xlabel="threshold", ylabel="share", xlim=(0, 0.8), ylim=(0, 1))
        axes.legend(**_ABOVE)

    return _svg(draw)


def importance(importances: Sequence[Importance]) -> str:
    """The average precision lost when a field is shuffled."""

    def draw(axes: Axes) -> None:
        ranked = sorted(importances, key=lambda one: one.mean)
        places = range(len(ranked))
        axes.barh(places, [one.mean for one in ranked], color=ON_TIME, height=0.6)
        for place, one in zip(places, ranked):
            axes.plot([one.low, one.high], [place, place], color=_TEXT, linewidth=1)
        axes.set_yticks(places, [one.field for one in ranked])
        axes.set(xlabel="average precision lost")

    return _svg(draw)


def effect(of: Effect) -> str:
    """Predicted and observed delay rates, by the values of one field."""

    def draw(axes: Axes) -> None:
        rate, low, high = wilson(of.delayed, of.flights)
        if of.is_ordered:
            places = np.arange(len(of.values))
            axes.vlines(places, low, high, color=QUIET, linewidth=1)
            axes.plot(places, rate, "o", color=DELAYED, markersize=4, label="observed")
            axes.plot(places, of.probability, color=ON_TIME, label="predicted")
            step = 3 if len(places) > 12 else 1
            axes.set_xticks(places[::step], of.values[::step])
            axes.set(ylabel="delay rate", ylim=(0, None))
            axes.legend(**_ABOVE)
            return
        places = np.arange(len(of.values))[::-1]
        axes.hlines(places, low, high, color=QUIET, linewidth=1)
        axes.plot(rate, places, "o", color=DELAYED, markersize=4, label="observed")
        axes.plot(
            of.probability,
            places,
            "D",
            color=ON_TIME,
            markersize=4,
            label="predicted",
        )
        labels = [f"{v} ({n:,})" for v, n in zip(of.values, of.flights.tolist())]
        axes.set_yticks(places, labels)
        ends = (-0.6, len(places) - 0.4)
        axes.set(xlabel="delay rate", xlim=(0, None), ylim=ends)
        # From the right: long names leave little room over the axes.
        axes.legend(**_ABOVE | {"loc": "lower right", "bbox_to_anchor": (1, 1)})

    if of.is_ordered:
        return _svg(draw)
    return _svg(draw, height=1.2 + 0.24 * len(of.values))


def by_distance(
    live: LiveEvaluation, measure: Literal["roc_auc", "average_precision"]
) -> str:
    """A measure by how far ahead flights are asked about, with its intervals."""

    def draw(axes: Axes) -> None:
        # The nearest last, as the day goes.
        distances = live.distances[::-1]
        places = np.arange(len(distances))
        lines: list[tuple[str, str, list[Quality | None]]] = [
            ("the schedule alone", QUIET, [one.without for one in distances]),
            (
                "without the aircraft",
                ON_TIME,
                [one.without_aircraft for one in distances],
            ),
            ("all that was known", DELAYED, [one.with_state for one in distances]),
        ]
        for label, colour, qualities in lines:
            known = [getattr(one, measure) for one in qualities if one is not None]
            if known:
                value, low, high = (
                    [getattr(estimate, name) for estimate in known]
                    for name in ("value", "low", "high")
                )
                axes.plot(places, value, "o-", color=colour, markersize=3, label=label)
                axes.fill_between(places, low, high, color=colour, alpha=0.2, lw=0)
        axes.set_xticks(places, [one.ahead for one in distances], rotation=40)
        for text in axes.get_xticklabels():
            text.set_horizontalalignment("right")
        axes.set(ylabel=MEASURES[measure])
        axes.legend(**_ABOVE)

    return _svg(draw, height=3.8)


def heat_map(of: HeatMap, rates: NDArray[np.float64], highest: float) -> str:
    """Rates by airline and month, hatched where there are few flights."""

    def draw(axes: Axes) -> None:
        image = axes.imshow(rates, cmap="cividis", vmin=0, vmax=highest, aspect="auto")
        few_rows, few_columns = np.nonzero(of.flights < MIN_FLIGHTS)
        for row, column in zip(few_rows.tolist(), few_columns.tolist()):
            corner = (column - 0.5, row - 0.5)
            axes.add_patch(
                Rectangle(corner, 1, 1, fill=False, hatch="////", linewidth=0)
            )
        axes.set_yticks(range(len(of.airlines)), of.airlines)
        axes.set_xticks(range(12), [str(month) for month in range(1, 13)])
        axes.tick_params(labelsize=8)
        axes.set(xlabel="month")
        for spine in axes.spines.values():
            spine.set_visible(False)
        bar = axes.figure.colorbar(image, ax=axes, fraction=0.05, pad=0.03)
        bar.outline.set_visible(False)

    return _svg(draw)


def wilson(
    part: NDArray[Any], whole: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Shares with their 95 % intervals, as `challenge.explain.evidence.wilson` gives them."""
    low, high = np.vectorize(evidence.wilson, otypes="dd")(part, whole)
    return part / whole, low, high


def _from_the_highest(
    predictions: Predictions,
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Distinct probabilities, the highest first, with delays and others down to each."""
    lowest_first, place = np.unique(predictions.probability, return_inverse=True)
    delayed = np.bincount(place, predictions.delayed)[::-1]
    flights = np.bincount(place)[::-1]
    down_to = np.cumsum(delayed)
    on_time = np.cumsum(flights) - down_to
    # More points than a screen has only make the page heavy.
    points = min(len(flights), CURVE_POINTS)
    kept = np.linspace(0, len(flights) - 1, points).astype(int)
    columns = (lowest_first[::-1], down_to, on_time)
    highest, late, punctual = (column[kept].astype(np.float64) for column in columns)
    return highest, late, punctual


def _draw_diagonal(axes: Axes) -> None:
    axes.plot([0, 1], [0, 1], color=QUIET, linestyle=":")


def _set_shares(
    axes: Axes,
    x: str,
    y: str,
    legend: Literal["lower right", "upper right", "upper left"],
) -> None:
    """Label axes that both span 0 to 1, and place the legend."""
    axes.set(xlabel=x, ylabel=y, xlim=(0, 1), ylim=(0, 1))
    axes.legend(loc=legend)


def _svg(draw: Callable[[Axes], None], height: float = _SIZE[1]) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(_SIZE[0], height), layout="constrained")
        draw(figure.add_subplot())
        written = io.StringIO()
        figure.savefig(written, format="svg", metadata={"Date": None})
    svg = written.getvalue()
    svg = svg[svg.index("<svg") :].replace(_TEXT, "currentColor")
    return svg.replace("<svg ", '<svg aria-hidden="true" ', 1)
