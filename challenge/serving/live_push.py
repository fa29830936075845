"""Tells a server what has changed in a file of today's flights, for `live push`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from challenge.errors import MomentError, ServerError
from challenge.files import sent_flights
from challenge.files.flight_changes import Fields, Key, by_key, changes
from challenge.files.formats import ReadOptions
from challenge.files.sent_flights import SentFlights
from challenge.files.telling import ToldFlight
from challenge.files.told_flights import (
    ServedModel,
    local_midnight,
    read_told_flights,
)
from challenge.flights.faults import Fault
from challenge.live.clock import seconds, utc_text
from challenge.live.questions import read_moment
from challenge.serving.live_client import (
    FlightFault,
    LiveServer,
    Receipt,
    served_model,
)

# Until then a flight that was sent may leave or be corrected.
_CORRECTED: Final = timedelta(days=2)
# What a server takes.
_MOST_AHEAD: Final = timedelta(days=35)
# No local time is further from UTC.
_CLOCKS_DIFFER: Final = timedelta(hours=15)
# A server may be emptied while it is told; more often is no chance.
_ROUNDS: Final = 3


@dataclass
class Pushed:
    """What became of a push.

    Attributes:
        receipt: what the server says.
        faults, notes: on flights and rows, with the numbers of the rows.
        without_time: how many rows have no scheduled time.
    """

    receipt: Receipt
    faults: list[str]
    notes: list[str]
    without_time: int


def push(
    server: LiveServer, source: str, at: str | None, path: Path, options: ReadOptions
) -> Pushed:
    """Send the flights of today and those to come; if that was done before, what has
    changed since.

    Args:
        server: the server.
        source: the file.
        at: when it was so; None for now.
        path: the file that keeps what was sent last.
        options: how the file is to be read.

    Raises:
        ServerError: the server refuses, or cannot be reached.
        MomentError: `at` is no time, or before that of the last push.
        MissingColumnsError, FlightsFileError: the file cannot be read, or what was sent
            cannot be kept.
    """
    described = server.model()
    model, state = served_model(described), str(described["live"]["state"])
    moment = _moment(at, model)
    sent = sent_flights.load(path)
    if sent.state == state and moment < sent.at:
        raise MomentError(
            f"{utc_text(moment)} is before the last push of this file, "
            f"{utc_text(sent.at)}: it would change nothing"
        )
    now = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
    first, last = now - _CORRECTED - _CLOCKS_DIFFER, now + _MOST_AHEAD + _CLOCKS_DIFFER
    told = read_told_flights(source, model, first, last, options)
    keyed = by_key(told.flights)
    wanted = {
        key: [one.fields for one in same]
        for key, same in keyed.items()
        if key in sent.flights or _is_to_be_told(same[0], moment)
    }
    sent.forget_before(str(first))
    receipt = _send(server, wanted, sent, state, moment, path)
    receipt.rejected += len(told.faults)
    rows = [f"row {row}: {fault}" for row, fault in told.faults]
    return Pushed(
        receipt,
        rows + [_text(fault, keyed) for fault in receipt.faults],
        [_text(note, keyed) for note in receipt.notes],
        told.without_time,
    )


def _send(
    server: LiveServer,
    wanted: Mapping[Key, Sequence[Fields]],
    sent: SentFlights,
    state: str,
    at: int,
    path: Path,
) -> Receipt:
    for _ in range(_ROUNDS):
        if sent.state != state:
            sent = SentFlights(state)
        total = Receipt()
        try:
            for receipt in server.tell(changes(wanted, sent.flights), at):
                if receipt.state != state:
                    break
                total.add(receipt)
                sent.at = at
                for change in receipt.taken:
                    sent.add(change.key, change.place, change.fields)
            else:
                return total
        finally:
            # Also of what was acknowledged before the server was gone.
            if total.state:
                sent_flights.save(path, sent)
        state = receipt.state
    raise ServerError(server.url, "is emptied again and again while it is told")


def _moment(at: str | None, model: ServedModel) -> int:
    """The moment that is meant, in seconds since 1970, UTC."""
    if at is None:
        return int(time.time())
    moment = read_moment(at, model.clocks)
    if isinstance(moment, Fault):
        raise MomentError(moment.msg)
    return moment


def _is_to_be_told(flight: ToldFlight, at: int) -> bool:
    """Whether a flight is one of today or to come, and the server takes it."""
    latest = at + int(_MOST_AHEAD.total_seconds())
    return local_midnight(flight.zone, at) <= flight.scheduled <= latest


def _text(fault: FlightFault, keyed: Mapping[Key, Sequence[ToldFlight]]) -> str:
    if fault.change is None:
        return fault.text
    return f"row {keyed[fault.change.key][fault.change.place].row}: {fault.text}"
