"""Predicts the flights of a request, counts them, and adds them to the prediction log.

Large requests are processed in steps, between which other requests have their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, NamedTuple

from fastapi import Query
from pydantic import Field
from starlette.types import Scope

from challenge.errors import MomentError, UnknownDayError
from challenge.flights.faults import INPUT_SHOWN, shown
from challenge.flights.fields import FLIGHT_NUMBER
from challenge.flights.times import OFFSET_PATTERN, TIME_PATTERN
from challenge.live.known import Question
from challenge.model import DelayModel
from challenge.serving.body.reader import FlightsReader
from challenge.serving.middleware.requests import ANSWERED_FLIGHTS, REQUEST_ID
from challenge.serving.problems import RejectedRequest, rejection, request_fault
from challenge.serving.state import ServiceState

AT_ONCE: Final = 5_000
# Of those that the day moves, which take a hundred times as long.
MOVED_AT_ONCE: Final = 50

FlightNumbers = Annotated[
    list[str | None] | None,
    Field(
        alias=FLIGHT_NUMBER,
        description="The flights' numbers, in the same order, if any was given",
    ),
]


AT: Final = (
    "Answer as it would have been answered at this time, a local one like 2017-03-06 "
    "08:15 or one with an offset from UTC, as far back as the model keeps past flights. "
    "By default with all that it knows."
)
AT_EXAMPLE: Final = "2017-12-30 08:15"
# What is no such time is for the rules to tell.
AT_SCHEMA: Final[dict[str, Any]] = {
    "type": "string",
    "pattern": f"^{TIME_PATTERN}({OFFSET_PATTERN})?$",
}
AtTime = Annotated[
    str | None,
    Query(description=AT, examples=[AT_EXAMPLE], json_schema_extra=AT_SCHEMA),
]


async def asked_at(state: ServiceState, at: str | None) -> DelayModel:
    """The model as it would have answered at a time; None for now.

    Raises:
        RejectedRequest: it is no time, or before all that is known.
    """
    model, oldest = state.model, state.live.state.oldest
    if at is None:
        return model
    try:
        moment = model.known_day.moment(at)
    except UnknownDayError as error:
        raise rejection(400, "unknown_day", str(error)) from None
    except MomentError as error:
        fault = request_fault(["at"], "datetime_format", str(error), at, error.ctx)
        raise RejectedRequest(400, fault) from None
    is_kept = model.known_day.at_moment(moment).is_kept or oldest is not None
    if not is_kept or (oldest is not None and moment < oldest):
        message = f"{shown(at)} is before the flights that are known"
        raise rejection(410, "gone", message, ctx={"at": at[:INPUT_SHOWN]})
    return await state.live.as_of(moment)


def reader_of(
    state: ServiceState,
    model: DelayModel,
    begin: Callable[[], None] = lambda: None,
    has_top: bool = False,
    average: bool = False,
) -> FlightsReader:
    """A reader with the service's limits; it keeps flights for the prediction log."""
    settings = state.settings
    return FlightsReader(
        model,
        settings.max_flights,
        settings.max_body_bytes,
        state.body_budget,
        begin,
        has_top,
        keep=state.prediction_log is not None,
        average=average,
    )


class Predicted(NamedTuple):
    """What is predicted of the flights of a request.

    Attributes:
        probabilities, decisions: the answers.
        of_schedule: the probabilities of the table alone.
    """

    probabilities: list[float]
    decisions: list[int]
    of_schedule: list[float]


async def predict_and_log(
    state: ServiceState, scope: Scope, model: DelayModel, reader: FlightsReader
) -> Predicted:
    """Predict the flights that were read."""
    of_schedule = await predict_probabilities(model, reader.cells)
    probabilities = await moved(model, of_schedule, reader.cells, reader.questions)
    decisions: list[int] = []
    for start in range(0, len(probabilities), AT_ONCE):
        decisions += model.decide(probabilities[start : start + AT_ONCE])
    scope[ANSWERED_FLIGHTS] = len(reader.cells)
    state.count_answered(model, reader.cells, sum(decisions), len(reader.cells))
    if state.prediction_log is not None:
        answered = zip(reader.asked, probabilities, decisions, strict=True)
        for place, (flight, probability, decision) in enumerate(answered):
            question = reader.questions.get(place)
            state.prediction_log.add(
                scope[REQUEST_ID],
                model.name,
                flight,
                probability,
                decision,
                question,
                None if question is None else of_schedule[place],
            )
            if (place + 1) % AT_ONCE == 0:
                # Several large requests may hold more than may wait for the disk.
                await state.prediction_log.make_room()
    return Predicted(probabilities, decisions, of_schedule)


async def predict_probabilities(model: DelayModel, cells: Sequence[int]) -> list[float]:
    """The probabilities of schedules, as `DelayModel.predict_cells` gives them."""
    probabilities: list[float] = []
    at_once = model.cells_at_once
    for start in range(0, len(cells), at_once):
        if start:
            await asyncio.sleep(0)
        probabilities += model.predict_cells(cells[start : start + at_once])
    return probabilities


async def moved(
    model: DelayModel,
    probabilities: list[float],
    cells: Sequence[int],
    questions: Mapping[int, Question],
) -> list[float]:
    """These of flights, with what the day adds, as `DelayModel.predict_flights` gives
    them."""
    if model.day is None or not questions:
        return probabilities
    probabilities, asked = probabilities.copy(), list(questions.items())
    for start in range(0, len(asked), MOVED_AT_ONCE):
        some = dict(asked[start : start + MOVED_AT_ONCE])
        model.day.move(probabilities, cells, some)
        await asyncio.sleep(0)
    return probabilities
