"""DelayModel: the one place where training and serving meet.

numpy, pandas and the classifiers are imported where they are used: a process that only
serves predictions from a model's table needs none of them.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self, overload

import msgspec

from challenge.artifact import model_file
from challenge.artifact.card import KnownFlight, ModelCard, RecentForm, now
from challenge.compiled.encoder import CellLookup
from challenge.compiled.grid import Grid
from challenge.compiled.table import MAX_CELLS, ProbabilityTable
from challenge.errors import (
    InvalidFlightsError,
    ModelFileError,
    NotFittedError,
    UnknownPastError,
)
from challenge.explain.evidence import Evidence
from challenge.explain.shapley import Explainer, Explanation
from challenge.features.feature_sets import FEATURE_SETS, FeatureSet
from challenge.flights.faults import Fault
from challenge.flights.fields import MONTHS, NOT_GIVEN, SCHEDULED, Flight
from challenge.flights.rules import FlightReader
from challenge.flights.scl_2017 import SCL_2017
from challenge.flights.times import read_time
from challenge.flights.vocabulary import Vocabulary
from challenge.live.recent import Recent, shifted

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from challenge.classifier import Classifier
    from challenge.features.counts import Counts

# Of a record of `Counts.to_bytes`; there cannot be more of them than flights.
BYTES_A_KIND: Final = 20
KNOWN_FLIGHTS: Final = 10
# The table adds what the classifier adds in another order, in single precision.
KNOWN_TOLERANCE: Final = 1e-5
FIGURES: Final = (
    Path(__file__).parents[1] / "data/figures/flights_by_month_airline_city.csv"
)


class DelayModel:
    """Tells whether a flight will leave more than 15 minutes late.

    A new `DelayModel()` is the notebook's: ten columns and balanced logistic
    regression, with the vocabulary of the public SCL 2017 dataset.

    Args:
        classifier: logistic regression by default.
        features: the name of a feature set, `top10` or `schedule`.
        vocabulary: the values that flights may have.
        threshold: a flight with a higher probability is predicted as delayed; None
            for the balanced one, the delay rate of the training data.

    Attributes:
        card: what the model's file says of it; None if it was not loaded from one,
            or was fitted since.
        fingerprint: the SHA-256 of that file; None likewise.
        name: its start, as logs and records name the model; empty likewise.
        table: the probabilities of all flights; None before `compile` or `load`, or
            if there are more than `challenge.compiled.table.MAX_CELLS` of them.
        recent: what the last weeks add to them; None if the file tells nothing of it.
    """

    def __init__(
        self,
        classifier: Classifier | None = None,
        features: str = "top10",
        vocabulary: Vocabulary = SCL_2017,
        threshold: float | None = None,
    ) -> None:
        self.features = _feature_set(features, vocabulary)
        self.vocabulary = vocabulary
        self.reader = FlightReader(vocabulary)
        self.grid = Grid(vocabulary, self.features.fields)
        self.lookup = CellLookup(self.grid, vocabulary)
        self.table: ProbabilityTable | None = None
        self.recent: Recent | None = None
        self.card: ModelCard | None = None
        self.fingerprint: str | None = None
        self.name = ""
        self._path = Path()
        self._threshold = threshold
        self._classifier = classifier
        self._stored: model_file.Artifact | None = None
        self._month_shares: dict[int, float] = {}
        self._counts: Counts | None = None
        self._evidence: Evidence | None = None
        self._explainer: Explainer | None = None
        self._rows = 0

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
                TIPOVUELO, MES, optionally SIGLADES and Fecha-I, and for labels
                Fecha-I and Fecha-O (or the labels themselves). It is not changed.
            target_column: how to call the labels.

        Returns:
            The features, int16 codes, one row a flight under the index of `data`;
            with a `target_column` also a frame with that one column of 0 and 1.

        Raises:
            MissingColumnsError, InvalidFlightsError: both are ValueErrors.
        """
        import pandas as pd

        from challenge.flights.frames import code_flights

        coded = code_flights(data, self.reader, target_column)
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
            TrainingDataError: there are no flights, or only one class of them.
        """
        import numpy as np

        delayed = np.asarray(target).reshape(-1).astype(np.int64)
        matrix = np.asarray(features, dtype=np.int16)
        self._learn(matrix, np.ones_like(delayed), delayed)
        return self

    def fit_counts(self, counts: Counts) -> Self:
        """Learn from counted flights; the result is that of the flights themselves.

        Raises:
            TrainingDataError: there are no flights, or only one class of them.
        """
        import numpy as np

        matrix = self.features.matrix(counts.codes)
        self._learn(matrix, counts.flights, counts.delayed)
        self._counts = counts
        if not self.features.learns_missing_month:
            months = np.bincount(counts.codes[:, 2], weights=counts.flights)
            self._month_shares = {
                month + 1: flights / counts.total
                for month, flights in enumerate(months.tolist())
                if flights
            }
        return self

    def predict(self, features: pd.DataFrame) -> list[int]:
        """1 for each preprocessed flight that is predicted to be late, else 0.

        A new `DelayModel()` that was not fitted first learns the counts of the public
        SCL 2017 dataset, where the project's data/figures are at hand.

        Raises:
            NotFittedError: the model is not fitted.
        """
        if not self.is_fitted and self._is_default and FIGURES.exists():
            self._fit_figures()
        return self.decide(self.predict_proba(features).tolist())

    def predict_proba(self, features: pd.DataFrame) -> NDArray[np.float32]:
        """The calibrated probability of a delay of each flight, shape (flights,).

        Raises:
            NotFittedError: the model is not fitted.
        """
        import numpy as np

        return self._model.predict_proba(features).astype(np.float32)

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
    def counts(self) -> Counts | None:
        """The flights that the model was fitted to; None if `fit` got them uncounted.

        Raises:
            NotFittedError: the model is not fitted.
        """
        self._check_fitted()
        if self._counts is None and (stored := self._counts_bytes) is not None:
            from challenge.features.counts import Counts

            self._counts = Counts.from_bytes(stored)
        return self._counts

    @property
    def evidence(self) -> Evidence | None:
        """What there is to know of the flights that the model was fitted to, without
        numpy; None if `fit` got them uncounted.

        Raises:
            NotFittedError: the model is not fitted.
            ValueError: the counts in the model's file are damaged.
        """
        self._check_fitted()
        if self._evidence is None:
            data = self._counts.to_bytes() if self._counts else self._counts_bytes
            if data is not None:
                self._evidence = Evidence.from_bytes(data, self.vocabulary)
        return self._evidence

    @property
    def _counts_bytes(self) -> bytes | None:
        """The counts in the model's file as `Counts.to_bytes` gave them."""
        if self._stored is None or self._stored.counts is None:
            return None
        return model_file.decompress(self._stored.counts, self._rows * BYTES_A_KIND)

    def cell(self, flight: Mapping[str, object]) -> int | list[Fault]:
        """The number of a flight by its fields, or all that is wrong with them.

        It is that of its cell in the grid, and what its day adds where the model has a
        recent form.
        """
        outcome = self.reader.read(flight)
        if not isinstance(outcome, Flight):
            return outcome
        cell = self.grid.cell(outcome)
        scheduled = read_time(SCHEDULED, flight.get(SCHEDULED))
        if self.recent is not None and isinstance(scheduled, datetime):
            cell += self.recent.step(scheduled.date())
        return cell

    def probabilities(self, flights: Sequence[Flight]) -> list[float]:
        """The calibrated probability of a delay of each flight, 0 to 1, on no day.

        Read from the table where there is one, else computed by the classifier. A
        month that the training data lacks is averaged over: as a field left out is,
        by a model that learned this, else over the months that the training data
        held, each with its share of the flights.

        Raises:
            NotFittedError: the model is not fitted.
        """
        return self.predict_cells(list(map(self.grid.cell, flights)))

    def predict_cells(self, cells: Sequence[int]) -> list[float]:
        """The same for flights as the numbers that `cell` gives them, on their days."""
        size = self.grid.cells
        if self.recent is None or max(cells, default=0) < size:
            return self._of_cells(cells)
        return self.recent.moved_all(
            cells, self._of_cells([cell % size for cell in cells])
        )

    def probability_in_table(self, cell: int) -> float:
        """The same for one flight, of a model that has a table: the shortest way."""
        assert self.table is not None
        if cell < self.table.grid.cells:
            return self.table.probabilities[cell]
        assert self.recent is not None
        in_table = self.table.probabilities[cell % self.table.grid.cells]
        return self.recent.moved(cell, in_table)

    def _of_cells(self, cells: Sequence[int]) -> list[float]:
        if self.table is not None:
            return self.table.lookup(cells)
        import numpy as np

        codes = self.grid.codes(np.array(cells, dtype=np.int64))
        return list(map(float, self.predict_codes(codes)))

    def explain(self, flights: Sequence[Flight]) -> list[Explanation]:
        """Why each flight has its probability, on no day: what each of its fields adds.

        See `challenge.explain.shapley`; some milliseconds a flight.

        Raises:
            NotFittedError: the model is not fitted.
            UnknownPastError: the training flights were not counted.
        """
        return self.explanations_of_cells(list(map(self.grid.cell, flights)))

    def explanations_of_cells(self, cells: Sequence[int]) -> list[Explanation]:
        """The same for flights as the numbers that `cell` gives them, on their days."""
        if self._explainer is None:
            if self.evidence is None or not self.evidence.sample:
                raise UnknownPastError
            self._explainer = Explainer(self, self.evidence.sample)
        return list(map(self._explainer.explain, cells))

    def decide(self, probabilities: Sequence[float]) -> list[int]:
        """1 for each probability above the threshold, else 0."""
        threshold = self.threshold
        return [int(probability > threshold) for probability in probabilities]

    def verify(self) -> Self:
        """Answer the known flights of the model's card.

        Raises:
            ModelFileError: an answer is another than the card says.
        """
        for known in self.card.known if self.card else []:
            cell = self.cell(known.flight)
            answer = math.nan
            if isinstance(cell, int):
                (answer,) = self.predict_cells([cell])
            if not abs(answer - known.probability) <= KNOWN_TOLERANCE:
                problem = (
                    f"answers {known.flight} with {answer:.6f}; "
                    f"its card says {known.probability:.6f}"
                )
                raise ModelFileError(self._path, problem)
        return self

    def compile(self) -> Self:
        """Ask the classifier about every flight there can be and keep the answers.

        Raises:
            NotFittedError: the model is not fitted.
        """
        self._check_fitted()
        if self.grid.cells <= MAX_CELLS:
            probabilities = self._probabilities_of_grid()
            self.table = ProbabilityTable(self.grid, probabilities.tobytes())
        return self

    def save(self, path: str | Path, **about: Any) -> str:
        """Write the model to a file, in one step, and return the file's fingerprint.

        Args:
            path: the file; its folder is made when missing.
            about: fields of the model card that only the caller knows: `rows_rejected`,
                `data`, `data_sha256`, `period`, `metrics`, `threshold_rule`,
                `form_settings`.

        Raises:
            NotFittedError: the model is not fitted.
            ModelFileError: the file cannot be written.
        """
        self.compile()
        balanced = "balanced" if self._threshold is None else "given"
        counts = self.counts
        card = ModelCard(
            created=now(),
            features=self.features.name,
            classifier=self._model.name,
            parameters=self._model.parameters,
            threshold=self.threshold,
            rows=self._rows,
            delay_rate=self._model.base_rate_,
            library_versions=_library_versions(),
            known=self._known_flights(),
            **({"threshold_rule": balanced} | about),
        )
        table = None if self.table is None else self.table.to_bytes()
        contents = model_file.Artifact(
            card=card,
            vocabulary=self.vocabulary,
            month_shares=self._month_shares,
            classifier=self._model.state(),
            counts=None if counts is None else model_file.compress(counts.to_bytes()),
            table=table,
        )
        return model_file.write(path, contents)

    def save_with_form(self, form: RecentForm, path: str | Path) -> str:
        """Write a model that was loaded from a file with another recent form; nothing
        else of it changes. Returns the new file's fingerprint.

        Raises:
            NotFittedError: the model was not loaded from a file.
            ModelFileError: the file cannot be written.
        """
        if self._stored is None:
            raise NotFittedError("only a model that was loaded from a file is updated")
        card = msgspec.structs.replace(self._stored.card, recent_form=form)
        stored = msgspec.structs.replace(self._stored, card=card)
        known = self._of_stored(stored)._known_flights()
        card = msgspec.structs.replace(card, known=known)
        return model_file.write(path, msgspec.structs.replace(stored, card=card))

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
            model = cls._of_stored(stored)
        except ValueError as error:
            raise ModelFileError(path, f"is not a whole model: {error}") from error
        model.fingerprint, model.name = fingerprint, fingerprint[:12]
        model._path = Path(path)
        return model

    @classmethod
    def _of_stored(cls, stored: model_file.Artifact) -> Self:
        card = stored.card
        model = cls(
            features=card.features,
            vocabulary=stored.vocabulary,
            threshold=None if card.threshold_rule == "balanced" else card.threshold,
        )
        if stored.table is not None:
            model.table = ProbabilityTable(model.grid, stored.table)
        if card.recent_form is not None:
            if card.form_settings is None:
                raise ValueError("its card has a recent form without settings")
            model.recent = Recent(
                card.recent_form, card.form_settings, model.vocabulary, model.grid
            )
            model.lookup = CellLookup(model.grid, model.vocabulary, model.recent.step)
        model.card, model._stored = card, stored
        model._month_shares, model._rows = stored.month_shares, card.rows
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
                kind = CLASSIFIERS[card.classifier]
                self._classifier = kind.from_state(
                    self._stored.classifier, card.parameters
                )
        return self._classifier

    @property
    def _is_default(self) -> bool:
        return (
            self._classifier is None
            and self.features.name == "top10"
            and self.vocabulary is SCL_2017
        )

    def _known_flights(self) -> list[KnownFlight]:
        """Some training flights, every other one without its optional fields, with the
        answers of the classifier itself; none if the flights were not counted.

        Those with a time leave after the last flight of the recent form, if any.
        """
        import numpy as np

        if self.evidence is None:
            return []
        step = max(1, len(self.evidence.sample) // KNOWN_FLIGHTS)
        flights = [
            flight if place % 2 else Flight(*flight[:3])
            for place, flight in enumerate(self.evidence.sample[::step][:KNOWN_FLIGHTS])
        ]
        day = None
        if self.recent is not None:
            day = self.recent.until + timedelta(days=1)
            on_day = {"month": day.month - 1, "weekday": day.weekday()}
            flights = [
                flight if flight.hour == NOT_GIVEN else flight._replace(**on_day)
                for flight in flights
            ]
        known = [self.vocabulary.values(flight, day) for flight in flights]
        days = np.array(
            [day if SCHEDULED in values else None for values in known], "datetime64[D]"
        )
        codes = np.array(flights, dtype=np.int16)
        answers = self.predict_codes(codes, days).tolist()
        return list(map(KnownFlight, known, answers))

    def _check_fitted(self) -> None:
        if not self.is_fitted:
            raise NotFittedError("the model is not fitted; call fit first, or load one")

    def _fit_figures(self) -> None:
        import numpy as np

        from challenge.features.counts import Counts

        with FIGURES.open(encoding="utf-8", newline="") as stream:
            lines = list(csv.DictReader(stream))
        flights = [self.reader.read(line | {"MES": int(line["MES"])}) for line in lines]
        codes = np.array(flights, dtype=np.int16)
        counted = [[int(line["flights"]), int(line["delayed"])] for line in lines]
        self.fit_counts(Counts(codes, *np.array(counted).T))

    def _learn(
        self,
        matrix: NDArray[np.int16],
        flights: NDArray[np.int64],
        delayed: NDArray[np.int64],
    ) -> None:
        """Fit the classifier and forget all that was known from an earlier fit."""
        import numpy as np

        from challenge.features.counts import unique_rows

        levels, level_weights = zip(*self.features.knowledge_levels(matrix))
        kinds, inverse = unique_rows(np.concatenate(levels), self.features.sizes)
        n = np.bincount(inverse, np.outer(level_weights, flights).reshape(-1))
        late = np.bincount(inverse, np.outer(level_weights, delayed).reshape(-1))
        self._model.fit(
            np.concatenate([kinds, kinds]),
            np.repeat([1, 0], len(kinds)),
            sample_weight=np.concatenate([late, n - late]),
            ordered=[self.features.columns.index(c) for c in self.features.ordered],
        )
        self._rows = int(flights.sum())
        self._stored = self.card = self.fingerprint = self.recent = None
        self.name = ""
        self._counts = self._evidence = self._explainer = self.table = None
        self.lookup = CellLookup(self.grid, self.vocabulary)
        self._month_shares = {}

    def predict_codes(
        self,
        codes: NDArray[np.int16],
        days: NDArray[np.datetime64] | None = None,
    ) -> NDArray[np.float32]:
        """The answers of the classifier to flights, moved by the recent form.

        Args:
            codes: of shape (flights, 6).
            days: datetime64[D] of shape (flights,), NaT where not known; None if no
                flight has one.
        """
        import numpy as np

        self._check_fitted()
        known = [month - 1 for month in self._month_shares]
        unseen = ~np.isin(codes[:, 2], known) if known else np.zeros(len(codes), bool)
        matrix = self.features.matrix
        answers = np.zeros(len(codes))
        if not unseen.all():
            answers[~unseen] = self._model.predict_proba(matrix(codes[~unseen]))
        if unseen.any():
            moved = codes[unseen]
            for month, share in self._month_shares.items():
                moved[:, 2] = month - 1
                answers[unseen] += share * self._model.predict_proba(matrix(moved))
        if self.recent is not None and days is not None:
            answers = shifted(answers, np.exp(self.recent.offsets(codes, days)))
        return answers.astype(np.float32)

    def _probabilities_of_grid(self) -> NDArray[np.float32]:
        """The answers to all cells of the grid, in their order."""

        bases, rest = self.grid.factors()
        columns = self.features.base_columns
        answers = self._model.predict_proba_outer(
            self.features.matrix(bases)[:, :columns],
            self.features.matrix(rest)[:, columns:],
        )
        by_month = answers.reshape(-1, len(MONTHS), len(rest))
        average = sum(
            share * by_month[:, month - 1]
            for month, share in self._month_shares.items()
        )
        for month in MONTHS:
            if self._month_shares and month not in self._month_shares:
                by_month[:, month - 1] = average
        return answers


def _feature_set(name: str, vocabulary: Vocabulary) -> FeatureSet:
    if name not in FEATURE_SETS:
        known = ", ".join(FEATURE_SETS)
        raise ValueError(f"{name!r} is not a feature set; there are: {known}")
    return FEATURE_SETS[name](vocabulary)


def _library_versions() -> dict[str, str]:
    import platform
    from importlib.metadata import PackageNotFoundError, version

    versions = {"python": platform.python_version()}
    for package in (
        "flight-prophet",
        "numpy",
        "scikit-learn",
        "xgboost",
        "xgboost-cpu",
    ):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue  # of the two names of XGBoost one is installed
    return versions
