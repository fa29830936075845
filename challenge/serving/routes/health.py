"""Health checks: whether the process is running, and ready for requests."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from pydantic import BaseModel

from challenge.serving.problems import Faults, rejection
from challenge.serving.routes.dependencies import State

router = APIRouter(tags=["health"])

STOPPING: Final = "the server is stopping and accepts no new requests"


class Health(BaseModel):
    status: str = "OK"


@router.get("/health", name="health")
@router.get("/health/live", name="health_live")
async def get_health() -> Health:
    """The process is running and answers."""
    return Health()


@router.get(
    "/health/ready",
    name="health_ready",
    responses={503: {"model": Faults, "description": STOPPING}},
)
@router.get(
    "/health/startup",
    name="health_startup",
    responses={503: {"model": Faults, "description": STOPPING}},
)
async def get_readiness(state: State) -> Health:
    """The process is ready for requests. It starts to listen after its model was
    verified, and is ready until it is asked to stop."""
    if state.draining:
        raise rejection(503, "draining", STOPPING)
    return Health()
