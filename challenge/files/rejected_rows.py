"""Rows of files that have faults, counted, with the first few of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from challenge.errors import FAULTS_SHOWN
from challenge.flights.faults import Fault


@dataclass
class RejectedRows:
    """Rows with faults.

    Attributes:
        rows: how many there are.
        kinds: how often each (field, type) of fault occurs.
        first: the first few, each with the row as people count it, and its file.
    """

    rows: int = 0
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[tuple[int, str, Fault]] = field(default_factory=list)

    def add_row(self, row: int, name: str, faults: Iterable[Fault]) -> None:
        """Count a row, as people count it, of the file with a name."""
        listed = list(faults)
        self.rows += 1
        self.kinds.update((fault.field, fault.type) for fault in listed)
        if len(self.first) < FAULTS_SHOWN:
            self._show([(row, name, fault) for fault in listed])

    def add(self, other: RejectedRows) -> None:
        """Add the rows of other files."""
        self.rows += other.rows
        self.kinds += other.kinds
        self._show(other.first)

    def _show(self, more: list[tuple[int, str, Fault]]) -> None:
        self.first = [*self.first, *more][:FAULTS_SHOWN]

    def __str__(self) -> str:
        if not self.rows:
            return "no invalid rows"
        kinds = ", ".join(
            f"{name} {kind}: {n}" for (name, kind), n in self.kinds.items()
        )
        of = " of {!r}" if len({name for _, name, _ in self.first}) > 1 else ""
        first = "; ".join(
            f"row {row}{of.format(name)}: {fault}" for row, name, fault in self.first
        )
        return f"{self.rows} invalid rows ({kinds}); the first: {first}"
