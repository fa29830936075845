"""The service's log: events as they happen, requests a tenth of a second at a time.

A line is a JSON object, or text on a terminal. It holds neither the client nor the
flights.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import queue
import select
import threading
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from challenge.serving.settings import Settings

FD: Final = 2
# Beyond that, lines are lost.
MAX_UNWRITTEN_BYTES: Final = 4 * 1024 * 1024
CLOSE_SECONDS: Final = 2
_EVENT_FIELDS: Final = "fields"

log = logging.getLogger("flight-prophet")


def event(level: int, message: str, **fields: Any) -> None:
    """Log that something happened, with fields for machines."""
    log.log(level, message, extra={_EVENT_FIELDS: fields})


def configure(settings: Settings) -> None:
    """Make all loggers of this process write such lines to the standard error."""
    handler = _Handler()
    handler.setFormatter(_TextFormatter() if as_text(settings) else _JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def as_text(settings: Settings) -> bool:
    """Whether lines are text rather than JSON."""
    if settings.log_format == "auto":
        return os.isatty(FD)
    return settings.log_format == "text"


class _Handler(logging.Handler):
    """Writes without a buffer: on a full disk, a buffer that cannot be flushed would
    make the process fail at its exit. What a stalled reader would not take is lost."""

    def emit(self, record: logging.LogRecord) -> None:
        data = f"{self.format(record)}\n".encode()
        with contextlib.suppress(OSError):
            while data and _takes():
                data = data[os.write(FD, data[: select.PIPE_BUF]) :]


def _takes() -> bool:
    """Whether so many bytes as PIPE_BUF can be written without waiting."""
    waiting = select.poll()
    waiting.register(FD, select.POLLOUT)
    return bool(waiting.poll(0))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": iso(int(1_000 * record.created)),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "pid": record.process,
            **getattr(record, _EVENT_FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line).decode()


class _TextFormatter(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-8s %(message)s", "%H:%M:%S")


class _RequestLine(msgspec.Struct):
    time: str
    level: str
    event: str
    pid: int
    id: str
    method: str
    route: str
    status: int
    ms: float
    flights: int
    model: str


_Line = tuple[float, str, str, str, int, float, int, str]
_encode_lines: Final = msgspec.json.Encoder().encode_lines


class RequestLog:
    """Buffers the lines of requests, and writes them together.

    A thread writes them: neither a full disk, nor a closed pipe, nor a reader that has
    stalled may hold up a request.

    Args:
        text: whether they are text rather than JSON.
    """

    def __init__(self, text: bool) -> None:
        self._encode = _text_lines if text else _json_lines
        self._lines: list[_Line] = []
        self._waiting: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        # Each is changed by one thread only.
        self._queued = self._written = 0
        self._dropped = self._failed = self._counted = 0
        self._thread: threading.Thread | None = None

    def add(self, *line: *_Line) -> None:
        """Add a request: its end (seconds since 1970), id, method, route, status,
        duration in seconds, number of flights, and the model's fingerprint."""
        self._lines.append(line)

    def flush(self) -> None:
        """Have the buffered lines written."""
        if not self._lines:
            return
        lines, self._lines = self._lines, []
        data = self._encode(lines)
        if self._queued - self._written + len(data) > MAX_UNWRITTEN_BYTES:
            self._dropped += len(lines)
            return
        if self._thread is None:
            # In the process that answers, after it was forked.
            self._thread = threading.Thread(
                target=self._run, name="request-log", daemon=True
            )
            self._thread.start()
        self._queued += len(data)
        self._waiting.put(data)

    def take_lost(self) -> int:
        """How many lines could not be written since the last call."""
        lost = self._dropped + self._failed
        new, self._counted = lost - self._counted, lost
        return new

    def close(self) -> None:
        """Give what is left some time to be written."""
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while (data := self._waiting.get()) is not None:
            size = len(data)
            try:
                while data:
                    data = data[os.write(FD, data) :]
            except OSError:
                self._failed += data.count(b"\n")
            self._written += size


def _json_lines(lines: list[_Line]) -> bytes:
    pid = os.getpid()
    return _encode_lines(
        [
            _RequestLine(
                iso(int(1_000 * end)),
                "info" if status < 500 else "error",
                "request",
                pid,
                request_id,
                method,
                route,
                status,
                int(1_000_000 * seconds) / 1_000,
                flights,
                model,
            )
            for end, request_id, method, route, status, seconds, flights, model in lines
        ]
    )


def _text_lines(lines: list[_Line]) -> bytes:
    texts = []
    for end, request_id, method, route, status, seconds, flights, _ in lines:
        clock = datetime.fromtimestamp(end).strftime("%H:%M:%S")
        answered = f" {flights} flights" if flights else ""
        texts.append(
            f"{clock} {'REQUEST':8} {method} {route} {status}"
            f" {1_000 * seconds:.1f} ms{answered} {request_id}\n"
        )
    return "".join(texts).encode()


# Under load, many requests end in the same millisecond.
@functools.lru_cache(maxsize=2)
def iso(milliseconds: int) -> str:
    """A time in milliseconds since 1970 as a text, UTC."""
    time = datetime.fromtimestamp(milliseconds / 1_000, UTC)
    return time.isoformat(timespec="milliseconds")
