"""Server-sent events about the flights of the day, so many at one time.

A stream is no request in work: it lasts until its client leaves, or the server stops.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from types import FrameType
from typing import Any, Final

import msgspec

from challenge.serving.live_feed import LiveFeed

HEARTBEAT_SECONDS: Final = 10
# A board that changes more often cannot be read.
BETWEEN_EVENTS_SECONDS: Final = 1
_HEARTBEAT: Final = b": still here\n\n"


@contextlib.contextmanager
def ended_by_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call a function as soon as the process is told to stop.

    Servers wait for streams, and only then tell the application that they stop.
    """
    replaced = {}

    def ending(then: Callable[[int, FrameType | None], object]) -> Any:
        def handle(number: int, frame: FrameType | None) -> None:
            end()
            then(number, frame)

        return handle

    for number in (signal.SIGTERM, signal.SIGINT):
        handler = signal.getsignal(number)
        # Those of Python alone, in the main thread.
        with contextlib.suppress(ValueError):
            if callable(handler):
                signal.signal(number, ending(handler))
                replaced[number] = handler
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)


class EventStreams:
    """The streams of one process.

    Args:
        feed: what they are about.
        limit: how many there may be.
        clock_text: tells the clock of the feed.
        count: called with 1 when one begins, and with -1 when it ends.
    """

    def __init__(
        self,
        feed: LiveFeed,
        limit: int,
        clock_text: Callable[[], str | None],
        count: Callable[[int], None],
    ) -> None:
        self._feed = feed
        self._limit = limit
        self._clock_text = clock_text
        self._count = count
        self._open = 0
        self._has_ended = False

    @property
    def has_room(self) -> bool:
        """Whether another one may begin."""
        return self._open < self._limit and not self._has_ended

    def end(self) -> None:
        """End all streams, and begin no other."""
        self._has_ended = True

    async def stream(self) -> AsyncIterator[bytes]:
        """The events of one client, from the state of now on."""
        if not self.has_room:
            return  # several began at one time
        self._open += 1
        self._count(1)
        try:
            version, told_at = -1, 0.0
            while not self._has_ended:
                if version != self._feed.version:
                    version, told_at = self._feed.version, time.monotonic()
                    data = msgspec.json.encode({"clock": self._clock_text()})
                    yield b"id: %d\nevent: flights\ndata: %b\n\n" % (version, data)
                elif time.monotonic() - told_at >= HEARTBEAT_SECONDS:
                    told_at = time.monotonic()
                    yield _HEARTBEAT
                # Not longer, to see whether the server stops.
                await asyncio.sleep(BETWEEN_EVENTS_SECONDS)
        finally:
            self._open -= 1
            self._count(-1)
