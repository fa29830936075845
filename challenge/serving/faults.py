"""What is wrong with a request, as the answer tells it."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from challenge.flights import INPUT_SHOWN, shown


class RequestFault(msgspec.Struct):
    """One thing that is wrong with a request: where, what, and what would be right."""

    loc: list[str | int]
    type: str
    msg: str
    input: Any = None


class DescribedFault(BaseModel):
    """One thing that is wrong with a request: where, what, and what would be right."""

    loc: list[str | int]
    type: str
    msg: str
    input: Any = None


class DescribedFaults(BaseModel):
    """Everything that is wrong with a request."""

    detail: list[DescribedFault]


class RefusedRequest(Exception):
    """A request that gets no prediction.

    Attributes:
        status: the HTTP status.
        faults: why.
    """

    def __init__(self, status: int, *faults: RequestFault) -> None:
        self.status = status
        self.faults = faults
        super().__init__(f"{status}: {len(faults)} faults")


async def refusal(request: Request, error: Exception) -> Response:
    """The answer to a request that was refused in a route of FastAPI's."""
    assert isinstance(error, RefusedRequest)
    request.app.state.worker.note_refused(error.faults)
    body = msgspec.json.encode({"detail": error.faults})
    return Response(body, error.status, media_type="application/json")


async def invalid_parameters(request: Request, error: Exception) -> Response:
    """The answer to a request whose path or query is not what its route takes."""
    assert isinstance(error, RequestValidationError)
    faults = [
        request_fault(list(one["loc"][1:]), one["type"], one["msg"], one["input"])
        for one in error.errors()
    ]
    return await refusal(request, RefusedRequest(400, *faults))


def request_fault(
    loc: list[Any], kind: str, message: str, given: object = None
) -> RequestFault:
    """A fault that shows of the caller's input no more than messages do."""
    loc = [name[:INPUT_SHOWN] if isinstance(name, str) else name for name in loc]
    if isinstance(given, str):
        given = given[:INPUT_SHOWN]
    elif isinstance(given, dict | list) or len(repr(given)) > INPUT_SHOWN:
        given = shown(given)
    return RequestFault(loc=loc, type=kind, msg=message, input=given)
