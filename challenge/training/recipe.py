"""How a model is made, but for the flights that it learns from."""

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
    """A kind of classifier with its parameters, and the features that it sees.

    Attributes:
        classifier: a name in `challenge.classifier.CLASSIFIERS`.
        features: a name in `challenge.features.feature_sets.FEATURE_SETS`.
        parameters: of the classifier, in place of its defaults.
    """

    classifier: str = "xgboost"
    features: str = "schedule"
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of_card(cls, card: ModelCard) -> Recipe:
        """The recipe that a model in a file was made by."""
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
