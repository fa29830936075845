"""Bodies of answers that many ask for at one time."""

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

# Some of half a megabyte; as they are, and compressed.
_KEPT: Final = 8
# JSON becomes an eighth in some milliseconds; more effort halves that at best.
_LEVEL: Final = 1
_NOT_ACCEPTED: Final = re.compile(r"q=0(\.0*)?")


class SharedBodies:
    """Makes each body once for all who ask for it, and keeps the last ones."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, bool], asyncio.Task[bytes]] = {}

    async def body(
        self,
        tag: str,
        is_compressed: bool,
        make: Callable[[], Coroutine[Any, Any, bytes]],
    ) -> bytes:
        """The body that a tag stands for.

        Args:
            tag: another one as soon as the body may be another.
            is_compressed: whether it is wanted as gzip.
            make: makes it, if it is not at hand.
        """
        body = await self._once((tag, False), make)
        if not is_compressed:
            return body
        return await self._once(
            (tag, True),
            lambda: asyncio.to_thread(gzip.compress, body, _LEVEL, mtime=0),
        )

    def _once(
        self, key: tuple[str, bool], make: Callable[[], Coroutine[Any, Any, bytes]]
    ) -> Awaitable[bytes]:
        making = self._made.get(key)
        if making is None:
            if len(self._made) >= _KEPT:
                del self._made[next(iter(self._made))]
            making = self._made[key] = asyncio.create_task(make())
            making.add_done_callback(lambda made: self._forget_failed(key, made))
        # Others may wait for it, too.
        return asyncio.shield(making)

    def _forget_failed(self, key: tuple[str, bool], made: asyncio.Task[bytes]) -> None:
        is_good = not made.cancelled() and made.exception() is None
        if not is_good and self._made.get(key) is made:
            del self._made[key]


def accepts_gzip(accepted: str) -> bool:
    """Whether a client takes gzip, by its header Accept-Encoding."""
    for one in accepted.lower().split(","):
        name, *parameters = map(str.strip, one.split(";"))
        if name in ("gzip", "*"):
            return not any(map(_NOT_ACCEPTED.fullmatch, parameters))
    return False
