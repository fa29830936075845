"""From the values of a flight's fields to its cell: what all readers of flights share.

Of a valid flight that is written as the vocabulary writes it, a few look-ups find the
cell. What they do not find may still be valid or may be wrong; `FlightRules` decides
that and says why. So they are only ever a short cut to the same answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import lru_cache
from typing import Any, Final

from challenge.compiled.grid import Axis, Grid
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    FIELD_OF,
    FIELDS,
    HOURS,
    MONTHS,
    SCHEDULED,
    Flight,
    Kind,
)
from challenge.flights.rules import UNKNOWN, FlightRules, averaged
from challenge.flights.times import TIME_PATTERN
from challenge.flights.vocabulary import Vocabulary

_DATE_LENGTH: Final = len("2017-03-06 ")
_DATES_KEPT: Final = 4096
_CLOCKS_KEPT: Final = 2048
_TIME: Final = re.compile(TIME_PATTERN, re.ASCII)


class CellEncoder:
    """Numbers flights.

    Args:
        vocabulary: the names that the model knows.
        grid: numbers the cells.
        time_zones: as `FlightRules` takes them.

    Attributes:
        rules: those that decide.
        look_up: the numbers of flights, objects with an attribute for each of FIELDS.
            Raises KeyError or ValueError where one is not certainly valid.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        grid: Grid,
        time_zones: Mapping[str, str] = {},
    ) -> None:
        self.rules = FlightRules(vocabulary, time_zones)
        self._made_of = (vocabulary, grid, time_zones)
        self._grid = grid
        self._time_axis = grid.axis(SCHEDULED)
        # A schedule names the same days and times of day over and over.
        self._of_day = lru_cache(_DATES_KEPT)(self._read_day)
        self._of_date = lru_cache(_DATES_KEPT)(self._read_date)
        self._of_clock = lru_cache(_CLOCKS_KEPT)(self._read_clock)
        self.look_up: Callable[[Sequence[Any]], list[int]] = _look_up(
            {axis.field.attribute: _steps(axis, vocabulary) for axis in grid.axes},
            self.time,
            self._moment,
        )

    def cell(
        self, flight: Mapping[str, object], hints: bool = True
    ) -> int | list[Fault]:
        """The number of a flight by its fields, or all that is wrong with them; with
        `hints` also the nearest known names."""
        outcome = self.rules.read(flight, hints)
        if not isinstance(outcome, Flight):
            return outcome
        return self._grid.cell(outcome)

    def cell_averaged(
        self, flight: Mapping[str, object], hints: bool = True
    ) -> tuple[int | list[Fault], list[Fault]]:
        """The same, with fields of unknown names taken as not given where they may be
        left out; and notes that tell them."""
        outcome = self.cell(flight, hints)
        if isinstance(outcome, int):
            return outcome, []
        unknown = {
            one.field: one.input
            for one in outcome
            if one.type == UNKNOWN and not FIELD_OF[one.field].required
        }
        if not unknown:
            return outcome, []
        left_out = dict.fromkeys(unknown)
        return self.cell({**flight, **left_out}, hints), [
            averaged(name, value) for name, value in unknown.items()
        ]

    def time(self, scheduled: str, month: int) -> int:
        """What a scheduled local time adds, "2017-03-06 08:15:00" in month 3.

        Raises:
            ValueError: it is not certainly valid.
        """
        return self._of_date(scheduled[:_DATE_LENGTH], month) + self._of_clock(
            scheduled[_DATE_LENGTH:]
        )

    def _moment(self, time: str) -> int:
        """What another time adds: nothing.

        Raises:
            ValueError: it is not certainly valid.
        """
        self._of_clock(time[_DATE_LENGTH:])
        self._of_day(time[:_DATE_LENGTH])
        return 0

    def _read_date(self, text: str, month: int) -> int:
        day = self._of_day(text)
        if day.month != month:
            raise ValueError(text)
        entry = day.weekday() * HOURS + self._time_axis.first
        return entry * self._time_axis.stride

    def _read_day(self, text: str) -> date:
        if not _TIME.fullmatch(text + "00:00:00"):
            raise ValueError(text)
        return date.fromisoformat(text[:-1])

    def _read_clock(self, text: str) -> int:
        if not _TIME.fullmatch("2000-01-01 " + text):
            raise ValueError(text)
        return int(text[:2]) * self._time_axis.stride

    def __reduce__(self) -> tuple[Any, ...]:
        # What is kept of dates cannot be pickled.
        return type(self), self._made_of


def _steps(axis: Axis, vocabulary: Vocabulary) -> dict[Any, int]:
    """What each value that is certainly valid adds to the number of a cell."""
    field = axis.field
    steps: dict[Any, int] = {}
    if field.kind is Kind.MONTH:
        steps |= {month: (month - 1) * axis.stride for month in MONTHS}
    elif field.kind is Kind.CATEGORY:
        # No code beside a name: what is looked up is spelled as logs should have it.
        for code, name in enumerate(vocabulary[field.name]):
            steps[name] = (code + axis.first) * axis.stride
        if vocabulary.implies(field):
            steps[None] = 0
    return steps


def _look_up(
    steps: Mapping[str, Mapping[Any, int]],
    time: Callable[[str, int], int],
    moment: Callable[[str], int],
) -> Callable[[Sequence[Any]], list[int]]:
    """A function that adds up the steps of flights.

    It is one expression that names the fields, made of their declaration: a loop over
    the fields would take four times as long.
    """
    added = []
    for field in FIELDS:
        value = f"flight.{field.attribute}"
        step = f"{field.attribute}[{value}]"
        if field.kind is Kind.TIME:
            step = f"time({value}, flight.month)"
        elif field.kind is Kind.MOMENT:
            step = f"moment({value})"
        if field.kind is not Kind.TEXT:
            added.append(step if field.required else f"({step} if {value} else 0)")
    source = f"lambda flights: [{' + '.join(added)} for flight in flights]"
    # Nothing but the declaration's own names is in it.
    made: Callable[[Sequence[Any]], list[int]]
    made = eval(source, {**steps, "time": time, "moment": moment})  # nosec B307
    return made
