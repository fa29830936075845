"""A model's card as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from challenge.artifact.card import ModelCard
from challenge.flights.vocabulary import Vocabulary

_SPLITS = {"random": "random third", "forward": "last third by date"}


def card_text(card: ModelCard, vocabulary: Vocabulary, fingerprint: str) -> str:
    """What a model is, what it learned from and how good it was, line by line."""
    lines = [
        ("model", f"{card.classifier} over the features {card.features!r}"),
        ("fingerprint", f"sha256:{fingerprint}"),
        ("trained", card.created),
        ("flights", f"{card.rows:,}{f' of {card.data}' if card.data else ''}"),
        ("rejected", f"{card.rows_rejected:,} rows"),
    ]
    if card.period is not None:
        lines.append(("period", " to ".join(card.period)))
    lines += [
        ("delay rate", f"{card.delay_rate:.1%}"),
        ("threshold", f"{card.threshold:.4f}, {card.threshold_rule}"),
        *_form(card),
        *_quality(card.metrics),
        (
            "knows",
            f"{len(vocabulary.airlines)} airlines, "
            f"{len(vocabulary.destinations)} destinations",
        ),
        ("made with", ", ".join(map(" ".join, card.library_versions.items()))),
    ]
    return "\n".join(f"{name:12}{value}" for name, value in lines)


def _form(card: ModelCard) -> Iterator[tuple[str, str]]:
    if card.recent_form is not None:
        form = card.recent_form
        yield "recent form", f"of {form.flights:,} flights until {form.until}"


def _quality(metrics: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for split, title in _SPLITS.items():
        measured = metrics.get(split, {}).get("roc_auc", {})
        if measured.get("value") is not None:
            value, low, high = (measured[name] for name in ("value", "low", "high"))
            yield "ROC AUC", f"{value:.3f} ({low:.3f} to {high:.3f}), {title}"
