"""The model that is served, and how another takes its place."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from challenge.errors import FlightProphetError
from challenge.model import DelayModel
from challenge.serving.observability.counters import Tally
from challenge.serving.observability.log import event

Signature = tuple[int, int, int] | None


class ModelSource:
    """Follows the file of a model.

    A request takes `model` once and answers with it to its end. A new model takes its
    place in one assignment, once it was read and checked as a whole.

    Args:
        path: the model's file.
        sha256: that of the only file to serve; None for any.
        reload_seconds: how often to look at the file; 0 for on SIGHUP alone.

    Attributes:
        model: the model to answer with.
        loaded_at: when it was loaded, in seconds since 1970.

    Raises:
        ModelFileError: the model cannot be read, or does not answer as its card says.
    """

    def __init__(self, path: Path, sha256: str | None, reload_seconds: float) -> None:
        self.path = path
        self.sha256 = sha256
        self.reload_seconds = reload_seconds
        # Before the file is read: a change meanwhile must be seen.
        self._signature = _signature(path)
        self._serve(self._read())

    @property
    def name(self) -> str:
        return self.model.name

    async def follow(self, tally: Tally, reloaded: Callable[[], None]) -> None:
        """Reload the model whenever its file changes, or on SIGHUP, until cancelled.

        Args:
            tally: counts the reloads.
            reloaded: called after each.
        """
        asked = asyncio.Event()
        with _on_sighup(asked):
            while True:
                await self._until_next_look(asked)
                signature = _signature(self.path)
                if asked.is_set() or signature != self._signature:
                    asked.clear()
                    self._signature = signature
                    await self.reload(tally)
                    reloaded()

    async def reload(self, tally: Tally) -> None:
        """Serve what the file holds now; if it is no good, go on with what there is."""
        try:
            model = await asyncio.to_thread(self._read)
        except FlightProphetError as error:
            outcome = "refused"
            event(logging.ERROR, f"model not reloaded: {error}", model=self.name)
        else:
            outcome = "swapped"
            self._serve(model)
            event(logging.INFO, f"model reloaded: {self.name}", model=self.name)
        tally.reloads[outcome] += 1

    def _read(self) -> DelayModel:
        return DelayModel.load(self.path, self.sha256).verify()

    def _serve(self, model: DelayModel) -> None:
        self.model = model
        self.loaded_at = time.time()

    async def _until_next_look(self, asked: asyncio.Event) -> None:
        period = self.reload_seconds
        # All workers look at the same times, so that they change models together.
        wait = period - time.time() % period if period else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asked.wait(), wait)


def _signature(path: Path) -> Signature:
    """What changes when a file is replaced or written to; None if it is not there."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _on_sighup(asked: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGHUP, asked.set)
    except (RuntimeError, ValueError, AttributeError, NotImplementedError):
        # Only the main thread hears signals, and not everywhere.
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
