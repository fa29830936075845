"""The outermost middleware: request ids, access control, the request log and metrics."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Awaitable, Iterator
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from challenge.serving.middleware.access import AccessControl
from challenge.serving.observability.log import log
from challenge.serving.problems import failure, send_rejection
from challenge.serving.state import ServiceState

REQUEST_ID_HEADER: Final = b"x-request-id"
# Keys of the scope. When a request began to arrive, by `challenge.serving.server.protocol`.
ARRIVED: Final = "flight_prophet.arrived"
# The connection, which knows when its client last sent something.
CONNECTION: Final = "flight_prophet.connection"
REQUEST_ID: Final = "flight_prophet.id"
# Why the request is not admitted; what stands within answers it, so that CORS and the
# like apply to that answer, too.
REJECTION: Final = "flight_prophet.rejection"
# The number of flights that were answered, by the route.
ANSWERED_FLIGHTS: Final = "flight_prophet.flights"
SAFE_HEADERS: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)

_SAFE_ID: Final = re.compile(rb"[\w.:-]{1,128}", re.ASCII)


class RequestMiddleware:
    """Gives each request an id, admits or rejects it, counts and logs it.

    Args:
        app: the application to wrap.
        state: has the limits, the counters and the log.
        routes: the paths of the direct routes; the framework finds the route of others.
    """

    def __init__(
        self, app: ASGIApp, state: ServiceState, routes: frozenset[str]
    ) -> None:
        self.app = app
        self.state = state
        self.routes = routes
        self._access: AccessControl | None = None
        self._ids = _request_ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state, counters = self.state, self.state.counters
        now = time.perf_counter()
        arrived = scope.get(ARRIVED, now)
        request_id = scope[REQUEST_ID] = self._request_id(scope)
        status = 0

        def send_with_headers(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (REQUEST_ID_HEADER, request_id),
                    *SAFE_HEADERS,
                ]
            return send(message)

        access = self._access or self._make_access()
        counters.in_flight += 1
        arrival = None
        try:
            working = counters.in_flight - access.arriving
            rejected = access.reject(scope, now - arrived, working)
            connection = scope.get(CONNECTION)
            if connection is not None and connection.is_arriving:
                arrival = _Arrival(access, receive)
                receive = arrival.receive
            if rejected is not None:
                scope[REJECTION] = rejected
                state.count_rejected(rejected.faults)
            await self.app(scope, receive, send_with_headers)
        except Exception as error:
            log.exception("request %s failed", request_id.decode())
            if not status:
                await send_rejection(failure(error), scope, send_with_headers)
        finally:
            if arrival is not None:
                arrival.end()
            counters.in_flight -= 1
            seconds = time.perf_counter() - arrived
            route = self._route(scope)
            counters.add_request(route, status, seconds)
            if state.settings.log_requests:
                state.log.add(
                    time.time(),
                    request_id.decode(),
                    scope["method"],
                    route,
                    status,
                    seconds,
                    scope.get(ANSWERED_FLIGHTS, 0),
                    state.watcher.name,
                )
            state.wake()

    def _make_access(self) -> AccessControl:
        # After the workers were forked, with the memory that they share.
        state = self.state
        self._access = AccessControl(state.settings, state.shared_memory.clients)
        return self._access

    def _request_id(self, scope: Scope) -> bytes:
        for name, value in scope["headers"]:
            if name == REQUEST_ID_HEADER:
                if _SAFE_ID.fullmatch(value):
                    return bytes(value)
                break
        return next(self._ids)

    def _route(self, scope: Scope) -> str:
        path = scope["path"]
        if path in self.routes:
            return str(path)
        return str(getattr(scope.get("route"), "path", "other"))


def _request_ids() -> Iterator[bytes]:
    """Ids that are unique among all workers and servers."""
    prefix = None
    for number in itertools.count():
        if prefix is None:
            # Drawn after the workers were forked, so that it differs between them.
            prefix = os.urandom(6).hex().encode()
        yield b"%b-%x" % (prefix, number)


class _Arrival:
    """Counts a request as arriving, until its body is there or will not come."""

    def __init__(self, access: AccessControl, receive: Receive) -> None:
        self._access = access
        self._receive = receive
        self._is_counted = True
        access.arriving += 1

    async def receive(self) -> Message:
        message = await self._receive()
        if not message.get("more_body", False):
            self.end()
        return message

    def end(self) -> None:
        if self._is_counted:
            self._is_counted = False
            self._access.arriving -= 1
