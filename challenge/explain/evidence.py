"""The flights that a model learned from, counted without numpy."""

from __future__ import annotations

import math
import struct
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final, NamedTuple, Self

from challenge.compiled.grid import Grid
from challenge.flights.fields import (
    AIRLINE,
    CODES,
    DESTINATION,
    FLIGHT_TYPE,
    ORIGIN,
    Flight,
)
from challenge.flights.vocabulary import Vocabulary

# As `challenge.features.counts.Counts.to_bytes` writes it.
_RECORD: Final = struct.Struct(f"<{CODES}hii")
# There cannot be more records than flights.
RECORD_BYTES: Final = _RECORD.size
SAMPLED: Final = 1_000
# A group of fewer flights says little of the next one.
ENOUGH: Final = 30
_ROUTE: Final = (AIRLINE, FLIGHT_TYPE, ORIGIN, DESTINATION)
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
        flights: for each column of a `Flight`, how many flights had each of its codes.
        late: likewise, how many of these were late.
        by_destination: for each of its codes, how many flights of each type went there.
        sample: at most SAMPLED flights, evenly from all of them in the order of their
            fields, so that each airline, month and so on has its share.
    """

    flights: list[list[int]]
    late: list[list[int]]
    by_destination: list[list[int]]
    sample: list[Flight]
    _grid: Grid
    # The cells of the flights in a grid of all fields, in order, with how many flights
    # and how many late ones come before each: what a range of cells holds is a difference.
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
        types, destinations = vocabulary[FLIGHT_TYPE], vocabulary[DESTINATION]
        by_destination = [[0] * len(types) for _ in destinations]
        grid = Grid(vocabulary, vocabulary.told_apart)
        counted: list[tuple[int, Flight, int, int]] = []
        try:
            for *codes, count, late_count in _RECORD.iter_unpack(data):
                for column, code in enumerate(codes):
                    if code >= 0:
                        flights[column][code] += count
                        late[column][code] += late_count
                flight = Flight(*codes)
                if flight.destination >= 0:
                    by_destination[flight.destination][flight.flight_type] += count
                counted.append((grid.cell(flight), flight, count, late_count))
        except (struct.error, IndexError) as error:
            raise ValueError(f"the counts are damaged: {error}") from error
        counted.sort()
        return cls(
            flights,
            late,
            by_destination,
            _sample([(flight, count) for _, flight, count, _ in counted]),
            grid,
            array("q", [cell for cell, *_ in counted]),
            array("q", accumulate((count for *_, count, _ in counted), initial=0)),
            array("q", accumulate((count for *_, count in counted), initial=0)),
        )

    def similar(self, flight: Flight) -> SimilarFlights:
        """The narrowest group of past flights like a flight that has ENOUGH of them.

        Groups are alike in the first one, two … of the fields that the flight gives; all
        past flights where even the airline has too few.
        """
        steps, given = self._place(flight)
        for fields in range(len(given), -1, -1):
            flights, late = self._count(steps, given[:fields])
            if flights >= ENOUGH or not fields:
                break
        alike = tuple(self._grid.axes[axis].field.name for axis in given[:fields])
        return SimilarFlights(alike, flights, late)

    def support(self, flight: Flight) -> int:
        """How many past flights had all values that a flight gives."""
        return self._count(*self._place(flight))[0]

    def was_flown(self, flight: Flight) -> bool:
        """Whether an airline ever flew a flight's type on its route, as far as the flight
        gives that, in whatever month and at whatever time."""
        steps, given = self._place(flight)
        alike = [axis for axis in given if self._grid.axes[axis].field.name in _ROUTE]
        return self._count(steps, alike)[0] > 0

    def _place(self, flight: Flight) -> tuple[list[int], list[int]]:
        """The steps of a flight along all axes of the grid, and the axes on which it
        tells where it is."""
        steps, given = [], []
        for place, axis in enumerate(self._grid.axes):
            entry = axis.entry(flight)
            steps.append(entry * axis.stride)
            if not axis.first or (axis.stride and entry):
                given.append(place)
        return steps, given

    def _count(self, steps: Sequence[int], axes: Sequence[int]) -> tuple[int, int]:
        """How many past flights have the same steps along some axes, in their order, and
        how many of them were late."""
        # As far as no axis is left out, cells that are alike stand together.
        together = 0
        while together in axes or (
            together < len(steps) and self._grid.sizes[together] == 1
        ):
            together += 1
        first = sum(steps[:together])
        begin = bisect_left(self._cells, first)
        end = bisect_left(self._cells, first + self._widths[together], begin)
        flights, late = self._flights_before, self._late_before
        rest = [axis for axis in axes if axis >= together]
        if not rest:
            return flights[end] - flights[begin], late[end] - late[begin]
        found: Iterable[tuple[int, int]] = enumerate(self._cells[begin:end], begin)
        for place in rest:
            axis = self._grid.axes[place]
            # The entry is the number within a step of the axis before, in whole strides.
            span, low = axis.stride * axis.size, steps[place]
            high = low + axis.stride
            found = [(one, cell) for one, cell in found if low <= cell % span < high]
        places = [one for one, _ in found]
        return (
            sum(flights[one + 1] - flights[one] for one in places),
            sum(late[one + 1] - late[one] for one in places),
        )

    @cached_property
    def _widths(self) -> list[int]:
        """How many cells share the first none, one, two … of their steps."""
        sizes = self._grid.sizes
        return [math.prod(sizes[axes:]) for axes in range(len(sizes) + 1)]


def wilson(late: int, flights: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson, Probable inference, 1927); 0 to 1 of none."""
    if not flights:
        return 0.0, 1.0
    share, spread = late / flights, _Z**2 / flights
    middle = (share + spread / 2) / (1 + spread)
    half = math.sqrt(share * (1 - share) * spread + spread**2 / 4) / (1 + spread)
    # Rounding must not put a share of 0 or 1 outside its own interval.
    return min(middle - half, share), max(middle + half, share)


def _sample(counted: Sequence[tuple[Flight, int]]) -> list[Flight]:
    """Systematic sampling: every n-th flight, beginning in the middle of a step."""
    total = sum(count for _, count in counted)
    size = min(SAMPLED, total)
    sample: list[Flight] = []
    passed = 0
    for flight, count in counted:
        passed += count
        # The next one is flight number (len(sample) + 1/2) * total / size.
        while (2 * len(sample) + 1) * total < 2 * passed * size:
            sample.append(flight)
    return sample
