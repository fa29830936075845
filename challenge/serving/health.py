"""Whether the service is there and ready to answer, and what it answers with."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from challenge.serving.faults import DescribedFaults, RefusedRequest, request_fault
from challenge.serving.worker import Worker

router = APIRouter(tags=["health"])
model = APIRouter(tags=["model"])


class Health(BaseModel):
    status: str = "OK"


class DescribedModel(BaseModel):
    """The model's card, and the SHA-256 of its file."""

    fingerprint: str
    card: dict[str, Any]


@router.get("/health")
@router.get("/health/live")
async def get_health() -> Health:
    """The process runs and its event loop turns."""
    return Health()


@router.get("/health/ready", responses={503: {"model": DescribedFaults}})
@router.get("/health/startup", responses={503: {"model": DescribedFaults}})
async def get_readiness(request: Request) -> Health:
    """The process may get requests. It starts to listen once its model was checked,
    and is ready from then until it is told to stop."""
    worker: Worker = request.app.state.worker
    if worker.draining:
        message = "the server finishes what it has begun, and wants no more"
        raise RefusedRequest(503, request_fault([], "draining", message))
    return Health()


@model.get("/model", response_model=DescribedModel)
async def get_model(request: Request) -> Response:
    """What is being served: the model's card, with its figures and its data."""
    worker: Worker = request.app.state.worker
    served = worker.source.model
    body = msgspec.json.encode({"fingerprint": served.fingerprint, "card": served.card})
    return Response(body, media_type="application/json")
