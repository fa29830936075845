"""What is wrong with a request, as the answer tells it."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from challenge.flights.faults import INPUT_SHOWN, shown


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

    model_config = {
        "json_schema_extra": {
            "examples": [
                {
                    "detail": [
                        {
                            "loc": ["flights", 0, "MES"],
                            "type": "out_of_range",
                            "msg": "13 is not a month; months are 1 to 12",
                            "input": 13,
                        }
                    ]
                }
            ]
        }
    }


_REFUSALS: Final = {
    400: "Something is wrong with the request; all that is, is listed",
    401: "X-API-Key is missing, or is no key of this server",
    408: "The file took too long to arrive",
    413: "More flights or more bytes than the server takes",
    415: "The media type is not one that the route takes",
    429: "More requests a minute than the server takes; Retry-After tells when to ask",
    501: "The model's file lacks what the answer would be made of",
    503: "The server is busy, or stops; Retry-After tells when to ask again",
    507: "There is no room on the server's disk",
}


def refusals(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses, as the documentation of a route tells them."""
    return {
        status: {"model": DescribedFaults, "description": _REFUSALS[status]}
        for status in statuses
    }


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
