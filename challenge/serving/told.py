"""Reads the messages of POST /flights, and hands what is right of them to the feed."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from challenge.errors import LiveStoreError
from challenge.flights.faults import Fault, shown
from challenge.flights.rules import MISSING
from challenge.live.clock import FIRST_MOMENT
from challenge.live.identity import FlightKey
from challenge.live.messages import AHEAD_SECONDS, incomplete
from challenge.live.state import MAX_FLIGHTS, MESSAGE_SECONDS
from challenge.live.store import NewReport
from challenge.serving.body.items import (
    MAX_ITEM_BYTES,
    ItemTooLongError,
    list_items,
    values_at_most,
)
from challenge.serving.body.reader import TURN_SECONDS, flight_fault
from challenge.serving.body.structs import FLIGHTS_KEY
from challenge.serving.live_feed import LiveFeed
from challenge.serving.problems import (
    FaultList,
    RejectedRequest,
    rejection,
    request_fault,
)

# What is told of a flight at one time, as JSON.
MAX_TOLD_BYTES: Final = 4_096
RETRY_SECONDS: Final = 5
# A message of more is decoded flight by flight.
MAX_VALUES_AT_ONCE: Final = 20_000
_NULL: Final = b"null"


class Message(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /flights, with its values as text."""

    at: msgspec.Raw = msgspec.Raw(_NULL)
    flights: msgspec.Raw = msgspec.Raw(_NULL)


class MessageReader:
    """Reads one message.

    Args:
        feed: what is known.
        max_flights: how many it may have.

    Attributes:
        accepted, rejected: how many flights are taken note of, and are not.
        at: the moment of the message, in seconds since 1970, UTC.
        faults: what is wrong with those that are not.
        notes: what is not as it should be of those that are.
    """

    def __init__(self, feed: LiveFeed, max_flights: int) -> None:
        self.accepted = self.rejected = 0
        self.at = 0
        self.faults = FaultList()
        self.notes = FaultList()
        self._feed = feed
        self._max_flights = max_flights
        self._reports: list[NewReport] = []
        self._new: set[FlightKey] = set()
        # Of flights without a number that have all else in common.
        self._equals: Counter[FlightKey] = Counter()

    async def take(self, body: bytes) -> None:
        """Keep what a message tells.

        Raises:
            RejectedRequest: it is none, or cannot be kept at this time.
        """
        message = _decoded(body)
        try:
            at = self.at = self._moment(message.at)
            await self._read(message.flights, at)
            # With the moment alone, where it tells nothing else.
            reports = self._reports or [NewReport(at, 0, b"")]
            await self._feed.tell(reports)
        except LiveStoreError as error:
            raise store_away(error) from None

    def _moment(self, given: msgspec.Raw) -> int:
        """That of the message, now by default."""
        now, text = time.time(), bytes(given)
        if text == _NULL:
            return int(now)
        value = msgspec.json.decode(text) if len(text) < MAX_TOLD_BYTES else ""
        if not isinstance(value, str):
            message = f"{shown(value)} is not a text"
            raise RejectedRequest(
                400, request_fault(["at"], "string_type", message, value)
            )
        moment = self._feed.state.rules.times.moment(value)
        problem, ctx = "", dict[str, Any]()
        if isinstance(moment, Fault):
            raise RejectedRequest(
                400, request_fault(["at"], moment.type, moment.msg, value, moment.ctx)
            )
        clock = self._feed.state.clock
        if moment < FIRST_MOMENT:
            problem, ctx = "of another century", {"reason": "century"}
        elif moment > now + AHEAD_SECONDS:
            minutes = AHEAD_SECONDS // 60
            problem = f"over {minutes} minutes ahead of the server's clock"
            ctx = {"reason": "ahead", "minutes": minutes}
        elif clock is not None and moment < clock - MESSAGE_SECONDS:
            hours = MESSAGE_SECONDS // 3_600
            problem = f"over {hours} hours before the latest message"
            ctx = {"reason": "behind", "hours": hours}
        if problem:
            message = f"{shown(value)} is {problem}"
            raise RejectedRequest(
                400, request_fault(["at"], "out_of_range", message, value, ctx)
            )
        return moment

    async def _read(self, flights: msgspec.Raw, at: int) -> None:
        turn_ends = time.perf_counter() + TURN_SECONDS
        for position, item in enumerate(_items(flights)):
            if position == self._max_flights:
                message = f"holds more than {self._max_flights:,} flights; send several"
                ctx = {"flights": self._max_flights}
                raise RejectedRequest(
                    413, request_fault([FLIGHTS_KEY], "too_long", message, ctx=ctx)
                )
            faults = self._take_item(position, item, at)
            if faults:
                self.rejected += 1
                for fault in faults:
                    self.faults.add(flight_fault(position, fault))
            else:
                self.accepted += 1
            if time.perf_counter() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.perf_counter() + TURN_SECONDS

    def _take_item(self, position: int, item: object, at: int) -> list[Fault]:
        if not isinstance(item, dict):
            return [Fault((), "object_type", f"{shown(item)} is not a flight", item)]
        rules, known = self._feed.state.rules, self._feed.state.flights
        # Looking for the nearest name takes long, and of more faults it is not told.
        hints = not (self.faults.is_full or self.notes.is_full)
        judged = rules.check(item, at, hints)
        faults = [fault for fault in judged.faults if fault.type != MISSING]
        key, place = rules.key(item), 0
        if isinstance(key, list):
            return [*faults, *(one for one in key if one not in faults)]
        if isinstance(key[3], tuple):
            # A faulty one has its place, too.
            place = self._equals[key]
            self._equals[key] += 1
            key = (*key[:3], (key[3][0], place))
        if faults:
            return faults
        told = msgspec.json.encode(item)
        if len(told) > MAX_TOLD_BYTES:
            message = f"the flight is over {MAX_TOLD_BYTES:,} bytes"
            return [Fault((), "too_long", message, ctx={"bytes": MAX_TOLD_BYTES})]
        if key not in known and len(known) + len(self._new) >= MAX_FLIGHTS:
            message = f"{MAX_FLIGHTS:,} flights are known already"
            return [Fault((), "too_many", message, ctx={"most": MAX_FLIGHTS})]
        self._reports.append(NewReport(at, place, told))
        if key not in known:
            self._new.add(key)
        if len(faults) < len(judged.faults):
            if missing := self._feed.state.missing(key, item):
                self.notes.add(flight_fault(position, incomplete(missing)))
        for note in judged.notes:
            self.notes.add(flight_fault(position, note))
        return []


def store_away(error: LiveStoreError) -> RejectedRequest:
    """The rejection of what cannot be kept at this time."""
    message = f"the message cannot be kept: {error.reason}; send it again later"
    ctx = {"problem": error.reason}
    return rejection(503, "store_away", message, RETRY_SECONDS, ctx)


def _decoded(body: bytes) -> Message:
    try:
        return msgspec.json.decode(body, type=Message)
    except msgspec.ValidationError as error:
        message = (
            f'the body is not an object like {{"at": …, "flights": [...]}}: {error}'
        )
        raise rejection(
            400, "object_type", message, ctx={"problem": str(error)}
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"the body is not JSON: {error}"
        raise rejection(
            400, "json_invalid", message, ctx={"problem": str(error)}
        ) from None


def _items(flights: msgspec.Raw) -> Iterator[Any]:
    """The flights of a message one by one."""
    text = bytes(flights)
    if text == _NULL:
        return
    if not text.startswith(b"["):
        message = f"{shown(text[:100].decode(errors='replace'))} is not a list"
        raise RejectedRequest(400, request_fault([FLIGHTS_KEY], "list_type", message))
    try:
        if values_at_most(text) <= MAX_VALUES_AT_ONCE:
            yield from msgspec.json.decode(text)
        else:
            yield from list_items(text)
    except ItemTooLongError:
        message = "holds a value that is too long for a flight"
        raise RejectedRequest(
            400,
            request_fault(
                [FLIGHTS_KEY], "too_long", message, ctx={"bytes": MAX_ITEM_BYTES}
            ),
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"holds what is not JSON: {error}"
        raise RejectedRequest(
            400,
            request_fault(
                [FLIGHTS_KEY], "json_invalid", message, ctx={"problem": str(error)}
            ),
        ) from None
