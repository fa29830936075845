"""Flights as counts: all that training needs to know of a table of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from challenge.flights.fields import NOT_GIVEN
from challenge.flights.vocabulary import Vocabulary

_KIND: Final = np.dtype([("codes", "<i2", 6), ("flights", "<i4"), ("delayed", "<i4")])


@dataclass(frozen=True)
class Counts:
    """How many flights there are of each kind, and how many of them were delayed.

    Attributes:
        codes: int16 of shape (kinds, 6), columns as in `challenge.flights.fields.Flight`.
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

    def to_bytes(self) -> bytes:
        """One record a kind, little-endian: six int16 codes, int32 flights, delayed."""
        records = np.empty(len(self.codes), dtype=_KIND)
        records["codes"] = self.codes
        records["flights"] = self.flights
        records["delayed"] = self.delayed
        return records.tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` was called on.

        Raises:
            ValueError: the bytes are not whole records.
        """
        records = np.frombuffer(data, dtype=_KIND)
        codes = records["codes"].astype(np.int16)
        flights, delayed = (records[n].astype(np.int64) for n in ("flights", "delayed"))
        return cls(codes, flights, delayed)

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


def translate(
    codes: NDArray[np.int16], vocabulary: Vocabulary, other: Vocabulary
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Flights coded by one vocabulary as another codes them.

    Returns:
        int16 of shape (flights, 6), and whether the other knows all values of a
        flight, shape (flights,); the codes of the others mean nothing.
    """
    translated, known = codes.copy(), np.ones(len(codes), dtype=bool)
    for column, (values, others) in (
        (0, (vocabulary.airlines, other.airlines)),
        (1, (vocabulary.flight_types, other.flight_types)),
        (3, (vocabulary.destinations, other.destinations)),
    ):
        code_of = {value: code for code, value in enumerate(others)}
        # The last entry is where NOT_GIVEN, -1, points.
        theirs = np.array([*(code_of.get(v, NOT_GIVEN) for v in values), NOT_GIVEN])
        translated[:, column] = theirs[codes[:, column]]
        known &= (translated[:, column] != NOT_GIVEN) | (codes[:, column] == NOT_GIVEN)
    return translated, known
