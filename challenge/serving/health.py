"""Whether the service is there."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

router = APIRouter(tags=["health"])


class Health(BaseModel):
    status: str = "OK"


@router.get("/health")
async def get_health() -> Health:
    """A process answers only after its model was read and checked."""
    return Health()
