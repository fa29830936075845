"""What a fitted model answers to flights: the side of DelayModel that serving uses.

numpy and pandas are imported where they are used: a process that only serves predictions
from a model's table needs neither.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self, TypeAlias

from challenge.compiled.computed_table import ComputedTable
from challenge.compiled.encoder import CellEncoder
from challenge.compiled.grid import Grid
from challenge.compiled.table import ProbabilityTable
from challenge.errors import InvalidFlightsError, UnknownDayError, UnknownPastError
from challenge.explain.evidence import Evidence
from challenge.explain.shapley import Explainer, Explanation
from challenge.explain.training_flights import TrainingFlights
from challenge.flights.fields import DEPARTED
from challenge.flights.vocabulary import Vocabulary
from challenge.live.day import Day
from challenge.live.known import Question
from challenge.live.questions import QUESTION_FIELDS

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    from challenge.artifact.card import ModelCard
    from challenge.features.counts import Counts

    FlightsLike: TypeAlias = pd.DataFrame | Sequence[Mapping[str, object]] | str | Path


class Forecaster(ABC):
    """Answers flights with probabilities, decisions, reasons and evidence.

    Attributes:
        vocabulary: the names that flights may have.
        grid: numbers the flights that differ to the model.
        encoder: numbers flights by the values of their fields.
        table: the probabilities of all cells; None if they were not compiled.
        day: what the day of operations adds to them; None for nothing.
    """

    vocabulary: Vocabulary
    grid: Grid
    encoder: CellEncoder
    table: ProbabilityTable | ComputedTable | None
    day: Day | None
    _training_flights: TrainingFlights | None

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
        """The answers of the classifier to coded flights."""

    def forecast(
        self,
        flights: FlightsLike,
        history: FlightsLike | None = None,
        at: str | datetime | None = None,
        lead: int | None = None,
    ) -> pd.DataFrame:
        """What the service answers to flights, with what the day adds.

        Args:
            flights: a frame, dicts with the fields of POST /predict, or the path of a
                .csv, .csv.gz or .parquet file.
            history: flights as they left so far, likewise, with Fecha-O; an empty one is
                a flight that has not left. None for those that the model keeps.
            at: the moment of the question, a local time or one with an offset from UTC;
                None for that up to which all is known.
            lead: minutes before each flight at which it is asked about; not with `at`.

        Returns:
            One row a flight, under the index of a frame: `probability` of a delay,
            `delay` (1 above the threshold, else 0), and `support`, how many training
            flights had the same values (missing if they were not counted).

        Raises:
            NotFittedError: the model is not fitted.
            MissingColumnsError, InvalidFlightsError: both are ValueErrors.
            FlightsFileError: the file cannot be read.
            UnknownDayError: the model has not learned what past flights say.
            MomentError: `at` is no time, or `lead` is given, too.
        """
        import numpy as np
        import pandas as pd

        from challenge.flights.frames import code_flights, read_frame
        from challenge.live.frames import history_of, questions_of

        day = self.day
        if history is not None:
            past = read_frame(history, others=[DEPARTED])
            rules, grid = self.encoder.rules, self.grid
            past_flights = history_of(past, rules, grid, self.predict_cells)
            day = self.known_day.with_history(past_flights)
        if at is not None or lead is not None:
            day = (day or self.known_day).asked(at, lead)
        data = read_frame(flights)
        coded = code_flights(data, self.encoder.rules)
        if coded.faults:
            raise InvalidFlightsError(coded.faults)
        cells = self.grid.numbers(coded.codes)
        # Schedules repeat: each of them is asked about once.
        asked, place = np.unique(cells, return_inverse=True)
        of_schedule = np.array(self.predict_cells(asked.tolist()))[place]
        probabilities = of_schedule.tolist()
        if day is not None:
            asked_about = questions_of(data, coded.scheduled, day)
            day.move(probabilities, cells.tolist(), asked_about)
        support: list[int | None] = [None] * len(asked)
        if self.evidence is not None:
            support = [
                self.evidence.support(self.grid.flight(cell)) for cell in asked.tolist()
            ]
        return pd.DataFrame(
            {
                "probability": np.array(probabilities, dtype=np.float64),
                "delay": np.array(self.decide(probabilities), dtype=np.int64),
                "support": pd.array(support, dtype="Int64")[place],
            },
            index=data.index,
        )

    def predict_cells(self, cells: Sequence[int]) -> list[float]:
        """The calibrated probabilities of schedules, as the numbers of cells that
        `encoder` gives them.

        Read from the table where there is one, else computed by the classifier. A month
        that the training data lacks is averaged over: as a field left out is, by a model
        that learned this, else over the months that the training data held, each with its
        share of the flights.

        Raises:
            NotFittedError: the model is not fitted.
        """
        if self.table is not None:
            return self.table.lookup(cells)
        import numpy as np

        codes = self.grid.codes(np.array(cells, dtype=np.int64))
        return list(map(float, self.predict_codes(codes)))

    def predict_flights(
        self, cells: Sequence[int], questions: Mapping[int, Question]
    ) -> list[float]:
        """The same of flights: where the day says more than the schedule, with that.

        Args:
            cells: the flights.
            questions: by their positions, of the flights to whose odds the day may add
                something.

        Raises:
            NotFittedError: the model is not fitted.
        """
        probabilities = self.predict_cells(cells)
        if self.day is not None:
            self.day.move(probabilities, cells, questions)
        return probabilities

    def questions(self, flights: Iterable[Mapping[str, object]]) -> dict[int, Question]:
        """What is asked about valid flights, by their positions, for `predict_flights`."""
        if self.day is None:
            return {}
        asked = (
            self.day.question(*map(flight.get, QUESTION_FIELDS)) for flight in flights
        )
        return {place: one for place, one in enumerate(asked) if one is not None}

    @property
    def known_day(self) -> Day:
        """What the day of operations adds.

        Raises:
            UnknownDayError: the model has not learned what past flights say.
        """
        if self.day is None:
            raise UnknownDayError
        return self.day

    def with_day(self, day: Day | None) -> Self:
        """The same model on another day."""
        model = copy(self)
        model.day = day
        return model

    def predict_codes(self, codes: NDArray[np.int16]) -> NDArray[np.float32]:
        """The answers of the classifier to coded flights, shape (flights, CODES).

        Raises:
            NotFittedError: the model is not fitted.
        """
        import numpy as np

        return self._classify(codes).astype(np.float32)

    @property
    def cells_at_once(self) -> int:
        """How many cells a model of a file answers in some milliseconds."""
        return ComputedTable.AT_ONCE if self.table is None else self.table.AT_ONCE

    def decide(self, probabilities: Sequence[float]) -> list[int]:
        """1 for each probability above the threshold, else 0."""
        threshold = self.threshold
        return [int(probability > threshold) for probability in probabilities]

    def explain(self, cells: Sequence[int]) -> list[Explanation]:
        """Why schedules have their probabilities: what each of their fields adds.

        See `challenge.explain.shapley`; some milliseconds a flight.

        Args:
            cells: the flights, as the numbers that `encoder` gives them.

        Raises:
            NotFittedError: the model is not fitted.
            UnknownPastError: the training flights were not counted.
        """
        return list(map(self._explainer.explain, cells))

    def each_alone(self, cell: int) -> Mapping[str, float]:
        """What each field adds to the log-odds of a schedule, all else equal; see
        `challenge.explain.shapley`.

        Args:
            cell: the flight, as the number that `encoder` gives it.

        Raises:
            NotFittedError: the model is not fitted.
            UnknownPastError: the training flights were not counted.
        """
        return self._explainer.each_alone(cell)

    @property
    def _explainer(self) -> Explainer:
        known = self._training_flights
        if known is None or not known.evidence.sample:
            raise UnknownPastError
        if known.explainer is None:
            table = self.table
            known.explainer = Explainer(
                self.grid,
                # It outlives the day.
                self.with_day(None).predict_cells,
                known.evidence.sample,
                table.mean_over if isinstance(table, ComputedTable) else None,
            )
        return known.explainer

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
