"""The flights that a model was fitted to, as they are kept in its file."""

from __future__ import annotations

import sys
from array import array
from functools import cached_property
from typing import TYPE_CHECKING

from challenge.artifact.model_file import decompress
from challenge.explain.evidence import RECORD_BYTES, Evidence
from challenge.explain.shapley import Explainer
from challenge.flights.vocabulary import Vocabulary

if TYPE_CHECKING:
    from challenge.features.counts import Counts


class TrainingFlights:
    """Counted flights: as counts for who has numpy, as evidence for who has not.

    Args:
        vocabulary: the model's.
        counts: the flights.
        compressed: the same as a model's file holds them, in their place.
        rows: how many flights there are; the file holds no more records than that.

    Attributes:
        explainer: explains the answers of the model to which they belong, once it was
            asked to; the same on all days.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        counts: Counts | None = None,
        compressed: bytes = b"",
        rows: int = 0,
    ) -> None:
        self._vocabulary = vocabulary
        self._counts = counts
        self._compressed = compressed
        self._rows = rows
        self.explainer: Explainer | None = None

    @cached_property
    def counts(self) -> Counts:
        """The flights as counts."""
        if self._counts is not None:
            return self._counts
        from challenge.features.counts import Counts

        return Counts.from_bytes(self._bytes())

    @cached_property
    def evidence(self) -> Evidence:
        """What can be told of them; some tenths of a second of work the first time.

        Raises:
            ValueError: what the file holds is damaged.
        """
        return Evidence.from_bytes(self._bytes(), self._vocabulary)

    def problem(self) -> str | None:
        """What is wrong with the counts of the file; None if nothing."""
        try:
            data = self._bytes()
        except ValueError as error:
            return f"is not a whole model: {error}"
        if len(data) % RECORD_BYTES:
            return "is not a whole model: the counts are damaged"
        # All records as columns of 16-bit numbers, of which codes are the first.
        numbers = array("h", data)
        if sys.byteorder == "big":
            numbers.byteswap()
        width = RECORD_BYTES // numbers.itemsize
        for column, size in enumerate(self._vocabulary.sizes):
            codes = numbers[column::width]
            if codes and not (-1 <= min(codes) and max(codes) < size):
                return "is not a whole model: the counts are of other names"
        return None

    @property
    def has_evidence(self) -> bool:
        """Whether `evidence` was made before."""
        return "evidence" in self.__dict__

    def _bytes(self) -> bytes:
        if self._counts is not None:
            return self._counts.to_bytes()
        return decompress(self._compressed, self._rows * RECORD_BYTES)
