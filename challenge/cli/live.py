"""Commands that tell a server of the day's flights: `live …`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer

from challenge.cli.options import FILE, Json
from challenge.cli.output import print_json
from challenge.cli.reading import reads_flights
from challenge.files.formats import ReadOptions

DEFAULT_URL: Final = "http://127.0.0.1:8000"
_FAULTS_SHOWN: Final = 20

Url = Annotated[str, typer.Option("--url", help="The server.")]
FeedKey = Annotated[
    str | None,
    typer.Option(
        "--key",
        envvar="FEED_KEY",
        help="Key of the feed, for servers with FEED_KEYS.",
    ),
]


@reads_flights(past=False)
def push(
    source: Annotated[str, typer.Argument(help=f"Today's flights: {FILE}.")],
    url: Url = DEFAULT_URL,
    key: FeedKey = None,
    at: Annotated[
        str | None,
        typer.Option(
            "--at",
            help="When it was as the file says, like '2017-03-06 08:15' or "
            "2017-03-06T08:15-03:00. By default now.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="File that keeps what was sent last. By default one for each server "
            "and file in $XDG_STATE_HOME or ~/.local/state."
        ),
    ] = None,
    as_json: Json = False,
    *,
    reading: ReadOptions,
) -> None:
    """Tell a server what a file says of the flights of today and those to come.

    The first time all of them are sent, then what has changed since. A flight that is
    no longer in the file stays as it was told.

    Examples:

        flight-prophet live push today.csv --url http://127.0.0.1:8000

        * * * * *  FEED_KEY=… flight-prophet live push today.xlsx --url http://…
    """
    from challenge.files.sent_flights import default_path
    from challenge.serving.live_client import LiveServer
    from challenge.serving.live_push import push as run

    path = state or default_path(url, source, os.environ)
    pushed = run(LiveServer(url, key), source, at, path, reading)
    receipt = pushed.receipt
    _print_faults(pushed.faults)
    _print_faults(pushed.notes)
    if as_json:
        names = ("accepted", "rejected", "clock", "state")
        print_json({name: getattr(receipt, name) for name in names})
        return
    told = [f"{receipt.accepted:,} flights told" if receipt.accepted else "nothing new"]
    if receipt.rejected:
        told.append(f"{receipt.rejected:,} refused")
    if pushed.without_time:
        told.append(f"{pushed.without_time:,} rows without a time")
    print(f"{', '.join(told)}; the clock is {_time(receipt.clock)}")


@reads_flights(past=False)
def play(
    source: Annotated[str, typer.Argument(help=f"Past flights: {FILE}.")],
    day: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d"], help="The day, like 2013-07-10."),
    ],
    url: Url = DEFAULT_URL,
    key: FeedKey = None,
    speed: Annotated[
        float,
        typer.Option(
            min=0, help="Seconds of the day that pass in one; 0 for as many as can be."
        ),
    ] = 60,
    begin: Annotated[
        datetime | None,
        typer.Option(
            "--from",
            formats=["%H:%M"],
            help="When to begin, by the clock of the airport, or of most; what was known "
            "by then is told at once. By default at midnight.",
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            "--until",
            formats=["%H:%M"],
            help="When to end. By default when the last flight has left.",
        ),
    ] = None,
    *,
    reading: ReadOptions,
) -> None:
    """Play a past day to a server as it became known.

    First it is told the schedule with the aircraft, then each departure and arrival at
    its time. It must serve a model that does not know the day.

    Examples:

        flight-prophet live play flights.csv --day 2013-07-10 --speed 600

        flight-prophet live play flights.csv --day 2013-07-10 --from 06:00 --until 23:00
    """
    from challenge.serving.live_client import LiveServer
    from challenge.serving.live_play import HOURS_AHEAD
    from challenge.serving.live_play import play as run

    hours = run(
        LiveServer(url, key),
        source,
        day.date(),
        speed,
        None if begin is None else begin.time(),
        None if end is None else end.time(),
        reading,
    )
    for hour in hours:
        _print_faults(hour.faults)
        share = hour.late_last_hour / (hour.left_last_hour or 1)
        ahead = hour.expected_late / (hour.to_come or 1)
        print(
            f"{hour.time}  {hour.left:5,} left; of the last hour's "
            f"{hour.left_last_hour:4,} late {hour.late_last_hour:4,} ({share:4.0%}); of "
            f"{hour.to_come:4,} in the next {HOURS_AHEAD} hours {hour.expected_late:6.1f} "
            f"expected late ({ahead:4.0%})",
            flush=True,
        )


def status(url: Url = DEFAULT_URL, key: FeedKey = None, as_json: Json = False) -> None:
    """Show what a server has heard of the day's flights.

    Example:

        flight-prophet live status --url http://127.0.0.1:8000
    """
    from challenge.cli import tables
    from challenge.serving.live_client import LiveServer, as_moment

    live = LiveServer(url, key).model()["live"]
    if as_json:
        print_json(live)
        return
    heard = "none"
    if live["heard"] is not None:
        ago = max(0, int(time.time()) - as_moment(live["heard"]))
        heard = f"{timedelta(seconds=ago)} ago"
        if live["stale_since"] is not None:
            heard += "; answers are no longer of now"
    durable = "yes" if live["durable"] else "no, it ends with the server"
    rows = [
        ("clock", _time(live["clock"])),
        ("last message", heard),
        ("flights", f"{live['flights']:,}"),
        ("durable", durable),
        ("store", str(live["store"])),
    ]
    tables.show(tables.columns(rows))


def reset(
    url: Url = DEFAULT_URL,
    key: FeedKey = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let a server forget all that it was told of flights.

    Example:

        flight-prophet live reset --url http://127.0.0.1:8000 --yes
    """
    from challenge.serving.live_client import LiveServer

    server = LiveServer(url, key)
    known = server.model()["live"]["flights"]
    if not yes:
        question = f"Let {server.url} forget {known:,} flights?"
        typer.confirm(question, abort=True)
    server.forget()
    print(f"{known:,} flights forgotten")


def _print_faults(faults: Sequence[str]) -> None:
    for fault in islice(faults, _FAULTS_SHOWN):
        print(fault, file=sys.stderr)
    if len(faults) > _FAULTS_SHOWN:
        print(f"and {len(faults) - _FAULTS_SHOWN:,} more", file=sys.stderr)


def _time(told: str | None) -> str:
    """A moment that a server tells, for people."""
    if told is None:
        return "none, as nothing was heard"
    return f"{datetime.fromisoformat(told).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
