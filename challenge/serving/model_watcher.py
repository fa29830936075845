"""Serves the model of a file, and replaces it when the file changes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

from challenge.errors import FlightProphetError
from challenge.model import DelayModel
from challenge.serving.observability.counters import Counters
from challenge.serving.observability.log import event

Signature = tuple[int, int, int] | None
Adopt = Callable[[DelayModel], Awaitable[None]]


class ModelWatcher:
    """Watches the file of a model.

    A request reads `model` once and uses it to its end. A new model replaces it in one
    assignment, after it was read and verified.

    Args:
        path: the model's file.
        sha256: the SHA-256 of the only file to serve; None for any.
        reload_seconds: the seconds between checks of the file; 0 to reload on SIGHUP only.

    Attributes:
        model: the model to predict with.
        loaded_at: when it was loaded, in seconds since 1970.

    Raises:
        ModelFileError: the model cannot be read, or does not answer as its card says.
    """

    def __init__(self, path: Path, sha256: str | None, reload_seconds: float) -> None:
        self.path = path
        self.sha256 = sha256
        self.reload_seconds = reload_seconds
        # Taken before the file is read, so that a change meanwhile is noticed.
        self._signature = _signature(path)
        self._serve(self._read())

    @property
    def name(self) -> str:
        return self.model.name

    async def watch(
        self, counters: Counters, adopt: Adopt, reloaded: Callable[[], None]
    ) -> None:
        """Reload the model whenever its file changes, or on SIGHUP, until cancelled.

        Args:
            counters: count the reloads.
            adopt: takes each new model before it is served.
            reloaded: called after each.
        """
        requested = asyncio.Event()
        with _on_sighup(requested):
            while True:
                await self._until_next_check(requested)
                signature = _signature(self.path)
                if requested.is_set() or signature != self._signature:
                    requested.clear()
                    self._signature = signature
                    await self.reload(counters, adopt)
                    reloaded()

    async def reload(self, counters: Counters, adopt: Adopt) -> None:
        """Serve the model that the file holds now; keep the present one if it is invalid."""
        try:
            model = await asyncio.to_thread(self._read)
            await adopt(model)
        # Whatever a file makes go wrong, the next one may be good.
        except Exception as error:
            outcome = "refused"
            problem = str(error)
            if not isinstance(error, FlightProphetError):
                problem = f"{type(error).__name__}: {error}"
            event(logging.ERROR, f"model not reloaded: {problem}", model=self.name)
        else:
            outcome = "swapped"
            self._serve(model)
            event(logging.INFO, f"model reloaded: {self.name}", model=self.name)
        counters.reloads[outcome] += 1

    def _read(self) -> DelayModel:
        return DelayModel.load(self.path, self.sha256).verify()

    def _serve(self, model: DelayModel) -> None:
        self.model = model
        self.loaded_at = time.time()

    async def _until_next_check(self, requested: asyncio.Event) -> None:
        period = self.reload_seconds
        # All workers check at the same times, so that they change models together.
        wait = period - time.time() % period if period else None
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(requested.wait(), wait)


def _signature(path: Path) -> Signature:
    """Changes when a file is replaced or written to; None if there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


@contextlib.contextmanager
def _on_sighup(requested: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    try:
        loop.add_signal_handler(signal.SIGHUP, requested.set)
    except (RuntimeError, ValueError, AttributeError, NotImplementedError):
        # Signals reach the main thread only, and not on every platform.
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
