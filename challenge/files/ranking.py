"""Which flights to look at first: those with the highest probabilities of a delay."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from challenge.files.answers import PredictionCounts, judged_rows
from challenge.files.faults import INVALID_ROWS
from challenge.files.formats import ReadOptions
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile
from challenge.files.scanning import FlightsScan
from challenge.files.sql import engine
from challenge.model import DelayModel


@dataclass(frozen=True)
class RankedFlight:
    """A flight of a file.

    Attributes:
        row: as people count it: 2 is mostly the first of a text, 1 that of Parquet.
        probability: of a delay.
        values: of all columns of the file, by their names.
    """

    row: int
    probability: float
    values: dict[str, object]


def highest(
    probabilities: Iterable[float], top: int, first: int = 0
) -> list[tuple[float, int]]:
    """The highest probabilities with their positions, the earlier first among equals.

    Args:
        probabilities: in the order of their positions.
        top: how many are wanted at most.
        first: the position of the first one.
    """
    # Counted down, so that of equal pairs the earlier position is the higher.
    pairs = zip(probabilities, itertools.count(-first, -1))
    return [(p, -position) for p, position in heapq.nlargest(top, pairs)]


def rank_file(
    model: DelayModel,
    source: str | Path,
    top: int,
    options: ReadOptions | None = None,
    average: bool = False,
) -> tuple[list[RankedFlight], PredictionCounts]:
    """The flights of a file to look at first, and what became of all of its rows.

    Args:
        model: what answers.
        source: a file, as `predict_file` takes it.
        top: how many are wanted at most.
        options, average: as `predict_file` takes them.

    Raises:
        MissingColumnsError, FlightsFileError: as `predict_file` at invalid rows.
    """
    path = Path(source)

    def rank(file: PlainFile) -> tuple[list[RankedFlight], PredictionCounts]:
        best: list[tuple[float, int]] = []
        with engine(model, file) as connection:
            flights = FlightsScan(
                connection, model, file, options=options, average=average
            )
            scored = PredictionCounts()
            for cells, questions, faults in judged_rows(flights, scored):
                if not faults:
                    found = model.predict_flights(cells, questions)
                    more = highest(found, top, scored.rows)
                    best = sorted([*best, *more], key=lambda one: (-one[0], one[1]))
                    best = best[:top]
                scored.rows += len(cells)
            if scored.invalid:
                raise INVALID_ROWS.error(path, rejected=scored.rejected)
            values = flights.rows([position for _, position in best])
        scored.add_reading(flights)
        ranked = [
            RankedFlight(file.row_numbers[position], probability, values[position])
            for probability, position in best
        ]
        return ranked, scored

    return read_plain(path, rank)


def expected_late(probabilities: Sequence[float]) -> float:
    """How many of the flights are late on average: the sum of their probabilities."""
    return float(sum(probabilities))
