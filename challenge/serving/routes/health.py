"""Whether the service is there and ready to answer, and what it answers with."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from challenge.explain.evidence import Evidence
from challenge.flights.fields import AIRLINE, DESTINATION, FLIGHT_TYPE, MONTH, MONTHS
from challenge.flights.vocabulary import Vocabulary
from challenge.serving.problems import DescribedFaults, RefusedRequest, request_fault
from challenge.serving.state import Worker

router = APIRouter(tags=["health"])
model = APIRouter(tags=["model"])

STOPPING: Final = "the server finishes what it has begun, and wants no more"


class Health(BaseModel):
    status: str = "OK"


class PastFlights(BaseModel):
    """Training flights, and the share of them that was late; null if not known."""

    flights: int | None
    delay_rate: float | None


class DescribedModel(BaseModel):
    """The model's card, the SHA-256 of its file, and the values that it knows.

    `workers` tells how many of the server's processes serve which model, by the start
    of its fingerprint: for some seconds after a new one came, they may differ.
    """

    fingerprint: str
    workers: dict[str, int]
    card: dict[str, Any]
    values: dict[str, dict[str, PastFlights]]


@router.get("/health", name="health")
@router.get("/health/live", name="health_live")
async def get_health() -> Health:
    """The process runs and its event loop turns."""
    return Health()


@router.get(
    "/health/ready",
    name="health_ready",
    responses={503: {"model": DescribedFaults, "description": STOPPING}},
)
@router.get(
    "/health/startup",
    name="health_startup",
    responses={503: {"model": DescribedFaults, "description": STOPPING}},
)
async def get_readiness(request: Request) -> Health:
    """The process may get requests. It starts to listen once its model was checked,
    and is ready from then until it is told to stop."""
    worker: Worker = request.app.state.worker
    if worker.draining:
        raise RefusedRequest(503, request_fault([], "draining", STOPPING))
    return Health()


@model.get("/model", name="model", response_model=DescribedModel)
async def get_model(request: Request) -> Response:
    """What is being served: the model's card, with its figures and its data, and the
    values that each field may have, with the past flights that had them."""
    worker: Worker = request.app.state.worker
    served = worker.source.model
    evidence = await asyncio.to_thread(lambda: served.evidence)
    body = {
        "fingerprint": served.fingerprint,
        "workers": worker.total().models,
        "card": served.card,
        "values": _values(served.vocabulary, evidence),
    }
    return Response(msgspec.json.encode(body), media_type="application/json")


def _values(
    vocabulary: Vocabulary, evidence: Evidence | None
) -> dict[str, dict[str, dict[str, float | None]]]:
    fields = (
        (AIRLINE, vocabulary[AIRLINE]),
        (FLIGHT_TYPE, vocabulary[FLIGHT_TYPE]),
        (MONTH, tuple(map(str, MONTHS))),
        (DESTINATION, vocabulary[DESTINATION]),
    )
    described: dict[str, dict[str, dict[str, float | None]]] = {}
    for position, (field, names) in enumerate(fields):
        of_field = described[field] = {}
        for code, name in enumerate(names):
            flights = evidence.flights[position][code] if evidence else None
            late = evidence.late[position][code] if evidence else 0
            rate = late / flights if flights else None
            of_field[name] = {"flights": flights, "delay_rate": rate}
    return described
