"""The day of operations in one process of the server: what messages tell, and the model
that answers with it.

All processes share a store. Each reads what others have written to it some times a second,
so that no answer asks it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

from challenge.errors import LiveStoreError
from challenge.live.day import Day
from challenge.live.messages import Report
from challenge.live.state import LiveState
from challenge.live.store import LiveStore, NewReport, Position, Read
from challenge.model import DelayModel
from challenge.serving.observability.log import event

T = TypeVar("T")

FOLLOW_SECONDS: Final = 0.25
# Who tells little may ask about it next.
NOTED_SECONDS: Final = 0.02
PRUNE_SECONDS: Final = 3_600
PROBE_SECONDS: Final = 2
# More are applied beside the requests.
APPLIED_AT_ONCE: Final = 100
# Days as they were known earlier: so many are kept, and made at one time.
_PAST_DAYS_KEPT: Final = 8
_PAST_DAYS_AT_ONCE: Final = 2
# A closed store writes what it has to.
_CLOSE_SECONDS: Final = 5


class LiveFeed:
    """What messages tell, over what a model knows.

    Args:
        store: keeps the messages.
        model: the model of the file.
        failed: called whenever the store cannot be used.

    Attributes:
        model: the model with the day as it is known now.
        state: what is known.
        version: grows whenever an answer may have changed.
        position: how much of the store is known.
    """

    def __init__(
        self, store: LiveStore, model: DelayModel, failed: Callable[[], None]
    ) -> None:
        self.model = model
        self.state = _state_of(model)
        # Why the store cannot be written to (True), and be read (False).
        self._problems: dict[bool, str] = {}
        self.version = 0
        self._of_file = model
        self._store = store
        self._failed = failed
        self.position = Position("", 0)
        # SQLite's connections belong to one thread, which starts after the workers were
        # forked.
        self._thread = ThreadPoolExecutor(1, "live-store")
        self._following = asyncio.Lock()
        # Nobody else holds them.
        self._noting: set[asyncio.Task[None]] = set()
        self._past_days: dict[int, Day] = {}
        self._making = asyncio.Semaphore(_PAST_DAYS_AT_ONCE)

    @property
    def name(self) -> str:
        """That of the state: it changes when the store was emptied."""
        return self.position.state

    @property
    def problem(self) -> str:
        """Why the store cannot be used; empty if it can."""
        return next(iter(self._problems.values()), "")

    async def start(self) -> None:
        """Read the store, before anything is answered."""
        await self.try_to_follow()

    async def run(self, prunes: bool) -> None:
        """Follow the store until cancelled.

        Args:
            prunes: whether this is the process that removes what is old from it.
        """
        next_prune = next_probe = time.monotonic()
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            await self.try_to_follow()
            if True in self._problems and time.monotonic() >= next_probe:
                next_probe = time.monotonic() + PROBE_SECONDS
                await self._or_problem(self._on_store(self._store.probe, writes=True))
            if time.monotonic() >= next_prune:
                next_prune = time.monotonic() + PRUNE_SECONDS
                async with self._following:
                    pruned = self.state.prune()
                    self._publish()
                if prunes and (pruned.merged or pruned.removed):
                    pruning = self._on_store(self._store.prune, pruned, writes=True)
                    await self._or_problem(pruning)

    async def close(self) -> None:
        """Close the store."""
        closing = self._on_store(self._store.close)
        await asyncio.wait({asyncio.ensure_future(closing)}, timeout=_CLOSE_SECONDS)
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def try_to_follow(self) -> None:
        """Take note of what is in the store, if it can be read."""
        await self._or_problem(self.follow())

    async def follow(self) -> None:
        """Take note of what is in the store.

        Raises:
            LiveStoreError: it cannot be read.
        """
        async with self._following:
            has_more = True
            while has_more:
                read = await self._on_store(self._store.read, self.position)
                await self._take(read)
                has_more = read.has_more

    async def tell(self, reports: Sequence[NewReport]) -> None:
        """Keep reports, and take note of them; of many when the store is followed next.

        Raises:
            LiveStoreError: they are not kept.
        """
        now = time.time()
        await self._on_store(self._store.append, reports, now, writes=True)
        if len(reports) <= APPLIED_AT_ONCE:
            noting = asyncio.create_task(self.try_to_follow())
            self._noting.add(noting)
            noting.add_done_callback(self._noting.discard)
            await asyncio.wait({noting}, timeout=NOTED_SECONDS)

    async def reset(self) -> None:
        """Forget all that messages told.

        Raises:
            LiveStoreError: the store cannot be used.
        """
        await self._on_store(self._store.reset, writes=True)
        await self.follow()

    async def adopt(self, model: DelayModel) -> None:
        """Go on with another model, for which all that is known is coded anew."""
        async with self._following:
            reports, heard = self.state.reports(), self.state.heard
        state = await asyncio.to_thread(_state_of, model, reports, heard)
        async with self._following:
            # What has come meanwhile.
            known = {one.number for one in reports}
            more = [one for one in self.state.reports() if one.number not in known]
            state.apply(more, self.state.heard)
            self._of_file, self.state = model, state
            self._past_days.clear()
            self._publish()

    async def as_of(self, at: int) -> DelayModel:
        """The model with the day as it was known at a moment, in seconds since 1970."""
        day = self.state.day
        assert day is not None
        if self.state.clock is None or at >= self.state.clock:
            return self._of_file.with_day(day.at_moment(at))
        found = self._past_days.get(at)
        if found is None:
            flights = self.state.flights.copy()
            async with self._making:
                found = await asyncio.to_thread(self.state.as_of, at, flights, day)
            while len(self._past_days) >= _PAST_DAYS_KEPT:
                del self._past_days[next(iter(self._past_days))]
            self._past_days[at] = found
        return self._of_file.with_day(found)

    async def _take(self, read: Read) -> None:
        self.position = read.position
        if read.is_new:
            self.state = _state_of(self._of_file)
            self._past_days.clear()
        if not (read.is_new or read.reports):
            return
        if len(read.reports) > APPLIED_AT_ONCE:
            await asyncio.to_thread(self.state.apply, read.reports, read.heard)
        else:
            self.state.apply(read.reports, read.heard)
        # A message of an earlier moment changes what was known since.
        first = min((one.at for one in read.reports), default=0)
        for at in [at for at in self._past_days if at >= first]:
            del self._past_days[at]
        self._publish()

    def _publish(self) -> None:
        """Answer with the state as it is now."""
        self.model = self._of_file.with_day(self.state.day)
        self.version += 1

    async def _on_store(
        self, call: Callable[..., T], *arguments: object, writes: bool = False
    ) -> T:
        loop = asyncio.get_running_loop()
        had_problem = bool(self._problems)
        try:
            done = await loop.run_in_executor(self._thread, call, *arguments)
        except LiveStoreError as error:
            self._failed()
            if not had_problem:
                event(logging.ERROR, f"{error}; answers go on from the last state")
            self._problems[writes] = error.reason
            raise
        # What can be read may be full.
        self._problems.pop(writes, None)
        if had_problem and not self._problems:
            event(logging.INFO, "the store of live flights can be used again")
        return done

    async def _or_problem(self, using: Awaitable[None]) -> None:
        """Use the store, or leave it at that it cannot be used, which is said."""
        try:
            await using
        except LiveStoreError:
            pass


def _state_of(
    model: DelayModel, reports: Sequence[Report] = (), heard: float = 0.0
) -> LiveState:
    state = LiveState(model.encoder, model.grid, model.day, model.predict_cells)
    state.apply(reports, heard)
    return state
