"""POST /rank: which flights to look at first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from challenge.files.prediction_log import PROBABILITY_DECIMALS
from challenge.files.ranking import expected_late, highest
from challenge.flights.fields import FLIGHT_NUMBER
from challenge.serving.json_body import RANKED_BODY, FlightsReader, check_media_type
from challenge.serving.problems import refusals
from challenge.serving.routes.predict import (
    FlightNumbers,
    note_answered,
    predict_in_turn,
)
from challenge.serving.state import Worker

router = APIRouter(tags=["predict"])


class RankedFlights(BaseModel):
    """The flights with the highest probabilities, the highest first."""

    position: Annotated[
        list[int],
        Field(description="Where they are in the request, from 0; of equals the first"),
    ]
    probability: Annotated[list[float], Field(description="Of a delay, 0 to 1")]
    expected_late: Annotated[
        float, Field(description="How many of these are late on average")
    ]
    flight_numbers: FlightNumbers = None


@router.post(
    "/rank",
    openapi_extra={"requestBody": RANKED_BODY},
    response_model_exclude_unset=True,
    responses=refusals(400, 413, 415),
)
async def rank(request: Request) -> RankedFlights:
    """Tell which flights to look at first: those most probably late."""
    worker: Worker = request.app.state.worker
    settings, model = worker.settings, worker.source.model
    check_media_type(request.scope)
    reader = FlightsReader(
        model,
        settings.max_flights,
        settings.max_body_bytes,
        has_top=True,
        keep=worker.recorder is not None,
    )
    cells = await reader.read(request.receive)
    probabilities = await predict_in_turn(model, cells)
    decisions = model.decide(probabilities)
    await note_answered(worker, request.scope, model, reader, probabilities, decisions)
    ranked = highest(probabilities, reader.top)
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
