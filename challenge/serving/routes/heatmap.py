"""GET /heatmap: when each airline is likely to be late, to choose a question by.

It is no prediction that anybody acts on, so it counts neither as one nor in the drift.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from challenge.flights.faults import Fault
from challenge.flights.fields import AIRLINE, FLIGHT_TYPES, MONTHS, NOT_GIVEN, Flight
from challenge.flights.times import read_time
from challenge.serving.problems import RefusedRequest, refusals, request_fault
from challenge.serving.routes.predict import predict_in_turn
from challenge.serving.state import Worker

router = APIRouter(tags=["predict"])

_SCHEDULED: Final = "Fecha-I"
T = TypeVar("T")


class HeatMap(BaseModel):
    """The probability of a delay of each airline (the rows) in each month."""

    OPERA: list[str]
    probability: list[list[float]]
    flights: Annotated[
        list[list[int]] | None,
        Field(description="How many past flights were like that; null if not known"),
    ]


@router.get("/heatmap", name="heatmap", responses=refusals(400))
async def get_heatmap(
    request: Request,
    flight_type: Annotated[
        str, Query(alias="TIPOVUELO", json_schema_extra={"enum": [*FLIGHT_TYPES]})
    ],
    destination: Annotated[str | None, Query(alias="SIGLADES")] = None,
    scheduled: Annotated[
        str | None,
        Query(
            alias=_SCHEDULED,
            description="A local time, of which the weekday and the hour matter",
        ),
    ] = None,
) -> HeatMap:
    """Tell the probability of a delay for each airline and month."""
    worker: Worker = request.app.state.worker
    model = worker.source.model
    type_code = model.reader.flight_type(flight_type)
    destination_code = model.reader.destination(destination)
    time = read_time(_SCHEDULED, scheduled)
    read = (type_code, destination_code, time)
    faults = [one for one in read if isinstance(one, Fault)]
    if faults:
        raise RefusedRequest(
            400,
            *(request_fault([f.field], f.type, f.message, f.input) for f in faults),
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
    found = await predict_in_turn(model, list(map(model.grid.cell, flights)))
    evidence = await asyncio.to_thread(lambda: model.evidence)
    return HeatMap(
        OPERA=list(airlines),
        probability=_in_rows(found),
        flights=_in_rows(list(map(evidence.support, flights))) if evidence else None,
    )


def _in_rows(values: list[T]) -> list[list[T]]:
    width = len(MONTHS)
    return [values[start : start + width] for start in range(0, len(values), width)]
