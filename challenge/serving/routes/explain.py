"""POST /explain: why a flight has its probability, and what would change it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from challenge.errors import UnknownPastError
from challenge.explain.narrative import Language, describe
from challenge.flights.fields import FLIGHT_NUMBER
from challenge.serving.body.headers import check_headers
from challenge.serving.body.openapi import BODY
from challenge.serving.body.reader import FlightsReader
from challenge.serving.problems import problem_responses, rejection
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.predictions import FlightNumbers, evidence_of

router = APIRouter(tags=["predict"])

# Each takes some milliseconds.
MAX_EXPLAINED: Final = 100


class PastEvidence(BaseModel):
    """Past flights like a requested one: the narrowest group of at least 30."""

    alike: Annotated[
        list[str], Field(description="The fields in which they are equal to it")
    ]
    flights: int
    late: int
    low: Annotated[
        float, Field(description="The 95 % interval of the share of late flights")
    ]
    high: float


class ExplainedFlight(BaseModel):
    """Why a flight has its probability.

    `base_log_odds`, all `contributions` and `recent_form` add up to the log-odds of
    `probability`.
    """

    delay: Annotated[int, Field(description="1 if it is predicted to be late, else 0")]
    probability: Annotated[
        float, Field(description="The probability of a delay, 0 to 1")
    ]
    threshold: Annotated[
        float,
        Field(description="A flight above this probability is predicted to be late"),
    ]
    base_rate: Annotated[
        float, Field(description="The share of late flights in the training data")
    ]
    base_log_odds: Annotated[
        float, Field(description="The mean log-odds of past flights")
    ]
    contributions: Annotated[
        dict[str, float],
        Field(
            description="What each field adds to the log-odds: Shapley values over a "
            "sample of the training flights; 0 for a field that is not given"
        ),
    ]
    recent_form: Annotated[
        float,
        Field(
            description="What the delays of the last weeks, of the airline and to the "
            "destination, add to the log-odds; 0 without a recent update of the model"
        ),
    ]
    past: PastEvidence
    by_month: Annotated[
        list[float],
        Field(
            description="The probability in each month, all else equal, without recent "
            "form"
        ),
    ]
    by_hour: Annotated[
        list[float] | None,
        Field(
            description="The probability at each hour of the same day, 0 to 23; null "
            "without a time"
        ),
    ]
    text: Annotated[str, Field(description="The explanation as text")]


class ExplainedFlights(BaseModel):
    """The explanations, in the order of the flights."""

    explanations: list[ExplainedFlight]
    flight_numbers: FlightNumbers = None


@router.post(
    "/explain",
    openapi_extra={"requestBody": BODY},
    response_model_exclude_unset=True,
    responses=problem_responses(400, 413, 415, 501),
)
async def explain(
    request: Request,
    state: State,
    language: Annotated[
        Language, Query(description="The language of the text: English or Spanish")
    ] = "en",
) -> ExplainedFlights:
    """Explain the probability of each flight, of at most 100 flights."""
    settings, model = state.settings, state.watcher.model
    check_headers(request.scope, settings.max_body_bytes)
    reader = FlightsReader(
        model,
        min(MAX_EXPLAINED, settings.max_flights),
        settings.max_body_bytes,
        state.body_budget,
    )
    cells = await reader.read(request.receive)
    evidence = await evidence_of(model)
    if evidence is None:
        raise rejection(501, "unknown_past", str(UnknownPastError()))
    explained = []
    for cell in cells:
        (why,) = model.explain([cell])
        flight = model.grid.flight(cell)
        similar = evidence.similar(flight)
        low, high = similar.interval
        base_rate, threshold = model.card.delay_rate, model.threshold
        explained.append(
            ExplainedFlight(
                delay=int(why.probability > threshold),
                probability=why.probability,
                threshold=threshold,
                base_rate=base_rate,
                base_log_odds=why.base_log_odds,
                contributions=why.contributions,
                recent_form=why.recent_form,
                past=PastEvidence(
                    alike=list(similar.alike),
                    flights=similar.flights,
                    late=similar.late,
                    low=low,
                    high=high,
                ),
                by_month=why.by_month,
                by_hour=why.by_hour,
                text=describe(
                    why,
                    flight,
                    similar,
                    model.vocabulary,
                    threshold,
                    base_rate,
                    language,
                ),
            )
        )
        # Other requests have their turn.
        await asyncio.sleep(0)
    numbers = reader.flight_numbers
    given_back = {FLIGHT_NUMBER: numbers} if numbers else {}
    return ExplainedFlights(explanations=explained, **given_back)
