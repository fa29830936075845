"""What routes take as parameters."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from challenge.serving.state import ServiceState


async def _state(request: Request) -> ServiceState:
    state: ServiceState = request.app.state.service
    return state


State = Annotated[ServiceState, Depends(_state)]
