"""A new model compared with the one in use: whether it ranks flights worse."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from challenge.features.counts import Counts, translate
from challenge.model import DelayModel
from challenge.training.data.dataset import Dataset
from challenge.training.evaluate.evaluation import (
    EvaluationResult,
    may_have_seen,
    predictions_of,
)
from challenge.training.evaluate.metrics import (
    Estimate,
    Predictions,
    compare_predictions,
)
from challenge.training.recipe import Recipe


@dataclass(frozen=True)
class Comparison:
    """Average precision of a candidate and a baseline on the same held-out flights."""

    flights: int
    candidate: float
    baseline: float
    difference: Estimate

    @property
    def is_worse(self) -> bool:
        """Whether the whole interval of the difference lies below zero."""
        return self.difference.high is not None and self.difference.high < 0

    def __str__(self) -> str:
        by = self.difference
        return (
            f"average precision {self.candidate:.3f} against {self.baseline:.3f} on "
            f"{self.flights:,} held-out flights, "
            f"{by.value:+.3f} ({by.low:+.3f} to {by.high:+.3f})"
        )


def compare(
    candidate: EvaluationResult, baseline: DelayModel, dataset: Dataset
) -> Comparison | None:
    """Compare an evaluated model with a baseline on held-out flights that both know.

    A baseline that was trained on flights of the same period may have seen those held
    out, and would look better than it is. Its recipe is then fitted again, to its
    training flights without those held out.

    Returns: None if they have no such flights, or only of one class.
    """
    held_out = candidate.split.held_out
    codes, known = translate(
        dataset.codes[held_out], dataset.vocabulary, baseline.vocabulary
    )
    ours = candidate.predictions[known]
    if not ours.has_both_classes:
        return None
    codes, delayed = codes[known], dataset.delayed[held_out][known]
    if may_have_seen(baseline, dataset):
        seen = Counts.of_rows(codes, delayed, baseline.vocabulary)
        baseline = _without(baseline, seen)
    probability = baseline.predict_codes(codes)
    theirs = Predictions(probability, delayed, ours.days)
    return _compared(ours, theirs)


def compare_as_they_are(
    candidate: DelayModel, baseline: DelayModel, dataset: Dataset
) -> Comparison | None:
    """Compare the tables of two models on the flights that both know.

    Returns: None if there are no such flights, or only of one class.
    """
    coded = [
        translate(dataset.codes, dataset.vocabulary, model.vocabulary)
        for model in (candidate, baseline)
    ]
    known = coded[0][1] & coded[1][1]
    ours, theirs = (
        predictions_of(dataset, known, model.predict_codes(codes[known]))
        for model, (codes, _) in zip((candidate, baseline), coded, strict=True)
    )
    if not ours.has_both_classes:
        return None
    return _compared(ours, theirs)


def _compared(ours: Predictions, theirs: Predictions) -> Comparison:
    measure = "average_precision"
    return Comparison(len(ours), *compare_predictions(ours, theirs, [measure])[measure])


def _without(baseline: DelayModel, seen: Counts) -> DelayModel:
    """The baseline as it would be without some of its flights."""
    if baseline.counts is None:
        return baseline
    sizes = tuple(size + 1 for size in baseline.vocabulary.sizes)
    its, others = (
        np.ravel_multi_index(tuple(c.codes.T.astype(np.int64) + 1), sizes)
        for c in (baseline.counts, seen)
    )
    place = np.searchsorted(others, its)
    place[place == len(others)] = 0
    shared = others[place] == its
    late = np.where(shared, seen.delayed[place], 0)
    on_time = np.where(shared, (seen.flights - seen.delayed)[place], 0)
    counts = baseline.counts
    delayed = np.maximum(counts.delayed - late, 0)
    flights = delayed + np.maximum(counts.flights - counts.delayed - on_time, 0)
    left = flights > 0
    remaining = Counts(counts.codes[left], flights[left], delayed[left])
    if not 0 < delayed.sum() < flights.sum():
        return baseline
    return Recipe.of_card(baseline.card).fit(remaining, baseline.vocabulary)
