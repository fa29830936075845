"""The flights of a JSON body, read while it arrives.

A small body is decoded in one pass: straight into cells if nothing is wrong, value by
value if something is, to tell everything that is. A large one is cut between flights
into slices, each read like that, and other requests have their turn in between.

Cutting is safe: a slice that decodes as a list of flights ends where a flight ends, as
JSON has one reading from the start. Where a slice does not, the rest of the body is
left in one piece.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeAlias

import msgspec
from starlette.types import Receive, Scope

from challenge.flights.faults import Fault, shown
from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_NUMBER,
    FLIGHT_NUMBER_LENGTH,
    FLIGHT_TYPE,
    MONTH,
    REQUEST_FIELDS,
    REQUIRED_FIELDS,
    SCHEDULED,
)
from challenge.flights.times import TIME_PATTERN
from challenge.model import DelayModel
from challenge.serving.problems import RefusedRequest, RequestFault, request_fault

JSON: Final = b"application/json"
FLIGHTS: Final = "flights"
TOP: Final = "top"
DEFAULT_TOP: Final = 20
SLICE_BYTES: Final = 65_536
TURN_SECONDS: Final = 0.002

_OPENING: Final = re.compile(rb'\s*\{\s*"flights"\s*:\s*\[')
_BETWEEN_FLIGHTS: Final = re.compile(rb"\}\s*(,)\s*\{")


_FlightNumber: TypeAlias = (
    Annotated[str, msgspec.Meta(max_length=FLIGHT_NUMBER_LENGTH)] | None
)
_FLIGHT_SCHEMA: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": list(REQUIRED_FIELDS),
    "properties": {
        "OPERA": {
            "type": "string",
            "minLength": 1,
            "description": "The airline, as the model knows it",
        },
        "TIPOVUELO": {
            "type": "string",
            "enum": ["I", "N"],
            "description": "International or national",
        },
        "MES": {"type": "integer", "minimum": 1, "maximum": 12},
        "SIGLADES": {
            "type": ["string", "null"],
            "description": "The destination's city, as the model knows it",
        },
        "Fecha-I": {
            "type": ["string", "null"],
            "pattern": f"^({TIME_PATTERN})?$",
            "description": "Scheduled local time, in the month that MES says",
        },
        "Vlo-I": {
            "type": ["string", "null"],
            "maxLength": FLIGHT_NUMBER_LENGTH,
            "description": "The flight's number: recorded and given back, no more",
        },
    },
}


def _described(properties: dict[str, Any], **examples: Any) -> dict[str, Any]:
    """How OpenAPI describes a body of flights with these further properties."""
    listed = {"type": "array", "minItems": 1, "items": _FLIGHT_SCHEMA}
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": [FLIGHTS],
        "properties": {FLIGHTS: listed, **properties},
    }
    content = {"application/json": {"schema": schema, **examples}}
    return {"required": True, "content": content}


BODY: Final = _described(
    {},
    examples={
        "three fields": {
            "value": {FLIGHTS: [{"OPERA": "Grupo LATAM", "TIPOVUELO": "N", "MES": 3}]}
        },
        "all fields": {
            "value": {
                FLIGHTS: [
                    {
                        "OPERA": "Grupo LATAM",
                        "TIPOVUELO": "I",
                        "MES": 3,
                        "SIGLADES": "Lima",
                        "Fecha-I": "2017-03-06 08:15:00",
                        "Vlo-I": "LA530",
                    }
                ]
            }
        },
    },
)
RANKED_BODY: Final = _described(
    {
        TOP: {
            "type": "integer",
            "minimum": 1,
            "default": DEFAULT_TOP,
            "description": "How many flights are wanted",
        }
    },
    example={
        FLIGHTS: [
            {"OPERA": "Grupo LATAM", "TIPOVUELO": "N", "MES": 3},
            {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 12},
        ],
        TOP: 1,
    },
)


class AskedFlight(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A flight as a request gives it."""

    airline: str = msgspec.field(name=AIRLINE)
    flight_type: str = msgspec.field(name=FLIGHT_TYPE)
    month: int = msgspec.field(name=MONTH)
    destination: str | None = msgspec.field(name=DESTINATION, default=None)
    scheduled: str | None = msgspec.field(name=SCHEDULED, default=None)
    flight_number: _FlightNumber = msgspec.field(name=FLIGHT_NUMBER, default=None)


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    flights: list[AskedFlight]


class _RankedBody(msgspec.Struct, forbid_unknown_fields=True):
    flights: list[AskedFlight]
    top: int = DEFAULT_TOP


_decode_body: Final = msgspec.json.Decoder(_Body).decode
_decode_ranked_body: Final = msgspec.json.Decoder(_RankedBody).decode
_decode_flights: Final = msgspec.json.Decoder(list[AskedFlight]).decode


class FlightsReader:
    """Reads the flights of one request.

    Args:
        model: whose vocabulary and grid they are read with.
        max_flights: how many there may be.
        max_bytes: how large the body may be.
        begin: called before anything is read; what it raises ends the reading.
        has_top: whether the body may say how many flights are wanted.
        keep: whether to keep the flights as they were asked about.

    Attributes:
        cells: the numbers of the flights in the model's grid.
        asked: the flights themselves, if they are kept.
        flight_numbers: those of the flights that have one, None for the others; empty
            if none has.
        top: how many flights are wanted.
    """

    def __init__(
        self,
        model: DelayModel,
        max_flights: int,
        max_bytes: int,
        begin: Callable[[], None] = lambda: None,
        has_top: bool = False,
        keep: bool = False,
    ) -> None:
        self.cells: list[int] = []
        self.asked: list[AskedFlight] = []
        self._flight_numbers: list[str | None] = []
        self._keep = keep
        self.top = DEFAULT_TOP
        self._has_top = has_top
        self._model = model
        self._max_flights = max_flights
        self._max_bytes = max_bytes
        self._begin = begin
        self._faults: list[RequestFault] = []
        self._flights = 0
        self._consumed = 0
        self._rest = bytearray()
        self._cuttable = True

    @property
    def flight_numbers(self) -> list[str | None]:
        return self._flight_numbers if any(self._flight_numbers) else []

    async def read(self, receive: Receive) -> list[int]:
        """The cells of all flights of a request.

        Raises:
            RefusedRequest: it is too large, or something is wrong with it.
        """
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise RefusedRequest(499)
            chunk = message.get("body", b"")
            more = message.get("more_body", False)
            size += len(chunk)
            if size > self._max_bytes:
                raise RefusedRequest(413, _too_large(self._max_bytes))
            self._rest += chunk
            if not self._consumed:
                self._begin()
            while self._cuttable and len(self._rest) > SLICE_BYTES:
                if not await self._read_slice():
                    break
        await self._read_rest()
        if self._faults:
            raise RefusedRequest(400, *self._faults)
        return self.cells

    async def read_values(self, flights: list[object]) -> list[int]:
        """The cells of flights that were decoded before.

        Raises:
            RefusedRequest: there are too many, or something is wrong with them.
        """
        await self._read_values(flights)
        if self._faults:
            raise RefusedRequest(400, *self._faults)
        return self.cells

    async def _read_slice(self) -> bool:
        """Read the flights at the start of the rest; False if it cannot be cut yet."""
        start = 0
        if not self._consumed:
            opening = _OPENING.match(self._rest)
            if opening is None:
                self._cuttable = False
                return False
            start = opening.end()
        cut = _BETWEEN_FLIGHTS.search(self._rest, SLICE_BYTES - SLICE_BYTES // 8)
        if cut is None:
            # No flight is that long: do not search the same bytes over and over.
            self._cuttable = len(self._rest) < 4 * SLICE_BYTES
            return False
        end = cut.end(1)
        text = b"[" + self._rest[start : end - 1] + b"]"
        try:
            await self._read_flights(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            self._cuttable = False
            return False
        self._consumed += end
        # The match looks into the buffer, which cannot shrink under it.
        del cut, self._rest[:end]
        await asyncio.sleep(0)
        return True

    async def _read_flights(self, text: bytes) -> None:
        try:
            self._add(_decode_flights(text))
        except (msgspec.ValidationError, KeyError, ValueError):
            await self._read_values(msgspec.json.decode(text))

    async def _read_rest(self) -> None:
        text = b'{"flights":[' + self._rest if self._consumed else bytes(self._rest)
        try:
            if self._has_top:
                ranked = _decode_ranked_body(text)
                if ranked.top < 1:
                    raise ValueError
                self.top, flights = ranked.top, ranked.flights
            else:
                flights = _decode_body(text).flights
            self._add(flights)
            if self._flights:
                return
        except (msgspec.DecodeError, KeyError, ValueError, RecursionError):
            pass
        await self._read_whole(text)

    def _add(self, flights: list[AskedFlight]) -> None:
        """Look the flights up, or raise KeyError or ValueError and add none of them."""
        lookup = self._model.lookup
        airlines, flight_types = lookup.airlines, lookup.flight_types
        months, destinations, time_of = lookup.months, lookup.destinations, lookup.time
        cells = [
            airlines[flight.airline]
            + flight_types[flight.flight_type]
            + months[flight.month]
            + destinations[flight.destination]
            + (time_of(flight.scheduled, flight.month) if flight.scheduled else 0)
            for flight in flights
        ]
        self._count(len(cells))
        self.cells += cells
        self._flight_numbers += [flight.flight_number for flight in flights]
        if self._keep:
            self.asked += flights

    async def _read_whole(self, text: bytes) -> None:
        """Everything that is wrong with a body, or its flights if nothing is."""
        try:
            body = msgspec.json.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            message = f"the body is not JSON: {self._located(error)}"
            raise RefusedRequest(
                400, request_fault([], "json_invalid", message)
            ) from None
        except RecursionError:
            message = "the body is nested too deeply"
            raise RefusedRequest(
                400, request_fault([], "json_invalid", message)
            ) from None
        if not isinstance(body, dict):
            message = f'{shown(body)} is not an object like {{"flights": [...]}}'
            raise RefusedRequest(400, request_fault([], "object_type", message, body))
        known = (FLIGHTS, TOP) if self._has_top else (FLIGHTS,)
        self._faults += [
            request_fault(
                [name], "extra_forbidden", "is not a field of a request", value
            )
            for name, value in body.items()
            if name not in known
        ]
        if self._has_top:
            self._read_top(body.get(TOP, DEFAULT_TOP))
        if FLIGHTS not in body:
            self._faults.append(request_fault([FLIGHTS], "missing", "is required"))
            return
        listed = body[FLIGHTS]
        if not isinstance(listed, list):
            message = f"{shown(listed)} is not a list of flights"
            fault = request_fault([FLIGHTS], "list_type", message, listed)
            self._faults.append(fault)
        elif not listed and not self._flights:
            message = "holds no flight; give at least one"
            fault = request_fault([FLIGHTS], "too_short", message, listed)
            self._faults.append(fault)
        else:
            await self._read_values(listed)

    def _read_top(self, top: object) -> None:
        if type(top) is int and top >= 1:
            self.top = top
            return
        kind = "out_of_range" if type(top) is int else "int_type"
        message = f"{shown(top)} is not a whole number of 1 or more"
        self._faults.append(request_fault([TOP], kind, message, top))

    async def _read_values(self, items: list[object]) -> None:
        first = self._flights
        self._count(len(items))
        turn_ends = time.perf_counter() + TURN_SECONDS
        for position, item in enumerate(items, start=first):
            outcome = self._read_value(item)
            if isinstance(outcome, int):
                asked = msgspec.convert(item, AskedFlight)
                self.cells.append(outcome)
                self._flight_numbers.append(asked.flight_number)
                if self._keep:
                    self.asked.append(asked)
            else:
                self._faults += [_located(position, fault) for fault in outcome]
            if time.perf_counter() > turn_ends:
                await asyncio.sleep(0)
                turn_ends = time.perf_counter() + TURN_SECONDS

    def _read_value(self, item: object) -> int | list[Fault]:
        if not isinstance(item, dict):
            return [Fault("", "object_type", f"{shown(item)} is not a flight", item)]
        extra = [
            Fault(name, "extra_forbidden", "is not a field of a flight", value)
            for name, value in item.items()
            if name not in REQUEST_FIELDS
        ]
        if not extra:
            return self._model.cell(item)
        known = {name: value for name, value in item.items() if name in REQUEST_FIELDS}
        outcome = self._model.cell(known)
        return extra if isinstance(outcome, int) else outcome + extra

    def _count(self, flights: int) -> None:
        self._flights += flights
        if self._flights > self._max_flights:
            message = f"holds more than {self._max_flights:,} flights; ask in parts"
            raise RefusedRequest(413, request_fault([FLIGHTS], "too_long", message))

    def _located(self, error: Exception) -> str:
        """The decoder's message, its position counted from the start of the body."""
        moved = self._consumed - len('{"flights":[') if self._consumed else 0
        return re.sub(
            r"\(byte (\d+)\)",
            lambda match: f"(byte {int(match[1]) + moved})",
            str(error),
        )


def _located(position: int, fault: Fault) -> RequestFault:
    field = [fault.field] if fault.field else []
    loc = [FLIGHTS, position, *field]
    return request_fault(loc, fault.type, fault.message, fault.input)


def _too_large(limit: int) -> RequestFault:
    return request_fault([], "too_large", f"the body is over {limit:,} bytes")


def check_media_type(scope: Scope) -> None:
    """Raise RefusedRequest if the body is not said to be JSON."""
    given = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            given = value
            break
    if given == JSON or given.partition(b";")[0].strip().lower() == JSON:
        return
    shown_type = shown(given.decode("latin-1"))
    message = f"the media type {shown_type} is not application/json"
    raise RefusedRequest(415, request_fault([], "media_type", message))
