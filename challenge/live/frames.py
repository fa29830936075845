"""Past flights and questions in data frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from challenge.errors import InvalidFlightsError, MissingColumnsError, MomentError
from challenge.flights.fields import (
    AIRCRAFT,
    AIRLINE,
    CATEGORIES,
    DEPARTED,
    LABEL_COLUMNS,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.frames import Faults, code_flights, read_times
from challenge.flights.rules import UNKNOWN, FlightRules
from challenge.live.day import Day
from challenge.live.history import History, PastFlight
from challenge.live.known import NOT_LEFT, Question
from challenge.live.questions import QUESTION_FIELDS, LocalTimes, registration

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from challenge.compiled.grid import Grid


def history_of(
    data: pd.DataFrame,
    rules: FlightRules,
    grid: Grid,
    predict_cells: Callable[[Sequence[int]], list[float]],
) -> History:
    """The flights of a frame and how they left.

    Flights without a time, or of an airline that the model does not know, are left out,
    other names that it does not know are taken as not given where they may be; an empty Fecha-O is a flight that has not left, and a day after its time is taken for
    cancelled.

    Args:
        data: the flights, as `code_flights` takes them, with Fecha-I and Fecha-O.
        rules, grid: the model's.
        predict_cells: asks its table.

    Raises:
        MissingColumnsError, InvalidFlightsError: something else is wrong.
        MomentError: a flight left on a day that cannot be.
    """
    if data.empty:
        return History()
    missing = [name for name in LABEL_COLUMNS if name not in data]
    if missing:
        raise MissingColumnsError(missing, data.columns)
    coded = code_flights(data, rules)
    averaged = {one.name for one in CATEGORIES if not one.required}
    faults: Faults = [
        (row, fault)
        for row, fault in coded.faults
        if fault.type != UNKNOWN or fault.field not in (AIRLINE, *averaged)
    ]
    departed = read_times(data, DEPARTED, rules, [])
    if faults:
        raise InvalidFlightsError(faults)
    left_out = {row for row, fault in coded.faults if fault.field == AIRLINE}
    timed = np.flatnonzero(~np.isnat(coded.scheduled))
    rows = [row for row in timed.tolist() if row not in left_out]
    cells = grid.numbers(coded.codes[rows]).tolist()
    unique = list(dict.fromkeys(cells))
    expected = dict(zip(unique, predict_cells(unique)))
    times = LocalTimes(rules)
    origins, aircraft = _values(data, ORIGIN), _values(data, AIRCRAFT)
    local = pd.DataFrame({SCHEDULED: coded.scheduled, DEPARTED: departed})
    scheduled, left = _values(local, SCHEDULED), _values(local, DEPARTED)
    flights = []
    for row, cell in zip(rows, cells, strict=True):
        moment = times.scheduled(scheduled[row], origins[row])
        assert moment is not None
        departure = times.by_schedule(left[row], scheduled[row], origins[row])
        flights.append(
            PastFlight(
                cell,
                moment,
                NOT_LEFT if departure is None else departure,
                registration(aircraft[row]),
                expected[cell],
            )
        )
    history = History.of(flights)
    if (last := history.impossible_clock) is not None:
        raise MomentError(f"a flight left on {last}, which cannot be")
    return history


def questions_of(
    data: pd.DataFrame, scheduled: NDArray[np.datetime64], day: Day
) -> dict[int, Question]:
    """What is asked about the flights of a frame, by their positions.

    Args:
        data: the frame.
        scheduled: the local times, as `code_flights` gave them.
        day: the day.
    """
    local = data.assign(**{SCHEDULED: scheduled})
    columns = [_values(local, name) for name in (*QUESTION_FIELDS, DEPARTED)]
    asked = {}
    for place, (*values, departed) in enumerate(zip(*columns, strict=True)):
        left = day.times.by_schedule(departed, *values[:2]) if departed else None
        question = day.question(*values, departed=left)
        if question is not None:
            asked[place] = question
    return asked


def _values(data: pd.DataFrame, name: str) -> list[Any]:
    """The values of a column, None where there is none."""
    if name not in data:
        return [None] * len(data)
    column = data[name].astype(object)
    return column.where(column.notna(), None).tolist()
