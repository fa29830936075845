"""The probability of a delay of every flight of a grid too large for a table.

A `ProbabilityTable` has all answers, this computes them, without numpy and the
classifier's library.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache, reduce
from typing import Any, Final

from challenge.compiled.grid import Axis, Grid
from challenge.compiled.log_odds import probability
from challenge.compiled.scorers import Scorer
from challenge.features.feature_sets import FeatureSet
from challenge.flights.fields import HOUR_CODE, MONTH, WEEKDAY_CODE, Kind

# Files ask about the same cells over and over; 8 MB.
_ANSWERS_KEPT: Final = 65_536


class ComputedTable:
    """The probability of a delay for every cell of a grid, in single precision.

    Args:
        grid: numbers the flights.
        features: what the classifier sees of them.
        scorer: the classifier.
        month_shares: the months, 1 to 12, over which one that is not among them is
            averaged, with the weight of each; empty for none.
    """

    # Some milliseconds.
    AT_ONCE: Final = 500

    def __init__(
        self,
        grid: Grid,
        features: FeatureSet,
        scorer: Scorer,
        month_shares: Mapping[int, float],
    ) -> None:
        self._made_of = (grid, features, scorer, month_shares)
        self._scorer = scorer
        self._month = grid.axis(MONTH)
        self._month_shares = month_shares
        # Of the axes by their places what each entry says, the stride and the size.
        self._axes = {
            place: (said, max(axis.stride, 1), axis.size)
            for place, axis in enumerate(grid.axes)
            if (said := _said(axis, grid, features, scorer))
        }
        self._answer = lru_cache(_ANSWERS_KEPT)(self._compute)

    def to_bytes(self) -> None:
        """Nothing: the classifier's state is in a model's file anyway."""

    def lookup(self, cells: Iterable[int]) -> list[float]:
        """The probability of a delay in each cell."""
        return array("f", map(self._answer, cells)).tolist()

    def mean_over(
        self, axes: Collection[int], added: Mapping[int, int]
    ) -> Callable[[int], float] | None:
        """The mean log-odds of flights that differ on some axes: a function of the cell
        that they share on the others. None where months are averaged over.

        Args:
            axes: their places in the grid.
            added: what they add to the cells of the flights, and for how many flights.
        """
        if self._month_shares:
            return None
        differ = [place for place in self._axes if place in axes]
        shared = [place for place in self._axes if place not in axes]
        mean = self._scorer.mean_log_odds(
            (self._combined(differ, cell), count) for cell, count in added.items()
        )
        return lambda cell: mean(self._combined(shared, cell))

    def _compute(self, cell: int) -> float:
        stride = self._month.stride
        month = cell // stride % self._month.size + 1
        if not self._month_shares or month in self._month_shares:
            return self._ask(cell)
        return sum(
            share * self._ask(cell + (other - month) * stride)
            for other, share in self._month_shares.items()
        )

    def _ask(self, cell: int) -> float:
        return probability(self._scorer.log_odds(self._combined(self._axes, cell)))

    def _combined(self, axes: Iterable[int], cell: int) -> Any:
        """What a cell says on some axes."""
        said = self._scorer.nothing_said
        combine = self._scorer.combine
        for place in axes:
            entries, stride, size = self._axes[place]
            said = combine(said, entries[cell // stride % size])
        return said

    def __reduce__(self) -> tuple[Any, ...]:
        # What is kept of answers cannot be pickled.
        return type(self), self._made_of


def _said(axis: Axis, grid: Grid, features: FeatureSet, scorer: Scorer) -> list[Any]:
    """What the columns made of an axis say together, for each of its entries; nothing
    if there are none."""
    is_time = axis.field.kind is Kind.TIME
    codes = (HOUR_CODE, WEEKDAY_CODE) if is_time else (axis.code,)
    columns = [
        (column, code) for column, code in enumerate(features.made_of) if code in codes
    ]
    if not columns:
        return []
    flights = [grid.flight(entry * axis.stride) for entry in range(axis.size)]
    return [
        reduce(
            scorer.combine,
            [
                scorer.said[column][features.category(column, flight[code]) + 1]
                for column, code in columns
            ],
        )
        for flight in flights
    ]
