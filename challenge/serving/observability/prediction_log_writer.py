"""Writes every predicted flight to the prediction log, in the background.

A request only appends a tuple for each flight; a thread encodes and writes them twice a
second, so that no answer waits for the disk. Flights that fit neither in memory nor on
the disk are counted as lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import functools
import logging
import os
import re
import threading
import time
import zlib
from collections import deque
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import msgspec

from challenge.files.prediction_log import (
    DISTANCE_DECIMALS,
    GZIP,
    OPEN,
    PROBABILITY_DECIMALS,
    SUFFIX,
    LoggedFlight,
    whole_members,
)
from challenge.live.clock import utc_text
from challenge.live.known import Question
from challenge.serving.observability.log import event, iso

WRITE_SECONDS: Final = 0.5
# Up to a hundred megabytes; one process answers as many flights in ten seconds or less.
MAX_WAITING: Final = 200_000
# Their lines take 4 MB.
WRITTEN_AT_ONCE: Final = 10_000
# Encoding them delays other requests by about a millisecond.
ENCODED_AT_ONCE: Final = 500
TURN_SECONDS: Final = 0.0005
# How long a file's flights wait for room, and a stopping server for the disk.
MAX_WAIT_SECONDS: Final = 10
OUT_OF_MEMORY: Final = "the server is out of memory"
# The fastest compression.
LEVEL: Final = 1

_MILLION: Final = 10**PROBABILITY_DECIMALS
_HOUR: Final = "%Y-%m-%dT%H"
_NAME: Final = re.compile(
    rf"(\d{{4}}-\d\d-\d\dT\d\d)-[0-9a-f]{{12}}{re.escape(SUFFIX)}(?:{re.escape(OPEN)})?"
)
_encode_lines: Final = msgspec.json.Encoder().encode_lines


# The time, the request's id, the model, the flight, its probability, the decision, what
# the day was asked about it, the probability in the table.
_Answer = tuple[float, bytes, str, Any, float, int, Question | None, float | None]


class PredictionLogWriter:
    """Writes predictions to files in a folder.

    Args:
        folder: it is created if missing.
        days: files older than this are removed; 0 to keep all.

    Raises:
        OSError: the folder cannot be written to.
    """

    def __init__(self, folder: Path, days: float) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
        self._folder = folder
        self._days = days
        self._waiting: deque[_Answer] = deque()
        self._logged = self._lost = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._file: _OpenFile | None = None
        self._is_writing = False
        self._problem = ""

    def start(self) -> None:
        """Start the thread; call it in the process that answers."""
        self._thread = threading.Thread(
            target=self._run, name="prediction-log", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Write what is waiting, and close the file."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(MAX_WAIT_SECONDS)

    @property
    def is_behind(self) -> bool:
        """Whether flights are waiting to be written."""
        return bool(self._waiting) or self._is_writing

    @property
    def has_room(self) -> bool:
        """Whether those who wait for it may each add some thousand flights."""
        return len(self._waiting) < MAX_WAITING * 3 // 4

    @property
    def _has_room_for_file(self) -> bool:
        # Its flights are in no hurry, and leave the rest to requests.
        return len(self._waiting) < MAX_WAITING // 8

    async def make_room(self) -> None:
        """Give others their turn, and wait for room for a limited time."""
        until = time.monotonic() + MAX_WAIT_SECONDS
        await asyncio.sleep(0)
        while not self.has_room and time.monotonic() < until:
            await asyncio.sleep(WRITE_SECONDS / 10)

    def wait_for_room(self) -> bool:
        """Wait for room for some flights of a file, for a limited time; False if there
        is none, or on closing."""
        until = time.monotonic() + MAX_WAIT_SECONDS
        while not (self._has_room_for_file or self._stopping.is_set()):
            if time.monotonic() > until:
                break
            time.sleep(WRITE_SECONDS / 10)
        return self._has_room_for_file and not self._stopping.is_set()

    def add(
        self,
        request_id: bytes,
        model: str,
        flight: Any,
        probability: float,
        decision: int,
        question: Question | None = None,
        schedule_probability: float | None = None,
    ) -> None:
        """Add a predicted flight, or count it as lost if there is no room.

        Args:
            request_id: of the request.
            model: its name.
            flight: as it was asked about.
            probability, decision: the answer.
            question: what the day was asked about it; None if the table alone answered.
            schedule_probability: what the table says where the day was asked.
        """
        waiting = self._waiting
        if len(waiting) < MAX_WAITING:
            waiting.append(
                (
                    time.time(),
                    request_id,
                    model,
                    flight,
                    probability,
                    decision,
                    question,
                    schedule_probability,
                )
            )
        else:
            self.lose(1, "the disk is too slow")

    def lose(self, flights: int, problem: str) -> None:
        """Count flights that cannot be written; the same problem is logged only once."""
        with self._lock:
            self._lost += flights
            is_new, self._problem = not self._problem, problem
        if is_new:
            event(logging.ERROR, f"predictions cannot be logged: {problem}")

    def take_counts(self) -> tuple[int, int]:
        """The numbers of flights written and lost since the last call."""
        with self._lock:
            counts = self._logged, self._lost
            self._logged = self._lost = 0
            return counts

    def _run(self) -> None:
        self._clean_up()
        while not self._stopping.wait(WRITE_SECONDS):
            self._is_writing = True
            self._write_all()
            self._is_writing = False
        self._write_all()
        self._close_file()

    def _write_all(self) -> None:
        """Write what is waiting, and what comes meanwhile as long as it is much."""
        while self._write() == WRITTEN_AT_ONCE:
            pass

    def _write(self) -> int:
        """Write the flights that have waited longest, and return how many they were."""
        if self._file is not None and self._file.hour != _hour():
            self._close_file()
        taken = min(len(self._waiting), WRITTEN_AT_ONCE)
        lines, flights = self._encode(taken)
        if flights:
            self._write_lines(lines, flights)
        return taken

    def _write_lines(self, lines: bytes, flights: int) -> None:
        try:
            if self._file is None:
                self._clean_up()
                self._file = _OpenFile(self._folder)
            self._file.append(zlib.compress(lines, LEVEL, GZIP))
        except OSError as error:
            self.lose(flights, error.strerror or str(error))
            return
        except MemoryError:
            self.lose(flights, OUT_OF_MEMORY)
            return
        with self._lock:
            self._logged += flights
            had_problem, self._problem = bool(self._problem), ""
        if had_problem:
            event(logging.INFO, "predictions are logged again")

    def _encode(self, taken: int) -> tuple[bytes, int]:
        """So many of the waiting flights as lines, and how many lines there are."""
        lines, flights = bytearray(), 0
        for start in range(0, taken, ENCODED_AT_ONCE):
            count = min(ENCODED_AT_ONCE, taken - start)
            some = [self._waiting.popleft() for _ in range(count)]
            try:
                lines += _encode_lines([_logged(*one) for one in some])
                flights += count
            except MemoryError:
                self.lose(count, OUT_OF_MEMORY)
            time.sleep(TURN_SECONDS)
        return bytes(lines), flights

    def _close_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None

    def _clean_up(self) -> None:
        """Repair the files of killed servers, and remove old files."""
        oldest = datetime.now(UTC) - timedelta(days=self._days)
        names: list[str] = []
        with contextlib.suppress(OSError):
            names = os.listdir(self._folder)
        for name in names:
            if (match := _NAME.fullmatch(name)) is None:
                continue
            with contextlib.suppress(OSError):
                if name.endswith(OPEN):
                    _repair(self._folder / name)
                elif self._days and match[1] < oldest.strftime(_HOUR):
                    (self._folder / name).unlink()


class _OpenFile:
    """An open file of the log, locked, so that other servers do not repair it."""

    def __init__(self, folder: Path) -> None:
        self.hour = _hour()
        name = f"{self.hour}-{os.urandom(6).hex()}{SUFFIX}"
        self._path = folder / name
        self._open_path = folder / (name + OPEN)
        self._size = 0
        # Until it is locked, it has a name that other servers ignore.
        unlocked = folder / f".{name}"
        self._fd = os.open(unlocked, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o640)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX)
            unlocked.rename(self._open_path)
        except OSError:
            os.close(self._fd)
            unlocked.unlink()
            raise

    def append(self, member: bytes) -> None:
        """Write a complete gzip member, or raise OSError and leave the file unchanged."""
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
            os.ftruncate(self._fd, self._size)
            os.fsync(self._fd)
            self._open_path.rename(self._path)
        finally:
            os.close(self._fd)


def _repair(path: Path) -> None:
    """Truncate an abandoned file after its last complete gzip member."""
    with path.open("r+b") as file:
        # Fails while a server writes to it.
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        whole = whole_members(path)
        file.truncate(whole)
        if whole:
            path.rename(path.with_name(path.name.removesuffix(OPEN)))
        else:
            path.unlink()


def _hour() -> str:
    return datetime.now(UTC).strftime(_HOUR)


def _logged(
    at: float,
    request_id: bytes,
    model: str,
    flight: Any,
    probability: float,
    decision: int,
    question: Question | None,
    schedule_probability: float | None,
) -> Any:
    logged = LoggedFlight(
        iso(int(1_000 * at)),
        request_id.decode(),
        model,
        _rounded(probability),
        decision,
        *(value or None for value in msgspec.structs.astuple(flight)),
    )
    if question is not None:
        minutes = (question.scheduled - question.at) / 60
        logged.clock = _clock(question.at)
        logged.distance = round(minutes, DISTANCE_DECIMALS)
        if schedule_probability is not None:
            logged.schedule_probability = _rounded(schedule_probability)
    return logged


def _rounded(probability: float) -> float:
    return int(probability * _MILLION + 0.5) / _MILLION


# Most answers are of the same state.
_clock = functools.lru_cache(maxsize=16)(utc_text)
