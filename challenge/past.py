"""The flights that a model learned from, for who has no numpy."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from challenge.flights import Flight, Vocabulary

# As `challenge.counts.Counts.to_bytes` writes it.
_KIND: Final = struct.Struct("<6hii")
SAMPLED: Final = 1_000


@dataclass(frozen=True)
class Past:
    """Past flights by the values of each field, and a sample of them.

    Attributes:
        flights: for each field of a Flight, how many flights had each of its codes.
        late: likewise, how many of these were late.
        sample: at most SAMPLED flights, evenly from all of them in the order of their
            fields, so that each airline, month and so on has its share.
    """

    flights: list[list[int]]
    late: list[list[int]]
    sample: list[Flight]

    @classmethod
    def of_bytes(cls, data: bytes, vocabulary: Vocabulary) -> Self:
        """Read what `Counts.to_bytes` gave.

        Raises:
            ValueError: it is not that, or not by this vocabulary.
        """
        flights = [[0] * size for size in vocabulary.sizes]
        late = [[0] * size for size in vocabulary.sizes]
        kinds: list[tuple[Flight, int]] = []
        try:
            for *codes, count, late_count in _KIND.iter_unpack(data):
                for field, code in enumerate(codes):
                    if code >= 0:
                        flights[field][code] += count
                        late[field][code] += late_count
                kinds.append((Flight(*codes), count))
        except (struct.error, IndexError) as error:
            raise ValueError(f"the counts are damaged: {error}") from error
        return cls(flights, late, _sample(sorted(kinds)))


def _sample(kinds: Sequence[tuple[Flight, int]]) -> list[Flight]:
    """Systematic sampling: every n-th flight, beginning in the middle of a step."""
    total = sum(count for _, count in kinds)
    size = min(SAMPLED, total)
    sample: list[Flight] = []
    passed = 0
    for flight, count in kinds:
        passed += count
        # The next one is flight number (len(sample) + 1/2) * total / size.
        while (2 * len(sample) + 1) * total < 2 * passed * size:
            sample.append(flight)
    return sample
