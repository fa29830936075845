"""The probability of a delay of every flight that can be asked about.

Serving needs no more than this and the grid, so both are free of numpy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from challenge.compiled.grid import Grid


class ProbabilityTable:
    """The probability of a delay for every cell of a grid, in single precision.

    Args:
        grid: numbers the flights.
        probabilities: the bytes of `grid.cells` native floats of four bytes.
    """

    CELL_BYTES: Final = 4
    # Some milliseconds.
    AT_ONCE: Final = 5_000

    def __init__(self, grid: Grid, probabilities: bytes) -> None:
        if len(probabilities) != grid.cells * self.CELL_BYTES:
            raise ValueError(
                f"a table of {len(probabilities)} bytes for {grid.cells} cells"
            )
        self.grid = grid
        self.probabilities = memoryview(probabilities).cast("f")

    def to_bytes(self) -> bytes:
        return self.probabilities.tobytes()

    def lookup(self, cells: Iterable[int]) -> list[float]:
        """The probability of a delay in each cell."""
        return list(map(self.probabilities.__getitem__, cells))

    def __reduce__(self) -> tuple[Any, ...]:
        # Views cannot be pickled.
        return type(self), (self.grid, self.to_bytes())
