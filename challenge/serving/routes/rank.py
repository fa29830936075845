"""POST /rank: the flights that are most likely to be late."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from challenge.files.prediction_log import PROBABILITY_DECIMALS
from challenge.files.ranking import expected_late, highest
from challenge.flights.fields import FLIGHT_NUMBER
from challenge.serving.body.headers import check_headers
from challenge.serving.body.openapi import RANKED_BODY
from challenge.serving.problems import problem_responses
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.predictions import (
    AtTime,
    FlightNumbers,
    asked_at,
    predict_and_log,
    reader_of,
)

router = APIRouter(tags=["predict"])


class RankedFlights(BaseModel):
    """The flights with the highest probabilities, the highest first."""

    position: Annotated[
        list[int],
        Field(
            description="Their positions in the request, from 0; the first of equals comes first"
        ),
    ]
    probability: Annotated[list[float], Field(description="Of a delay, 0 to 1")]
    expected_late: Annotated[
        float, Field(description="The expected number of late flights among them")
    ]
    flight_numbers: FlightNumbers = None


@router.post(
    "/rank",
    openapi_extra={"requestBody": RANKED_BODY},
    response_model_exclude_unset=True,
    responses=problem_responses(400, 410, 413, 415),
)
async def rank(request: Request, state: State, at: AtTime = None) -> RankedFlights:
    """Return the flights that are most likely to be late."""
    model = await asked_at(state, at)
    check_headers(request.scope, state.settings.max_body_bytes)
    reader = reader_of(state, model, has_top=True)
    await reader.read(request.receive)
    predicted = await predict_and_log(state, request.scope, model, reader)
    ranked = highest(predicted.probabilities, reader.top)
    found = [probability for probability, _ in ranked]
    numbers = reader.flight_numbers
    given_back = {}
    if numbers:
        given_back[FLIGHT_NUMBER] = [numbers[position] for _, position in ranked]
    return RankedFlights(
        position=[position for _, position in ranked],
        probability=[round(p, PROBABILITY_DECIMALS) for p in found],
        expected_late=round(expected_late(found), PROBABILITY_DECIMALS),
        **given_back,
    )
