"""The day of operations in one process of the server: what messages tell, and the model
that answers with it.

All processes share a store. Each reads what others have written to it some times a second,
so that no answer asks it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from math import inf
from typing import Final, TypeVar

from challenge.errors import LiveStoreError
from challenge.live.messages import Report
from challenge.live.state import LiveState, Pruned
from challenge.live.store import LiveStore, NewReport, Position, Read
from challenge.model import DelayModel
from challenge.serving.observability.log import event, log
from challenge.serving.problems import overloaded

T = TypeVar("T")

FOLLOW_SECONDS: Final = 0.25
# Who tells little may ask about it next.
NOTED_SECONDS: Final = 0.02
PRUNE_SECONDS: Final = 3_600
PROBE_SECONDS: Final = 2
# More are applied beside the requests.
APPLIED_AT_ONCE: Final = 100
# Messages that wait until they are kept.
MAX_WAITING: Final = 50
# Days as they were known earlier: so many are kept or waited for, and made at one time.
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
        # Told the first moment of which something else is known than before.
        self.changed: Callable[[float], None] = lambda moment: None
        # Told a moment if other is known now of what was known then and later.
        self.past_changed: Callable[[float], None] = lambda moment: None
        # Why the store cannot be written to (True), and be read (False).
        self._problems: dict[bool, str] = {}
        self.version = 0
        self._of_file = model
        self._store = store
        self._reader = store.reader()
        self._failed = failed
        self.position = Position("", 0)
        # They start with their first work, after the workers were forked.
        self._writing = ThreadPoolExecutor(1, "live-store")
        self._reading = self._writing
        if self._reader is not self._store:
            self._reading = ThreadPoolExecutor(1, "live-store-reader")
        self._waiting = 0
        self._following = asyncio.Lock()
        # asyncio itself does not hold them.
        self._noting: set[asyncio.Task[None]] = set()
        self._unpruned = Pruned({}, set())
        self._past_days: dict[int, asyncio.Task[DelayModel]] = {}
        self._making = asyncio.Semaphore(_PAST_DAYS_AT_ONCE)

    @property
    def name(self) -> str:
        """That of the state: it changes when the store was emptied."""
        return self.position.state

    @property
    def problem(self) -> str:
        """Why the store cannot be used; empty if it can."""
        return next(iter(self._problems.values()), "")

    async def run(self, prunes: bool) -> None:
        """Follow the store until cancelled.

        Args:
            prunes: whether this is the process that removes what is old from it.
        """
        next_prune = next_probe = time.monotonic()
        while True:
            await asyncio.sleep(FOLLOW_SECONDS)
            try:
                await self.try_to_follow()
                if True in self._problems and time.monotonic() >= next_probe:
                    next_probe = time.monotonic() + PROBE_SECONDS
                    with contextlib.suppress(LiveStoreError):
                        await self._on_store(self._store.probe, writes=True)
                if time.monotonic() >= next_prune:
                    next_prune = time.monotonic() + PRUNE_SECONDS
                    await self._prune(prunes)
            except Exception:
                # Whatever it was, the next message may be another.
                log.exception("messages about flights are not taken note of")

    async def _prune(self, in_store: bool) -> None:
        """Forget what need not be kept, and, if asked, in the store, too."""
        async with self._following:
            pruned = await asyncio.to_thread(self.state.prune)
            self._publish()
        # What could not be forgotten the last time, too.
        self._unpruned.merged.update(pruned.merged)
        self._unpruned.removed.update(pruned.removed)
        if not in_store or not any(self._unpruned):
            self._unpruned = Pruned({}, set())
            return
        try:
            await self._on_store(self._store.prune, self._unpruned, writes=True)
        except LiveStoreError:
            return
        self._unpruned = Pruned({}, set())

    async def close(self) -> None:
        """Close the store."""
        loop = asyncio.get_running_loop()
        closing = {
            loop.run_in_executor(self._reading, self._reader.close),
            loop.run_in_executor(self._writing, self._store.close),
        }
        await asyncio.wait(closing, timeout=_CLOSE_SECONDS)
        for threads in (self._reading, self._writing):
            threads.shutdown(wait=False, cancel_futures=True)

    async def try_to_follow(self) -> None:
        """Take note of what is in the store, if it can be read."""
        # What is wrong is said where the store is used.
        with contextlib.suppress(LiveStoreError):
            await self.follow()

    async def follow(self) -> None:
        """Take note of what is in the store.

        Raises:
            LiveStoreError: it cannot be read.
        """
        async with self._following:
            has_more = True
            while has_more:
                read = await self._on_store(self._reader.read, self.position)
                await self._take(read)
                has_more = read.has_more

    async def tell(self, reports: Sequence[NewReport]) -> None:
        """Keep reports, and take note of them; of many when the store is followed next.

        Raises:
            LiveStoreError: they are not kept.
            RejectedRequest: so many wait for that.
        """
        if self._waiting >= MAX_WAITING:
            raise overloaded()
        now = time.time()
        self._waiting += 1
        try:
            await self._on_store(self._store.append, reports, now, writes=True)
        finally:
            self._waiting -= 1
        if len(reports) <= APPLIED_AT_ONCE:
            await self.note(NOTED_SECONDS)

    async def note(self, seconds: float) -> None:
        """Take note of what is in the store, but wait no longer for that."""
        noting = asyncio.create_task(self.try_to_follow())
        self._noting.add(noting)
        noting.add_done_callback(self._noting.discard)
        await asyncio.wait({noting}, timeout=seconds)

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
            name = self.name
        state = await asyncio.to_thread(_state_of, model, reports, heard)
        async with self._following:
            # What has come meanwhile, or all if the rest was forgotten.
            known = {one.number for one in reports}
            if name != self.name:
                state, known = _state_of(model), set()
            more = [one for one in self.state.reports() if one.number not in known]
            state.apply(more, self.state.heard)
            self._of_file, self.state = model, state
            self._forget_since(-inf)
            self._publish()

    async def as_of(self, at: int) -> DelayModel:
        """The model with the day as it was known at a moment, in seconds since 1970.

        Raises:
            RejectedRequest: so many others are being made.
        """
        model = self.model
        if self.state.clock is None or at >= self.state.clock:
            return model.with_day(model.known_day.at_moment(at))
        making = self._past_days.get(at)
        if making is None:
            done = [at for at, one in self._past_days.items() if one.done()]
            if len(self._past_days) - len(done) >= _PAST_DAYS_KEPT:
                raise overloaded()
            if len(self._past_days) >= _PAST_DAYS_KEPT:
                del self._past_days[done[0]]
            making = asyncio.create_task(self._make_past_day(at))
            self._past_days[at] = making
            making.add_done_callback(functools.partial(self._forget_failed, at))
        # Others may wait for it, too.
        return await asyncio.shield(making)

    async def each_as_of(
        self, moments: Sequence[int], ask: Callable[[DelayModel, int], T]
    ) -> list[T]:
        """What the model says with the days as they were known at earlier moments.

        Args:
            moments: they, the latest first, each before the clock.
            ask: asks the model of a moment, in another thread.

        Raises:
            UnknownDayError: the model has learned nothing of days.
        """
        async with self._making:
            async with self._following:
                model, state = self._of_file, self.state
                flights, day = state.flights.copy(), self.model.known_day

            def asked() -> list[T]:
                days = state.each_as_of(moments, flights, day)
                return [
                    ask(model.with_day(day), at)
                    for at, day in zip(moments, days, strict=True)
                ]

            return await asyncio.to_thread(asked)

    def _forget_failed(self, at: int, made: asyncio.Task[DelayModel]) -> None:
        is_good = not made.cancelled() and made.exception() is None
        if not is_good and self._past_days.get(at) is made:
            del self._past_days[at]

    async def _make_past_day(self, at: int) -> DelayModel:
        async with self._making:
            # While nothing is taken note of, so that all are of the same state.
            async with self._following:
                model, state = self._of_file, self.state
                flights, day = state.flights.copy(), state.day
            assert day is not None
            made = await asyncio.to_thread(state.as_of, at, flights, day)
        return model.with_day(made)

    async def _take(self, read: Read) -> None:
        self.position = read.position
        if read.is_new:
            self.state = _state_of(self._of_file)
            self._forget_since(-inf)
        if not (read.is_new or read.reports):
            return
        if len(read.reports) > APPLIED_AT_ONCE:
            applying = asyncio.to_thread(self.state.apply, read.reports, read.heard)
            changed = await applying
        else:
            changed = self.state.apply(read.reports, read.heard)
        # A message of an earlier moment changes what was known since.
        self._forget_since(min((one.at for one in read.reports), default=inf))
        self.changed(changed)
        self._publish()

    def _forget_since(self, moment: float) -> None:
        """Make days as they were known at this moment or later anew, where one asks."""
        for at in [at for at in self._past_days if at >= moment]:
            del self._past_days[at]
        self.past_changed(moment)
        if moment == -inf:
            self.changed(moment)

    def _publish(self) -> None:
        """Answer with the state as it is now."""
        self.model = self._of_file.with_day(self.state.day)
        self.version += 1

    async def _on_store(
        self, call: Callable[..., T], *arguments: object, writes: bool = False
    ) -> T:
        loop = asyncio.get_running_loop()
        threads = self._writing if writes else self._reading
        had_problem = bool(self._problems)
        try:
            done = await loop.run_in_executor(threads, call, *arguments)
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


def _state_of(
    model: DelayModel, reports: Sequence[Report] = (), heard: float = 0.0
) -> LiveState:
    state = LiveState(model.encoder, model.grid, model.day, model.predict_cells)
    state.apply(reports, heard)
    return state
