"""What a worker counts, and the sum over all workers."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Final

import msgspec

from challenge.serving.observability.drift import Window
from challenge.serving.server.shared_memory import Board

# Upper limits in seconds; a last bucket takes what is above.
BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)
SUM: Final = len(BUCKETS) + 1


class Tally(msgspec.Struct):
    """Counts since the server started.

    Attributes:
        starts: how many processes counted in it.
        in_flight: requests that are worked on.
        durations: of each route and status, how many requests fell into each of
            BUCKETS, then those above, then the sum of all seconds.
        flights: flights by what was predicted, `late` and `on_time`.
        refused: requests by what was wrong with them; one may have several faults.
        reloads: reloads of the model by what came of them, `swapped` and `refused`.
        models: how many workers serve each model, by the start of its fingerprint.
        lines_lost: lines that could not be written to the log.
        recorded, unrecorded: answered flights that were written to the record, and
            those that should have been and could not.
        window: what drift is told from.
    """

    starts: int = 0
    in_flight: int = 0
    durations: dict[str, dict[int, list[float]]] = {}
    flights: dict[str, int] = msgspec.field(
        default_factory=lambda: {"late": 0, "on_time": 0}
    )
    refused: dict[str, int] = {}
    reloads: dict[str, int] = msgspec.field(
        default_factory=lambda: {"swapped": 0, "refused": 0}
    )
    models: dict[str, int] = {}
    lines_lost: int = 0
    recorded: int = 0
    unrecorded: int = 0
    window: Window = msgspec.field(default_factory=Window)

    def add_request(self, route: str, status: int, seconds: float) -> None:
        try:
            counts = self.durations[route][status]
        except KeyError:
            of_route = self.durations.setdefault(route, {})
            counts = of_route[status] = [0] * (SUM + 1)
        counts[bisect_left(BUCKETS, seconds)] += 1
        counts[SUM] += seconds

    def requests(self) -> int:
        """How many requests were answered."""
        return sum(
            int(sum(counts[:SUM]))
            for statuses in self.durations.values()
            for counts in statuses.values()
        )

    def add_refused(self, reasons: Iterable[str]) -> None:
        for reason in reasons:
            self.refused[reason] = self.refused.get(reason, 0) + 1

    def add(self, other: Tally) -> None:
        """Add all that another has counted."""
        for name in (
            "starts",
            "in_flight",
            "lines_lost",
            "recorded",
            "unrecorded",
        ):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in ("flights", "refused", "reloads", "models"):
            own = getattr(self, name)
            for key, count in getattr(other, name).items():
                own[key] = own.get(key, 0) + count
        for route, statuses in other.durations.items():
            mine = self.durations.setdefault(route, {})
            for status, counts in statuses.items():
                zeros = [0.0] * (SUM + 1)
                pairs = zip(mine.get(status, zeros), counts, strict=True)
                mine[status] = [a + b for a, b in pairs]
        self.window.add(other.window)


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Tally).decode


def post(board: Board, worker: int, tally: Tally) -> None:
    """Let the other workers know."""
    board.post(worker, _encode(tally))


def resume(board: Board, worker: int) -> Tally:
    """The tally of a worker that starts: that of the one before it goes on."""
    posted = board.read(worker)
    tally = Tally() if posted is None else _decode(posted)
    # What the one before was working on went with it.
    tally.in_flight = 0
    tally.starts += 1
    return tally


def total(board: Board, worker: int, tally: Tally) -> Tally:
    """The sum of a worker's own tally and those that the others have posted."""
    summed = Tally()
    summed.add(tally)
    for other in range(board.workers):
        if other != worker and (posted := board.read(other)) is not None:
            summed.add(_decode(posted))
    return summed
