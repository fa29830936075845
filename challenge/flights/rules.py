"""The domain: a flight's fields, their vocabularies, the delay label, and the rules.

A flight is coded field by field against the vocabulary of a model. The rules stand
here once: JSON requests, data frames and files all ask this module, so that each of
them refuses the same values in the same words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from challenge.flights.faults import INPUT_SHOWN, Fault, shown
from challenge.flights.fields import (
    AIRLINE,
    DEPARTED,
    DESTINATION,
    FLIGHT_NUMBER,
    FLIGHT_NUMBER_LENGTH,
    FLIGHT_TYPE,
    MONTH,
    MONTHS,
    NOT_GIVEN,
    SCHEDULED,
    Flight,
)
from challenge.flights.times import (
    is_not_given,
    month_agrees,
    month_mismatch,
    read_time,
)
from challenge.flights.vocabulary import Vocabulary


class FlightReader:
    """Turns the values of a flight's fields into codes, or says what is wrong.

    Every method that codes one value returns the code or a `Fault`. `None` and the
    empty text mean that a field is not given.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self._airlines = _codes(vocabulary.airlines)
        self._flight_types = _codes(vocabulary.flight_types)
        self._destinations = _codes(vocabulary.destinations)

    def airline(self, value: object) -> int | Fault:
        return _known(AIRLINE, value, self._airlines, "an airline")

    def flight_type(self, value: object) -> int | Fault:
        return _known(FLIGHT_TYPE, value, self._flight_types, "a flight type")

    def month(self, value: object) -> int | Fault:
        if is_not_given(value):
            return _missing(MONTH)
        if not isinstance(value, int) or isinstance(value, bool):
            return Fault(
                MONTH, "int_type", f"{shown(value)} is not a whole number", value
            )
        if value not in MONTHS:
            return Fault(
                MONTH,
                "out_of_range",
                f"{shown(value)} is not a month; months are 1 to 12",
                value,
            )
        return value - 1

    def destination(self, value: object) -> int | Fault:
        if is_not_given(value):
            return NOT_GIVEN
        return _known(DESTINATION, value, self._destinations, "a destination")

    def flight_number(self, value: object) -> None | Fault:
        """Nothing is looked up by it; it only has to be a text, and a short one."""
        if is_not_given(value):
            return None
        if not isinstance(value, str):
            return _not_a_text(FLIGHT_NUMBER, value)
        if len(value) > FLIGHT_NUMBER_LENGTH:
            message = f"{shown(value)} is over {FLIGHT_NUMBER_LENGTH} characters"
            return Fault(FLIGHT_NUMBER, "too_long", message, value)
        return None

    def read(self, flight: Mapping[str, object]) -> Flight | list[Fault]:
        """Code a whole flight, or list all its faults.

        A scheduled time must lie in the flight's month, or, when `Fecha-O` tells that
        the flight has left, agree with it as `month_agrees` says. A flight number is
        looked at, but not part of what is coded.
        """
        scheduled = read_time(SCHEDULED, flight.get(SCHEDULED))
        departed = read_time(DEPARTED, flight.get(DEPARTED))
        codes = [
            self.airline(flight.get(AIRLINE)),
            self.flight_type(flight.get(FLIGHT_TYPE)),
            self.month(flight.get(MONTH)),
            self.destination(flight.get(DESTINATION)),
        ]
        rest = (scheduled, departed, self.flight_number(flight.get(FLIGHT_NUMBER)))
        faults = [value for value in (*codes, *rest) if isinstance(value, Fault)]
        if not faults and isinstance(scheduled, datetime):
            month_of = departed.month if isinstance(departed, datetime) else None
            month = flight[MONTH]
            if not month_agrees(month, scheduled.month, month_of):
                faults.append(month_mismatch(month, flight[SCHEDULED]))
        if faults:
            return faults
        airline, flight_type, month, destination = (
            code for code in codes if isinstance(code, int)
        )
        if isinstance(scheduled, datetime):
            return Flight(
                airline,
                flight_type,
                month,
                destination,
                scheduled.hour,
                scheduled.weekday(),
            )
        return Flight(airline, flight_type, month, destination)


def _missing(field: str) -> Fault:
    return Fault(field, "missing", "is required")


def _not_a_text(field: str, value: object) -> Fault:
    return Fault(field, "string_type", f"{shown(value)} is not a text", value)


def _codes(values: Sequence[str]) -> dict[str, int]:
    return {value: code for code, value in enumerate(values)}


def _known(
    field: str, value: object, codes: Mapping[str, int], noun: str
) -> int | Fault:
    if is_not_given(value):
        return _missing(field)
    if not isinstance(value, str):
        return _not_a_text(field, value)
    code = codes.get(value)
    if code is not None:
        return code
    message = (
        f"{shown(value)} is not {noun} that the model knows; "
        f"{_hint(value[:INPUT_SHOWN], tuple(codes))}"
    )
    return Fault(field, "unknown_value", message, value)


@lru_cache(maxsize=1024)
def _hint(value: str, known: tuple[str, ...]) -> str:
    # Only a refused request pays for it.
    from difflib import get_close_matches

    by_folded = {name.casefold(): name for name in known}
    close = get_close_matches(value.casefold(), by_folded, cutoff=0.6)
    if close:
        return "nearest: " + ", ".join(repr(by_folded[name]) for name in close)
    if not known:
        return "it was trained without any"
    if len(known) <= 5:
        return "known: " + ", ".join(map(repr, known))
    return f"none of the {len(known)} that it knows is near"


def whole_number(text: object) -> object:
    """In a CSV everything is text; what is not digits is for the rules to refuse."""
    if isinstance(text, str) and text.isascii():
        if text.removeprefix("-").isdecimal():
            return int(text)
    return text


def whole_float(value: object) -> object:
    """A column with gaps holds floats: 3.0 is the month 3."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
