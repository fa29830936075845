"""POST /explain: why a flight has its probability, and what another would have."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from challenge.errors import UnknownPastError
from challenge.explain.narrative import Language, describe
from challenge.flights.fields import FLIGHT_NUMBER
from challenge.serving.json_body import BODY, FlightsReader, check_media_type
from challenge.serving.problems import RefusedRequest, refusals, request_fault
from challenge.serving.routes.predict import FlightNumbers
from challenge.serving.state import Worker

router = APIRouter(tags=["predict"])

# Each takes some milliseconds; a page asks for one, a report for a handful.
MAX_EXPLAINED: Final = 100


class PastEvidence(BaseModel):
    """Past flights like one that is asked about: the narrowest group of 30 or more."""

    alike: Annotated[
        list[str], Field(description="The fields in which they are like it")
    ]
    flights: int
    late: int
    low: Annotated[
        float, Field(description="The 95 % interval of the share that is late")
    ]
    high: float


class ExplainedFlight(BaseModel):
    """Why a flight has its probability.

    `base_log_odds`, all `contributions` and `recent_form` add up to the log-odds of
    `probability`.
    """

    delay: Annotated[int, Field(description="1 if it is predicted to be late, else 0")]
    probability: Annotated[float, Field(description="That of a delay, 0 to 1")]
    threshold: Annotated[
        float, Field(description="It is predicted to be late above this probability")
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
            description="What each field adds to them: Shapley values over a sample of "
            "the training flights; 0 for a field that is not given"
        ),
    ]
    recent_form: Annotated[
        float,
        Field(
            description="What the last weeks add: how flights of the airline and to "
            "the destination left; 0 if the model was not updated, or not of late"
        ),
    ]
    past: PastEvidence
    by_month: Annotated[
        list[float],
        Field(
            description="The probability in each month, if nothing else changed; "
            "without recent form"
        ),
    ]
    by_hour: Annotated[
        list[float] | None,
        Field(
            description="That at each hour, 0 to 23, of the same day; null without a "
            "time"
        ),
    ]
    text: Annotated[str, Field(description="The same in words")]


class ExplainedFlights(BaseModel):
    """The explanations, in the order of the flights."""

    explanations: list[ExplainedFlight]
    flight_numbers: FlightNumbers = None


@router.post(
    "/explain",
    openapi_extra={"requestBody": BODY},
    response_model_exclude_unset=True,
    responses=refusals(400, 413, 415, 501),
)
async def explain(
    request: Request,
    language: Annotated[
        Language, Query(description="Of the words: English or Spanish")
    ] = "en",
) -> ExplainedFlights:
    """Tell for each flight what made its probability, for at most 100 of them."""
    worker: Worker = request.app.state.worker
    settings, model = worker.settings, worker.source.model
    check_media_type(request.scope)
    reader = FlightsReader(
        model, min(MAX_EXPLAINED, settings.max_flights), settings.max_body_bytes
    )
    cells = await reader.read(request.receive)
    # The first look at the past takes longer than an answer may.
    evidence = await asyncio.to_thread(lambda: model.evidence)
    if evidence is None:
        fault = request_fault([], "unknown_past", str(UnknownPastError()))
        raise RefusedRequest(501, fault)
    assert model.card is not None
    explained = []
    for cell in cells:
        (why,) = model.explanations_of_cells([cell])
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
        # Others have their turn.
        await asyncio.sleep(0)
    numbers = reader.flight_numbers
    given_back = {FLIGHT_NUMBER: numbers} if numbers else {}
    return ExplainedFlights(explanations=explained, **given_back)
