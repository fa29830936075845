"""What the requests of one process share: the model, the counters and the logs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from challenge.errors import SettingsError
from challenge.flights.faults import Fault
from challenge.flights.rules import UNKNOWN
from challenge.model import DelayModel
from challenge.serving.body.budget import BodyBudget
from challenge.serving.file_work import FileWork
from challenge.serving.model_watcher import ModelWatcher
from challenge.serving.observability.counters import Counters
from challenge.serving.observability.drift import Sampler
from challenge.serving.observability.log import RequestLog, as_text
from challenge.serving.observability.prediction_log_writer import PredictionLogWriter
from challenge.serving.server.shared_memory import SharedMemory
from challenge.serving.settings import Settings

TICK_SECONDS: Final = 0.1


class ServiceState:
    """The state of one process of the server.

    Args:
        path: the model's file.
        settings: those of the service.

    Attributes:
        draining: whether the process finishes its requests and is about to stop.
        body_budget: the bytes of bodies that are held while they arrive.
        files: answers files, beside the requests.
        prediction_log: stores the predictions; None if the setting is empty.
        number: which worker this process is, from 0.

    Raises:
        ModelFileError: the model cannot be read.
        SettingsError: the folder of the prediction log cannot be written to.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.settings = settings
        self.watcher = ModelWatcher(
            path, settings.model_sha256, settings.model_reload_seconds
        )
        self.sampler = Sampler(settings.drift_hours)
        self.log = RequestLog(as_text(settings))
        self.prediction_log = _prediction_log(settings)
        self.body_budget = BodyBudget(
            max(settings.max_buffered_bytes, settings.max_body_bytes)
        )
        self.files = FileWork(settings.max_files_at_once)
        self.draining = False
        self.shared_memory = SharedMemory()
        self.number = 0
        self.counters = Counters.resume(self.shared_memory, self.number)
        self._will_tick = False

    def share(self, workers: int) -> None:
        """Allocate the memory that several workers share, before they are forked."""
        self.shared_memory = SharedMemory(workers)

    def begin(self, number: int) -> None:
        """Become one of these workers; one that replaces another counts on from it."""
        self.number = number
        self.counters = Counters.resume(self.shared_memory, number)
        self.post()

    def count_answered(
        self, model: DelayModel, cells: Sequence[int], late: int, flights: int
    ) -> None:
        """Count flights that were answered.

        Args:
            model: the one that answered.
            cells: the flights, as a sample for GET /drift.
            late: how many are predicted to be late.
            flights: how many there are.
        """
        outcomes = self.counters.flights
        outcomes["late"] += late
        outcomes["on_time"] += flights - late
        self.sampler.add(model, cells)

    def count_rejected(self, faults: Sequence[Fault]) -> None:
        """Count a request that was rejected, once for each type of fault."""
        self.counters.add_rejected({fault.type for fault in faults})
        self.sampler.add_unknown(
            [str(fault.loc[-1]) for fault in faults if fault.type == UNKNOWN]
        )

    def wake(self) -> None:
        """Schedule a tick, unless one is scheduled."""
        if not self._will_tick:
            self._will_tick = True
            asyncio.get_running_loop().call_later(TICK_SECONDS, self.tick)

    def tick(self) -> None:
        """Flush the log and publish the counters, for all requests since the last."""
        self._will_tick = False
        is_behind = self.prediction_log is not None and self.prediction_log.is_behind
        self.log.flush()
        self.post()
        if is_behind:
            self.wake()

    def post(self) -> None:
        """Publish this worker's counters, and its model, to the other workers."""
        self._update_counters()
        self.counters.post(self.shared_memory, self.number)

    def total(self) -> Counters:
        """The sum of all workers' counters."""
        self._update_counters()
        return self.counters.total(self.shared_memory, self.number)

    def _update_counters(self) -> None:
        if self.prediction_log is not None:
            logged, lost = self.prediction_log.take_counts()
            self.counters.logged += logged
            self.counters.unlogged += lost
        self.counters.lines_lost += self.log.take_lost()
        self.sampler.count(self.counters.window, self.watcher.model)
        self.counters.models = {self.watcher.name: 1}


def _prediction_log(settings: Settings) -> PredictionLogWriter | None:
    folder = settings.prediction_log
    if folder is None:
        return None
    try:
        return PredictionLogWriter(folder, settings.prediction_log_days)
    except OSError as error:
        message = f"{str(folder)!r} cannot be written to: {error.strerror}"
        raise SettingsError([{"loc": ["prediction_log"], "msg": message}]) from error
