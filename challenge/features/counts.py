"""Flights as counts: all that training needs to know of a table of any size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from challenge.flights.fields import CATEGORIES, CODES, NOT_GIVEN, code_of
from challenge.flights.vocabulary import Vocabulary, fold

_RECORD: Final = np.dtype(
    [("codes", "<i2", CODES), ("flights", "<i4"), ("delayed", "<i4")]
)


@dataclass(frozen=True)
class Counts:
    """How many flights have the same codes, and how many of them were delayed.

    Attributes:
        codes: int16 of shape (rows, CODES), unique, columns as in `challenge.flights.fields.Flight`.
        flights: int64 of shape (rows,), at least 1 each.
        delayed: int64 of shape (rows,), at most `flights`.
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
        """Count rows: `codes` of shape (rows, CODES), `delayed` 0 or 1 of shape (rows,)."""
        unique, inverse = unique_rows(codes, vocabulary.sizes)
        flights = np.bincount(inverse, minlength=len(unique))
        late = np.bincount(inverse, weights=delayed, minlength=len(unique))
        return cls(unique, flights, late.astype(np.int64))

    def to_bytes(self) -> bytes:
        """One record a row, little-endian: the int16 codes, int32 flights and delayed."""
        records = np.empty(len(self.codes), dtype=_RECORD)
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
        records = np.frombuffer(data, dtype=_RECORD)
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
        int16 of shape (flights, CODES), and whether the other knows all names of a
        flight, shape (flights,); the codes of the others mean nothing.
    """
    translated, known = codes.copy(), np.ones(len(codes), dtype=bool)
    for field in CATEGORIES:
        column, theirs = code_of(field), other.folded_codes(field.name)
        # The last entry is where NOT_GIVEN, -1, points.
        their_code = np.array(
            [theirs.get(fold(name), NOT_GIVEN) for name in vocabulary[field.name]]
            + [NOT_GIVEN]
        )
        translated[:, column] = their_code[codes[:, column]]
        # Of a field without names the other learned nothing.
        if theirs or field.required:
            is_lost = translated[:, column] == NOT_GIVEN
            known &= ~is_lost | (codes[:, column] == NOT_GIVEN)
    return translated, known
