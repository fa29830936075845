"""Keeps a record of every flight that was answered, beside the answering.

A thread writes twice a second what was answered since; nothing of it waits for the disk.
What does not fit into the queue, or onto the disk, is counted as lost.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import threading
import time
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from challenge.record import (
    GZIP,
    OPEN,
    PROBABILITY_DECIMALS,
    SUFFIX,
    RecordedFlight,
    whole_members,
)
from challenge.serving.body import AskedFlight
from challenge.serving.log import event, iso

WRITE_SECONDS: Final = 0.5
# Some tens of megabytes; a second of what one process can answer is a tenth of it.
MAX_WAITING: Final = 200_000
# Encoding them holds the interpreter for about a millisecond.
ENCODED_AT_ONCE: Final = 500
MEMBER_BYTES: Final = 1 << 20
TURN_SECONDS: Final = 0.0005
# The fastest.
LEVEL: Final = 1
# A disk that does not answer must not keep a server from ending.
CLOSE_SECONDS: Final = 10

_HOUR: Final = "%Y-%m-%dT%H"
_NAME: Final = re.compile(
    rf"(\d{{4}}-\d\d-\d\dT\d\d)-[0-9a-f]{{12}}{re.escape(SUFFIX)}(?:{re.escape(OPEN)})?"
)
_encode_lines: Final = msgspec.json.Encoder().encode_lines


class _Answer(NamedTuple):
    """Flights that were answered together."""

    time: float
    request_id: str
    model: str
    flights: Sequence[AskedFlight]
    probabilities: Sequence[float]
    decisions: Sequence[int]


class Recorder:
    """Writes what was answered to the files of a folder.

    Args:
        folder: where to; it is made when missing.
        days: files older than so many are removed; 0 for none.

    Raises:
        OSError: nothing can be written there.
    """

    def __init__(self, folder: Path, days: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        self._folder = folder
        self._days = days
        self._waiting: deque[_Answer] = deque()
        self._lock = threading.Lock()
        self._flights_waiting = self._recorded = self._lost = 0
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._file: _File | None = None
        self._is_failing = False

    def start(self) -> None:
        """Begin to write, in the process that answers."""
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Write what waits and end; all that was recorded is in whole files."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(CLOSE_SECONDS)

    def has_room(self, flights: int) -> bool:
        """Whether so many more may wait; any number may where nothing waits."""
        waiting = self._flights_waiting
        return not waiting or waiting + flights <= MAX_WAITING

    def add(
        self,
        request_id: str,
        model: str,
        flights: Sequence[AskedFlight],
        probabilities: Sequence[float],
        decisions: Sequence[int],
    ) -> None:
        """Record flights that were answered; the lists are as long as each other."""
        with self._lock:
            if not self.has_room(len(flights)):
                self._lost += len(flights)
                return
            self._flights_waiting += len(flights)
        self._waiting.append(
            _Answer(time.time(), request_id, model, flights, probabilities, decisions)
        )

    def take_counts(self) -> tuple[int, int]:
        """How many flights were written, and how many lost, since it was last asked."""
        with self._lock:
            counts = self._recorded, self._lost
            self._recorded = self._lost = 0
            return counts

    def _run(self) -> None:
        self._tidy_up()
        while not self._stopping.wait(WRITE_SECONDS):
            self._write_all()
        self._write_all()
        self._close_file()

    def _write_all(self) -> None:
        if self._file is not None and self._file.hour != _hour():
            self._close_file()
        for member, flights in self._members():
            try:
                if self._file is None:
                    self._tidy_up()
                    self._file = _File(self._folder)
                self._file.append(member)
            except OSError as error:
                if not self._is_failing:
                    message = f"answers cannot be recorded: {error.strerror}"
                    event(logging.ERROR, message)
                self._is_failing = True
                self._count(0, flights)
            else:
                if self._is_failing:
                    event(logging.INFO, "answers are recorded again")
                self._is_failing = False
                self._count(flights, 0)

    def _members(self) -> Iterator[tuple[bytes, int]]:
        """What waits, as members of gzip's format with their numbers of flights."""
        lines = self._lines()
        while first := next(lines, None):
            compressor, member, flights = zlib.compressobj(LEVEL, wbits=GZIP), b"", 0
            lines = chain([first], lines)
            while len(member) < MEMBER_BYTES:
                encoded = list(islice(lines, ENCODED_AT_ONCE))
                if not encoded:
                    break
                member += compressor.compress(_encode_lines(encoded))
                flights += len(encoded)
                # Answers have their turn.
                time.sleep(TURN_SECONDS)
            yield member + compressor.flush(), flights

    def _lines(self) -> Iterator[RecordedFlight]:
        while self._waiting:
            answer = self._waiting.popleft()
            at = iso(int(1_000 * answer.time))
            for flight, probability, decision in zip(
                answer.flights, answer.probabilities, answer.decisions, strict=True
            ):
                yield RecordedFlight(
                    at,
                    answer.request_id,
                    answer.model,
                    flight.airline,
                    flight.flight_type,
                    flight.month,
                    round(probability, PROBABILITY_DECIMALS),
                    decision,
                    flight.destination or None,
                    flight.scheduled or None,
                    flight.flight_number or None,
                )

    def _count(self, recorded: int, lost: int) -> None:
        with self._lock:
            self._recorded += recorded
            self._lost += lost
            self._flights_waiting -= recorded + lost

    def _close_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _tidy_up(self) -> None:
        """Mend what killed servers left, and remove what is too old."""
        oldest = datetime.now(UTC) - timedelta(days=self._days)
        with contextlib.suppress(OSError):
            for path in self._folder.iterdir():
                if (match := _NAME.fullmatch(path.name)) is None:
                    continue
                if path.name.endswith(OPEN):
                    _mend(path)
                elif self._days and match[1] < oldest.strftime(_HOUR):
                    path.unlink(missing_ok=True)


class _File:
    """A file that is written to, locked, so that nobody takes it for abandoned."""

    def __init__(self, folder: Path) -> None:
        self.hour = _hour()
        name = f"{self.hour}-{os.urandom(6).hex()}{SUFFIX}"
        self._path = folder / name
        self._open_path = folder / (name + OPEN)
        flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
        self._fd = os.open(self._open_path, flags, 0o640)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        self._size = 0

    def append(self, member: bytes) -> None:
        """Write a member whole, or leave the file as it was and raise OSError."""
        written = 0
        try:
            while written < len(member):
                written += os.pwrite(self._fd, member[written:], self._size + written)
        except OSError:
            os.ftruncate(self._fd, self._size)
            raise
        self._size += written

    def close(self) -> None:
        try:
            if self._size:
                os.fsync(self._fd)
                self._open_path.rename(self._path)
            else:
                self._open_path.unlink()
        finally:
            os.close(self._fd)


def _mend(path: Path) -> None:
    """Cut a file that nobody writes to any more behind its last whole member."""
    with contextlib.suppress(OSError), path.open("r+b") as file:
        # Fails where a server still writes to it.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        whole = whole_members(path)
        file.truncate(whole)
        if whole:
            path.rename(path.with_name(path.name.removesuffix(OPEN)))
        else:
            path.unlink()


def _hour() -> str:
    return datetime.now(UTC).strftime(_HOUR)
