"""Memory that all workers of a server share, made before they are forked.

On it each worker posts its counts for the others to read, so that whichever is asked
answers for all; and all count one client's requests together. It is no file: it works
where nothing can be written, and ends with the server.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from typing import Final

_HEADER: Final = struct.Struct("<QII")
_HALF_BYTES: Final = 512 * 1024
_POST_BYTES: Final = 2 * _HALF_BYTES
MAX_POST_BYTES: Final = _HALF_BYTES - _HEADER.size


class Board:
    """A place to post bytes for each worker, and a table of clients.

    Pages that nobody wrote to take no memory.

    Args:
        workers: how many there are.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._posts = mmap.mmap(-1, workers * _POST_BYTES)
        self.clients = Clients()

    def post(self, worker: int, data: bytes) -> None:
        """Replace what a worker has posted.

        The two halves of its place take turns, and a header with a checksum follows
        the data: who reads meanwhile, or after a writer was killed, finds the last
        whole post.

        Raises:
            ValueError: there are more than MAX_POST_BYTES.
        """
        if len(data) > MAX_POST_BYTES:
            raise ValueError(f"{len(data)} bytes do not fit into {MAX_POST_BYTES}")
        last = max(self._header(worker, half)[0] for half in (0, 1))
        start = self._start(worker, (last + 1) % 2)
        begin = start + _HEADER.size
        self._posts[begin : begin + len(data)] = data
        _HEADER.pack_into(self._posts, start, last + 1, len(data), zlib.crc32(data))

    def read(self, worker: int) -> bytes | None:
        """What a worker has posted last; None if nothing."""
        halves = sorted((0, 1), key=lambda half: self._header(worker, half)[0])
        for half in reversed(halves):
            number, size, checksum = self._header(worker, half)
            begin = self._start(worker, half) + _HEADER.size
            data = self._posts[begin : begin + min(size, MAX_POST_BYTES)]
            if number and zlib.crc32(data) == checksum:
                return data
        return None

    def _header(self, worker: int, half: int) -> tuple[int, int, int]:
        number, size, checksum = _HEADER.unpack_from(
            self._posts, self._start(worker, half)
        )
        return number, size, checksum

    @staticmethod
    def _start(worker: int, half: int) -> int:
        return worker * _POST_BYTES + half * _HALF_BYTES


class Clients:
    """How far each client has used up what it may ask for.

    The generic cell rate algorithm (ITU-T I.371): of each client one time is kept, at
    which it will have nothing used up. Clients share a place by chance, one in a
    hundred thousand; which do differs from server to server.
    """

    PLACES: Final = 1 << 17

    def __init__(self) -> None:
        self._times = memoryview(mmap.mmap(-1, self.PLACES * 8)).cast("d")
        self._secret = os.urandom(8)

    def wait(self, client: bytes, now: float, per_minute: int) -> float:
        """Count a request, and return 0; or do not, and return the seconds to wait.

        Args:
            client: who asks.
            now: seconds of a clock that all workers share and nobody sets.
            per_minute: how many requests a client may make in any minute.
        """
        place = zlib.crc32(self._secret + client) % self.PLACES
        until = max(now, self._times[place])
        wait = until + 60 / per_minute - (now + 60)
        # What is a rounding error of doubles is no wait.
        if wait > 1e-6:
            return wait
        self._times[place] = until + 60 / per_minute
        return 0
