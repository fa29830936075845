"""The domain: a flight's fields, their vocabularies, the delay label, and the rules.

A flight is coded field by field against the vocabulary of a model. The rules stand
here once: JSON requests, data frames and files all ask this module, so that each of
them refuses the same values in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_TYPE,
    HOURS,
    MONTH,
    MONTHS,
    NOT_GIVEN,
    SCHEDULED,
    WEEKDAYS,
    Flight,
)


@dataclass(frozen=True)
class Vocabulary:
    """The values that a model knows, each in the order of its codes."""

    airlines: tuple[str, ...]
    flight_types: tuple[str, ...]
    destinations: tuple[str, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes each field of a `Flight` has, in their order."""
        return (
            len(self.airlines),
            len(self.flight_types),
            len(MONTHS),
            len(self.destinations),
            HOURS,
            WEEKDAYS,
        )

    def values(self, flight: Flight, day: date | None = None) -> dict[str, str | int]:
        """The fields of a flight as a request gives them.

        Args:
            flight: the flight.
            day: of its time, if it has one; by default one of 2017 in its month and
                on its weekday.
        """
        values: dict[str, str | int] = {
            AIRLINE: self.airlines[flight.airline],
            FLIGHT_TYPE: self.flight_types[flight.flight_type],
            MONTH: flight.month + 1,
        }
        if flight.destination != NOT_GIVEN:
            values[DESTINATION] = self.destinations[flight.destination]
        if flight.hour != NOT_GIVEN:
            if day is None:
                first = date(2017, flight.month + 1, 1)
                days = (flight.weekday - first.weekday()) % WEEKDAYS
                day = first + timedelta(days=days)
            values[SCHEDULED] = str(datetime.combine(day, time(flight.hour)))
        return values
