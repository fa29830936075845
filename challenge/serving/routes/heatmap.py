"""GET /heatmap: the probability of a delay by airline and month.

It serves to look around, so it counts neither as predictions nor for drift.
"""

from typing import Annotated, Final, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from challenge.flights.fields import (
    AIRLINE,
    FIELDS,
    MONTH,
    MONTHS,
    SCHEDULED,
    Flight,
)
from challenge.serving.body.openapi import field_schema
from challenge.serving.evidence import evidence_of
from challenge.serving.problems import RejectedRequest, problem_responses, request_fault
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.predictions import predict_probabilities

router = APIRouter(tags=["predict"])

T = TypeVar("T")

# What the cells of a map have in common; they differ in airline and month.
COMMON_FIELDS: Final = tuple(
    one for one in FIELDS if one.is_in_table and one.name not in (AIRLINE, MONTH)
)


class HeatMap(BaseModel):
    """The probability of a delay of each airline (the rows) in each month."""

    OPERA: list[str]
    probability: list[list[float]]
    flights: Annotated[
        list[list[int]] | None,
        Field(description="The number of past flights like that; null if unknown"),
    ]


@router.get(
    "/heatmap",
    name="heatmap",
    responses=problem_responses(400),
    openapi_extra={
        "parameters": [
            {
                "name": one.name,
                "in": "query",
                "required": one.required,
                "description": one.description,
                "schema": field_schema(one),
            }
            for one in COMMON_FIELDS
        ]
    },
)
async def get_heatmap(request: Request, state: State) -> HeatMap:
    """Return the probability of a delay for each airline and month."""
    model = state.watcher.model
    airlines = model.vocabulary[AIRLINE]
    given = {one.name: request.query_params.get(one.name) for one in COMMON_FIELDS}
    # The month of the time is as good as any: it is replaced by each of the twelve.
    month = None if (given[SCHEDULED] or "").strip() else MONTHS[0]
    flight = model.encoder.rules.read({AIRLINE: airlines[0], MONTH: month, **given})
    if not isinstance(flight, Flight):
        faults = (one for one in flight if one.field != MONTH)
        raise RejectedRequest(
            400,
            *(request_fault(f.loc, f.type, f.msg, f.input, f.ctx) for f in faults),
        )
    flights = [
        flight._replace(airline=airline, month=month - 1)
        for airline in range(len(airlines))
        for month in MONTHS
    ]
    found = await predict_probabilities(model, list(map(model.grid.cell, flights)))
    evidence = await evidence_of(model)
    return HeatMap(
        OPERA=list(airlines),
        probability=_in_rows(found),
        flights=_in_rows(list(map(evidence.support, flights))) if evidence else None,
    )


def _in_rows(values: list[T]) -> list[list[T]]:
    width = len(MONTHS)
    return [values[start : start + width] for start in range(0, len(values), width)]
