"""GET /heatmap: the probability of a delay by airline and month.

It serves to look around, so it counts neither as predictions nor for drift.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from challenge.flights.faults import Fault
from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_TYPE,
    FLIGHT_TYPES,
    MONTHS,
    NOT_GIVEN,
    SCHEDULED,
    Flight,
)
from challenge.flights.times import read_time
from challenge.serving.problems import RejectedRequest, problem_responses, request_fault
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.predictions import predict_probabilities

router = APIRouter(tags=["predict"])

T = TypeVar("T")


class HeatMap(BaseModel):
    """The probability of a delay of each airline (the rows) in each month."""

    OPERA: list[str]
    probability: list[list[float]]
    flights: Annotated[
        list[list[int]] | None,
        Field(description="The number of past flights like that; null if unknown"),
    ]


@router.get("/heatmap", name="heatmap", responses=problem_responses(400))
async def get_heatmap(
    state: State,
    flight_type: Annotated[
        str, Query(alias=FLIGHT_TYPE, json_schema_extra={"enum": [*FLIGHT_TYPES]})
    ],
    destination: Annotated[str | None, Query(alias=DESTINATION)] = None,
    scheduled: Annotated[
        str | None,
        Query(
            alias=SCHEDULED,
            description="A local time; its weekday and hour are used",
        ),
    ] = None,
) -> HeatMap:
    """Return the probability of a delay for each airline and month."""
    model = state.watcher.model
    type_code = model.encoder.rules.code(FLIGHT_TYPE, flight_type)
    destination_code = model.encoder.rules.code(DESTINATION, destination)
    time = read_time(SCHEDULED, scheduled)
    read = (type_code, destination_code, time)
    faults = [one for one in read if isinstance(one, Fault)]
    if faults:
        raise RejectedRequest(
            400,
            *(request_fault(list(f.loc), f.type, f.msg, f.input) for f in faults),
        )
    assert isinstance(type_code, int) and isinstance(destination_code, int)
    hour = weekday = NOT_GIVEN
    if isinstance(time, datetime):
        hour, weekday = time.hour, time.weekday()
    airlines = model.vocabulary[AIRLINE]
    flights = [
        Flight(airline, type_code, month - 1, destination_code, hour, weekday)
        for airline in range(len(airlines))
        for month in MONTHS
    ]
    found = await predict_probabilities(model, list(map(model.grid.cell, flights)))
    evidence = await asyncio.to_thread(lambda: model.evidence)
    return HeatMap(
        OPERA=list(airlines),
        probability=_in_rows(found),
        flights=_in_rows(list(map(evidence.support, flights))) if evidence else None,
    )


def _in_rows(values: list[T]) -> list[list[T]]:
    width = len(MONTHS)
    return [values[start : start + width] for start in range(0, len(values), width)]
