"""POST /predict: flights in, decisions out.

The route is FastAPI's, with its documentation. `PredictEndpoint` answers it below
FastAPI's own machinery, which would cost several times the answer.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field
from starlette.types import Receive, Scope, Send

from challenge.explain.evidence import Evidence
from challenge.files.prediction_log import PROBABILITY_DECIMALS
from challenge.flights.faults import shown
from challenge.flights.fields import FLIGHT_NUMBER
from challenge.model import DelayModel
from challenge.serving.json_body import BODY, JSON, FlightsReader, check_media_type
from challenge.serving.middleware.access import Overloaded
from challenge.serving.middleware.requests import CONNECTION
from challenge.serving.middleware.requests import FLIGHTS as FLIGHTS_ANSWERED
from challenge.serving.middleware.requests import ID
from challenge.serving.problems import RefusedRequest, refusals, request_fault
from challenge.serving.state import Worker

router = APIRouter(tags=["predict"])

AT_ONCE: Final = 5_000
SLOW_AT_ONCE: Final = 500
ANSWERS: Final = (b'{"predict":[0]}', b'{"predict":[1]}')


FlightNumbers = Annotated[
    list[str | None] | None,
    Field(
        alias=FLIGHT_NUMBER,
        description="The flights' numbers, in the same order, if any was given",
    ),
]


class PredictedFlights(BaseModel):
    """1 for a flight that will be late, else 0, in the order of the flights.

    When details are asked for, `probability` is that of a delay, 0 to 1, and `flights`
    tells how many past flights had the same values, if the model's file counts them.
    """

    predict: list[int]
    probability: list[float] | None = None
    flights: list[int] | None = None
    flight_numbers: FlightNumbers = None

    model_config = {"json_schema_extra": {"examples": [{"predict": [0]}]}}


class PredictEndpoint:
    """Answers POST /predict, as an ASGI application.

    Args:
        worker: has the model to ask, the limits, and counts what is answered.
    """

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        self.max_wait = worker.settings.max_wait

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = await self.answer(scope, receive)
        headers = [
            (b"content-type", JSON),
            (b"content-length", b"%d" % len(body)),
        ]
        start = {"type": "http.response.start", "status": status, "headers": headers}
        await send(start)
        await send({"type": "http.response.body", "body": body})

    async def answer(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        """The status and the body of the answer to a request."""
        worker = self.worker
        model = worker.source.model
        try:
            check_media_type(scope)
            details = scope["query_string"] and _details(scope["query_string"])
            reader = FlightsReader(
                model,
                worker.settings.max_flights,
                worker.settings.max_body_bytes,
                functools.partial(self._begin, scope.get(CONNECTION)),
                keep=worker.recorder is not None,
            )
            cells = await reader.read(receive)
        except RefusedRequest as refused:
            worker.note_refused(refused.faults)
            return refused.status, b'{"detail":%b}' % await _encode(refused.faults)
        numbers = reader.flight_numbers
        if len(cells) == 1 and not (details or numbers) and model.table is not None:
            probability = model.probability_in_table(cells[0])
            late = int(probability > model.threshold)
            scope[FLIGHTS_ANSWERED] = 1
            worker.note(model, cells, late, 1)
            if worker.recorder is not None:
                flight = reader.asked[0]
                worker.recorder.add(scope[ID], model.name, flight, probability, late)
            return 200, ANSWERS[late]
        probabilities: list[float] = []
        for start in range(0, len(cells), AT_ONCE):
            if start:
                await asyncio.sleep(0)
            probabilities += await predict_in_turn(
                model, cells[start : start + AT_ONCE]
            )
        decisions: list[int] = []
        for start in range(0, len(cells), AT_ONCE):
            decisions += model.decide(probabilities[start : start + AT_ONCE])
        await note_answered(worker, scope, model, reader, probabilities, decisions)
        answer = b'{"predict":%b' % await _encode(decisions)
        if details:
            answer += b',"probability":%b' % await _encode(probabilities, _rounded)
            evidence = await asyncio.to_thread(lambda: model.evidence)
            if evidence is not None:
                support = functools.partial(_support, model, evidence)
                answer += b',"flights":%b' % await _encode(cells, support, SLOW_AT_ONCE)
        if numbers:
            answer += b',"%b":%b' % (FLIGHT_NUMBER.encode(), await _encode(numbers))
        return 200, answer + b"}"

    def _begin(self, connection: Any) -> None:
        """Raise Overloaded if what has arrived waited too long for its turn."""
        if connection and time.perf_counter() - connection.heard > self.max_wait:
            raise Overloaded


async def note_answered(
    worker: Worker,
    scope: Scope,
    model: DelayModel,
    reader: FlightsReader,
    probabilities: Sequence[float],
    decisions: Sequence[int],
) -> None:
    """Count flights that were answered, and record them if that is wanted."""
    scope[FLIGHTS_ANSWERED] = len(reader.cells)
    worker.note(model, reader.cells, sum(decisions), len(reader.cells))
    if worker.recorder is None:
        return
    answered = zip(reader.asked, probabilities, decisions, strict=True)
    for place, (flight, probability, decision) in enumerate(answered, start=1):
        worker.recorder.add(scope[ID], model.name, flight, probability, decision)
        if place % AT_ONCE == 0:
            await asyncio.sleep(0)


async def predict_in_turn(model: DelayModel, cells: list[int]) -> list[float]:
    """The probabilities of cells; a classifier without a table works in a thread."""
    if model.table is None:
        # Its classifier takes its time.
        return await asyncio.to_thread(model.predict_cells, cells)
    return model.predict_cells(cells)


async def _encode(
    items: Sequence[Any],
    convert: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
    at_once: int = AT_ONCE,
) -> bytes:
    """A JSON list of the items, converted; other requests have their turn meanwhile."""
    parts = []
    for start in range(0, len(items), at_once):
        if start:
            await asyncio.sleep(0)
        part = items[start : start + at_once]
        parts.append(msgspec.json.encode(convert(part) if convert else part)[1:-1])
    return b"[%b]" % b",".join(parts)


def _rounded(probabilities: Sequence[float]) -> list[float]:
    return [round(probability, PROBABILITY_DECIMALS) for probability in probabilities]


def _support(
    model: DelayModel, evidence: Evidence, cells: Sequence[int]
) -> Sequence[int]:
    # Schedules repeat: each kind of flight is looked for once, on whatever days.
    kinds = [cell % model.grid.cells for cell in cells]
    found = {kind: evidence.support(model.grid.flight(kind)) for kind in set(kinds)}
    return [found[kind] for kind in kinds]


def _details(query: bytes) -> bool:
    """Whether the query asks for details.

    Raises:
        RefusedRequest: it asks neither for them nor against them.
    """
    given = parse_qs(query.decode("latin-1"), keep_blank_values=True)
    asked = given.get("details", ["false"])[-1]
    if asked not in ("true", "false"):
        message = f"{shown(asked)} is neither 'true' nor 'false'"
        fault = request_fault(["details"], "bool_type", message, asked)
        raise RefusedRequest(400, fault)
    return asked == "true"


@router.post(
    "/predict",
    openapi_extra={
        "requestBody": BODY,
        "parameters": [
            {
                "name": "details",
                "in": "query",
                "description": "Also answer with the probabilities, and with how many "
                "past flights there were like each",
                "schema": {"type": "boolean", "default": False},
            }
        ],
    },
    response_model=PredictedFlights,
    responses=refusals(400, 413, 415),
)
async def predict(request: Request) -> Response:
    """Tell for each flight whether it will leave more than 15 minutes late."""
    endpoint: PredictEndpoint = request.app.state.predict
    status, body = await endpoint.answer(request.scope, request.receive)
    return Response(body, status, media_type="application/json")
