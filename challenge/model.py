"""DelayModel: the one place where training and serving meet.

numpy, pandas and the classifiers are imported where they are used: a process that only
serves predictions from a model's table needs none of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import msgspec
from msgspec.structs import replace

from challenge.artifact import known_flights, model_file
from challenge.artifact.card import (
    DistanceQuality,
    KnownFlight,
    LiveCard,
    ModelCard,
    new_card,
)
from challenge.artifact.stored_table import stored_table
from challenge.compiled.encoder import CellEncoder
from challenge.compiled.flight_classifier import FlightClassifier, month_shares
from challenge.compiled.grid import Grid
from challenge.errors import (
    InvalidFlightsError,
    ModelFileError,
    NotFittedError,
)
from challenge.explain.training_flights import TrainingFlights
from challenge.features.feature_sets import feature_set
from challenge.flights.scl_2017 import SCL_2017
from challenge.flights.vocabulary import Vocabulary
from challenge.forecaster import Forecaster
from challenge.live.adjustment import Adjustment
from challenge.live.clock import EPOCH
from challenge.live.day import Day
from challenge.live.history import History

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from challenge.classifier import Classifier
    from challenge.features.counts import Counts


class DelayModel(Forecaster):
    """Tells whether a flight will leave more than 15 minutes late.

    A new `DelayModel()` is the notebook's: ten columns and balanced logistic
    regression, with the vocabulary of the public SCL 2017 dataset.

    Args:
        classifier: logistic regression by default.
        features: the name of a feature set, `top10`, `all` or `schedule`.
        vocabulary: the names that flights may have.
        threshold: a flight with a higher probability is predicted as delayed; None
            for the balanced one, the delay rate of the training data.

    Attributes:
        fingerprint: the SHA-256 of the file that the model was loaded from; empty for
            any other model.
        name: its start, as logs name the model.
    """

    def __init__(
        self,
        classifier: Classifier | None = None,
        features: str = "top10",
        vocabulary: Vocabulary = SCL_2017,
        threshold: float | None = None,
    ) -> None:
        self.features = feature_set(features, vocabulary)
        self.vocabulary = vocabulary
        self.grid = Grid(vocabulary, self.features.fields)
        self._threshold = threshold
        self._classifier = classifier
        self._forget()

    def _forget(self) -> None:
        """Be a model that is not from a file and knows no flights."""
        self.fingerprint = self.name = ""
        self._path = Path()
        self.encoder = CellEncoder(self.vocabulary, self.grid)
        self.table = self.day = None
        self._stored: model_file.Artifact | None = None
        self._month_shares: dict[int, float] = {}
        self._training_flights = None
        self._rows = 0
        self._helps: dict[str, list[str]] = {}
        self._live_quality: Mapping[str, DistanceQuality] = {}

    @overload
    def preprocess(
        self, data: pd.DataFrame, target_column: None = None
    ) -> pd.DataFrame: ...

    @overload
    def preprocess(
        self, data: pd.DataFrame, target_column: str
    ) -> tuple[pd.DataFrame, pd.DataFrame]: ...

    def preprocess(
        self, data: pd.DataFrame, target_column: str | None = None
    ) -> tuple[pd.DataFrame, pd.DataFrame] | pd.DataFrame:
        """Turn a table of flights into features, and into labels if they are wanted.

        Args:
            data: the dataset's 18 columns, or those that are needed: OPERA,
                TIPOVUELO, MES, optionally SIGLAORI, SIGLADES and Fecha-I, and for
                labels Fecha-I and Fecha-O (or the labels themselves). It is not
                changed.
            target_column: how to call the labels.

        Returns:
            The features, int16 codes, one row a flight under the index of `data`;
            with a `target_column` also a frame with that one column of 0 and 1.

        Raises:
            MissingColumnsError, InvalidFlightsError: both are ValueErrors.
        """
        import pandas as pd

        from challenge.flights.frames import code_flights

        coded = code_flights(data, self.encoder.rules, target_column)
        if coded.faults:
            raise InvalidFlightsError(coded.faults)
        matrix = self.features.matrix(coded.codes)
        names = list(self.features.columns)
        features = pd.DataFrame(matrix, columns=names, index=data.index)
        if target_column is None:
            return features
        return features, pd.DataFrame({target_column: coded.delayed}, index=data.index)

    def fit(self, features: pd.DataFrame, target: pd.DataFrame) -> Self:
        """Learn from preprocessed flights.

        Args:
            features: as `preprocess` gives them, shape (flights, columns).
            target: 0 or 1, shape (flights, 1) or (flights,).

        Raises:
            FeatureNamesError: the features are not that.
            TrainingDataError: there are no flights, or only one class of them.
        """
        import numpy as np

        delayed = np.asarray(target).reshape(-1).astype(np.int64)
        self._learn(self.features.checked(features), np.ones_like(delayed), delayed)
        return self

    def fit_counts(self, counts: Counts) -> Self:
        """Learn from counted flights; the result is that of the flights themselves.

        Raises:
            TrainingDataError: there are no flights, or only one class of them.
        """
        matrix = self.features.matrix(counts.codes)
        self._learn(matrix, counts.flights, counts.delayed)
        self._training_flights = TrainingFlights(self.vocabulary, counts)
        if not self.features.learns_missing_month:
            self._month_shares = month_shares(counts)
        return self

    def predict(self, features: pd.DataFrame) -> list[int]:
        """1 for each preprocessed flight that is predicted to be late, else 0.

        A new `DelayModel()` that was not fitted first learns the counts of the public
        SCL 2017 dataset, where the project's data/figures are at hand.

        Raises:
            NotFittedError: the model is not fitted.
            FeatureNamesError: the features are not those that `preprocess` gives.
        """
        is_default = self._classifier is None and self.vocabulary == SCL_2017
        if is_default and not self.is_fitted and self.features.name == "top10":
            from challenge.features.counts_of_2017 import FIGURES, counts_of_2017

            if FIGURES.exists():
                self.fit_counts(counts_of_2017(self.encoder.rules))
        return self.decide(self.predict_proba(features).tolist())

    def predict_proba(self, features: pd.DataFrame) -> NDArray[np.float32]:
        """The calibrated probability of a delay of each flight, shape (flights,).

        Features tell no day: what `forecast` adds for one is left out.

        Raises:
            NotFittedError: the model is not fitted.
            FeatureNamesError: the features are not those that `preprocess` gives.
        """
        import numpy as np

        self._check_fitted()
        return self._model.predict_proba(self.features.checked(features)).astype(
            np.float32
        )

    @property
    def is_fitted(self) -> bool:
        return self._stored is not None or (
            self._classifier is not None and self._classifier.is_fitted
        )

    @property
    def threshold(self) -> float:
        """A flight is predicted as delayed where its probability is above this.

        Raises:
            NotFittedError: it is the balanced one, and the model is not fitted.
        """
        if self._threshold is not None:
            return self._threshold
        self._check_fitted()
        if self._stored is not None:
            return self._stored.card.threshold
        return self._model.base_rate_

    @property
    def card(self) -> ModelCard:
        """What the model is: of a model from a file, what the file says.

        Raises:
            NotFittedError: the model is not fitted.
        """
        self._check_fitted()
        if self._stored is not None:
            return self._stored.card
        return new_card(
            features=self.features.name,
            classifier=self._model.name,
            parameters=self._model.parameters,
            threshold=self.threshold,
            threshold_rule="balanced" if self._threshold is None else "given",
            rows=self._rows,
            delay_rate=self._model.base_rate_,
        )

    def compile(self) -> Self:
        """Keep the answers to all flights, or what computes them, if they are too many.

        Raises:
            NotFittedError: the model is not fitted.
            TrainingDataError: the classifier is too large for that.
        """
        self._check_fitted()
        self.table = self._flight_classifier.compile(self.grid)
        return self

    def save(self, path: str | Path, **about: Any) -> str:
        """Write the model to a file, in one step, and return the file's fingerprint.

        Args:
            path: the file; its folder is made when missing.
            about: fields of the model card that only the caller knows: `rows_rejected`,
                `data`, `data_sha256`, `sample`, `period`, `time_zones`, `metrics`,
                `threshold_rule`.

        Raises:
            NotFittedError, TrainingDataError: it cannot be compiled.
            ModelFileError: the file cannot be written.
        """
        self.compile()
        counts, day = self.counts, self.day
        card = replace(
            self.card,
            known=self._known_flights(),
            live=self._live_card(),
            **about,
        )
        contents = model_file.Artifact(
            card=card,
            vocabulary=self.vocabulary,
            month_shares=self._month_shares,
            classifier=self._model.state(),
            counts=None if counts is None else model_file.compress(counts.to_bytes()),
            table=None if self.table is None else self.table.to_bytes(),
            adjustment=None if day is None else msgspec.to_builtins(day.adjustment),
            history=None if day is None else day.history.to_bytes(),
        )
        return model_file.write(path, contents)

    def learn_day(
        self,
        adjustment: Adjustment,
        history: History,
        helps: dict[str, list[str]],
        time_zones: Mapping[str, str],
        quality: Mapping[str, DistanceQuality] = {},
    ) -> Self:
        """Know what the day adds to the odds of flights.

        Args:
            adjustment: what was learned of past days.
            history: the flights of the last days.
            helps: for the card, see `LiveCard`.
            time_zones: of the origins, as the card has them.
            quality: for the card, as `helps`.
        """
        self.encoder = CellEncoder(self.vocabulary, self.grid, time_zones)
        self.day = Day(adjustment, history, self.encoder.rules, self.grid)
        self._helps, self._live_quality = helps, quality
        return self

    def save_with_history(self, history: History, path: str | Path) -> str:
        """Write a model that was loaded from a file with other past flights; nothing else
        of it changes. Returns the new file's fingerprint.

        Raises:
            NotFittedError: the model was not loaded from a file.
            UnknownDayError: it has not learned what past flights say.
            ModelFileError: the file cannot be written.
        """
        if self._stored is None:
            raise NotFittedError("only a model that was loaded from a file is updated")
        updated = self.with_day(self.known_day.with_history(history))
        card = replace(updated.card, known=[], live=updated._live_card())
        stored = replace(self._stored, card=card, history=history.to_bytes())
        card = replace(card, known=updated._known_flights())
        return model_file.write(path, replace(stored, card=card))

    @classmethod
    def load(cls, path: str | Path, sha256: str | None = None) -> Self:
        """Read a model from its file.

        Args:
            path: the file.
            sha256: that of the only file to accept, in hexadecimal; None for any.

        Raises:
            ModelFileError: there is no such file, it is not a whole, undamaged model,
                or not the one that is accepted.
        """
        stored, fingerprint = model_file.read(path, sha256)
        try:
            model = cls._from_stored(stored)
        except ValueError as error:
            raise ModelFileError(path, f"is not a whole model: {error}") from error
        model.fingerprint, model.name = fingerprint, fingerprint[:12]
        model._path = Path(path)
        return model

    def verify(self) -> Self:
        """Answer the known flights of the model's card, and check its counts.

        Raises:
            ModelFileError: an answer is another than the card says, or the counts are
                damaged.
        """
        problem = known_flights.problem(self.card.known, self._answer)
        if problem is None and self._training_flights is not None:
            problem = self._training_flights.problem()
        if problem is not None:
            raise ModelFileError(self._path, problem)
        return self

    def _answer(self, flight: Mapping[str, object]) -> float | None:
        cell = self.encoder.cell(flight)
        if not isinstance(cell, int):
            return None
        return self.predict_flights([cell], self.questions([flight]))[0]

    @classmethod
    def _from_stored(cls, stored: model_file.Artifact) -> Self:
        card = stored.card
        model = cls(
            features=card.features,
            vocabulary=stored.vocabulary,
            threshold=None if card.threshold_rule == "balanced" else card.threshold,
        )
        vocabulary, grid = model.vocabulary, model.grid
        model.table = stored_table(stored, grid, model.features)
        model.encoder = CellEncoder(vocabulary, grid, card.time_zones)
        if stored.adjustment is not None:
            adjustment = msgspec.convert(stored.adjustment, Adjustment)
            adjustment.check()
            history = History.from_bytes(stored.history or b"", grid.cells)
            live = card.live or LiveCard({}, 0, None)
            model.learn_day(
                adjustment, history, live.helps, card.time_zones, live.quality
            )
        if stored.counts is not None:
            model._training_flights = TrainingFlights(
                model.vocabulary, compressed=stored.counts, rows=card.rows
            )
        # The flights stand in the day.
        model._stored = replace(stored, history=None)
        model._rows = card.rows
        model._month_shares = stored.month_shares
        return model

    @property
    def _model(self) -> Classifier:
        """The classifier: the one given, the one of the file, or the default."""
        if self._classifier is None:
            from challenge.classifier import CLASSIFIERS, LogisticRegressionClassifier

            if self._stored is None:
                self._classifier = LogisticRegressionClassifier()
            else:
                card = self._stored.card
                classifier = CLASSIFIERS[card.classifier]
                self._classifier = classifier.from_state(
                    self._stored.classifier, card.parameters
                )
        return self._classifier

    @property
    def _flight_classifier(self) -> FlightClassifier:
        return FlightClassifier(self.features, self._model, self._month_shares)

    def _classify(self, codes: NDArray[np.int16]) -> NDArray[np.float64]:
        self._check_fitted()
        return self._flight_classifier.predict_proba(codes)

    def _check_fitted(self) -> None:
        if not self.is_fitted:
            raise NotFittedError("the model is not fitted; call fit first, or load one")

    def _known_flights(self) -> list[KnownFlight]:
        """Those for the card; none if the training flights were not counted. They leave
        on the day after the model's last flights, if it keeps some."""
        if self.evidence is None:
            return []
        after = None
        if self.day is not None and self.day.clock is not None:
            after = (EPOCH + timedelta(days=1, seconds=self.day.clock)).date()
        return known_flights.make(
            self.evidence.sample, self.vocabulary, after, self._expected_answers
        )

    def _expected_answers(
        self, codes: NDArray[np.int16], flights: Sequence[Mapping[str, object]]
    ) -> list[float]:
        """The answers of the classifier, with what the day adds."""
        answers: list[float] = self.predict_codes(codes).tolist()
        if self.day is not None:
            cells = self.grid.numbers(codes).tolist()
            self.day.move(answers, cells, self.questions(flights))
        return answers

    def _live_card(self) -> LiveCard | None:
        if self.day is None:
            return None
        until = None
        if self.day.clock is not None:
            until = (EPOCH + timedelta(seconds=self.day.clock)).isoformat() + "Z"
        flights = len(self.day.history)
        return LiveCard(self._helps, flights, until, dict(self._live_quality))

    def _learn(
        self,
        matrix: NDArray[np.int16],
        flights: NDArray[np.int64],
        delayed: NDArray[np.int64],
    ) -> None:
        """Fit the classifier and forget all that was known from an earlier fit."""
        self._flight_classifier.fit(matrix, flights, delayed)
        classifier = self._model
        self._forget()
        self._classifier, self._rows = classifier, int(flights.sum())
