"""POST /predict: a prediction for each flight.

The route is one of FastAPI's, with its documentation. `PredictEndpoint` answers it
directly: FastAPI's request handling would take several times as long as the prediction.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from challenge.explain.evidence import Evidence
from challenge.files.prediction_log import PROBABILITY_DECIMALS
from challenge.flights.faults import Fault, shown
from challenge.flights.fields import FLIGHT_NUMBER
from challenge.live.known import Question
from challenge.model import DelayModel
from challenge.serving.body.headers import check_headers
from challenge.serving.body.openapi import BODY
from challenge.serving.evidence import evidence_of
from challenge.serving.middleware.requests import (
    ANSWERED_FLIGHTS,
    CONNECTION,
    REQUEST_ID,
)
from challenge.serving.problems import (
    JSON,
    RejectedRequest,
    overloaded,
    problem_responses,
    request_fault,
    send_rejection,
)
from challenge.serving.routes.predictions import (
    AT,
    AT_EXAMPLE,
    AT_ONCE,
    AT_SCHEMA,
    FlightNumbers,
    asked_at,
    predict_and_log,
    reader_of,
)
from challenge.serving.state import ServiceState

router = APIRouter(tags=["predict"])

SLOW_AT_ONCE: Final = 500
ANSWERS: Final = (b'{"predict":[0]}', b'{"predict":[1]}')


class PredictedFlights(BaseModel):
    """1 for a flight that is predicted to be late, else 0, in the order of the flights.

    With `details=true`, `probability` is that of a delay, 0 to 1, and `flights` is the
    number of past flights with the same values, if the model's file counts them. If the
    day says something of any of the flights, `distance` is how many minutes before its
    scheduled time each is asked about, by the clock of what is known (null of one of
    which the day says nothing), `schedule_probability` is the probability by the schedule
    alone, and `stale_since` is when the last message about the day came, if that is too
    long ago. With `unknown=average`, `notes` tells the names that were taken as not given, if any.
    """

    predict: list[int]
    probability: list[float] | None = None
    flights: list[int] | None = None
    schedule_probability: list[float] | None = None
    distance: list[float | None] | None = None
    stale_since: str | None = None
    notes: list[Fault] | None = None
    flight_numbers: FlightNumbers = None

    model_config = {"json_schema_extra": {"examples": [{"predict": [0]}]}}


class PredictEndpoint:
    """Answers POST /predict, as an ASGI application.

    Args:
        state: has the model, the limits and the counters.
    """

    def __init__(self, state: ServiceState) -> None:
        self.state = state
        self.max_wait = state.settings.max_wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await self.answer(scope, receive)
        except RejectedRequest as rejected:
            self.state.count_rejected(rejected.faults)
            await send_rejection(rejected, scope, send)
            return
        headers = [
            (b"content-type", JSON),
            (b"content-length", b"%d" % len(body)),
        ]
        start = {"type": "http.response.start", "status": 200, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    async def answer(self, scope: Scope, receive: Receive) -> bytes:
        """The body of the answer to a request.

        Raises:
            RejectedRequest: it is not answered.
        """
        state = self.state
        model = state.live.model
        check_headers(scope, state.settings.max_body_bytes)
        details, average = False, False
        if scope["query_string"]:
            details, average, at = _options(scope["query_string"])
            model = await asked_at(state, at)
        begin = functools.partial(self._begin, scope.get(CONNECTION))
        reader = reader_of(state, model, begin, average=average)
        cells = await reader.read(receive)
        numbers = reader.flight_numbers
        if len(cells) == 1 and not (details or numbers or reader.notes):
            [of_schedule] = model.predict_cells(cells)
            probability, question = of_schedule, reader.questions.get(0)
            if question is not None and model.day is not None:
                probability = model.day.moved(of_schedule, cells[0], question)
            late = int(probability > model.threshold)
            scope[ANSWERED_FLIGHTS] = 1
            state.count_answered(model, cells, late, 1)
            if state.prediction_log is not None:
                flight = reader.asked[0]
                state.prediction_log.add(
                    scope[REQUEST_ID],
                    model.name,
                    flight,
                    probability,
                    late,
                    question,
                    None if question is None else of_schedule,
                )
            return ANSWERS[late]
        predicted = await predict_and_log(state, scope, model, reader)
        answer = b'{"predict":%b' % await _encode(predicted.decisions)
        if details:
            found = predicted.probabilities
            answer += b',"probability":%b' % await _encode(found, _rounded)
            evidence = await evidence_of(model)
            if evidence is not None:
                support = functools.partial(_support, model, evidence)
                answer += b',"flights":%b' % await _encode(cells, support, SLOW_AT_ONCE)
            if reader.questions:
                asked = [reader.questions.get(place) for place in range(len(cells))]
                answer += (
                    b',"schedule_probability":%b,"distance":%b,"stale_since":%b'
                    % (
                        await _encode(predicted.of_schedule, _rounded),
                        await _encode(asked, _distances),
                        msgspec.json.encode(state.told_times()["stale_since"]),
                    )
                )
        if reader.notes:
            notes = [note.to_json() for note in reader.notes.told()]
            answer += b',"notes":%b' % msgspec.json.encode(notes)
        if numbers:
            answer += b',"%b":%b' % (FLIGHT_NUMBER.encode(), await _encode(numbers))
        return answer + b"}"

    def _begin(self, connection: Any) -> None:
        """Reject the request if it has waited too long since it arrived."""
        if connection and time.perf_counter() - connection.heard > self.max_wait:
            raise overloaded()


async def _encode(
    items: Sequence[Any],
    convert: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
    at_once: int = AT_ONCE,
) -> bytes:
    """The items, converted, as a JSON list, encoded in steps for other requests."""
    chunks = []
    for start in range(0, len(items), at_once):
        if start:
            await asyncio.sleep(0)
        some = items[start : start + at_once]
        chunks.append(msgspec.json.encode(convert(some) if convert else some)[1:-1])
    return b"[%b]" % b",".join(chunks)


def _rounded(probabilities: Sequence[float]) -> list[float]:
    return [round(probability, PROBABILITY_DECIMALS) for probability in probabilities]


def _distances(questions: Sequence[Question | None]) -> list[float | None]:
    """How many minutes before the scheduled times these are asked."""
    return [
        None if one is None else round((one.scheduled - one.at) / 60, 2)
        for one in questions
    ]


def _support(
    model: DelayModel, evidence: Evidence, cells: Sequence[int]
) -> Sequence[int]:
    # Schedules repeat: each distinct flight is counted once.
    found = {cell: evidence.support(model.grid.flight(cell)) for cell in set(cells)}
    return [found[cell] for cell in cells]


def _options(query: bytes) -> tuple[bool, bool, str | None]:
    """Whether the query has `details=true`, and `unknown=average`; and its `at`.

    Raises:
        RejectedRequest: a value is another than the two that there are.
    """
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    faults, chosen = [], []
    for name, kind, usual, other in (
        ("details", "bool_type", "false", "true"),
        ("unknown", "literal_error", "reject", "average"),
    ):
        asked = given.get(name, [usual])[-1]
        if asked not in (usual, other):
            message = f"{shown(asked)} is neither {other!r} nor {usual!r}"
            ctx = {"expected": [other, usual]}
            faults.append(request_fault([name], kind, message, asked, ctx))
        chosen.append(asked == other)
    if faults:
        raise RejectedRequest(400, *faults)
    details, average = chosen
    return details, average, given.get("at", [None])[-1]


@router.post(
    "/predict",
    openapi_extra={
        "requestBody": BODY,
        "parameters": [
            {
                "name": "details",
                "in": "query",
                "description": "Also return the probabilities, and the number of past "
                "flights like each",
                "schema": {"type": "boolean", "default": False},
            },
            {
                "name": "unknown",
                "in": "query",
                "description": "What to do with a destination or an origin that the "
                "model does not know: reject the request, or answer as for a flight "
                "without one and say so in `notes`",
                "schema": {
                    "type": "string",
                    "enum": ["reject", "average"],
                    "default": "reject",
                },
            },
            {
                "name": "at",
                "in": "query",
                "description": AT,
                "schema": AT_SCHEMA,
                "example": AT_EXAMPLE,
            },
        ],
    },
    response_model=PredictedFlights,
    responses=problem_responses(400, 410, 413, 415),
)
async def predict(request: Request) -> Response:
    """Predict for each flight whether it will leave more than 15 minutes late."""
    endpoint: PredictEndpoint = request.app.state.predict
    body = await endpoint.answer(request.scope, request.receive)
    return Response(body, media_type="application/json")
