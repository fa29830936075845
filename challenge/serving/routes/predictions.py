"""Predicts the flights of a request, counts them, and adds them to the prediction log.

Large requests are processed in steps, between which other requests have their turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Annotated, Final

from pydantic import Field
from starlette.types import Scope

from challenge.explain.evidence import Evidence
from challenge.flights.fields import FLIGHT_NUMBER
from challenge.model import DelayModel
from challenge.serving.body.reader import FlightsReader
from challenge.serving.middleware.requests import ANSWERED_FLIGHTS, REQUEST_ID
from challenge.serving.state import ServiceState

AT_ONCE: Final = 5_000

FlightNumbers = Annotated[
    list[str | None] | None,
    Field(
        alias=FLIGHT_NUMBER,
        description="The flights' numbers, in the same order, if any was given",
    ),
]


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
    probabilities = await predict_probabilities(model, reader.cells)
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


async def predict_probabilities(model: DelayModel, cells: Sequence[int]) -> list[float]:
    """The probabilities of cells."""
    probabilities: list[float] = []
    at_once = model.cells_at_once
    for start in range(0, len(cells), at_once):
        if start:
            await asyncio.sleep(0)
        probabilities += model.predict_cells(cells[start : start + at_once])
    return probabilities
