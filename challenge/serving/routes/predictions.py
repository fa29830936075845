"""Predicts the flights of a request, counts them, and adds them to the prediction log.

Large requests are processed in steps, between which other requests have their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final

from fastapi import Query
from pydantic import Field
from starlette.types import Scope

from challenge.errors import MomentError, UnknownDayError
from challenge.explain.evidence import Evidence
from challenge.flights.faults import shown
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


def asked_at(model: DelayModel, at: str | None) -> DelayModel:
    """The model as it would have answered at a time; None for now.

    Raises:
        RejectedRequest: it is no time, or before all that the model knows.
    """
    if at is None:
        return model
    try:
        day = model.known_day.asked(at)
    except UnknownDayError as error:
        raise rejection(400, "unknown_day", str(error)) from None
    except MomentError as error:
        fault = request_fault(["at"], "datetime_format", str(error), at)
        raise RejectedRequest(400, fault) from None
    if not day.is_kept:
        message = f"{shown(at)} is before the flights that the model keeps"
        raise rejection(410, "gone", message)
    return model.with_day(day)


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


async def predict_and_log(
    state: ServiceState, scope: Scope, model: DelayModel, reader: FlightsReader
) -> tuple[list[float], list[int]]:
    """The probabilities of the flights that were read, and the decisions."""
    probabilities = await predict_probabilities(model, reader.cells, reader.questions)
    decisions: list[int] = []
    for start in range(0, len(probabilities), AT_ONCE):
        decisions += model.decide(probabilities[start : start + AT_ONCE])
    scope[ANSWERED_FLIGHTS] = len(reader.cells)
    state.count_answered(model, reader.cells, sum(decisions), len(reader.cells))
    if state.prediction_log is not None:
        answered = zip(reader.asked, probabilities, decisions, strict=True)
        for place, (flight, probability, decision) in enumerate(answered, start=1):
            state.prediction_log.add(
                scope[REQUEST_ID], model.name, flight, probability, decision
            )
            if place % AT_ONCE == 0:
                # Several large requests may hold more than may wait for the disk.
                await state.prediction_log.make_room()
    return probabilities, decisions


async def evidence_of(model: DelayModel) -> Evidence | None:
    """What there is to know of a model's training flights."""
    if model.has_evidence:
        return model.evidence
    # Making it takes longer than other requests may wait.
    return await asyncio.to_thread(lambda: model.evidence)


async def predict_probabilities(
    model: DelayModel,
    cells: Sequence[int],
    questions: Mapping[int, Question] = {},
) -> list[float]:
    """The probabilities of flights, as `DelayModel.predict_flights` gives them."""
    probabilities: list[float] = []
    at_once = model.cells_at_once
    for start in range(0, len(cells), at_once):
        if start:
            await asyncio.sleep(0)
        probabilities += model.predict_cells(cells[start : start + at_once])
    if model.day is not None:
        asked = list(questions.items())
        for start in range(0, len(asked), MOVED_AT_ONCE):
            some = dict(asked[start : start + MOVED_AT_ONCE])
            model.day.move(probabilities, cells, some)
            await asyncio.sleep(0)
    return probabilities
