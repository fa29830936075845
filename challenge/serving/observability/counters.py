"""What each worker counts, and the sum over all workers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

import msgspec

from challenge.serving.observability.drift import Window, add_counts
from challenge.serving.server.shared_memory import MAX_POST_BYTES, SharedMemory

# Upper bounds in seconds; a last bucket counts what is above.
BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
SUM: Final = len(BUCKETS) + 1


class Counters(msgspec.Struct):
    """Counts since the server started.

    Attributes:
        starts: how many processes have counted here.
        in_flight: requests in progress.
        durations: for each route and status, the number of requests in each of BUCKETS,
            then of those above, then the sum of all seconds.
        flights: flights by prediction, `late` and `on_time`.
        rejected: requests by type of fault; one request may have several.
        reloads: reloads of the model by outcome, `swapped` and `refused`.
        models: how many workers serve each model, by the start of its fingerprint.
        lines_lost: lines that could not be written to the log.
        logged, unlogged: flights that were written to the prediction log, and that
            could not be.
        told: flights of messages, `accepted` and `rejected`.
        store_errors: how often the store of the messages could not be used.
        window: the sample of flights for GET /drift.
    """

    starts: int = 0
    in_flight: int = 0
    durations: dict[str, dict[int, list[float]]] = {}
    flights: dict[str, int] = msgspec.field(
        default_factory=lambda: {"late": 0, "on_time": 0}
    )
    rejected: dict[str, int] = {}
    reloads: dict[str, int] = msgspec.field(
        default_factory=lambda: {"swapped": 0, "refused": 0}
    )
    models: dict[str, int] = {}
    lines_lost: int = 0
    logged: int = 0
    unlogged: int = 0
    told: dict[str, int] = msgspec.field(
        default_factory=lambda: {"accepted": 0, "rejected": 0}
    )
    store_errors: int = 0
    window: Window = msgspec.field(default_factory=Window)

    @classmethod
    def resume(cls, shared_memory: SharedMemory, worker: int) -> Counters:
        """The counters of a worker that starts, continued from the one it replaces."""
        posted = shared_memory.read(worker)
        counters = cls() if posted is None else _decode(posted)
        # The requests in progress ended with the process.
        counters.in_flight = 0
        counters.starts += 1
        return counters

    def post(self, shared_memory: SharedMemory, worker: int) -> None:
        """Publish them to the other workers."""
        data = _encode(self)
        if len(data) > MAX_POST_BYTES:
            # The names of very many airlines and cities: their drift is this worker's.
            data = _encode(msgspec.structs.replace(self, window=Window()))
        shared_memory.post(worker, data)

    def total(self, shared_memory: SharedMemory, worker: int) -> Counters:
        """The sum of these, which are a worker's own, and those of all others."""
        total = Counters()
        total.add(self)
        for other in range(shared_memory.workers):
            if other != worker and (posted := shared_memory.read(other)) is not None:
                total.add(_decode(posted))
        return total

    def add_request(self, route: str, status: int, seconds: float) -> None:
        try:
            counts = self.durations[route][status]
        except KeyError:
            of_route = self.durations.setdefault(route, {})
            counts = of_route[status] = [0] * (SUM + 1)
        counts[bisect_left(BUCKETS, seconds)] += 1
        counts[SUM] += seconds

    def add_rejected(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def requests(self) -> int:
        """How many requests were answered."""
        return sum(
            int(sum(counts[:SUM]))
            for statuses in self.durations.values()
            for counts in statuses.values()
        )

    def add(self, other: Counters) -> None:
        """Add all that another has counted."""
        for name in (
            *("starts", "in_flight", "lines_lost", "logged", "unlogged"),
            "store_errors",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("flights", "rejected", "reloads", "models", "told"):
            add_counts(getattr(self, name), getattr(other, name))
        for route, statuses in other.durations.items():
            mine = self.durations.setdefault(route, {})
            for status, counts in statuses.items():
                zeros = [0.0] * (SUM + 1)
                pairs = zip(mine.get(status, zeros), counts, strict=True)
                mine[status] = [a + b for a, b in pairs]
        self.window.add(other.window)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Counters).decode
