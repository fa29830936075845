"""The bodies with flights as structs, and their decoders."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from challenge.flights.fields import CATEGORIES, ORIGIN, SCHEDULED
from challenge.flights.rules import FlightRules
from challenge.flights.structs import flight_fields

FLIGHTS_KEY: Final = "flights"
TOP_KEY: Final = "top"
DEFAULT_TOP: Final = 20


# Structs made of the declaration have no static types.
AskedFlight: Final[Any] = msgspec.defstruct(
    "AskedFlight", flight_fields(), forbid_unknown_fields=True, gc=False
)
_FLIGHTS: Final = (FLIGHTS_KEY, list[AskedFlight])
_Body: Final = msgspec.defstruct("Body", [_FLIGHTS], forbid_unknown_fields=True)
_RankedBody: Final = msgspec.defstruct(
    "RankedBody", [_FLIGHTS, (TOP_KEY, int, DEFAULT_TOP)], forbid_unknown_fields=True
)

# Checks that all of a body is JSON, and leaves its values as text.
_LargeBody: Final = msgspec.defstruct(
    "LargeBody",
    [
        (FLIGHTS_KEY, msgspec.Raw),
        (TOP_KEY, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET),
    ],
    forbid_unknown_fields=True,
)

decode_large_body: Final = msgspec.json.Decoder[Any](_LargeBody).decode
decode_body: Final = msgspec.json.Decoder[Any](_Body).decode
decode_ranked_body: Final = msgspec.json.Decoder[Any](_RankedBody).decode
decode_flights: Final = msgspec.json.Decoder[list[Any]](list[AskedFlight]).decode


def spell_as_known(asked: Any, rules: FlightRules) -> None:
    """Give a flight the vocabulary's own names and its local time: by these a log is
    joined with what happened."""
    for field in CATEGORIES:
        value = getattr(asked, field.attribute)
        setattr(asked, field.attribute, rules.known_name(field.name, value))
    given = {SCHEDULED: asked.scheduled, ORIGIN: asked.origin}
    scheduled = rules.local_time(SCHEDULED, given)
    if isinstance(scheduled, datetime):
        asked.scheduled = str(scheduled)
