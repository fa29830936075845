"""Connections with time limits, and a server that drains before it stops."""

from __future__ import annotations

import asyncio
import logging
import time
from types import FrameType
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from challenge.serving.middleware.requests import ARRIVED, CONNECTION
from challenge.serving.observability.log import event
from challenge.serving.state import ServiceState

TICKS_BETWEEN_SWEEPS: Final = 10
# A file may take any time to arrive, if its client does not pause too long.
WITHOUT_LIMIT: Final = "/predict/file"
TIMED_OUT: Final = (
    b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
)


class WatchedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with the time when the client last sent or read something."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self.began = self.heard = time.perf_counter()
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        self.heard = time.perf_counter()
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.began = self.heard
        self.scope[ARRIVED] = self.heard  # type: ignore[typeddict-unknown-key]
        self.scope[CONNECTION] = self  # type: ignore[typeddict-unknown-key]

    def pause_writing(self) -> None:
        self.heard = time.perf_counter()
        super().pause_writing()

    def cut_off_if_overdue(self, idle_seconds: float, request_seconds: float) -> None:
        """Close the connection if its client is too slow, or gone."""
        if self.transport.is_closing() or self.timeout_keep_alive_task is not None:
            return
        now, cycle = time.perf_counter(), self.cycle
        silent = now - self.heard > idle_seconds
        if cycle is None or cycle.response_complete:
            # Nothing arrived, or not all of a request's headers.
            overdue = silent or now - self.began > request_seconds
        elif cycle.more_body and not self.flow.read_paused:
            limited = cycle.scope["path"] != WITHOUT_LIMIT
            overdue = silent or (limited and now - self.began > request_seconds)
        else:
            # The client does not read the answer.
            overdue = silent and self.flow.write_paused
        if not overdue:
            return
        if cycle is not None and not cycle.response_complete:
            cycle.disconnected = True
            cycle.message_event.set()
            if cycle.response_started:
                self.transport.abort()
                return
            self.transport.write(TIMED_OUT)
        self.transport.close()


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
            settings = self.state.settings
            for connection in list[Any](self.server_state.connections):
                connection.cut_off_if_overdue(
                    settings.idle_seconds, settings.request_seconds
                )
        return await super().on_tick(counter)
