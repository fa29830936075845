"""Rejected requests: their faults, the answers, and how OpenAPI describes them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel

from challenge.flights.faults import INPUT_SHOWN, Fault, shown


class Faults(BaseModel):
    """All faults in a request."""

    detail: list[Fault]

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


_DESCRIPTIONS: Final = {
    400: "The request is not valid; all faults are listed",
    401: "X-API-Key is missing or not valid",
    408: "The file took too long to arrive",
    413: "More flights or more bytes than the server accepts",
    415: "The route does not accept the media type",
    429: "Too many requests a minute; see Retry-After",
    501: "The model's file lacks the data for the answer",
    503: "The server is busy or stopping; see Retry-After",
    507: "The server's disk is full",
}


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses, for the `responses` of a route."""
    return {
        status: {"model": Faults, "description": _DESCRIPTIONS[status]}
        for status in statuses
    }


class RejectedRequest(Exception):
    """A request that is not answered, because of its faults.

    Attributes:
        status: the HTTP status.
        faults: what is wrong with it.
    """

    def __init__(self, status: int, *faults: Fault) -> None:
        self.status = status
        self.faults = faults
        super().__init__(f"{status}: {len(faults)} faults")


async def rejection_response(request: Request, error: Exception) -> Response:
    """The answer to a request that a route of FastAPI's rejected."""
    assert isinstance(error, RejectedRequest)
    request.app.state.service.count_rejected(error.faults)
    body = msgspec.json.encode({"detail": error.faults})
    return Response(body, error.status, media_type="application/json")


async def invalid_parameters(request: Request, error: Exception) -> Response:
    """The answer to a request with invalid path or query parameters."""
    assert isinstance(error, RequestValidationError)
    faults = [
        request_fault(list(one["loc"][1:]), one["type"], one["msg"], one["input"])
        for one in error.errors()
    ]
    return await rejection_response(request, RejectedRequest(400, *faults))


def too_large(name: str, limit: int) -> RejectedRequest:
    """The rejection of a body or a file that is over a limit in bytes."""
    message = f"the {name} is over {limit:,} bytes"
    return RejectedRequest(413, request_fault([], "too_large", message))


def request_fault(
    loc: list[Any], kind: str, message: str, given: object = None
) -> Fault:
    """A fault that repeats the caller's input, cut as in messages."""
    loc = [name[:INPUT_SHOWN] if isinstance(name, str) else name for name in loc]
    if isinstance(given, str):
        given = given[:INPUT_SHOWN]
    elif isinstance(given, dict | list) or len(repr(given)) > INPUT_SHOWN:
        given = shown(given)
    return Fault(tuple(loc), kind, message, given)
