"""POST /explain: why a flight has its probability, and what would change it."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from challenge.artifact.card import Level
from challenge.errors import UnknownPastError
from challenge.explain.narrative import describe
from challenge.flights.fields import FLIGHT_NUMBER, Language
from challenge.live.terms import Term, group_text, sums_of_groups, term_text
from challenge.serving.body.headers import check_headers
from challenge.serving.body.openapi import BODY
from challenge.serving.body.reader import FlightsReader
from challenge.serving.evidence import evidence_of
from challenge.serving.problems import problem_responses, rejection
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.predictions import (
    AtTime,
    FlightNumbers,
    asked_at,
)

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


class DayTerm(BaseModel):
    """Something that is known of the day and of the weeks before it."""

    term: Annotated[str, Field(description="Its name for programs")]
    name: Annotated[str, Field(description="Its name for people")]
    group: Annotated[
        str,
        Field(description="The last hours, the last days and weeks, or the aircraft"),
    ]
    log_odds: Annotated[float, Field(description="What it adds to the log-odds")]


class ExplainedFlight(BaseModel):
    """Why a flight has its probability.

    `base_log_odds`, all `contributions` and the `log_odds` of all of `day` add up to the
    log-odds of `probability`.
    """

    delay: Annotated[int, Field(description="1 if it is predicted to be late, else 0")]
    probability: Annotated[
        float, Field(description="The probability of a delay, 0 to 1")
    ]
    level: Annotated[
        Level,
        Field(
            description="The level of the probability, by `levels` of the model's card"
        ),
    ]
    flights: Annotated[
        int, Field(description="How many past flights had exactly the given values")
    ]
    flown: Annotated[
        bool,
        Field(
            description="Whether any past flight had the airline, the type and, as far as "
            "they are given, the origin and the destination, in whatever month and at "
            "whatever time"
        ),
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
    day: Annotated[
        list[DayTerm],
        Field(
            description="How other flights left before, and where the aircraft is, the "
            "largest first; empty for a flight without a time, or over four weeks after "
            "the flights that the model knows"
        ),
    ]
    past: PastEvidence
    by_month: Annotated[
        list[float],
        Field(
            description="The probability in each month, all else equal, without what "
            "the day adds"
        ),
    ]
    by_hour: Annotated[
        list[float] | None,
        Field(
            description="The probability at each hour of the same day, 0 to 23, without "
            "what the day adds; null without a time"
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
    responses=problem_responses(400, 410, 413, 415, 501),
)
async def explain(
    request: Request,
    state: State,
    language: Annotated[
        Language, Query(description="The language of the text: English or Spanish")
    ] = "en",
    at: AtTime = None,
) -> ExplainedFlights:
    """Explain the probability of each flight, of at most 100 flights."""
    settings, model = state.settings, await asked_at(state, at)
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
    for place, cell in enumerate(cells):
        (why,) = model.explain([cell])
        question = reader.questions.get(place)
        probability, added = why.probability, dict[Term, float]()
        if question is not None and model.day is not None:
            [probability] = model.predict_flights([cell], {0: question})
            added = model.day.terms(cell, question)
        of_groups = {
            group_text(group, language): value
            for group, value in sums_of_groups(added).items()
        }
        flight = model.grid.flight(cell)
        similar, was_flown = evidence.similar(flight), evidence.was_flown(flight)
        low, high = similar.interval
        levels, threshold = model.card.levels, model.threshold
        explained.append(
            ExplainedFlight(
                delay=int(probability > threshold),
                probability=probability,
                level=levels.level_of(probability),
                flights=evidence.support(flight),
                flown=was_flown,
                threshold=threshold,
                base_rate=model.card.delay_rate,
                base_log_odds=why.base_log_odds,
                contributions=why.contributions,
                day=[
                    DayTerm(
                        term=term.name,
                        name=term_text(term, language),
                        group=group_text(term.group, language),
                        log_odds=value,
                    )
                    for term, value in sorted(
                        added.items(), key=lambda item: -abs(item[1])
                    )
                ],
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
                    was_flown,
                    model.vocabulary,
                    levels,
                    language,
                    probability,
                    of_groups,
                ),
            )
        )
        # Other requests have their turn.
        await asyncio.sleep(0)
    numbers = reader.flight_numbers
    given_back = {FLIGHT_NUMBER: numbers} if numbers else {}
    return ExplainedFlights(explanations=explained, **given_back)
