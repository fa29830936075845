"""Why a flight has its probability: what each of its fields adds to the log-odds.

The contributions are Shapley values (Shapley, A value for n-person games, 1953) in the
form that Lundberg and Lee, A unified approach to interpreting model predictions (2017),
give them for models. What is known of a flight in part is worth the mean log-odds over
past flights that take over that part; the past flights are a sample of the training
data, `challenge.explain.evidence.Evidence.sample`. A field that is not given takes no part.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from challenge.flights.fields import (
    DESTINATION,
    FLIGHT_FIELDS,
    HOURS,
    MONTHS,
    NOT_GIVEN,
    SCHEDULED,
    Flight,
)

if TYPE_CHECKING:
    from challenge.model import DelayModel

FIELDS: Final = FLIGHT_FIELDS
# Keeps the log-odds of 0 and 1 finite.
_CERTAIN: Final = 1e-9


@dataclass(frozen=True)
class Explanation:
    """Why a flight has its probability, and what others would have.

    Attributes:
        probability: of a delay.
        base_log_odds: the mean log-odds of past flights.
        contributions: what each field adds to that, in log-odds; 0 for a field that is
            not given, or that the model does not look at.
        recent_form: what the last weeks add (see `challenge.live.recent`); 0 without a day,
            or far from them. The sum of it, the base and all contributions is the
            log-odds of the probability.
        by_month: the probability of the same flight in each month, on no day: only
            this one has recent form.
        by_hour: that at each hour of the same day; None if no time is given, or the
            model looks at none.
    """

    probability: float
    base_log_odds: float
    contributions: dict[str, float]
    recent_form: float
    by_month: list[float]
    by_hour: list[float] | None


class Explainer:
    """Explains the answers of a model.

    Args:
        model: the model.
        past: flights to compare with, at least one.
    """

    def __init__(self, model: DelayModel, past: Sequence[Flight]) -> None:
        self._model = model
        self._grid = model.grid
        self._evidence = [model.grid.parts(flight) for flight in past]
        self._backgrounds: dict[tuple[int, ...], _Background] = {}

    def explain(self, cell: int) -> Explanation:
        """Why the flight with a number has its probability: some milliseconds of
        computing."""
        model, grid = self._model, self._grid
        flight = grid.flight(cell)
        day = cell - cell % grid.cells
        parts = grid.parts(flight)
        given = tuple(
            field for field in range(len(FIELDS)) if self._tells(flight, field)
        )
        worth = {
            known: self._worth(known, given, sum(parts[field] for field in known))
            for known in _subsets(given)
        }
        contributions = dict.fromkeys(FIELDS, 0.0)
        for field in given:
            others = [other for other in given if other != field]
            contributions[FIELDS[field]] = sum(
                _weight(len(known), len(given))
                * (worth[tuple(sorted((*known, field)))] - worth[known])
                for known in _subsets(others)
            )
        months = [flight._replace(month=month - 1) for month in MONTHS]
        by_hour = None
        if FIELDS.index(SCHEDULED) in given:
            hours = [flight._replace(hour=hour) for hour in range(HOURS)]
            by_hour = model.predict_cells([grid.cell(hour) + day for hour in hours])
        return Explanation(
            probability=model.predict_cells([cell])[0],
            base_log_odds=worth[()],
            contributions=contributions,
            recent_form=0.0 if model.recent is None else model.recent.offset(cell),
            by_month=model.probabilities(months),
            by_hour=by_hour,
        )

    def _tells(self, flight: Flight, field: int) -> bool:
        name = FIELDS[field]
        if name == DESTINATION:
            looked_at, value = self._grid.destination_stride, flight.destination
        elif name == SCHEDULED:
            looked_at, value = self._grid.time_stride, flight.hour
        else:
            return True
        return bool(looked_at) and value != NOT_GIVEN

    def _worth(
        self, known: tuple[int, ...], given: tuple[int, ...], cell: int
    ) -> float:
        """The mean log-odds of past flights with the known fields of this one."""
        rest = tuple(field for field in given if field not in known)
        if rest not in self._backgrounds:
            self._backgrounds[rest] = _Background(self._evidence, rest)
        background = self._backgrounds[rest]
        return background.mean(
            self._model.predict_cells([cell + add for add in background.cells])
        )


class _Background:
    """What some fields of past flights add to a cell's number, each sum once."""

    def __init__(self, past: Sequence[tuple[int, ...]], fields: Sequence[int]) -> None:
        counted = Counter(sum(parts[field] for field in fields) for parts in past)
        self.cells = list(counted)
        self.shares = [count / len(past) for count in counted.values()]

    def mean(self, probabilities: Iterable[float]) -> float:
        return math.fsum(map(operator.mul, self.shares, map(log_odds, probabilities)))


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), finite also for 0 and 1."""
    if not _CERTAIN < probability < 1 - _CERTAIN:
        probability = _CERTAIN if probability < 0.5 else 1 - _CERTAIN
    return math.log(probability / (1 - probability))


def _subsets(fields: Sequence[int]) -> Iterable[tuple[int, ...]]:
    for size in range(len(fields) + 1):
        yield from combinations(fields, size)


def _weight(known: int, fields: int) -> float:
    """The share of all orders of the fields in which just the known come before one."""
    return 1 / (fields * math.comb(fields - 1, known))
