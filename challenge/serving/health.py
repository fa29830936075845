"""Whether the service is there, and ready to answer."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from challenge.model import DelayModel

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str = "OK"


class ServedModel(BaseModel):
    """The model's card, and the SHA-256 of its file."""

    fingerprint: str
    card: dict[str, Any]


@router.get("/health")
@router.get("/health/live")
async def get_health() -> Health:
    """The process runs and its event loop turns."""
    return Health()


@router.get("/health/ready")
async def get_readiness() -> Health:
    """The process may get requests: it starts to listen after its model was checked."""
    return Health()


@router.get("/model", response_model=ServedModel, tags=["model"])
async def get_model(request: Request) -> Response:
    """What is being served: the model's card, with its figures and its data."""
    model: DelayModel = request.app.state.model
    body = msgspec.json.encode({"fingerprint": model.fingerprint, "card": model.card})
    return Response(body, media_type="application/json")
