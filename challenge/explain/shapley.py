"""Why a flight has its probability: what each of its fields adds to the log-odds.

The contributions are Shapley values (Shapley, A value for n-person games, 1953) in the
form that Lundberg and Lee, A unified approach to interpreting model predictions (2017),
give them for models. What is known of a flight in part is worth the mean log-odds over
past flights that take over that part; the past flights are a sample of the training
data, `Evidence.sample`. A field that is not given takes no part.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any, Final

from challenge.compiled.grid import Grid
from challenge.compiled.log_odds import log_odds
from challenge.flights.fields import HOURS, MONTHS, SCHEDULED, Flight

# So many flights are remembered, some hundred bytes each.
_COMPARED_KEPT: Final = 10_000
# Gives the probabilities of flights by their cells.
PredictCells = Callable[[Sequence[int]], list[float]]
# See `ComputedTable.mean_over`.
MeanOver = Callable[[Collection[int], Mapping[int, int]], Callable[[int], float] | None]


@dataclass(frozen=True)
class Explanation:
    """Why a flight has the probability of its schedule, and what others would have.

    Attributes:
        probability: of a delay.
        base_log_odds: the mean log-odds of past flights.
        contributions: what each field adds to that, in log-odds; 0 for a field that is
            not given, or that the model does not look at.
            The sum of the base and all contributions is the log-odds of the probability.
        by_month: the probability of the same flight in each month.
        by_hour: that at each hour of the same day; None if no time is given, or the
            model looks at none.
    """

    probability: float
    base_log_odds: float
    contributions: dict[str, float]
    by_month: list[float]
    by_hour: list[float] | None


class Explainer:
    """Explains the answers of a model.

    Args:
        grid: the model's.
        predict_cells: asks it.
        past: flights to compare with, at least one.
        mean_over: may know a shorter way to means than to ask about each flight.
    """

    def __init__(
        self,
        grid: Grid,
        predict_cells: PredictCells,
        past: Sequence[Flight],
        mean_over: MeanOver | None = None,
    ) -> None:
        self._made_of = (grid, predict_cells, past, mean_over)
        self._grid = grid
        self._predict_cells = predict_cells
        self._past = [grid.steps(flight) for flight in past]
        self._mean_over = mean_over
        self._means: dict[tuple[int, ...], Callable[[int], float]] = {}
        self._alone = lru_cache(_COMPARED_KEPT)(self._compare)

    def explain(self, cell: int) -> Explanation:
        """Why the flight with a number has its probability: some milliseconds of
        computing."""
        grid = self._grid
        names = [axis.field.name for axis in grid.axes]
        flight = grid.flight(cell)
        steps, given = grid.steps(flight), self._given(flight)
        worth = {
            known: self._worth(known, given, sum(steps[axis] for axis in known))
            for known in _subsets(given)
        }
        contributions = dict.fromkeys(names, 0.0)
        for axis in given:
            others = [other for other in given if other != axis]
            contributions[names[axis]] = sum(
                _weight(len(known), len(given))
                * (worth[tuple(sorted((*known, axis)))] - worth[known])
                for known in _subsets(others)
            )
        months = [flight._replace(month=month - 1) for month in MONTHS]
        by_hour = None
        if names.index(SCHEDULED) in given:
            hours = [flight._replace(hour=hour) for hour in range(HOURS)]
            by_hour = self._predict_cells(list(map(grid.cell, hours)))
        return Explanation(
            probability=self._predict_cells([cell])[0],
            base_log_odds=worth[()],
            contributions=contributions,
            by_month=self._predict_cells(list(map(grid.cell, months))),
            by_hour=by_hour,
        )

    def each_alone(self, cell: int) -> Mapping[str, float]:
        """What each given field adds to the log-odds of the flight with a number, all
        else equal: their difference to the mean over the values that past flights had in
        that field. Fields that the model does not look at are left out.

        It takes some tenths of a millisecond, `explain` some milliseconds; but fields that
        work together are each given all of that, so that the sum has no meaning.
        """
        return self._alone(cell)

    def _compare(self, cell: int) -> dict[str, float]:
        """As `each_alone` says."""
        flight = self._grid.flight(cell)
        steps, given = self._grid.steps(flight), self._given(flight)
        own = log_odds(self._predict_cells([cell])[0])
        added = {}
        for place in given:
            axis = self._grid.axes[place]
            if axis.stride:
                others = tuple(other for other in given if other != place)
                without = self._worth(others, given, cell - steps[place])
                added[axis.field.name] = own - without
        return added

    def _given(self, flight: Flight) -> tuple[int, ...]:
        """The places of the axes on which a flight tells where it is."""
        return tuple(
            place
            for place, axis in enumerate(self._grid.axes)
            if axis.field.required or (axis.stride and axis.entry(flight))
        )

    def _worth(
        self, known: tuple[int, ...], given: tuple[int, ...], cell: int
    ) -> float:
        """The mean log-odds of past flights with the known fields of this one."""
        rest = tuple(axis for axis in given if axis not in known)
        if rest not in self._means:
            # What these axes add to the numbers of past flights, each sum once.
            added = Counter(sum(steps[axis] for axis in rest) for steps in self._past)
            mean = self._mean_over and self._mean_over(rest, added)
            self._means[rest] = mean or self._mean(added)
        return self._means[rest](cell)

    def _mean(self, added: Mapping[int, int]) -> Callable[[int], float]:
        """The mean log-odds of the cells that are these beyond one."""
        shares = [count / len(self._past) for count in added.values()]

        def mean(cell: int) -> float:
            found = self._predict_cells([cell + add for add in added])
            return math.fsum(map(operator.mul, shares, map(log_odds, found)))

        return mean

    def __reduce__(self) -> tuple[Any, ...]:
        # The means are functions, and so is what remembers.
        return type(self), self._made_of


def _subsets(fields: Sequence[int]) -> Iterable[tuple[int, ...]]:
    for size in range(len(fields) + 1):
        yield from combinations(fields, size)


def _weight(known: int, fields: int) -> float:
    """The share of all orders of the fields in which just the known come before one."""
    return 1 / (fields * math.comb(fields - 1, known))
