"""What becomes of the rows of files: cells or faults, and how many of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Final, NamedTuple

from challenge.files.dialects import Dialect
from challenge.files.rejected_rows import Invalid, RejectedRows
from challenge.files.scanning import UNCERTAIN, FlightsScan, asked_cell
from challenge.live.known import Question

ADDED_COLUMNS: Final = ("probability", "delay", "fault")
# Behind rows that are to be mended: not one of these, which a file may not have when it
# is sent again.
PROBLEM: Final = "problem"

Progress = Callable[[int], None]


@dataclass
class PredictionCounts:
    """What became of the rows of a file, or of several.

    Attributes:
        rows: how many there are.
        delayed: how many of them are predicted to be late.
        rejected: those with a fault.
        averaged: how many unknown names were taken as not given, by their fields.
        read_as: by the names of files, the dialects of those that were not plain.
    """

    rows: int = 0
    delayed: int = 0
    rejected: RejectedRows = field(default_factory=RejectedRows)
    averaged: Counter[str] = field(default_factory=Counter)
    read_as: dict[str, Dialect] = field(default_factory=dict)

    @property
    def invalid(self) -> int:
        """How many rows have a fault."""
        return self.rejected.rows

    def add(self, other: PredictionCounts) -> None:
        """Add what became of the rows of another file."""
        self.rows += other.rows
        self.delayed += other.delayed
        self.rejected.add(other.rejected)
        self.averaged += other.averaged
        self.read_as |= other.read_as

    def add_reading(self, flights: FlightsScan) -> None:
        """Take note of how a file was read, once all of its rows were."""
        self.averaged += flights.averaged
        self.read_as |= flights.read_as


class Batch(NamedTuple):
    """Some rows of a scan.

    Attributes:
        cells: of each row; still UNCERTAIN of those with a fault.
        questions: by their positions in the batch, of the rows to whose odds the day may
            add something.
        faults: what is wrong, by position.
    """

    cells: list[int]
    questions: dict[int, Question]
    faults: dict[int, str]


def added_columns(there: Collection[str], invalid: Invalid) -> tuple[str, ...]:
    """The columns behind those of a file.

    Args:
        there: the names of its own.
        invalid: "only": one for what is wrong, called PROBLEM, or with a number behind
            that where there is one.
    """
    if invalid == "only":
        taken = {name.strip().lower() for name in there}
        names = chain([PROBLEM], (f"{PROBLEM} {number}" for number in count(2)))
        return (next(name for name in names if name not in taken),)
    return ADDED_COLUMNS if invalid == "keep" else ADDED_COLUMNS[:2]


def judged_rows(flights: FlightsScan, scored: PredictionCounts) -> Iterator[Batch]:
    """The rows of a scan, batch by batch.

    Those with a fault are counted in `scored.rejected`; who asks counts all rows there,
    batch by batch.
    """
    uncertain, asked = flights.uncertain_rows(), flights.asked_rows()
    for cells in flights.cells():
        batch = Batch(cells, {}, {})
        if min(cells, default=0) <= UNCERTAIN:
            for place, cell in enumerate(cells):
                if cell == UNCERTAIN:
                    row = next(uncertain)
                    judged = flights.judge(row)
                    if not isinstance(judged, int):
                        number = flights.file.row_numbers[scored.rows + place]
                        name = flights.file.source.name
                        scored.rejected.add_row(number, name, judged)
                        batch.faults[place] = "; ".join(map(str, judged))
                        continue
                    cells[place] = judged
                elif cell < UNCERTAIN:
                    row = next(asked)
                    cells[place] = asked_cell(cell)
                else:
                    continue
                question = flights.question(row, cells[place])
                if question is not None:
                    batch.questions[place] = question
        yield batch
