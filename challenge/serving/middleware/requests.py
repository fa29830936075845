"""What every request passes: its id, admission, its line in the log and the metrics."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Iterator
from typing import Final

import msgspec
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from challenge.serving.middleware.access import (
    OVERLOADED,
    Admission,
    Overloaded,
    Refusal,
)
from challenge.serving.observability.log import log
from challenge.serving.problems import request_fault
from challenge.serving.state import Worker

REQUEST_ID: Final = b"x-request-id"
# Set by `challenge.serving.server.protocol` when a request begins to arrive.
ARRIVED: Final = "flight_prophet.arrived"
# The connection, which knows when its client was last heard of.
CONNECTION: Final = "flight_prophet.connection"
# Set for who records answers.
ID: Final = "flight_prophet.id"
# Set by who answers flights.
FLIGHTS: Final = "flight_prophet.flights"
SAFE_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
FAILED: Final = Refusal(
    500, "internal", "the server failed; its log tells more under the request's id"
)

_ID: Final = re.compile(rb"[\w.:-]{1,128}", re.ASCII)


class Front:
    """The outermost application.

    Args:
        app: what answers.
        worker: counts and logs.
        routes: the paths that are routes as they stand; the route of any other is
            found by the framework.
    """

    def __init__(self, app: ASGIApp, worker: Worker, routes: frozenset[str]) -> None:
        self.app = app
        self.worker = worker
        self.routes = routes
        self._admission: Admission | None = None
        self._ids = _request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        worker, tally = self.worker, self.worker.tally
        now = time.perf_counter()
        arrived = scope.get(ARRIVED, now)
        request_id = scope[ID] = self._request_id(scope)
        status = 0

        def record(message: Message) -> object:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (REQUEST_ID, request_id),
                    *SAFE_HEADERS,
                ]
            return send(message)

        tally.in_flight += 1
        try:
            refusal = self._refuse(scope, now - arrived, tally.in_flight)
            if refusal is None:
                await self.app(scope, receive, record)  # type: ignore[arg-type]
            else:
                tally.add_refused([refusal.type])
                await _answer(refusal, record)  # type: ignore[arg-type]
        except Overloaded:
            tally.add_refused([OVERLOADED.type])
            await _answer(OVERLOADED, record)  # type: ignore[arg-type]
        except Exception:
            log.exception("request %s failed", request_id.decode())
            if not status:
                await _answer(FAILED, record)  # type: ignore[arg-type]
        finally:
            tally.in_flight -= 1
            seconds = time.perf_counter() - arrived
            route = self._route(scope)
            tally.add_request(route, status, seconds)
            if worker.settings.log_requests:
                worker.log.add(
                    time.time(),
                    request_id.decode(),
                    scope["method"],
                    route,
                    status,
                    seconds,
                    scope.get(FLIGHTS, 0),
                    worker.source.name,
                )
            worker.wake()

    def _refuse(self, scope: Scope, waited: float, in_flight: int) -> Refusal | None:
        if self._admission is None:
            # After the workers were forked, with what they share.
            worker = self.worker
            self._admission = Admission(worker.settings, worker.board.clients)
        return self._admission.refuse(scope, waited, in_flight)

    def _request_id(self, scope: Scope) -> bytes:
        for name, value in scope["headers"]:
            if name == REQUEST_ID:
                if _ID.fullmatch(value):
                    return bytes(value)
                break
        return next(self._ids)

    def _route(self, scope: Scope) -> str:
        path = scope["path"]
        if path in self.routes:
            return str(path)
        return str(getattr(scope.get("route"), "path", "other"))


def _request_ids() -> Iterator[bytes]:
    """Distinct among all workers and servers."""
    prefix = None
    for number in itertools.count():
        if prefix is None:
            # Drawn by the worker itself, not before it was forked.
            prefix = os.urandom(6).hex().encode()
        yield b"%b-%x" % (prefix, number)


async def _answer(refusal: Refusal, send: Send) -> None:
    fault = request_fault([], refusal.type, refusal.message)
    body = msgspec.json.encode({"detail": [fault]})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
    ]
    if refusal.retry_after is not None:
        headers.append((b"retry-after", b"%d" % refusal.retry_after))
    if refusal.status == 401:
        headers.append((b"www-authenticate", b'ApiKey header="X-API-Key"'))
    start = {"type": "http.response.start", "status": refusal.status}
    await send(start | {"headers": headers})
    await send({"type": "http.response.body", "body": body})
