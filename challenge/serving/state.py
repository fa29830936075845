"""One process of the server: the model it serves, and what it counts and logs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from challenge.errors import SettingsError
from challenge.model import DelayModel
from challenge.serving.model_watcher import ModelSource
from challenge.serving.observability import counters as tally
from challenge.serving.observability.counters import Tally
from challenge.serving.observability.drift import Sampler
from challenge.serving.observability.log import RequestLog, as_text
from challenge.serving.observability.prediction_log_writer import Recorder
from challenge.serving.problems import RequestFault
from challenge.serving.server.shared_memory import Board
from challenge.serving.settings import Settings

TICK_SECONDS: Final = 0.1
UNKNOWN: Final = "unknown_value"


class Worker:
    """What the parts of the service share.

    Args:
        path: the model's file.
        settings: those of the service.

    Attributes:
        draining: whether it finishes what it has begun, and wants no more.
        recorder: keeps what was answered; None if that is not wanted.

    Raises:
        ModelFileError: the model cannot be read.
        SettingsError: nothing can be recorded where it should be.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.settings = settings
        self.source = ModelSource(
            path, settings.model_sha256, settings.model_reload_seconds
        )
        self.sampler = Sampler(settings.drift_hours)
        self.log = RequestLog(as_text(settings))
        self.recorder = _recorder(settings)
        self.draining = False
        self.board = Board()
        self.number = 0
        self.tally = tally.resume(self.board, self.number)
        self._will_tick = False

    def share(self, workers: int) -> None:
        """Make the board for several workers, before they are forked."""
        self.board = Board(workers)

    def begin(self, number: int) -> None:
        """Be one of these workers, in the place of the one before if that died."""
        self.number = number
        self.tally = tally.resume(self.board, number)
        self.post()

    def note(
        self, model: DelayModel, cells: Sequence[int], late: int, flights: int
    ) -> None:
        """Count flights that were answered.

        Args:
            model: the one that answered.
            cells: the flights, to tell drift from.
            late: how many are predicted to be late.
            flights: how many there are.
        """
        outcomes = self.tally.flights
        outcomes["late"] += late
        outcomes["on_time"] += flights - late
        self.sampler.note(model, cells)

    def note_refused(self, faults: Sequence[RequestFault]) -> None:
        """Count a request that was refused, once for each kind of fault."""
        self.tally.add_refused({fault.type for fault in faults})
        self.sampler.note_unknown(
            [str(fault.loc[-1]) for fault in faults if fault.type == UNKNOWN]
        )

    def wake(self) -> None:
        """See that what was noted is soon counted, written and posted."""
        if not self._will_tick:
            self._will_tick = True
            asyncio.get_running_loop().call_later(TICK_SECONDS, self.tick)

    def tick(self) -> None:
        """Count, write and post what was noted: together it costs next to nothing."""
        self._will_tick = False
        is_behind = self.recorder is not None and self.recorder.is_behind
        self.tally.lines_lost += self.log.flush()
        self._count_recorded()
        if is_behind:
            self.wake()
        self.sampler.count(self.tally.window, self.source.model)
        self.post()

    def post(self) -> None:
        """Let the other workers know what was counted, and what is served here."""
        self.tally.models = {self.source.name: 1}
        tally.post(self.board, self.number, self.tally)

    def total(self) -> Tally:
        """The tally over all workers."""
        self._count_recorded()
        self.sampler.count(self.tally.window, self.source.model)
        self.tally.models = {self.source.name: 1}
        return tally.total(self.board, self.number, self.tally)

    def _count_recorded(self) -> None:
        if self.recorder is not None:
            recorded, lost = self.recorder.take_counts()
            self.tally.recorded += recorded
            self.tally.unrecorded += lost


def _recorder(settings: Settings) -> Recorder | None:
    folder = settings.prediction_log
    if folder is None:
        return None
    try:
        return Recorder(folder, settings.prediction_log_days)
    except OSError as error:
        message = f"{str(folder)!r} cannot be written to: {error.strerror}"
        raise SettingsError([{"loc": ["prediction_log"], "msg": message}]) from error
