"""Count the invalid rows of files and keep the first few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from challenge.errors import FAULTS_SHOWN
from challenge.flights.faults import Fault


@dataclass
class RejectedRows:
    """Invalid rows of one or more files.

    Attributes:
        rows: their number.
        counts: the number of faults by (field, type).
        first: the first few faults, each with its row as `add_row` takes it and the
            name of its file.
    """

    rows: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[tuple[int, str, Fault]] = field(default_factory=list)

    def add_row(self, row: int, name: str, faults: Iterable[Fault]) -> None:
        """Count a row.

        Args:
            row: its number, as `RowNumbers` has it.
            name: of the file.
            faults: of the row.
        """
        listed = list(faults)
        self.rows += 1
        self.counts.update((fault.field, fault.type) for fault in listed)
        if len(self.first) < FAULTS_SHOWN:
            self._show([(row, name, fault) for fault in listed])

    def add(self, other: RejectedRows) -> None:
        """Add the rows of other files."""
        self.rows += other.rows
        self.counts += other.counts
        self._show(other.first)

    def _show(self, more: list[tuple[int, str, Fault]]) -> None:
        self.first = [*self.first, *more][:FAULTS_SHOWN]

    def __str__(self) -> str:
        if not self.rows:
            return "no invalid rows"
        counts = ", ".join(
            f"{name} {type_}: {n}".lstrip() for (name, type_), n in self.counts.items()
        )
        of = " of {!r}" if len({name for _, name, _ in self.first}) > 1 else ""
        first = "; ".join(
            f"row {row}{of.format(name)}: {fault}" for row, name, fault in self.first
        )
        return f"{self.rows} invalid rows ({counts}); the first: {first}"
