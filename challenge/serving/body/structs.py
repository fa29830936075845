"""The bodies with flights as structs, and their decoders."""

from __future__ import annotations

from typing import Annotated, Final, TypeAlias

import msgspec

from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_NUMBER,
    FLIGHT_NUMBER_LENGTH,
    FLIGHT_TYPE,
    MONTH,
    SCHEDULED,
)

FLIGHTS_KEY: Final = "flights"
TOP_KEY: Final = "top"
DEFAULT_TOP: Final = 20

_FlightNumber: TypeAlias = (
    Annotated[str, msgspec.Meta(max_length=FLIGHT_NUMBER_LENGTH)] | None
)


class AskedFlight(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A flight of a request."""

    airline: str = msgspec.field(name=AIRLINE)
    flight_type: str = msgspec.field(name=FLIGHT_TYPE)
    month: int = msgspec.field(name=MONTH)
    destination: str | None = msgspec.field(name=DESTINATION, default=None)
    scheduled: str | None = msgspec.field(name=SCHEDULED, default=None)
    flight_number: _FlightNumber = msgspec.field(name=FLIGHT_NUMBER, default=None)


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /predict and POST /explain."""

    flights: list[AskedFlight]


class RankedBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of POST /rank."""

    flights: list[AskedFlight]
    top: int = DEFAULT_TOP


decode_body: Final = msgspec.json.Decoder(Body).decode
decode_ranked_body: Final = msgspec.json.Decoder(RankedBody).decode
decode_flights: Final = msgspec.json.Decoder(list[AskedFlight]).decode
