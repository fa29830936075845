"""The prediction log: flights with their predictions, as gzipped JSON lines, by hour.

Each write is a complete gzip member, so a file is readable up to its last write. A file's
name ends in `.open` while it is written to; where its writer was killed, until a server
repairs it.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Final

import msgspec

from challenge.errors import FlightsFileError
from challenge.flights.fields import DELAY
from challenge.flights.structs import flight_fields

SUFFIX: Final = ".jsonl.gz"
OPEN: Final = ".open"
LOG_SUFFIXES: Final = (SUFFIX, SUFFIX + OPEN)
CLOCK: Final = "clock"
DISTANCE: Final = "distance"
SCHEDULE_PROBABILITY: Final = "schedule_probability"
PROBABILITY_DECIMALS: Final = 6
# Of minutes: enough to tell seconds apart.
DISTANCE_DECIMALS: Final = 2
# zlib's number for gzip's format.
GZIP: Final = 31
_READ_AT_ONCE: Final = 1 << 20


# A requested flight and its prediction: the time, UTC, ISO 8601, and the request's id; the
# start of the fingerprint of the model; the probability of a delay, 0 to 1, and the
# decision, 1 for late; and the fields of the flight. Where the day was asked, too: the
# moment of its state, UTC, ISO 8601; the minutes from there to the scheduled time, below
# zero if it has passed; and the probability that the model's table gives.
LoggedFlight: Final[Any] = msgspec.defstruct(
    "LoggedFlight",
    [
        ("time", str),
        ("id", str),
        ("model", str),
        ("probability", float),
        (DELAY, int),
        *flight_fields(limited=False),
        (CLOCK, str | None, None),
        (DISTANCE, float | None, None),
        (SCHEDULE_PROBABILITY, float | None, None),
    ],
    omit_defaults=True,
    gc=False,
)
_decode_lines: Final = msgspec.json.Decoder[Any](LoggedFlight).decode_lines


def is_prediction_log(source: str | Path) -> bool:
    """Whether a source names a prediction log rather than a file of flights."""
    path = Path(source)
    return path.is_dir() or path.name.endswith(LOG_SUFFIXES)


def read_prediction_log(source: str | Path) -> Iterator[list[Any]]:
    """The flights of a prediction log, some thousands at a time, file by file.

    Args:
        source: one of its files, or the folder.

    Raises:
        FlightsFileError: there is no such file, or it is damaged before its end; an
            incomplete end, as a kill leaves it, is skipped.
    """
    path = Path(source)
    if path.is_dir():
        files = sorted(one for one in path.iterdir() if one.name.endswith(LOG_SUFFIXES))
        if not files:
            raise FlightsFileError(source, f"has no {SUFFIX} file")
    else:
        files = [path]
    for file in files:
        yield from _read_file(file)


def whole_members(path: Path) -> int:
    """The number of bytes of the complete gzip members at the start of a file."""
    whole = position = 0
    stream = zlib.decompressobj(GZIP)
    with path.open("rb") as file:
        while data := file.read(_READ_AT_ONCE):
            while data:
                try:
                    stream.decompress(data)
                except zlib.error:
                    return whole
                rest = stream.unused_data
                position += len(data) - len(rest)
                if stream.eof:
                    whole, stream = position, zlib.decompressobj(GZIP)
                data = rest
    return whole


def _read_file(path: Path) -> Iterator[list[Any]]:
    rest = b""
    try:
        try:
            file = path.open("rb")
        except FileNotFoundError:
            # Its writer may have closed it meanwhile.
            file = path.with_name(path.name.removesuffix(OPEN)).open("rb")
        with file:
            for text in _unpacked(file):
                lines, end, rest = (rest + text).rpartition(b"\n")
                if flights := _decode_lines(lines + end):
                    yield flights
    except (OSError, zlib.error, msgspec.DecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FlightsFileError(path, f"cannot be read: {reason}") from error


def _unpacked(file: IO[bytes]) -> Iterator[bytes]:
    stream = zlib.decompressobj(GZIP)
    while data := file.read(_READ_AT_ONCE):
        while data:
            yield stream.decompress(data)
            data = stream.unused_data
            if stream.eof:
                stream = zlib.decompressobj(GZIP)
