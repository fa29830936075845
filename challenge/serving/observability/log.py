"""The service's log: events as they happen, requests a tenth of a second at a time.

A line is a JSON object, or text on a terminal. It holds neither the client nor the
flights.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from challenge.serving.settings import Settings

FD: Final = 2
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
    make the process fail at its exit."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError):
            os.write(FD, f"{self.format(record)}\n".encode())


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

    Args:
        text: whether they are text rather than JSON.
    """

    def __init__(self, text: bool) -> None:
        self._encode = _text_lines if text else _json_lines
        self._lines: list[_Line] = []

    def add(self, *line: *_Line) -> None:
        """Add a request: its end (seconds since 1970), id, method, route, status,
        duration in seconds, number of flights, and the model's fingerprint."""
        self._lines.append(line)

    def flush(self) -> int:
        """Write the buffered lines; return how many could not be written.

        A full disk or a closed pipe must not fail a request.
        """
        if not self._lines:
            return 0
        lines, self._lines = self._lines, []
        data = self._encode(lines)
        try:
            while data:
                data = data[os.write(FD, data) :]
        except OSError:
            return data.count(b"\n")
        return 0


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
