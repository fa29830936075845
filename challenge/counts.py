"""Flights as counts: all that training needs to know of a table of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from challenge.flights import Vocabulary


@dataclass(frozen=True)
class Counts:
    """How many flights there are of each kind, and how many of them were delayed.

    Attributes:
        codes: int16 of shape (kinds, 6), columns as in `challenge.flights.Flight`.
        flights: int64 of shape (kinds,), at least 1 each.
        delayed: int64 of shape (kinds,), at most `flights`.
    """

    codes: NDArray[np.int16]
    flights: NDArray[np.int64]
    delayed: NDArray[np.int64]

    @classmethod
    def of_rows(
        cls,
        codes: NDArray[np.int16],
        delayed: NDArray[np.integer],
        vocabulary: Vocabulary,
    ) -> Self:
        """Count rows: `codes` of shape (rows, 6), `delayed` 0 or 1 of shape (rows,)."""
        unique, inverse = unique_rows(codes, vocabulary.sizes)
        flights = np.bincount(inverse, minlength=len(unique))
        late = np.bincount(inverse, weights=delayed, minlength=len(unique))
        return cls(unique, flights, late.astype(np.int64))

    @property
    def total(self) -> int:
        return int(self.flights.sum())

    @property
    def delay_rate(self) -> float:
        """Delays over flights, 0 to 1."""
        return int(self.delayed.sum()) / self.total


def unique_rows(
    codes: NDArray[np.int16], sizes: tuple[int, ...]
) -> tuple[NDArray[np.int16], NDArray[np.intp]]:
    """The distinct rows in order, and for each row the position of its like.

    Column k holds -1 to sizes[k] - 1. One integer a row sorts far faster than rows.
    """
    numbers = np.ravel_multi_index(
        tuple(codes.T.astype(np.int64) + 1), tuple(size + 1 for size in sizes)
    )
    _, first, inverse = np.unique(numbers, return_index=True, return_inverse=True)
    return codes[first], inverse
