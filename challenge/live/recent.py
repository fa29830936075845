"""Recent form: what the last weeks add to the answers of a model's table.

Weeks are late together, and the table does not know which one it is. Recent form is an
offset in log-odds for each airline and each destination, made of how the flights of the
last days left. It counts less with every day between the last flight seen and the flight
asked about, before it or after, so that a model that is not updated falls back to its
table by itself; a flight whose day is not known is answered by the table.

The day of a flight travels beside its cell in one number: the cell, and for each day
within reach of the form the size of the grid once more. A number below that size is a
flight without such a day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from challenge.artifact.card import FormSettings, RecentForm
from challenge.compiled.grid import Grid
from challenge.compiled.log_odds import shifted
from challenge.flights.fields import (
    AIRLINE,
    AIRLINE_CODE,
    DESTINATION,
    DESTINATION_CODE,
)
from challenge.flights.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# What is left after so many half-lives (a 64th) is taken for nothing.
REACH_HALF_LIVES: Final = 6


class Recent:
    """A recent form, over the grid of its model.

    Args:
        form: the offsets.
        settings: how fast they fade.
        vocabulary, grid: the model's.

    Attributes:
        first: the first day within reach.
        days: how many days are.
    """

    def __init__(
        self,
        form: RecentForm,
        settings: FormSettings,
        vocabulary: Vocabulary,
        grid: Grid,
    ) -> None:
        reach = math.ceil(REACH_HALF_LIVES * settings.half_life_days)
        self.until = date.fromisoformat(form.until)
        self.first = self.until - timedelta(days=reach)
        self.days = 2 * reach + 1
        self._cells = grid.cells
        self._airline, self._destination = grid.axis(AIRLINE), grid.axis(DESTINATION)
        # Entry 0 is for a flight without a day, or without a destination.
        self._weights = [0.0]
        self._weights += [
            weight(day, settings.half_life_days) for day in range(-reach, reach + 1)
        ]
        self._airlines = [form.airlines.get(one, 0.0) for one in vocabulary[AIRLINE]]
        self._destinations = [0.0]
        self._destinations += [
            form.destinations.get(one, 0.0) for one in vocabulary[DESTINATION]
        ]

    def step(self, day: date) -> int:
        """What the day of a flight adds to the number of its cell."""
        place = (day - self.first).days
        return (place + 1) * self._cells if 0 <= place < self.days else 0

    def steps(self, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """The same for many days, datetime64[D] of shape (flights,), NaT for none."""
        return self._places(days) * self._cells

    def offset(self, number: int) -> float:
        """What is added to the log-odds of the flight with a number."""
        day, cell = divmod(number, self._cells)
        to, airline = self._destination, cell // self._airline.stride
        destination = cell // to.stride % to.size if to.stride else 0
        return self._weights[day] * (
            self._airlines[airline] + self._destinations[destination]
        )

    def moved(self, number: int, probability: float) -> float:
        """The answer of the table to the flight with a number, moved by its offset."""
        moved: float = shifted(probability, math.exp(self.offset(number)))
        return moved

    def moved_all(
        self, numbers: Iterable[int], probabilities: Iterable[float]
    ) -> list[float]:
        return list(map(self.moved, numbers, probabilities))

    def offsets(
        self, codes: NDArray[np.int16], days: NDArray[np.datetime64]
    ) -> NDArray[np.float64]:
        """The offsets of many flights.

        Args:
            codes: of shape (flights, CODES).
            days: datetime64[D] of shape (flights,), NaT where not known.
        """
        import numpy as np

        destination = codes[:, DESTINATION_CODE] + 1 if self._destination.stride else 0
        offsets: NDArray[np.float64] = np.take(self._weights, self._places(days)) * (
            np.take(self._airlines, codes[:, AIRLINE_CODE])
            + np.take(self._destinations, destination)
        )
        return offsets

    def _places(self, days: NDArray[np.datetime64]) -> NDArray[np.int64]:
        """Which day within reach each is, from 1; 0 for any other."""
        import numpy as np

        place = (days - np.datetime64(self.first)).astype(np.int64) + 1
        is_near = ~np.isnat(days) & (0 < place) & (place <= self.days)
        return np.where(is_near, place, 0)


def weight(days: int, half_life_days: float) -> float:
    """What is left of an offset so many days from the last flight seen: 1 to 0."""
    return float(0.5 ** (abs(days) / half_life_days))
