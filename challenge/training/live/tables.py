"""The log-odds that tables gave to past flights which they had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import numpy as np
from numpy.typing import NDArray

from challenge.classifier import CLASSIFIERS
from challenge.compiled.flight_classifier import FlightClassifier, month_shares
from challenge.features.counts import Counts, unique_rows
from challenge.features.feature_sets import FeatureSet, Schedule, feature_set
from challenge.flights.fields import MONTH
from challenge.flights.vocabulary import Vocabulary
from challenge.model import DelayModel
from challenge.training.data.past import Past
from challenge.training.evaluate.metrics import SMALLEST_PROBABILITY
from challenge.training.recipe import Recipe

# Of the training flights, in the order of time: where a table learns from those before
# and answers those until the next.
BOUNDARIES: Final = (0.2, 0.3, 0.4, 0.5, 0.6)


class WholeFlights(Schedule):
    """The schedule of flights all of whose fields are known, but maybe the month: a
    fraction of the rows, and past flights are known whole."""

    def knowledge_levels(
        self, matrix: NDArray[np.int16]
    ) -> list[tuple[NDArray[np.int16], float]]:
        without_month = self._without(matrix, (MONTH,))
        return [(matrix, 1.0), (without_month, self.missing_month_weight)]


def walk_forward(
    recipe: Recipe, past: Past, training: int, model: DelayModel
) -> NDArray[np.float64]:
    """What was expected of each flight, in log-odds, by a table of those before it.

    Args:
        recipe: how tables are made.
        past: the flights.
        training: how many of them, the first, are learned from.
        model: the model that learned from all of these, for the later ones.

    Returns:
        Of shape (flights,), NaN for those before the first table.

    Raises:
        TrainingDataError: there are too few flights for the first table.
    """
    probability = np.full(len(past), np.nan)
    ends = [*(int(share * training) for share in BOUNDARIES), training]
    for learned, end in pairwise(ends):
        table = _table(recipe, past, learned)
        probability[learned:end] = _answers(table, past.codes[learned:end], past)
    probability[training:] = _told(model, past.codes[training:], past)
    return log_odds(probability)


def told_later(
    model: DelayModel, past: Past, until: np.datetime64
) -> NDArray[np.float64]:
    """What a model of the first flights tells of those after, in log-odds.

    Args:
        model: it learned from flights up to a moment.
        past: the flights.
        until: the moment, by the clock of the schedule.

    Returns: of shape (flights,), NaN for those up to the moment.
    """
    is_later = past.local > until
    probability = np.full(len(past), np.nan)
    probability[is_later] = _told(model, past.codes[is_later], past)
    return log_odds(probability)


def log_odds(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    """ln(p / (1 - p)), finite also for 0 and 1."""
    certain = np.clip(probability, SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    odds: NDArray[np.float64] = np.log(certain / (1 - certain))
    return odds


def counts_of(past: Past, flights: int) -> Counts:
    """The first flights of the past, counted."""
    first = slice(0, flights)
    return Counts.of_rows(past.codes[first], past.late[first], past.vocabulary)


def _table(recipe: Recipe, past: Past, flights: int) -> FlightClassifier:
    counts = counts_of(past, flights)
    features = _features(recipe.features, past.vocabulary)
    shares: Mapping[int, float] = {}
    if not features.learns_missing_month:
        shares = month_shares(counts)
    classifier = CLASSIFIERS[recipe.classifier](**recipe.parameters)
    table = FlightClassifier(features, classifier, shares)
    table.fit(features.matrix(counts.codes), counts.flights, counts.delayed)
    return table


def _features(name: str, vocabulary: Vocabulary) -> FeatureSet:
    if name == Schedule.name:
        return WholeFlights(vocabulary)
    return feature_set(name, vocabulary)


def _told(
    model: DelayModel, codes: NDArray[np.int16], past: Past
) -> NDArray[np.floating]:
    if not len(codes):
        return np.empty(0)
    unique, place = unique_rows(codes, past.vocabulary.sizes)
    return model.predict_codes(unique)[place]


def _answers(
    table: FlightClassifier, codes: NDArray[np.int16], past: Past
) -> NDArray[np.float64]:
    unique, place = unique_rows(codes, past.vocabulary.sizes)
    return table.predict_proba(unique)[place]
