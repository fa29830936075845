"""Connections with limits on time and size, and a server that drains before it stops."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from math import inf
from operator import attrgetter
from types import FrameType
from typing import Any, Final

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from challenge.serving.middleware.access import client_address
from challenge.serving.middleware.requests import ARRIVED, CONNECTION
from challenge.serving.observability.log import event
from challenge.serving.problems import RejectedRequest, rejection
from challenge.serving.settings import Settings
from challenge.serving.state import ServiceState

TICKS_BETWEEN_SWEEPS: Final = 10
MAX_HEADER_BYTES: Final = 65_536
UPLOAD_SECONDS: Final = 1.0
# A file may take any time to arrive, if its client is not too slow.
WITHOUT_LIMIT: Final = "/predict/file"
_REASONS: Final = {
    400: "Bad Request",
    408: "Request Timeout",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
}


class WatchedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also knows when its client last sent or read something,
    limits headers while they arrive, and ignores upgrades to other protocols."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.began = self.heard = time.perf_counter()
        # Since the request began, but for what came with its first bytes.
        self._received = self._body_bytes = 0
        self._is_replaying = False
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.heard = time.perf_counter()
        self._unset_keepalive_if_required()
        self._chunk_bytes = len(data)
        self._received += self._chunk_bytes
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    data = b""
                except httptools.HttpParserUpgrade as upgrade:
                    data = data[upgrade.args[0] :]
                    self._ignore_upgrade()
        except httptools.HttpParserError:
            message = "this is not a valid HTTP/1.1 request"
            self._close(rejection(400, "invalid_http", message))
        # A part of a header is in no callback yet; neither is what frames a body.
        around = self._received - self._body_bytes
        if around > 2 * MAX_HEADER_BYTES + 8 * self._body_bytes:
            self._reject_headers()

    def on_message_begin(self) -> None:
        if self._is_replaying:
            return
        super().on_message_begin()
        self._received = self._body_bytes = 0
        self.began = self.heard
        self.scope[ARRIVED] = self.heard  # type: ignore[typeddict-unknown-key]
        self.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]

    def on_headers_complete(self) -> None:
        if self._is_replaying or self.transport.is_closing():
            return
        # What is no longer than that holds no more headers.
        if self._received or self._chunk_bytes > MAX_HEADER_BYTES:
            size = sum(len(name) + len(value) for name, value in self.headers)
            if size + len(self.url) > MAX_HEADER_BYTES:
                self._reject_headers()
                return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.transport.is_closing() or self.cycle is not None:
            super().on_message_complete()

    def pause_writing(self) -> None:
        self.heard = time.perf_counter()
        super().pause_writing()

    @property
    def is_arriving(self) -> bool:
        """Whether the body of the request is not there as a whole."""
        return bool(self.cycle.more_body)

    def cut_off_if_overdue(self, settings: Settings) -> None:
        """Close the connection if its client is too slow, or gone."""
        if self.transport.is_closing() or self.timeout_keep_alive_task is not None:
            return
        now, cycle = time.perf_counter(), self.cycle
        elapsed = now - self.began
        silent = now - self.heard > settings.idle_seconds
        if cycle is None or cycle.response_complete:
            # Nothing arrived, or not all of a request's headers.
            overdue = silent or elapsed > settings.request_seconds
        elif cycle.more_body and not self.flow.read_paused:
            limited = not cycle.scope["path"].endswith(WITHOUT_LIMIT)
            due = settings.min_bytes_per_second * (elapsed - settings.idle_seconds)
            overdue = silent or self._body_bytes < due
            overdue |= limited and elapsed > settings.request_seconds
        else:
            # The client does not read the answer.
            overdue = silent and self.flow.write_paused
        if not overdue:
            return
        if cycle is None or cycle.response_complete:
            # It has not asked; a proxy might take an answer for that to its next request.
            self.transport.close()
            return
        self._close(rejection(408, "timeout", "the request took too long to arrive"))

    def is_upload(self, now: float) -> bool:
        """Whether a body has been arriving for longer than one takes that was sent at
        once."""
        cycle = self.cycle
        is_open = cycle is not None and not cycle.response_complete
        return is_open and cycle.more_body and now - self.began > UPLOAD_SECONDS

    def reject_upload(self, limit: int) -> None:
        """Close the connection of a client that sends too many bodies at one time."""
        message = f"more than {limit:,} requests of this client are still arriving"
        self._close(rejection(429, "uploads", message, 1, {"most": limit}))

    def _reject_headers(self) -> None:
        message = f"the headers are over {MAX_HEADER_BYTES:,} bytes"
        ctx = {"most": MAX_HEADER_BYTES}
        self._close(rejection(431, "headers_too_large", message, ctx=ctx))

    def _close(self, rejected: RejectedRequest) -> None:
        """Close the connection; say why, if the client can take it for the answer to
        the request that it is sending."""
        if self.transport.is_closing():
            return
        cycle = self.cycle
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started or not cycle.more_body:
                self.transport.abort()
                return
        body = rejected.body("")
        head = (
            f"HTTP/1.1 {rejected.status} {_REASONS[rejected.status]}\r\n"
            "content-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n"
        )
        head += "".join(f"{k}: {v}\r\n" for k, v in rejected.headers().items())
        self.transport.write(head.encode() + b"\r\n" + body)
        self.transport.close()

    def _ignore_upgrade(self) -> None:
        """Go on reading as if the client had not offered another protocol.

        The parser takes what follows the headers for that protocol, a body included. So
        a new parser gets the headers that frame the body once more before the rest.
        """
        framing = [
            name + b": " + value
            for name, value in self.headers
            if name in (b"content-length", b"transfer-encoding")
        ]
        self.parser = httptools.HttpRequestParser(self)
        if framing:
            cycle = self.cycle
            cycle.more_body = True
            cycle.message_event.clear()
            self._is_replaying, self.headers = True, []
            head = b"\r\n".join([b"POST / HTTP/1.1", *framing, b"", b""])
            self.parser.feed_data(head)
            self._is_replaying = False


class WatchedServer(uvicorn.Server):
    """uvicorn's server, which closes overdue connections, and after SIGTERM goes on for
    DRAIN_SECONDS, so that load balancers see that it is not ready."""

    def __init__(self, config: uvicorn.Config, state: ServiceState) -> None:
        super().__init__(config)
        self.state = state
        self._exit: tuple[float, int, FrameType | None] | None = None

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        again = self.state.draining
        if not again:
            event(logging.INFO, "draining", in_flight=self.state.counters.in_flight)
        self.state.draining = True
        drain_seconds = self.state.settings.drain_seconds
        if again or not drain_seconds:
            super().handle_exit(sig, frame)
        else:
            self._exit = (time.monotonic() + drain_seconds, sig, frame)

    async def on_tick(self, counter: int) -> bool:
        if self._exit is not None and time.monotonic() >= self._exit[0]:
            _, sig, frame = self._exit
            self._exit = None
            super().handle_exit(sig, frame)
        if counter % TICKS_BETWEEN_SWEEPS == 0:
            self._sweep(self.state.settings)
        return await super().on_tick(counter)

    def _sweep(self, settings: Settings) -> None:
        """Close the connections of clients that are too slow, or have too many."""
        now, connections = time.perf_counter(), list[Any](self.server_state.connections)
        for connection in connections:
            connection.cut_off_if_overdue(settings)
        limit = settings.max_uploads_per_client or inf
        uploads: Counter[bytes] = Counter()
        slow = [one for one in connections if one.is_upload(now)]
        for connection in sorted(slow, key=attrgetter("began")):
            client = client_address(connection.cycle.scope)
            uploads[client] += 1
            if uploads[client] > limit:
                connection.reject_upload(settings.max_uploads_per_client)
