"""What flights have in common with others: the groups of which windows count how they
left."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from challenge.compiled.grid import Grid
from challenge.flights.fields import AIRLINE, DESTINATION, ORIGIN, SCHEDULED
from challenge.live.terms import Key

# So many cells are remembered, some hundred bytes each.
_CELLS_KEPT: Final = 2_000

# The place of the key, and what the flights have of it.
FlightGroup: TypeAlias = tuple[int, ...]


class Codes(NamedTuple):
    """Those of a flight that groups depend on; the time is the hour of the week."""

    airline: int
    origin: int
    destination: int
    time: int


class Groups:
    """Tells the groups of flights.

    Args:
        grid: the model's.
        keys: what the flights of a group have in common, one group for each.

    Attributes:
        everything: the group of all flights, which is counted in any case.
    """

    def __init__(self, grid: Grid, keys: Sequence[Key]) -> None:
        self._grid = grid
        self._keys = tuple(keys)
        self._axes = [
            grid.axis(name) for name in (AIRLINE, ORIGIN, DESTINATION, SCHEDULED)
        ]
        self.everything: FlightGroup = ()
        if Key.ALL in self._keys:
            self.everything = (self._keys.index(Key.ALL),)
        self.of = lru_cache(_CELLS_KEPT)(self._of)

    def codes(self, cell: int) -> Codes:
        """The codes of a flight by its cell."""
        airline, origin, destination, time = self._axes
        code = self._grid.code
        return Codes(
            code(cell, airline),
            code(cell, origin),
            code(cell, destination),
            code(cell, time),
        )

    def counted(self, cell: int) -> tuple[FlightGroup, ...]:
        """The groups that count a flight."""
        groups: tuple[FlightGroup, ...] = self.of(cell)
        return groups if self.everything else (self.everything, *groups)

    def _of(self, cell: int) -> tuple[FlightGroup, ...]:
        """The group of a flight for each key."""
        codes = self.codes(cell)
        return tuple((place, *key.of(*codes)) for place, key in enumerate(self._keys))
