"""Rejected requests: their faults, the answers, and how OpenAPI describes them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, Final

import msgspec
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, WrapSerializer
from starlette.exceptions import HTTPException
from starlette.types import Scope, Send

from challenge.flights.faults import INPUT_SHOWN, Fault, shown

# Of a request with more faults these are told, and how many more there are.
MAX_FAULTS: Final = 100
JSON: Final = b"application/json"
OPEN_INFERENCE: Final = "/v2"
# Of what FastAPI says of a parameter, what JSON can tell.
_TOLD: Final = (str, int, float)


def _without_empty_ctx(fault: Fault, encode: Callable[[Fault], Any]) -> Any:
    told = encode(fault)
    if not fault.ctx:
        del told["ctx"]
    return told


# A fault in an answer that pydantic encodes.
ToldFault = Annotated[Fault, WrapSerializer(_without_empty_ctx)]


class Faults(BaseModel):
    """What is wrong with a request: the first hundred faults."""

    detail: list[ToldFault]

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
    400: "The request is not valid; the first hundred faults are listed",
    401: "X-API-Key is missing or not valid",
    403: "The client may not write to /flights",
    404: "There is no such thing, or it is not known",
    408: "The file took too long to arrive",
    410: "The model no longer knows what it was asked about",
    413: "More flights or more bytes than the server accepts",
    415: "The route does not accept the media type",
    429: "Too many requests of this client; see Retry-After",
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
        retry_after: after how many seconds it may come again; None if it need not.
    """

    def __init__(
        self, status: int, *faults: Fault, retry_after: int | None = None
    ) -> None:
        self.status = status
        self.faults = faults
        self.retry_after = retry_after
        super().__init__(f"{status}: {len(faults)} faults")

    def headers(self) -> dict[str, str]:
        """Those of its answer."""
        headers = {}
        if self.retry_after is not None:
            headers["retry-after"] = str(self.retry_after)
        if self.status == 401:
            headers["www-authenticate"] = 'ApiKey header="X-API-Key"'
        return headers

    def body(self, path: str) -> bytes:
        """That of its answer: JSON with `detail`, and for clients of the Open Inference
        Protocol also `error`."""
        answer: dict[str, Any] = {"detail": [one.to_json() for one in self.faults]}
        if path.startswith(OPEN_INFERENCE):
            answer["error"] = "; ".join(map(_as_tensor_fault, self.faults))
        return msgspec.json.encode(answer)


def rejection(
    status: int,
    kind: str,
    message: str,
    retry_after: int | None = None,
    ctx: Mapping[str, Any] = {},
) -> RejectedRequest:
    """The rejection of a request as a whole; `ctx` is its fault's."""
    fault = Fault((), kind, message, ctx=ctx)
    return RejectedRequest(status, fault, retry_after=retry_after)


def overloaded() -> RejectedRequest:
    """The rejection of a request that the server has no room or no time for."""
    message = "the server is busy; try again later"
    return rejection(503, "overloaded", message, retry_after=1)


async def send_rejection(rejected: RejectedRequest, scope: Scope, send: Send) -> None:
    """Answer a request that was rejected before, or beside, FastAPI's routes."""
    body = rejected.body(scope["path"])
    headers = [(b"content-type", JSON), (b"content-length", b"%d" % len(body))]
    headers += [
        (name.encode(), value.encode()) for name, value in rejected.headers().items()
    ]
    start = {"type": "http.response.start", "status": rejected.status}
    await send(start | {"headers": headers})
    await send({"type": "http.response.body", "body": body})


async def rejection_response(request: Request, error: Exception) -> Response:
    """The answer to a request that a route of FastAPI's rejected."""
    assert isinstance(error, RejectedRequest)
    request.app.state.service.count_rejected(error.faults)
    body = error.body(request.url.path)
    return Response(body, error.status, error.headers(), "application/json")


async def invalid_parameters(request: Request, error: Exception) -> Response:
    """The answer to a request with invalid path or query parameters."""
    assert isinstance(error, RequestValidationError)
    faults = [
        request_fault(
            list(one["loc"][1:]),
            one["type"],
            one["msg"],
            one["input"],
            {k: v for k, v in one.get("ctx", {}).items() if isinstance(v, _TOLD)},
        )
        for one in error.errors()
    ]
    return await rejection_response(request, RejectedRequest(400, *faults))


async def http_error(request: Request, error: Exception) -> Response:
    """The answer to a request for which there is no route, or no such method."""
    assert isinstance(error, HTTPException)
    kinds = {404: "not_found", 405: "method_not_allowed"}
    message = {
        404: f"there is nothing at {shown(request.url.path)}",
        405: f"{request.method} is not a method of {shown(request.url.path)}",
    }.get(error.status_code, str(error.detail))
    kind = kinds.get(error.status_code, "http_error")
    ctx = {"path": request.url.path[:INPUT_SHOWN], "method": request.method}
    answer = await rejection_response(
        request, rejection(error.status_code, kind, message, ctx=ctx)
    )
    answer.headers.update(error.headers or {})
    if error.status_code == 405:
        # Starlette names that of the first route of a path alone.
        described = request.app.openapi()["paths"].get(request.url.path, {})
        if described:
            answer.headers["allow"] = ", ".join(sorted(map(str.upper, described)))
    return answer


async def internal_error(request: Request, error: Exception) -> Response:
    """The answer to a request that a route of FastAPI's failed at."""
    failed = failure(error)
    body = failed.body(request.url.path)
    return Response(body, failed.status, failed.headers(), "application/json")


def failure(error: Exception) -> RejectedRequest:
    """What is said of a request that failed; the log has what happened."""
    if isinstance(error, MemoryError):
        message = "the server is out of memory; try again later"
        return rejection(503, "out_of_memory", message, retry_after=1)
    message = "the server failed; its log has the details under the request's id"
    return rejection(500, "internal", message)


async def client_gone(request: Request, error: Exception) -> Response:
    """The answer, which nobody will read, to a client that hung up; the log has it."""
    return Response(status_code=499)


def too_large(name: str, limit: int) -> RejectedRequest:
    """The rejection of a body or a file that is over a limit in bytes."""
    message = f"the {name} is over {limit:,} bytes"
    return rejection(413, "too_large", message, ctx={"of": name, "most": limit})


class FaultList:
    """The first hundred faults, and the number of the others."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._others = 0

    def __bool__(self) -> bool:
        return bool(self._faults)

    @property
    def is_full(self) -> bool:
        """Whether the next fault is one of the others."""
        return len(self._faults) == MAX_FAULTS

    def add(self, fault: Fault) -> None:
        if self.is_full:
            self._others += 1
        else:
            self._faults.append(fault)

    def told(self) -> list[Fault]:
        """The faults, and after a hundred how many more there are."""
        if not self._others:
            return self._faults
        noun = "fault" if self._others == 1 else "faults"
        message = f"and {self._others:,} more {noun}"
        more = Fault((), "more_faults", message, ctx={"faults": self._others})
        return [*self._faults, more]


def request_fault(
    loc: Iterable[Any],
    kind: str,
    message: str,
    given: object = None,
    ctx: Mapping[str, Any] = {},
) -> Fault:
    """A fault that repeats the caller's input, cut as in messages."""
    loc = [name[:INPUT_SHOWN] if isinstance(name, str) else name for name in loc]
    if isinstance(given, str):
        given = given[:INPUT_SHOWN]
    elif isinstance(given, dict | list) or len(shown(given)) > INPUT_SHOWN:
        given = shown(given)
    return Fault(tuple(loc), kind, message, given, ctx)


def _as_tensor_fault(fault: Fault) -> str:
    """`OPERA[3]: 'X' is not an airline …`: the tensor's name and the position in it."""
    match fault.loc:
        case (str(), int(position), str(field)):
            return f"{field}[{position}]: {fault.msg}"
        case (str(field),):
            return f"{field}: {fault.msg}"
    return fault.msg
