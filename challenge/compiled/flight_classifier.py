"""A classifier that is asked about coded flights instead of features."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from challenge.compiled.computed_table import ComputedTable
from challenge.compiled.grid import MAX_CELLS, Grid
from challenge.compiled.scorers import scorer_of
from challenge.compiled.table import ProbabilityTable
from challenge.errors import TrainingDataError
from challenge.features.feature_sets import FeatureSet
from challenge.flights.fields import MONTH_CODE, MONTHS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from challenge.features.counts import Counts


class CategoryClassifier(Protocol):
    """What `challenge.classifier.Classifier` offers to be asked through."""

    @property
    def name(self) -> str: ...

    def state(self) -> dict[str, Any]:
        """What it has learned."""

    def fit(self, features: Any, target: Any, sample_weight: Any, ordered: Any) -> Any:
        """Learn from weighted rows."""

    def predict_proba(self, features: Any) -> NDArray[np.float64]:
        """The probability of a delay of each row."""

    def predict_proba_outer(self, left: Any, right: Any) -> NDArray[np.float32]:
        """The same of every row of one matrix joined with every row of another."""


class FlightClassifier:
    """A feature set and a classifier over it.

    Args:
        features: what the classifier sees of a flight.
        classifier: the classifier.
        month_shares: the months, 1 to 12, over which one that is not among them is
            averaged, with the weight of each; empty if the classifier knows what to say
            of any month.
    """

    def __init__(
        self,
        features: FeatureSet,
        classifier: CategoryClassifier,
        month_shares: Mapping[int, float],
    ) -> None:
        self.features = features
        self.classifier = classifier
        self.month_shares = month_shares

    def fit(
        self,
        matrix: NDArray[np.int16],
        flights: NDArray[np.int64],
        delayed: NDArray[np.int64],
    ) -> None:
        """Learn from counted rows, with and without their optional fields.

        Args:
            matrix: features, shape (rows, columns).
            flights, delayed: how many flights each row stands for, shape (rows,).
        """
        import numpy as np

        from challenge.features.counts import unique_rows

        levels, level_weights = zip(*self.features.knowledge_levels(matrix))
        rows, place = unique_rows(np.concatenate(levels), self.features.sizes)
        n = np.bincount(place, np.outer(level_weights, flights).reshape(-1))
        late = np.bincount(place, np.outer(level_weights, delayed).reshape(-1))
        self.classifier.fit(
            np.concatenate([rows, rows]),
            np.repeat([1, 0], len(rows)),
            sample_weight=np.concatenate([late, n - late]),
            ordered=[self.features.columns.index(c) for c in self.features.ordered],
        )

    def predict_proba(self, codes: NDArray[np.int16]) -> NDArray[np.float64]:
        """The probability of a delay, shape (flights,), of codes of shape (flights,
        CODES)."""
        import numpy as np

        known = [month - 1 for month in self.month_shares]
        months = codes[:, MONTH_CODE]
        unseen = ~np.isin(months, known) if known else np.zeros(len(codes), bool)
        answers = np.zeros(len(codes))
        if not unseen.all():
            answers[~unseen] = self._ask(codes[~unseen])
        if unseen.any():
            moved = codes[unseen]
            for month, share in self.month_shares.items():
                moved[:, MONTH_CODE] = month - 1
                answers[unseen] += share * self._ask(moved)
        return answers

    def compile(self, grid: Grid) -> ProbabilityTable | ComputedTable:
        """The answers to every cell of a grid; computed when they are asked for if it
        has more than MAX_CELLS.

        Raises:
            TrainingDataError: the classifier is too large for that.
        """
        if grid.cells > MAX_CELLS:
            name, state = self.classifier.name, self.classifier.state()
            try:
                scorer = scorer_of(name, state, self.features.sizes)
            except ValueError as error:
                raise TrainingDataError(
                    f"a model of {grid.cells} different flights: {error}"
                ) from error
            return ComputedTable(grid, self.features, scorer, self.month_shares)
        required, optional = grid.factors()
        columns = self.features.base_columns
        answers = self.classifier.predict_proba_outer(
            self.features.matrix(required)[:, :columns],
            self.features.matrix(optional)[:, columns:],
        )
        by_month = answers.reshape(-1, len(MONTHS), len(optional))
        average = sum(
            share * by_month[:, month - 1] for month, share in self.month_shares.items()
        )
        for month in MONTHS:
            if self.month_shares and month not in self.month_shares:
                by_month[:, month - 1] = average
        return ProbabilityTable(grid, answers.tobytes())

    def _ask(self, codes: NDArray[np.int16]) -> NDArray[np.float64]:
        return self.classifier.predict_proba(self.features.matrix(codes))


def month_shares(counts: Counts) -> dict[int, float]:
    """The share of the flights in each month that has some."""
    import numpy as np

    months = np.bincount(counts.codes[:, MONTH_CODE], weights=counts.flights)
    return {
        month + 1: flights / counts.total
        for month, flights in enumerate(months.tolist())
        if flights
    }
