"""From the values of a valid flight straight to its cell, a few look-ups each.

What is not found here may still be valid or may be wrong; `FlightReader` decides that
and says why. So this is only ever a short cut to the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import lru_cache
from typing import Final

from challenge.compiled.grid import Grid
from challenge.flights.fields import HOURS, MONTHS
from challenge.flights.times import TIME_PATTERN
from challenge.flights.vocabulary import Vocabulary

_DATE_LENGTH: Final = len("2017-03-06 ")
_DATES_KEPT: Final = 4096
_CLOCKS_KEPT: Final = 2048
_TIME: Final = re.compile(TIME_PATTERN, re.ASCII)


class CellLookup:
    """What each value of a field adds to the number of a flight.

    Args:
        grid: numbers the cells.
        vocabulary: the values.
        day_step: what the day of a flight adds besides.

    Attributes:
        airlines, flight_types, months, destinations: the values that are certainly
            valid, with what each adds. Months are the numbers 1 to 12. A destination
            may be None or empty.
    """

    def __init__(
        self,
        grid: Grid,
        vocabulary: Vocabulary,
        day_step: Callable[[date], int] = lambda day: 0,
    ) -> None:
        self.airlines = _steps(vocabulary.airlines, grid.airline_stride)
        self.flight_types = _steps(vocabulary.flight_types, grid.flight_type_stride)
        self.months = {month: (month - 1) * grid.month_stride for month in MONTHS}
        self.destinations: dict[str | None, int] = {None: 0, "": 0}
        for name, step in _steps(
            vocabulary.destinations, grid.destination_stride
        ).items():
            self.destinations[name] = step + grid.destination_stride
        self._time_stride = grid.time_stride
        self._day_step = day_step
        # A schedule names the same days and times of day over and over.
        self._of_date = lru_cache(_DATES_KEPT)(self._read_date)
        self._of_clock = lru_cache(_CLOCKS_KEPT)(self._read_clock)

    def time(self, scheduled: str, month: int) -> int:
        """What a scheduled local time adds, "2017-03-06 08:15:00" in month 3.

        Raises:
            ValueError: it is not certainly valid.
        """
        return self._of_date(scheduled[:_DATE_LENGTH], month) + self._of_clock(
            scheduled[_DATE_LENGTH:]
        )

    def _read_date(self, text: str, month: int) -> int:
        if not _TIME.fullmatch(text + "00:00:00"):
            raise ValueError(text)
        day = date.fromisoformat(text[:-1])
        if day.month != month:
            raise ValueError(text)
        time = (day.weekday() * HOURS + 1) * self._time_stride
        return time + self._day_step(day)

    def _read_clock(self, text: str) -> int:
        if not _TIME.fullmatch("2000-01-01 " + text):
            raise ValueError(text)
        return int(text[:2]) * self._time_stride


def _steps(values: tuple[str, ...], stride: int) -> dict[str, int]:
    return {value: code * stride for code, value in enumerate(values)}
