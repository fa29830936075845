"""Memory that all workers of a server share, allocated before they are forked.

Each worker posts its counters there, so that any worker can answer for all, and all
workers count a client's requests together. It is not a file: it works on a read-only
disk, and ends with the server.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
import zlib
from typing import Final

_HEADER: Final = struct.Struct("<QII")
# A model may know some ten thousand names, which drift counts for each hour.
_HALF_BYTES: Final = 8 * 1024 * 1024
_POST_BYTES: Final = 2 * _HALF_BYTES
MAX_POST_BYTES: Final = _HALF_BYTES - _HEADER.size


class SharedMemory:
    """A place for each worker to post bytes in, and the clients' rate limits.

    Pages that were never written to take no memory.

    Args:
        workers: the number of workers.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers
        self._posts = mmap.mmap(-1, workers * _POST_BYTES)
        self.clients = Clients()

    def post(self, worker: int, data: bytes) -> None:
        """Replace what a worker has posted.

        A worker writes to the two halves of its place in turn, and the header, with a
        checksum, after the data: who reads meanwhile, or after the writer was killed,
        gets the last complete post.

        Raises:
            ValueError: they are more than MAX_POST_BYTES.
        """
        if len(data) > MAX_POST_BYTES:
            raise ValueError(f"{len(data)} bytes do not fit into {MAX_POST_BYTES}")
        last = max(self._header(worker, half)[0] for half in (0, 1))
        start = self._start(worker, (last + 1) % 2)
        begin = start + _HEADER.size
        self._posts[begin : begin + len(data)] = data
        _HEADER.pack_into(self._posts, start, last + 1, len(data), zlib.crc32(data))

    def read(self, worker: int) -> bytes | None:
        """The last complete post of a worker; None if there is none."""
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
    """How much of its rate limit each client has used.

    The generic cell rate algorithm (ITU-T I.371): one time is stored for each client,
    at which it may make its full number of requests again. A hash of the client is the
    place of its time, keyed with a secret of the server's own, so that nobody can
    choose a client to collide with. By chance one in a hundred thousand does.
    """

    PLACES: Final = 1 << 17

    def __init__(self) -> None:
        self._times = memoryview(mmap.mmap(-1, self.PLACES * 8)).cast("d")
        self._secret = os.urandom(16)

    def wait(self, client: bytes, now: float, per_minute: int) -> float:
        """Count a request and return 0, or return the seconds to wait until it may come.

        Args:
            client: its name or address.
            now: seconds of a monotonic clock that all workers share.
            per_minute: the number of requests a client may make in any minute.
        """
        digest = hashlib.blake2b(client, digest_size=8, key=self._secret).digest()
        place = int.from_bytes(digest) % self.PLACES
        until = max(now, self._times[place])
        wait = until + 60 / per_minute - (now + 60)
        # Less is a rounding error.
        if wait > 1e-6:
            return wait
        self._times[place] = until + 60 / per_minute
        return 0
