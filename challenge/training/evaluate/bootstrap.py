"""Bootstrap replicates of flights, drawn one by one or by whole days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

BOOTSTRAP_SEED: Final = 0
_ENTRIES_AT_ONCE: Final = 2_000_000


@dataclass(frozen=True)
class CountsByProbability:
    """Flights counted by distinct probability, the highest first, and class.

    Attributes:
        probability: the distinct ones, the highest first.
        cells: of each flight: twice the place of its probability, and 1 more if delayed.
        days: of each flight; None where flights are drawn one by one.
    """

    probability: NDArray[np.float64]
    cells: NDArray[np.int64]
    days: NDArray[np.datetime64] | None

    @classmethod
    def of(
        cls,
        probability: NDArray[np.floating],
        delayed: NDArray[np.int8],
        days: NDArray[np.datetime64] | None = None,
    ) -> Self:
        """Count flights; all arguments of shape (flights,)."""
        lowest_first, place = np.unique(probability, return_inverse=True)
        place = len(lowest_first) - 1 - place
        cells = 2 * place + delayed
        highest_first = lowest_first[::-1].astype(np.float64)
        return cls(highest_first, cells, days)

    def whole(self) -> NDArray[np.int64]:
        """The counts of all flights, shape (probabilities, 2): on time and delayed."""
        counts = np.bincount(self.cells, minlength=2 * len(self.probability))
        return counts.reshape(-1, 2)

    def replicates(self, replicates: int) -> Iterator[NDArray[np.int64]]:
        """Counts of as many flights, or of as many days, drawn with replacement, in
        batches of replicates.

        Which flights are drawn depends on their number, or their days, alone.
        """
        rng = np.random.default_rng(BOOTSTRAP_SEED)
        at_once = max(1, _ENTRIES_AT_ONCE // len(self.cells))
        for start in range(0, replicates, at_once):
            size = min(at_once, replicates - start)
            if self.days is None:
                counts = self._of_flights(rng, size)
            else:
                counts = self._of_days(rng, size, self.days)
            yield counts.reshape(size, -1, 2)

    def _of_flights(self, rng: np.random.Generator, size: int) -> NDArray[np.int64]:
        flights, cells = len(self.cells), 2 * len(self.probability)
        drawn = self.cells[rng.integers(flights, size=(size, flights))]
        drawn += cells * np.arange(size)[:, np.newaxis]
        return np.bincount(drawn.reshape(-1), minlength=size * cells)

    def _of_days(
        self, rng: np.random.Generator, size: int, days: NDArray[np.datetime64]
    ) -> NDArray[np.int64]:
        distinct, day = np.unique(days, return_inverse=True)
        counts = [
            np.bincount(self.cells, times[day], 2 * len(self.probability))
            for times in (
                np.bincount(drawn, minlength=len(distinct))
                for drawn in rng.integers(len(distinct), size=(size, len(distinct)))
            )
        ]
        return np.stack(counts).astype(np.int64)
