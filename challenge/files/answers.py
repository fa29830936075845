"""What becomes of the rows of files: cells or faults, and how many of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from challenge.files.dialects import Dialect
from challenge.files.rejected_rows import RejectedRows
from challenge.files.scanning import UNCERTAIN, FlightsScan

ADDED_COLUMNS: Final = ("probability", "delay", "fault")

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
        file, format = flights.file, flights.format
        if file.is_rewritten or format:
            self.read_as[file.source.name] = replace(file.dialect, format=format)


def judged_cells(
    flights: FlightsScan, scored: PredictionCounts
) -> Iterator[tuple[list[int], dict[int, str]]]:
    """The cells of a scan, batch by batch, and what is wrong by position in the batch.

    The rows with a fault are counted in `scored.rejected`, and their cell is still UNCERTAIN;
    who asks counts all rows there, batch by batch.
    """
    uncertain = flights.uncertain_rows()
    for cells in flights.cells():
        faults: dict[int, str] = {}
        if UNCERTAIN in cells:
            for place, cell in enumerate(cells):
                if cell == UNCERTAIN:
                    judged = flights.judge(next(uncertain))
                    if isinstance(judged, int):
                        cells[place] = judged
                    else:
                        row = flights.file.row_numbers[scored.rows + place]
                        name = flights.file.source.name
                        scored.rejected.add_row(row, name, judged)
                        faults[place] = "; ".join(map(str, judged))
        yield cells, faults
