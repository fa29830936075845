"""Plays a past day to a server, for `live play`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from datetime import time as clock_time
from datetime import timedelta
from typing import Any, Final, NamedTuple

from challenge.errors import FlightsFileError, ServerError
from challenge.files.formats import ReadOptions
from challenge.files.played_day import PlayedDay, moments
from challenge.files.told_flights import read_told_flights
from challenge.flights.fields import DELAY_THRESHOLD_MINUTES, DEPARTED
from challenge.live.clock import utc_text
from challenge.serving.live_client import (
    LiveServer,
    as_moment,
    served_model,
)

HOURS_AHEAD: Final = 3
_HOUR: Final = 3_600
_MOST_LISTED: Final = 10_000
# Of the day before, a flight that was on time left until so long after midnight.
_ON_TIME_SECONDS: Final = DELAY_THRESHOLD_MINUTES * 60
# Other workers of a server follow within a second.
_WAIT_SECONDS: Final = 3.0


class Hour(NamedTuple):
    """How a day stands at a whole hour.

    Attributes:
        time: of the clock of the airport.
        left: how many flights have left since midnight.
        left_last_hour, late_last_hour: in the last hour, and how many of these late.
        to_come: how many flights are to leave in the next HOURS_AHEAD hours.
        expected_late: how many of these the server expects to be late.
        faults: what it said of flights in the last hour.
    """

    time: str
    left: int
    left_last_hour: int
    late_last_hour: int
    to_come: int
    expected_late: float
    faults: list[str]


def play(
    server: LiveServer,
    source: str,
    day: date,
    speed: float,
    begin: clock_time | None = None,
    end: clock_time | None = None,
    options: ReadOptions = ReadOptions(),
) -> Iterator[Hour]:
    """Tell a server the flights of a past day as they became known.

    Args:
        server: the server.
        source: a file with the flights of the day as they left.
        day: the day.
        speed: how many seconds of the day are played in one; 0 for as many as can be.
        begin, end: of what is played; None for midnight, and for the last departure.
        options: how the file is to be read.

    Yields: how the day stands, each hour.

    Raises:
        ServerError: the server knows later flights, refuses, or cannot be reached.
        MissingColumnsError, FlightsFileError: the file cannot be read, or has no flights
            on that day.
    """
    described = server.model()
    first = datetime.combine(day, clock_time())
    last = first + timedelta(days=1)
    model = served_model(described)
    told = read_told_flights(source, model, first, last, options, (DEPARTED,))
    if not told.flights:
        raise FlightsFileError(source, f"has no flights on {day}")
    played = PlayedDay(told.flights, day)
    midnight = played.moment()
    start = played.moment(begin or clock_time())
    _check(server, described, played.begun_everywhere, start)
    played.sent.state = described["live"]["state"]
    faults = [f"row {row}: {fault}" for row, fault in told.faults]
    stop = played.end if end is None else played.moment(end)
    for moment in moments(start, stop, midnight, speed):
        faults += _tell(server, played, moment)
        if (moment - midnight) % _HOUR == 0:
            yield _hour(server, played, moment, faults)
            faults = []


def _check(
    server: LiveServer, described: Mapping[str, Any], begun: int, start: int
) -> None:
    """Refuse to play where answers would not be forecasts."""
    live = described["card"]["live"]
    until = None if live is None else live["until"]
    if until is not None and as_moment(until) > begun + _ON_TIME_SECONDS:
        raise ServerError(
            server.url,
            f"serves a model that knows how flights left until {until}: that is no "
            "forecast of the day; train one with the flights before",
        )
    heard, clock = described["live"]["heard"], described["live"]["clock"]
    # Of what it has not heard, the clock is that of the model's own flights.
    if heard is not None and as_moment(clock) > start:
        raise ServerError(
            server.url,
            f"has heard of flights until {clock}, which is after {utc_text(start)}; "
            "empty it by `flight-prophet live reset`",
        )


def _tell(server: LiveServer, played: PlayedDay, moment: int) -> list[str]:
    """Tell what is new at a moment; what the server says of it."""
    faults = []
    for receipt in server.tell(played.changes(moment), moment):
        if receipt.state != played.sent.state:
            raise ServerError(server.url, "was emptied while the day was played")
        for change in receipt.taken:
            played.sent.add(change.key, change.place, change.fields)
        faults += [
            (
                fault.text
                if fault.change is None
                else f"row {played.row(fault.change)}: {fault.text}"
            )
            for fault in receipt.faults
        ]
    return faults


def _hour(
    server: LiveServer, played: PlayedDay, moment: int, faults: list[str]
) -> Hour:
    # Those behind the clock are late already, or will never leave.
    to_come = [one for one in _listed(server, moment) if one["minutes"] >= 0]
    left, before = played.left(moment), played.left(moment - _HOUR)
    return Hour(
        played.shown(moment),
        left,
        left - before,
        played.late(moment - _HOUR, moment),
        len(to_come),
        sum(one["probability"] or 0.0 for one in to_come),
        faults,
    )


def _listed(server: LiveServer, moment: int) -> list[dict[str, Any]]:
    """The flights to come, as they are once the server's clock is there."""
    until = time.monotonic() + _WAIT_SECONDS
    while True:
        listed = server.flights(hours=HOURS_AHEAD, limit=_MOST_LISTED)
        is_there = listed["clock"] and as_moment(listed["clock"]) >= moment
        if is_there or time.monotonic() > until:
            flights: list[dict[str, Any]] = listed["flights"]
            return flights
        time.sleep(0.1)
