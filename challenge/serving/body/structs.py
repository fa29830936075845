"""The bodies with flights as structs, and their decoders."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import msgspec

from challenge.flights.fields import CATEGORIES, ORIGIN, SCHEDULED
from challenge.flights.rules import FlightRules
from challenge.flights.structs import flight_fields
from challenge.live.day import Day
from challenge.live.known import Question
from challenge.live.questions import Places

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


def question_of(day: Day, asked: Any, cell: int, places: Places) -> Question | None:
    """What is asked about a valid flight; None if the day adds nothing to its odds."""
    number, place = asked.flight_number, 0
    if day.known is not None:
        moment = day.times.scheduled(asked.scheduled, asked.origin)
        place = places.next(cell, moment, number)
    return day.question(
        asked.scheduled,
        asked.origin,
        asked.aircraft,
        asked.due,
        asked.expected,
        asked.arrived,
        number,
        cell=cell,
        place=place,
    )


def tell_as_known(asked: Any, question: Question, day: Day) -> None:
    """Give a flight what was known of it beside the request, so that a log tells all of
    which its answer was made."""
    asked.aircraft = asked.aircraft or question.aircraft or None
    for name in ("due", "expected", "arrived"):
        moment = getattr(question, name)
        if moment is not None and not getattr(asked, name):
            setattr(asked, name, day.times.text(moment, asked.origin))


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
