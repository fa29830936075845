"""Reads the flights of a JSON body while it arrives.

A small body is decoded in one pass, straight into cells. If it is not valid, it is decoded
again value by value, to list its faults. A large body is cut between flights into slices
that are read like that, and other requests have their turn in between.

Cutting is safe: JSON is read from its start in only one way, so a slice that decodes as a
list of flights ends where a flight ends. Where a slice does not decode, the rest of the
body is read item by item, so that it takes no more memory than its text, whatever it is.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import msgspec
from starlette.types import Receive

from challenge.flights.faults import INPUT_SHOWN, Fault, shown
from challenge.flights.fields import FIELD_OF
from challenge.flights.rules import unknown_fields
from challenge.live.known import Question
from challenge.live.questions import Places
from challenge.model import DelayModel
from challenge.serving.body.budget import BodyBudget, Held
from challenge.serving.body.items import (
    MAX_ITEM_BYTES,
    ItemTooLongError,
    list_items,
)
from challenge.serving.body.structs import (
    DEFAULT_TOP,
    FLIGHTS_KEY,
    TOP_KEY,
    AskedFlight,
    decode_body,
    decode_flights,
    decode_large_body,
    decode_ranked_body,
    question_of,
    spell_as_known,
    tell_as_known,
)
from challenge.serving.problems import (
    FaultList,
    RejectedRequest,
    rejection,
    request_fault,
    too_large,
)

SLICE_BYTES: Final = 65_536
TURN_SECONDS: Final = 0.002

_OPENING: Final = re.compile(rb'\s*\{\s*"flights"\s*:\s*\[')
_BETWEEN_FLIGHTS: Final = re.compile(rb"\}\s*(,)\s*\{")


class FlightsReader:
    """Reads the flights of one request.

    Args:
        model: its vocabulary and grid code the flights.
        max_flights: the limit on the number of flights.
        max_bytes: the limit on the size of the body.
        budget: of the bytes that all requests hold together.
        begin: called before anything is read; an error it raises ends the reading.
        has_top: whether the body may have `top`, the number of flights to return.
        keep: whether to keep the flights as requested.
        average: whether a name that is not known is taken as not given, where it may be.

    Attributes:
        cells: the flights as numbers of cells of the model's grid.
        questions: by their positions, of the flights to whose odds the day may add
            something.
        asked: the flights as requested, if they are kept.
        flight_numbers: the number of each flight, None for those without; empty if no
            flight has one.
        top: the number of flights to return.
        notes: the names that were taken as not given.
    """

    def __init__(
        self,
        model: DelayModel,
        max_flights: int,
        max_bytes: int,
        budget: BodyBudget,
        begin: Callable[[], None] = lambda: None,
        has_top: bool = False,
        keep: bool = False,
        average: bool = False,
    ) -> None:
        self.cells: list[int] = []
        self.questions: dict[int, Question] = {}
        self.asked: list[Any] = []
        self._flight_numbers: list[str | None] = []
        self.notes = FaultList()
        self._keep = keep
        self._average = average
        self.top = DEFAULT_TOP
        self._has_top = has_top
        self._model = model
        self._max_flights = max_flights
        self._max_bytes = max_bytes
        self._budget = budget
        self._begin = begin
        self._faults = FaultList()
        self._flights = 0
        self._consumed = 0
        self._buffer = bytearray()
        self._cuttable = True
        self._places = Places()

    @property
    def flight_numbers(self) -> list[str | None]:
        return self._flight_numbers if any(self._flight_numbers) else []

    async def read(self, receive: Receive) -> list[int]:
        """Read the body and return the cells of its flights.

        Raises:
            RejectedRequest: the body is too large, or not valid, or there is no room
                for it at this time.
        """
        size, more = 0, True
        held = None
        try:
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise RejectedRequest(499)
                chunk = message.get("body", b"")
                more = message.get("more_body", False)
                size += len(chunk)
                if size > self._max_bytes:
                    raise too_large("body", self._max_bytes)
                self._buffer += chunk
                if not self._consumed:
                    self._begin()
                while self._cuttable and len(self._buffer) > SLICE_BYTES:
                    if not await self._read_slice():
                        break
                if more:
                    held = held or Held(self._budget)
                    held.hold(len(self._buffer))
            await self._read_rest()
        finally:
            if held is not None:
                held.hold(0)
        return self._checked()

    async def read_values(self, flights: Iterable[object]) -> list[int]:
        """The cells of flights that are decoded already.

        Raises:
            RejectedRequest: there are too many flights, or some are not valid.
        """
        await self._read_values(flights)
        return self._checked()

    def _checked(self) -> list[int]:
        if self._faults:
            raise RejectedRequest(400, *self._faults.told())
        return self.cells

    async def _read_slice(self) -> bool:
        """Read a slice of flights from the buffer; False if it cannot be cut yet."""
        start = 0
        if not self._consumed:
            opening = _OPENING.match(self._buffer)
            if opening is None:
                self._cuttable = False
                return False
            start = opening.end()
        cut = _BETWEEN_FLIGHTS.search(self._buffer, SLICE_BYTES - SLICE_BYTES // 8)
        if cut is None:
            # No flight is that long; do not search the same bytes again and again.
            self._cuttable = len(self._buffer) < 4 * SLICE_BYTES
            return False
        end = cut.end(1)
        text = b"[" + self._buffer[start : end - 1] + b"]"
        try:
            await self._read_flights(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._cuttable = False
            return False
        self._consumed += end
        # The match refers to the buffer, which cannot shrink meanwhile.
        del cut, self._buffer[:end]
        await asyncio.sleep(0)
        return True

    async def _read_flights(self, text: bytes) -> None:
        try:
            self._add(decode_flights(text))
        except (msgspec.ValidationError, KeyError, ValueError):
            await self._read_values(msgspec.json.decode(text))

    async def _read_rest(self) -> None:
        text = b'{"flights":[' + self._buffer if self._consumed else bytes(self._buffer)
        self._buffer.clear()
        is_large = len(text) > MAX_ITEM_BYTES
        # A large one may hold more flights than may be decoded.
        if not is_large or text.count(b"{") <= self._max_flights + 1:
            try:
                self._add_body(text)
                return
            except (msgspec.DecodeError, KeyError, ValueError, RecursionError):
                pass
        if is_large:
            await asyncio.sleep(0)
            await self._read_large(text)
        else:
            await self._read_whole(text)

    def _add_body(self, text: bytes) -> None:
        """Code the flights of a body, or raise an error and add none of them."""
        if self._has_top:
            ranked = decode_ranked_body(text)
            if ranked.top < 1:
                raise ValueError
            self.top, flights = ranked.top, ranked.flights
        else:
            flights = decode_body(text).flights
        if not (flights or self._flights):
            raise ValueError
        self._add(flights)

    def _add(self, flights: list[Any]) -> None:
        """Code the flights, or raise KeyError or ValueError and add none of them."""
        cells = self._model.encoder.look_up(flights)
        self._count(len(cells))
        self._ask(flights, cells)
        self.cells += cells
        self._flight_numbers += [flight.flight_number for flight in flights]
        if self._keep:
            self.asked += flights

    def _ask(self, flights: list[Any], cells: list[int]) -> None:
        """Take note of what is asked about the next flights, which are valid."""
        if (day := self._model.day) is None:
            return
        for place, flight in enumerate(flights, start=len(self.cells)):
            if flight.scheduled:
                cell = cells[place - len(self.cells)]
                question = question_of(day, flight, cell, self._places)
                if question is not None:
                    self.questions[place] = question
                    if self._keep and day.known is not None:
                        tell_as_known(flight, question, day)

    async def _read_whole(self, text: bytes) -> None:
        """Decode a small body value by value, to list its faults."""
        try:
            body = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._not_json(error) from None
        if not isinstance(body, dict):
            message = f'{shown(body)} is not an object like {{"flights": [...]}}'
            raise RejectedRequest(400, request_fault([], "object_type", message, body))
        known = (FLIGHTS_KEY, TOP_KEY) if self._has_top else (FLIGHTS_KEY,)
        for name, value in body.items():
            if name not in known:
                message = "is not a field of a request"
                self._add_fault(name, "extra_forbidden", message, value)
        if self._has_top:
            self._read_top(body.get(TOP_KEY, DEFAULT_TOP))
        if FLIGHTS_KEY not in body:
            self._add_fault(FLIGHTS_KEY, "missing", "is required")
            return
        items = body[FLIGHTS_KEY]
        if not isinstance(items, list):
            message = f"{shown(items)} is not a list of flights"
            self._add_fault(FLIGHTS_KEY, "list_type", message, items)
        elif not items and not self._flights:
            message = "holds no flight; give at least one"
            self._add_fault(FLIGHTS_KEY, "too_short", message, items)
        else:
            await self._read_values(items)

    async def _read_large(self, text: bytes) -> None:
        """Decode a large body item by item, to list its faults."""
        try:
            body = decode_large_body(text)
        except msgspec.ValidationError as error:
            # Its other faults are told once this one is mended.
            raise RejectedRequest(400, _fault_of_body(str(error))) from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise self._not_json(error) from None
        await asyncio.sleep(0)
        if body.top is not msgspec.UNSET:
            if self._has_top:
                self._read_top(_small(body.top))
            else:
                message = "is not a field of a request"
                self._add_fault(TOP_KEY, "extra_forbidden", message, _small(body.top))
        flights = bytes(body.flights)
        if not flights.startswith(b"["):
            message = f"{shown(_small(body.flights))} is not a list of flights"
            self._add_fault(FLIGHTS_KEY, "list_type", message)
            return
        before = self._flights
        try:
            await self._read_values(list_items(flights))
        except ItemTooLongError:
            message = f"the flight is over {MAX_ITEM_BYTES:,} bytes"
            self._add_fault_of_item("too_long", message, {"bytes": MAX_ITEM_BYTES})
        except RecursionError:
            message = "the flight is nested too deeply"
            self._add_fault_of_item("json_invalid", message, {"reason": "nested"})
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"the flight is not JSON: {error}"
            self._add_fault_of_item("json_invalid", message, {"problem": str(error)})
        if self._flights == before == 0 and not self._faults:
            message = "holds no flight; give at least one"
            self._add_fault(FLIGHTS_KEY, "too_short", message, [])

    def _not_json(self, error: Exception) -> RejectedRequest:
        problem = self._with_position(error)
        message, ctx = f"the body is not JSON: {problem}", {"problem": problem}
        if isinstance(error, RecursionError):
            message, ctx = "the body is nested too deeply", {"reason": "nested"}
        return rejection(400, "json_invalid", message, ctx=ctx)

    def _read_top(self, top: object) -> None:
        if type(top) is int and top >= 1:
            self.top = top
            return
        kind = "out_of_range" if type(top) is int else "int_type"
        message = f"{shown(top)} is not a whole number of 1 or more"
        self._faults.add(request_fault([TOP_KEY], kind, message, top, {"low": 1}))

    def _add_fault(
        self, name: str, kind: str, message: str, given: object = None
    ) -> None:
        self._faults.add(request_fault([name], kind, message, given))

    def _add_fault_of_item(
        self, kind: str, message: str, ctx: Mapping[str, Any]
    ) -> None:
        """Add what is wrong with the next flight, after which none can be read."""
        loc = [FLIGHTS_KEY, self._flights]
        self._faults.add(request_fault(loc, kind, message, ctx=ctx))

    async def _read_values(self, items: Iterable[object]) -> None:
        turn_ends = time.perf_counter() + TURN_SECONDS
        for position, item in enumerate(items, start=self._flights):
            self._count(1)
            outcome = self._read_value(position, item)
            if isinstance(outcome, int):
                asked = msgspec.convert(item, AskedFlight, strict=False)
                self._ask([asked], [outcome])
                self.cells.append(outcome)
                self._flight_numbers.append(asked.flight_number)
                if self._keep:
                    spell_as_known(asked, self._model.encoder.rules)
                    self.asked.append(asked)
            else:
                for one in outcome:
                    self._faults.add(flight_fault(position, one))
            if time.perf_counter() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.perf_counter() + TURN_SECONDS

    def _read_value(self, position: int, item: object) -> int | list[Fault]:
        if not isinstance(item, dict):
            return [Fault((), "object_type", f"{shown(item)} is not a flight", item)]
        extra = unknown_fields(item)
        known = {name: value for name, value in item.items() if name in FIELD_OF}
        # Looking for the nearest name takes long, and of more faults it is not told.
        hints = not self._faults.is_full
        if self._average:
            outcome, notes = self._model.encoder.cell_averaged(known, hints)
            for note in notes:
                self.notes.add(flight_fault(position, note))
        else:
            outcome = self._model.encoder.cell(known, hints)
        if not extra:
            return outcome
        return extra if isinstance(outcome, int) else outcome + extra

    def _count(self, flights: int) -> None:
        self._flights += flights
        if self._flights > self._max_flights:
            limit = f"{self._max_flights:,} flights"
            message = f"holds more than {limit}; send several requests"
            ctx = {"flights": self._max_flights}
            raise RejectedRequest(
                413, request_fault([FLIGHTS_KEY], "too_long", message, ctx=ctx)
            )

    def _with_position(self, error: Exception) -> str:
        """The decoder's message, with the position in the whole body."""
        moved = self._consumed - len('{"flights":[') if self._consumed else 0
        position = re.compile(r"(?<=\(byte )\d+(?=\))")
        return position.sub(lambda match: str(int(match[0]) + moved), str(error))


def _fault_of_body(message: str) -> Fault:
    """What is wrong with a body that msgspec cannot convert."""
    unknown = re.search("unknown field `(.*)`", message)
    if unknown is not None:
        kind, message = "extra_forbidden", "is not a field of a request"
        return request_fault([unknown[1]], kind, message)
    if "missing required field" in message:
        return request_fault([FLIGHTS_KEY], "missing", "is required")
    message = 'the body is not an object like {"flights": [...]}'
    return request_fault([], "object_type", message)


def _small(raw: msgspec.Raw) -> object:
    """A value that is no list of flights, or the start of its text if it is large."""
    text = bytes(raw)
    if len(text) > MAX_ITEM_BYTES:
        return text[:INPUT_SHOWN].decode(errors="replace")
    return msgspec.json.decode(text)


def flight_fault(position: int, fault: Fault) -> Fault:
    """A fault of a flight as one of its request."""
    loc = [FLIGHTS_KEY, position, *fault.loc]
    return request_fault(loc, fault.type, fault.msg, fault.input, fault.ctx)
