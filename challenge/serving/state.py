"""What the requests of one process share: the model, the counters and the logs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from challenge.errors import LiveStoreError, SettingsError
from challenge.flights.faults import Fault
from challenge.flights.rules import UNKNOWN
from challenge.live.clock import utc_text
from challenge.live.store import LiveStore, Position, SQLiteStore
from challenge.model import DelayModel
from challenge.serving.board import Board
from challenge.serving.body.budget import BodyBudget
from challenge.serving.event_stream import EventStreams
from challenge.serving.file_work import FileWork
from challenge.serving.live_feed import LiveFeed
from challenge.serving.middleware.access import FeedAccess
from challenge.serving.model_watcher import ModelWatcher
from challenge.serving.observability.counters import Counters
from challenge.serving.observability.drift import Sampler
from challenge.serving.observability.log import RequestLog, as_text
from challenge.serving.observability.prediction_log_writer import PredictionLogWriter
from challenge.serving.server.shared_memory import SharedMemory
from challenge.serving.settings import Settings
from challenge.serving.shared_bodies import SharedBodies
from challenge.serving.trend import Trends
from challenge.serving.upload_folder import UploadFolder

TICK_SECONDS: Final = 0.1


class ServiceState:
    """The state of one process of the server.

    Args:
        path: the model's file.
        settings: those of the service.

    Attributes:
        draining: whether the process finishes its requests and is about to stop.
        body_budget: the bytes of bodies that are held while they arrive.
        feed_access: says who may tell about flights.
        files: answers files, beside the requests.
        live: what messages tell of today's flights, and the model with it.
        board: tells these flights.
        boards: what it told last.
        trends: tell how their probabilities went.
        events: tell clients that they have changed.
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
        self.feed_access = FeedAccess(settings.feed_keys)
        self.files = FileWork(settings.max_files_at_once)
        self.live = self._feed(SQLiteStore(settings.live_store, is_durable=True))
        self._own_store: UploadFolder | None = None
        self.draining = False
        self.shared_memory = SharedMemory()
        self.number = 0
        self.counters = Counters.resume(self.shared_memory, self.number)
        self._will_tick = False

    @property
    def model(self) -> DelayModel:
        """The model that answers, with all that is known of the day."""
        return self.live.model

    def share(self, workers: int) -> None:
        """Make what several workers share, before they are forked: memory, and where no
        file keeps the messages about flights, one that ends with the server.

        Raises:
            SettingsError: there is no room for that file.
        """
        self.shared_memory = SharedMemory(workers)
        path, is_durable = self.settings.live_store, True
        if path is None:
            self._own_store = _own_folder()
            path, is_durable = self._own_store.path / "live.sqlite", False
        store = SQLiteStore(path, is_durable)
        # Made by one of them rather than by all at a time.
        with contextlib.suppress(LiveStoreError):
            store.read(Position("", 0))
        store.close()
        self.live = self._feed(store)

    def end(self) -> None:
        """Remove what the workers have shared."""
        if self._own_store is not None:
            self._own_store.remove()

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

    def _feed(self, store: LiveStore) -> LiveFeed:
        feed = LiveFeed(store, self.watcher.model, self._count_store_error)
        self.board, self.boards = Board(feed), SharedBodies()
        self.trends = Trends(feed)
        self.events = EventStreams(
            feed,
            self.settings.max_event_streams,
            lambda: self.told_times()["clock"],
            self._count_stream,
        )
        return feed

    def told_times(self) -> dict[str, str | None]:
        """The clock of the day; when the last message came, by the clock of this machine;
        and the same once that is too long ago."""
        live = self.live.state
        stale = 60 * self.settings.live_stale_minutes
        heard = utc_text(live.heard) if live.heard else None
        is_stale = live.heard and time.time() - live.heard > stale
        return {
            "clock": None if live.moment is None else utc_text(live.moment),
            "heard": heard,
            "stale_since": heard if is_stale else None,
        }

    def _count_stream(self, change: int) -> None:
        # It is answered for long, and is no work.
        self.counters.in_flight -= change

    def _count_store_error(self) -> None:
        self.counters.store_errors += 1

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


def _own_folder() -> UploadFolder:
    try:
        return UploadFolder()
    except OSError as error:
        message = f"there is no room for a temporary folder: {error.strerror}"
        raise SettingsError([{"loc": ["live_store"], "msg": message}]) from error


def _prediction_log(settings: Settings) -> PredictionLogWriter | None:
    folder = settings.prediction_log
    if folder is None:
        return None
    try:
        return PredictionLogWriter(folder, settings.prediction_log_days)
    except OSError as error:
        message = f"{str(folder)!r} cannot be written to: {error.strerror}"
        raise SettingsError([{"loc": ["prediction_log"], "msg": message}]) from error
