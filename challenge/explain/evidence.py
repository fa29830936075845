"""The flights that a model learned from, for who has no numpy."""

from __future__ import annotations

import math
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, NamedTuple, Self

from challenge.compiled.grid import Grid
from challenge.flights.fields import NOT_GIVEN, OPTIONAL_FIELDS, REQUIRED_FIELDS, Flight
from challenge.flights.vocabulary import Vocabulary

# As `challenge.features.counts.Counts.to_bytes` writes it.
_KIND: Final = struct.Struct("<6hii")
SAMPLED: Final = 1_000
# A group of fewer flights says little of the next one.
ENOUGH: Final = 30
# From the widest group to the narrowest: flights alike in the first so many fields.
GROUPED_BY: Final = (*REQUIRED_FIELDS, *OPTIONAL_FIELDS)
# The 97.5th percentile of the standard normal distribution.
_Z: Final = 1.96


class SimilarFlights(NamedTuple):
    """Past flights like one that is asked about.

    Attributes:
        alike: the fields in which they are like it.
        flights: how many there are.
        late: how many of them were late.
    """

    alike: tuple[str, ...]
    flights: int
    late: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of the share that is late, 0 to 1."""
        return wilson(self.late, self.flights)


@dataclass(frozen=True)
class Evidence:
    """Past flights by the values of each field, by groups, and a sample of them.

    Attributes:
        flights: for each field of a Flight, how many flights had each of its codes.
        late: likewise, how many of these were late.
        sample: at most SAMPLED flights, evenly from all of them in the order of their
            fields, so that each airline, month and so on has its share.
    """

    flights: list[list[int]]
    late: list[list[int]]
    sample: list[Flight]
    _grid: Grid
    # The kinds of flights as cells of the grid, in order, with how many flights and how
    # many late ones come before each: what a group holds is a difference.
    _cells: array[int]
    _flights_before: array[int]
    _late_before: array[int]

    @classmethod
    def from_bytes(cls, data: bytes, vocabulary: Vocabulary) -> Self:
        """Read what `Counts.to_bytes` gave.

        Raises:
            ValueError: it is not that, or not by this vocabulary.
        """
        flights = [[0] * size for size in vocabulary.sizes]
        late = [[0] * size for size in vocabulary.sizes]
        grid = Grid(vocabulary, Flight._fields)
        kinds: list[tuple[int, Flight, int, int]] = []
        try:
            for *codes, count, late_count in _KIND.iter_unpack(data):
                for field, code in enumerate(codes):
                    if code >= 0:
                        flights[field][code] += count
                        late[field][code] += late_count
                flight = Flight(*codes)
                kinds.append((grid.cell(flight), flight, count, late_count))
        except (struct.error, IndexError) as error:
            raise ValueError(f"the counts are damaged: {error}") from error
        kinds.sort()
        return cls(
            flights,
            late,
            _sample([(flight, count) for _, flight, count, _ in kinds]),
            grid,
            array("q", [cell for cell, *_ in kinds]),
            array("q", accumulate((count for *_, count, _ in kinds), initial=0)),
            array("q", accumulate((count for *_, count in kinds), initial=0)),
        )

    def similar(self, flight: Flight) -> SimilarFlights:
        """The narrowest group of past flights like a flight that has ENOUGH of them.

        Groups are alike in the first one, two … of GROUPED_BY, as far as the flight
        gives them; all past flights where even the airline has too few.
        """
        *wider, narrowest = self._groups(flight)
        for group in (narrowest, *reversed(wider)):
            if group.flights >= ENOUGH:
                return group
        return wider[0] if wider else narrowest

    def support(self, flight: Flight) -> int:
        """How many past flights had all values that a flight gives."""
        begin, end = self._range(flight, _given(flight))
        if flight.destination != NOT_GIVEN or flight.hour == NOT_GIVEN:
            return self._flights_before[end] - self._flights_before[begin]
        # Of any destination, which stands before the time in the grid's order.
        time = self._grid.parts(flight)[-1]
        times = self._grid.sizes[-1]
        return sum(
            self._flights_before[place + 1] - self._flights_before[place]
            for place in range(begin, end)
            if self._cells[place] % times == time
        )

    def _groups(self, flight: Flight) -> Iterator[SimilarFlights]:
        """From all past flights to those that are like it in every field it gives."""
        for fields in range(_given(flight) + 1):
            begin, end = self._range(flight, fields)
            yield SimilarFlights(
                GROUPED_BY[:fields],
                self._flights_before[end] - self._flights_before[begin],
                self._late_before[end] - self._late_before[begin],
            )

    def _range(self, flight: Flight, fields: int) -> tuple[int, int]:
        """Where the kinds are that are like a flight in the first so many fields."""
        first = sum(self._grid.parts(flight)[:fields])
        width = math.prod(self._grid.sizes[fields:])
        begin = bisect_left(self._cells, first)
        return begin, bisect_left(self._cells, first + width, begin)


def _given(flight: Flight) -> int:
    """How many fields of GROUPED_BY a flight gives without a gap."""
    if flight.destination == NOT_GIVEN:
        return 3
    return 4 if flight.hour == NOT_GIVEN else 5


def wilson(late: int, flights: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, Probable inference, 1927); 0 to 1 of none."""
    if not flights:
        return 0.0, 1.0
    share, spread = late / flights, _Z**2 / flights
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    # Rounding must not put a share of 0 or 1 outside its own interval.
    return min(middle - half, share), max(middle + half, share)


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
