"""How a model is made, apart from its training data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from challenge.artifact.card import ModelCard
from challenge.classifier import CLASSIFIERS
from challenge.features.counts import Counts
from challenge.flights.vocabulary import Vocabulary
from challenge.model import DelayModel


@dataclass(frozen=True)
class Recipe:
    """A classifier with its parameters, and its feature set.

    Attributes:
        classifier: a name in `challenge.classifier.CLASSIFIERS`.
        features: a name in `challenge.features.feature_sets.FEATURE_SETS`.
        parameters: arguments of the classifier that replace its defaults.
    """

    classifier: str = "xgboost"
    features: str = "schedule"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_card(cls, card: ModelCard) -> Recipe:
        """The recipe of the model with this card."""
        return cls(card.classifier, card.features, card.parameters)

    def fit(
        self, counts: Counts, vocabulary: Vocabulary, threshold: float | None = None
    ) -> DelayModel:
        """A model of these flights; a threshold of None is the balanced one.

        Raises:
            TrainingDataError: there are no flights, or only one class of them.
        """
        classifier = CLASSIFIERS[self.classifier](**self.parameters)
        model = DelayModel(classifier, self.features, vocabulary, threshold)
        return model.fit_counts(counts)
