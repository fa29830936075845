"""What becomes of the invalid rows of files; count them and keep the first few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeAlias

from challenge.errors import FAULTS_SHOWN
from challenge.flights.faults import Fault, told_input

# What becomes of them: they stop the work, are kept among the others, or are all that is
# wanted.
Invalid: TypeAlias = Literal["stop", "keep", "only"]


@dataclass
class RejectedRows:
    """Invalid rows of one or more files.

    Attributes:
        rows: their number.
        counts: the number of faults by (field, type).
        first: the first few faults, each with its row as `add_row` takes it and the
            name of its file.
        kept: how many of them at most.
    """

    rows: int = 0
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: list[tuple[int, str, Fault]] = field(default_factory=list)
    kept: int = FAULTS_SHOWN

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
        if len(self.first) < self.kept:
            self._show([(row, name, fault) for fault in listed])

    def add(self, other: RejectedRows) -> None:
        """Add the rows of other files."""
        self.rows += other.rows
        self.counts += other.counts
        self._show(other.first)

    def first_as_json(self) -> list[dict[str, Any]]:
        """The first faults with their rows, whatever values these hold."""
        return [
            {"row": row} | replace(fault, input=told_input(fault.input)).to_json()
            for row, _, fault in self.first
        ]

    def to_json(self) -> dict[str, Any]:
        """As JSON tells them: their number, how many faults there are of each kind, and
        the first ones."""
        return {
            "rows": self.rows,
            "counts": [
                {"field": name, "type": kind, "faults": n}
                for (name, kind), n in self.counts.items()
            ],
            "first": self.first_as_json(),
        }

    def _show(self, more: list[tuple[int, str, Fault]]) -> None:
        self.first = [*self.first, *more][: self.kept]

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
