"""Work on uploaded files, beside the requests: so much at one time, and no more.

It has threads of its own. Those of asyncio are for what must not wait for files.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from starlette.concurrency import run_in_threadpool
from starlette.types import Receive

from challenge.files.cancellation import Cancellation
from challenge.serving.problems import RejectedRequest, overloaded
from challenge.serving.upload_folder import remove_abandoned

T = TypeVar("T")

# For each file that is answered so many may wait.
WAITING: Final = 2
# So many answered files may wait for the prediction log.
MAX_TO_LOG: Final = 10
_DISK_THREADS: Final = 2


class FileWork:
    """The threads of a process that are for files.

    Args:
        at_once: how many files are answered at one time.
    """

    def __init__(self, at_once: int) -> None:
        self._limit = at_once * (1 + WAITING)
        self._admitted: set[Cancellation] = set()
        # Threads start with their first work, after the workers were forked.
        self._work = ThreadPoolExecutor(at_once, "file")
        self._disk = ThreadPoolExecutor(_DISK_THREADS, "disk")
        self._to_log = 0
        self._logging = asyncio.Lock()

    async def start(self) -> None:
        """Remove what killed servers have left."""
        await self.on_disk(remove_abandoned)

    def close(self) -> None:
        """Stop all work."""
        for cancellation in self._admitted:
            cancellation.stop()
        for threads in (self._work, self._disk):
            threads.shutdown(wait=False, cancel_futures=True)

    def check_room(self) -> None:
        """Reject a file that would have to wait too long.

        Raises:
            RejectedRequest: so many are waiting, or still have to be logged.
        """
        if len(self._admitted) >= self._limit or self._to_log >= MAX_TO_LOG:
            raise overloaded()

    async def on_disk(self, function: Callable[..., T], *arguments: object) -> T:
        """Call a function that is done soon, but for the disk."""
        call = functools.partial(function, *arguments)
        return await asyncio.get_running_loop().run_in_executor(self._disk, call)

    async def log(self, function: Callable[..., None], *arguments: object) -> None:
        """Call a function that logs an answered file, while no other file is logged: each
        takes as much memory as answering one, and all wait for the same log.
        """
        self._to_log += 1
        try:
            async with self._logging:
                # In a thread of Starlette's: it may wait for long, and uploads must not.
                await run_in_threadpool(function, *arguments)
        finally:
            self._to_log -= 1

    async def run(self, function: Callable[[Cancellation], T], receive: Receive) -> T:
        """Call a function in its turn, and stop it if the client hangs up.

        Args:
            function: raises whatever it likes once it was stopped.
            receive: of the request, whose body was read.

        Raises:
            RejectedRequest: there is no room, or the client has gone.
        """
        self.check_room()
        cancellation = Cancellation()
        self._admitted.add(cancellation)
        submitted = self._work.submit(function, cancellation)
        working = asyncio.wrap_future(submitted)
        # What is raised once it was stopped is of no interest.
        working.add_done_callback(lambda done: done.cancelled() or done.exception())
        leaving = asyncio.create_task(_disconnected(receive))
        try:
            both: set[asyncio.Future[Any]] = {working, leaving}
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            if not submitted.cancel():
                cancellation.stop()
                await asyncio.wait({working})
            raise RejectedRequest(499)
        finally:
            if not submitted.done():
                # The server stops, and waits no longer.
                cancellation.stop()
            leaving.cancel()
            self._admitted.discard(cancellation)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
