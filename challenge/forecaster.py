"""What a fitted model answers to flights: the side of DelayModel that serving uses.

numpy and pandas are imported where they are used: a process that only serves predictions
from a model's table needs neither.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from challenge.compiled.computed_table import ComputedTable
from challenge.compiled.encoder import CellEncoder
from challenge.compiled.grid import Grid
from challenge.compiled.log_odds import shifted
from challenge.compiled.table import ProbabilityTable
from challenge.errors import InvalidFlightsError, UnknownPastError
from challenge.explain.evidence import Evidence
from challenge.explain.shapley import Explainer, Explanation
from challenge.explain.training_flights import TrainingFlights
from challenge.flights.vocabulary import Vocabulary
from challenge.live.recent import Recent

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from challenge.artifact.card import ModelCard
    from challenge.features.counts import Counts


class Forecaster(ABC):
    """Answers flights with probabilities, decisions, reasons and evidence.

    Attributes:
        vocabulary: the names that flights may have.
        grid: numbers the flights that differ to the model.
        encoder: numbers flights by the values of their fields.
        table: the probabilities of all cells; None if they were not compiled.
        recent: what the last weeks add to them; None for nothing.
    """

    vocabulary: Vocabulary
    grid: Grid
    encoder: CellEncoder
    table: ProbabilityTable | ComputedTable | None
    recent: Recent | None
    _training_flights: TrainingFlights | None
    _explainer: Explainer | None

    @property
    @abstractmethod
    def card(self) -> ModelCard:
        """What the model is."""

    @property
    @abstractmethod
    def threshold(self) -> float:
        """A flight is predicted as delayed where its probability is above this."""

    @abstractmethod
    def _classify(self, codes: NDArray[np.int16]) -> NDArray[np.float64]:
        """The answers of the classifier to coded flights, on no day."""

    def forecast(
        self, flights: pd.DataFrame | Sequence[Mapping[str, object]] | str | Path
    ) -> pd.DataFrame:
        """What the service answers to flights, recent form included.

        Args:
            flights: a frame, dicts with the fields of POST /predict, or the path of a
                .csv, .csv.gz or .parquet file.

        Returns:
            One row a flight, under the index of a frame: `probability` of a delay,
            `delay` (1 above the threshold, else 0), and `support`, how many training
            flights had the same values (missing if they were not counted).

        Raises:
            NotFittedError: the model is not fitted.
            MissingColumnsError, InvalidFlightsError: both are ValueErrors.
            FlightsFileError: the file cannot be read.
        """
        import numpy as np
        import pandas as pd

        from challenge.flights.frames import code_flights, read_frame

        data = read_frame(flights)
        coded = code_flights(data, self.encoder.rules)
        if coded.faults:
            raise InvalidFlightsError(coded.faults)
        cells = self.grid.numbers(coded.codes)
        if self.recent is not None:
            cells += self.recent.steps(coded.scheduled.astype("datetime64[D]"))
        # Schedules repeat: each of their flights is asked about once.
        asked, place = np.unique(cells, return_inverse=True)
        probabilities = self.predict_cells(asked.tolist())
        support: list[int | None] = [None] * len(asked)
        if self.evidence is not None:
            support = [
                self.evidence.support(self.grid.flight(cell)) for cell in asked.tolist()
            ]
        answers = pd.DataFrame(
            {
                "probability": np.array(probabilities, dtype=np.float64),
                "delay": np.array(self.decide(probabilities), dtype=np.int64),
                "support": pd.array(support, dtype="Int64"),
            }
        )
        return answers.iloc[place].set_axis(data.index)

    def predict_cells(self, cells: Sequence[int]) -> list[float]:
        """The calibrated probabilities of flights, as the numbers that `encoder` gives
        them.

        Read from the table where there is one, else computed by the classifier, and
        moved by the recent form. A month that the training data lacks is averaged over:
        as a field left out is, by a model that learned this, else over the months that
        the training data held, each with its share of the flights.

        Raises:
            NotFittedError: the model is not fitted.
        """
        size = self.grid.cells
        if self.recent is None or max(cells, default=0) < size:
            return self._on_no_day(cells)
        return self.recent.moved_all(
            cells, self._on_no_day([cell % size for cell in cells])
        )

    def predict_codes(
        self, codes: NDArray[np.int16], days: NDArray[np.datetime64] | None = None
    ) -> NDArray[np.float32]:
        """The answers of the classifier to coded flights, moved by the recent form.

        Args:
            codes: of shape (flights, CODES).
            days: datetime64[D] of shape (flights,), NaT where not known; None if no
                flight has one.

        Raises:
            NotFittedError: the model is not fitted.
        """
        import numpy as np

        answers = self._classify(codes)
        if self.recent is not None and days is not None:
            answers = shifted(answers, np.exp(self.recent.offsets(codes, days)))
        return answers.astype(np.float32)

    @property
    def cells_at_once(self) -> int:
        """How many cells a model of a file answers in some milliseconds."""
        return ComputedTable.AT_ONCE if self.table is None else self.table.AT_ONCE

    def decide(self, probabilities: Sequence[float]) -> list[int]:
        """1 for each probability above the threshold, else 0."""
        threshold = self.threshold
        return [int(probability > threshold) for probability in probabilities]

    def explain(self, cells: Sequence[int]) -> list[Explanation]:
        """Why flights have their probabilities: what each of their fields adds.

        See `challenge.explain.shapley`; some milliseconds a flight.

        Args:
            cells: the flights, as the numbers that `encoder` gives them.

        Raises:
            NotFittedError: the model is not fitted.
            UnknownPastError: the training flights were not counted.
        """
        if self._explainer is None:
            if self.evidence is None or not self.evidence.sample:
                raise UnknownPastError
            sample = self.evidence.sample
            table = self.table
            self._explainer = Explainer(
                self.grid,
                self.predict_cells,
                sample,
                table.mean_over if isinstance(table, ComputedTable) else None,
            )
        form = self.recent
        return [
            self._explainer.explain(cell, 0.0 if form is None else form.offset(cell))
            for cell in cells
        ]

    @property
    def counts(self) -> Counts | None:
        """The flights that the model was fitted to; None if `fit` got them uncounted."""
        known = self._training_flights
        return None if known is None else known.counts

    @property
    def evidence(self) -> Evidence | None:
        """What there is to know of the flights that the model was fitted to, without
        numpy; None if `fit` got them uncounted.

        Raises:
            ValueError: the counts in the model's file are damaged.
        """
        known = self._training_flights
        return None if known is None else known.evidence

    @property
    def has_evidence(self) -> bool:
        """Whether `evidence` is at hand, and takes no time."""
        known = self._training_flights
        return known is None or known.has_evidence

    def _on_no_day(self, cells: Sequence[int]) -> list[float]:
        if self.table is not None:
            return self.table.lookup(cells)
        import numpy as np

        codes = self.grid.codes(np.array(cells, dtype=np.int64))
        return list(map(float, self.predict_codes(codes)))
