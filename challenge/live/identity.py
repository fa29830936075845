"""What a flight is known by: its airline, time and number, and its origin where there are
several."""

from __future__ import annotations

import sys
from typing import TypeAlias

from challenge.flights.faults import Fault
from challenge.flights.fields import NOT_GIVEN, ORIGIN
from challenge.flights.rules import FlightRules
from challenge.flights.vocabulary import fold

# The airline (its code, or its name if the model does not know it), the scheduled time,
# the origin, and the number; without one the destination, and the place among equals.
FlightKey: TypeAlias = tuple[int | str, int, int | str, str | tuple[int | str, int]]


class FlightKeys:
    """Makes the keys of flights.

    Args:
        rules: the model's.

    Attributes:
        has_origins: whether the origin is a part of it.
    """

    def __init__(self, rules: FlightRules) -> None:
        self._rules = rules
        self.has_origins = len(rules.vocabulary[ORIGIN]) > 1

    def of(
        self,
        airline: int | str,
        scheduled: int,
        origin: object,
        number: object,
        destination: int | str,
        place: int = 0,
    ) -> FlightKey:
        """The key of a flight.

        Args:
            airline, destination: their codes, or what they are called.
            scheduled: when it should leave, in seconds since 1970, UTC.
            origin, number: as the fields of the flight tell them.
            place: among flights without a number that have all else in common.
        """
        told = flight_number(number)
        return airline, scheduled, self._origin(origin), told or (destination, place)

    def _origin(self, origin: object) -> int | str:
        """What of the origin is a part of the key."""
        code = self._rules.code(ORIGIN, origin, hints=False)
        if isinstance(code, Fault):
            return fold(str(origin))  # of none that the model knows
        return code if self.has_origins else NOT_GIVEN


def flight_number(value: object) -> str:
    """A flight number as it is compared; empty where none is told. A column of numbers
    with gaps holds 15.0, and some write 0015."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, str | int):
        return ""
    text = str(value).strip().upper()
    # The same ones come day by day.
    return sys.intern(text.lstrip("0") or text)
