"""/flights: today's flights as they are known now. POST tells them, GET asks for them."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from challenge.errors import LiveStoreError
from challenge.files.prediction_log import PROBABILITY_DECIMALS
from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_NUMBER,
    FLIGHT_TYPE,
    ORIGIN,
    SCHEDULED,
    Language,
)
from challenge.flights.vocabulary import fold
from challenge.live.clock import utc_text
from challenge.serving.board_rows import FlightOfToday, FlightToCome
from challenge.serving.body.budget import Held
from challenge.serving.body.headers import check_headers
from challenge.serving.body.openapi import MESSAGE_BODY
from challenge.serving.body.whole import read_whole
from challenge.serving.problems import (
    RejectedRequest,
    ToldFault,
    overloaded,
    problem_responses,
    rejection,
)
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.predictions import AT_SCHEMA
from challenge.serving.shared_bodies import accepts_gzip
from challenge.serving.state import ServiceState
from challenge.serving.told import MessageReader, store_away

router = APIRouter(tags=["live"])

DEFAULT_HOURS: Final = 12
MAX_HOURS: Final = 72
# So long an answer waits for what was told before.
TOLD_SECONDS: Final = 1.0
DEFAULT_LIMIT: Final = 1_000


class HeardMessage(BaseModel):
    """What became of a message.

    Its faulty flights are told like those of other requests, and the others are taken.
    """

    accepted: Annotated[int, Field(description="How many flights were taken note of")]
    rejected: Annotated[int, Field(description="How many have a fault")]
    clock: Annotated[
        str, Field(description="The latest moment that a message told, UTC")
    ]
    state: Annotated[
        str,
        Field(
            description="Changes when all that was told was forgotten, and must be "
            "told again"
        ),
    ]
    detail: Annotated[
        list[ToldFault], Field(description="The first hundred faults of flights")
    ]
    notes: Annotated[
        list[ToldFault],
        Field(
            description="What is not as it should be of flights that were taken: names "
            "that the model does not know, and what is still to be told"
        ),
    ]


class ForgottenFlights(BaseModel):
    """The flights were forgotten; `state` is the new one."""

    state: str


class FlightBoard(BaseModel):
    """Today's flights as they are known now."""

    clock: Annotated[
        str | None,
        Field(description="The moment up to which they are known; null before any"),
    ]
    heard: Annotated[
        str | None,
        Field(description="When the last message came, by the server's clock"),
    ]
    stale_since: Annotated[
        str | None, Field(description="The same, if that is too long ago; else null")
    ]
    state: Annotated[str, Field(description="Changes when all was forgotten")]
    known: Annotated[int, Field(description="How many flights messages told of")]
    expected_late: Annotated[
        float,
        Field(description="How many of the flights to come will be late, expected"),
    ]
    flights: Annotated[
        list[FlightToCome], Field(description="Those that have not left")
    ]
    left: Annotated[
        list[FlightOfToday],
        Field(description="Those that should have left in the last hours, and did"),
    ]


class FlightTrend(BaseModel):
    """How the probability of a flight went over the day."""

    at: Annotated[
        list[str],
        Field(
            description="Each half hour since midnight, at most a day, until the flight "
            "left; of one that has not the clock, too. UTC"
        ),
    ]
    probability: Annotated[
        list[float | None],
        Field(
            description="By what was known at each of these; 1 once the flight was over "
            "15 minutes overdue, null if it is unknown or was cancelled"
        ),
    ]
    schedule_probability: Annotated[
        float | None,
        Field(description="What the schedule alone says; null if it is unknown"),
    ]


_NameQuery = Annotated[str | None, Query(max_length=200)]


@router.post(
    "/flights",
    name="tell_flights",
    openapi_extra={"requestBody": MESSAGE_BODY},
    responses=problem_responses(400, 401, 403, 413, 415, 503),
)
async def tell_flights(request: Request, state: State) -> HeardMessage:
    """Tell what is known now of today's flights: all, some, or what has changed.

    A flight is known by OPERA, Fecha-I and Vlo-I, and SIGLAORI where the model has
    several origins; one without a number by SIGLADES, and its place among equals in the
    message. After the first message about a flight, these and what has changed are
    enough: a field that is absent stays as it is, and null clears it. Messages may come
    twice, and in any order: the later `at` counts. Without flights a message says that
    nothing is new.
    """
    state.feed_access.check(request.scope)
    settings = state.settings
    check_headers(request.scope, settings.max_body_bytes)
    reader = MessageReader(state.live, settings.max_flights)
    with Held(state.body_budget) as held:
        await reader.take(await read_whole(request, settings.max_body_bytes, held))
    state.counters.told["accepted"] += reader.accepted
    state.counters.told["rejected"] += reader.rejected
    return HeardMessage(
        accepted=reader.accepted,
        rejected=reader.rejected,
        clock=utc_text(max(reader.at, state.live.state.clock or reader.at)),
        state=state.live.name,
        detail=reader.faults.told(),
        notes=reader.notes.told(),
    )


@router.delete(
    "/flights", name="forget_flights", responses=problem_responses(401, 403, 503)
)
async def forget_flights(request: Request, state: State) -> ForgottenFlights:
    """Forget all that was told of flights; the model's own stay."""
    state.feed_access.check(request.scope)
    try:
        await state.live.reset()
    except LiveStoreError as error:
        raise store_away(error) from None
    return ForgottenFlights(state=state.live.name)


@router.get(
    "/flights",
    name="flights",
    response_model=FlightBoard,
    responses={
        **problem_responses(400),
        304: {"description": "Nothing has changed"},
    },
)
async def get_flights(
    request: Request,
    state: State,
    hours: Annotated[
        float, Query(gt=0, le=MAX_HOURS, description="How far ahead, and back")
    ] = DEFAULT_HOURS,
    sort: Annotated[
        Literal["time", "risk"],
        Query(description="The earliest first, or the likeliest to be late"),
    ] = "time",
    limit: Annotated[
        int, Query(ge=0, le=10_000, description="How many flights of each list")
    ] = DEFAULT_LIMIT,
    airline: _NameQuery = None,
    destination: _NameQuery = None,
    origin: _NameQuery = None,
    flight_type: Annotated[str | None, Query(alias="type", max_length=20)] = None,
    language: Language = "en",
) -> Response:
    """Return the flights to come, with their probabilities now and before, and those that
    have left."""
    # What was told a moment ago, too, and nothing of which half is taken note of.
    await state.live.note(TOLD_SECONDS)
    tag = _tag(state, request.url.query)
    # Weak, as it stands for what is told, however that is compressed.
    headers = {"etag": f"W/{tag}", "cache-control": "no-cache"}
    headers["vary"] = "accept-encoding"
    if tag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    names = {
        AIRLINE: airline,
        DESTINATION: destination,
        ORIGIN: origin,
        FLIGHT_TYPE: flight_type,
    }

    async def make() -> bytes:
        told = await _board(state, hours, sort, limit, names, language)
        return told.model_dump_json().encode()

    is_compressed = accepts_gzip(request.headers.get("accept-encoding", ""))
    body = await state.boards.body(tag, is_compressed, make)
    if is_compressed:
        headers["content-encoding"] = "gzip"
    return Response(body, 200, headers, "application/json")


async def _board(
    state: ServiceState,
    hours: float,
    sort: str,
    limit: int,
    names: dict[str, str | None],
    language: Language,
) -> FlightBoard:
    """What GET /flights tells; the arguments are its parameters."""
    wanted = {
        name: _comparable(state, name, value) for name, value in names.items() if value
    }

    def is_wanted(told: dict[str, Any]) -> bool:
        return all(
            _comparable(state, name, told.get(name)) == value
            for name, value in wanted.items()
        )

    to_come = await state.board.to_come(hours, language)
    to_come = [one for one in to_come if is_wanted(one.flight)]
    left = await state.board.of_today(hours)
    left = [one for one in left if is_wanted(one.flight)]
    if sort == "risk":
        to_come.sort(key=lambda one: -(one.probability or 0.0))
    expected = sum(one.probability or 0.0 for one in to_come)
    live = state.live
    return FlightBoard(
        **state.told_times(),
        state=live.name,
        known=len(live.state.flights),
        expected_late=round(expected, PROBABILITY_DECIMALS),
        flights=to_come[:limit],
        # The last ones are the ones to look at.
        left=left[max(len(left) - limit, 0) :],
    )


@router.get(
    "/flights/trend", name="flight_trend", responses=problem_responses(400, 404, 503)
)
async def get_trend(
    state: State,
    airline: Annotated[
        str, Query(alias=AIRLINE, max_length=200, json_schema_extra={"pattern": r"\S"})
    ],
    scheduled: Annotated[
        str, Query(alias=SCHEDULED, max_length=40, json_schema_extra=AT_SCHEMA)
    ],
    number: Annotated[str | None, Query(alias=FLIGHT_NUMBER, max_length=40)] = None,
    origin: Annotated[str | None, Query(alias=ORIGIN, max_length=200)] = None,
    destination: Annotated[str | None, Query(alias=DESTINATION, max_length=200)] = None,
    place: Annotated[
        int, Query(ge=0, description="As GET /flights tells it of the flight")
    ] = 0,
) -> FlightTrend:
    """Return how the probability of a flight went over the day.

    The flight is named as its messages name it.
    """
    await state.live.note(TOLD_SECONDS)
    named = {
        AIRLINE: airline,
        SCHEDULED: scheduled,
        FLIGHT_NUMBER: number,
        ORIGIN: origin,
        DESTINATION: destination,
    }
    key = state.live.state.rules.key(named, place)
    if isinstance(key, list):
        raise RejectedRequest(400, *key)
    trend = await state.trends.of(key)
    if trend is None:
        raise rejection(404, "unknown_flight", "no message told of such a flight")
    return FlightTrend(
        at=list(map(utc_text, trend.moments)),
        probability=trend.probabilities,
        schedule_probability=trend.by_schedule,
    )


@router.get(
    "/flights/events",
    name="flight_events",
    response_class=StreamingResponse,
    responses={
        **problem_responses(503),
        200: {
            "description": "Server-sent events: `flights` whenever GET /flights has "
            "changed, with its `clock`; a comment every ten seconds",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    },
)
async def get_events(state: State) -> StreamingResponse:
    """Tell whenever GET /flights has changed, as server-sent events."""
    if not state.events.has_room:
        raise overloaded()
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(
        state.events.stream(), headers=headers, media_type="text/event-stream"
    )


def _tag(state: ServiceState, query: str) -> str:
    """What changes with the answer of GET /flights."""
    live = state.live
    made_of = (
        *(live.position, live.state.moment, state.model.fingerprint),
        *(state.told_times()["stale_since"], query),
    )
    digest = hashlib.blake2b(repr(made_of).encode(), digest_size=12)
    return f'"{digest.hexdigest()}"'


def _comparable(state: ServiceState, field: str, value: object) -> str:
    """A name as it is compared, however it is spelled; codes are names, too."""
    known = state.model.encoder.rules.known_name(field, value)
    return fold(str(known))
