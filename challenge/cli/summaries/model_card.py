"""A model's card on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from challenge.artifact.card import SAMPLE_DATA, ModelCard
from challenge.cli.tables import columns, show
from challenge.flights.fields import AIRLINE, DESTINATION, ORIGIN
from challenge.flights.vocabulary import Vocabulary
from challenge.live.adjustment import said

# Not those of the evaluation, whose module needs the training libraries.
_SPLITS = {"random": "random third", "forward": "last third by date"}


def print_card(card: ModelCard, vocabulary: Vocabulary, fingerprint: str) -> None:
    """Print what a model is, its training data and its quality."""
    show(columns(_lines(card, vocabulary, fingerprint)))


def _lines(
    card: ModelCard, vocabulary: Vocabulary, fingerprint: str
) -> Iterator[tuple[str, str]]:
    yield "model", f"{card.classifier} over the features {card.features!r}"
    yield "fingerprint", f"sha256:{fingerprint}"
    yield "trained", card.created
    yield "flights", f"{card.rows:,}{f' of {card.data}' if card.data else ''}"
    if card.sample:
        yield "data", SAMPLE_DATA
    yield "rejected", f"{card.rows_rejected:,} rows"
    if card.period is not None:
        yield "period", " to ".join(card.period)
    if vocabulary[ORIGIN]:
        yield "from", ", ".join(vocabulary[ORIGIN])
    if card.time_zones:
        yield "time zone", ", ".join(sorted(set(card.time_zones.values())))
    yield "delay rate", f"{card.delay_rate:.1%}"
    levels = card.levels
    yield "levels", f"raised above {levels.raised:.1%}, high above {levels.high:.1%}"
    yield "threshold", f"{card.threshold:.4f}, {card.threshold_rule}"
    if card.live is not None:
        kept = f"{card.live.flights:,} flights until {card.live.until}"
        yield "keeps", kept if card.live.until else "no flights that have left"
        helps = [
            f"{said(int(minutes))}: {', '.join(groups)}"
            for minutes, groups in card.live.helps.items()
        ]
        yield "what helps", "\n".join(helps) or "nothing but the schedule"
        qualities = [
            f"{said(int(minutes))} before: {of.roc_auc:.3f}, "
            f"by its schedule alone {of.schedule_roc_auc:.3f}"
            for minutes, of in card.live.quality.items()
        ]
        if qualities:
            yield "ROC AUC", "\n".join(qualities)
    yield from _quality(card.metrics)
    known = len(vocabulary[AIRLINE]), len(vocabulary[DESTINATION])
    yield "knows", "{} airlines, {} destinations".format(*known)
    yield "made with", ", ".join(map(" ".join, card.library_versions.items()))


def _quality(metrics: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for split, title in _SPLITS.items():
        measured = metrics.get(split, {}).get("roc_auc", {})
        if measured.get("value") is not None:
            value, low, high = (measured[name] for name in ("value", "low", "high"))
            yield "ROC AUC", f"{value:.3f} ({low:.3f} to {high:.3f}), {title}"
