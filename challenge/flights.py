"""The domain: a flight's fields, their vocabularies, the delay label, and the rules.

A flight is coded field by field against the vocabulary of a model. The rules stand
here once: JSON requests, data frames and files all ask this module, so that each of
them refuses the same values in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import Final, NamedTuple

AIRLINE: Final = "OPERA"
FLIGHT_TYPE: Final = "TIPOVUELO"
MONTH: Final = "MES"
DESTINATION: Final = "SIGLADES"
SCHEDULED: Final = "Fecha-I"
DEPARTED: Final = "Fecha-O"
DELAY: Final = "delay"
FLIGHT_NUMBER: Final = "Vlo-I"

REQUIRED_FIELDS: Final = (AIRLINE, FLIGHT_TYPE, MONTH)
OPTIONAL_FIELDS: Final = (DESTINATION, SCHEDULED)
FLIGHT_FIELDS: Final = (*REQUIRED_FIELDS, *OPTIONAL_FIELDS)
# All that a flight asked about may have.
REQUEST_FIELDS: Final = (*FLIGHT_FIELDS, FLIGHT_NUMBER)

DELAY_THRESHOLD_MINUTES: Final = 15
FLIGHT_TYPES: Final = ("I", "N")
MONTHS: Final = range(1, 13)
HOURS: Final = 24
WEEKDAYS: Final = 7
NOT_GIVEN: Final = -1

# The one way to write a time. Calendars and databases take more (one digit, 24:00).
TIME_PATTERN: Final = r"\d{4}-\d{2}-\d{2} (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d"

INPUT_SHOWN: Final = 100
FLIGHT_NUMBER_LENGTH: Final = 20
_TIME: Final = re.compile(TIME_PATTERN, re.ASCII)


class Flight(NamedTuple):
    """A flight as codes: positions in a vocabulary, NOT_GIVEN for what is left out.

    `month` counts from 0 (January), `weekday` from 0 (Monday). `hour` and `weekday`
    are those of the scheduled local time; both are given or neither is.
    """

    airline: int
    flight_type: int
    month: int
    destination: int = NOT_GIVEN
    hour: int = NOT_GIVEN
    weekday: int = NOT_GIVEN


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a flight: where, what, and what would be right."""

    field: str
    type: str
    message: str
    input: object = None

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


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


def read_time(field: str, value: object) -> datetime | None | Fault:
    """Read a local time, "2017-03-06 08:15:00" or a datetime without a zone."""
    if is_not_given(value):
        return None
    if isinstance(value, datetime) and value.tzinfo is None:
        return value
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass  # the right form, but no such day
    kind = "datetime_format" if isinstance(value, str | datetime) else "string_type"
    return Fault(
        field,
        kind,
        f"{shown(value)} is not a local time like '2017-03-06 08:15:00'",
        value,
    )


def month_agrees(
    month: object, scheduled_month: int, departed_month: int | None
) -> bool:
    """Whether a flight's month can go with the months of its times.

    Of a flight to come it is the scheduled month. In past flights MES is the month of
    operation: one later than the scheduled for a flight held past midnight on a
    month's last day, one earlier for one that left as early as that, which `Fecha-O`
    tells. All months are 1 to 12.
    """
    if month == scheduled_month or departed_month is None:
        return month == scheduled_month
    later, earlier = scheduled_month % 12 + 1, (scheduled_month - 2) % 12 + 1
    return month == later or month == earlier == departed_month


def month_mismatch(month: object, scheduled: object) -> Fault:
    return Fault(
        SCHEDULED,
        "month_mismatch",
        f"{shown(scheduled)} is not in month {month}, which {MONTH} says",
        scheduled,
    )


def is_not_given(value: object) -> bool:
    return value is None or value == ""


def shown(value: object) -> str:
    """A value as messages show it, cut at 100 characters."""
    text = repr(value[:INPUT_SHOWN] if isinstance(value, str) else value)
    return text if len(text) <= INPUT_SHOWN else text[:INPUT_SHOWN] + "…"


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


# The public dataset's values: what a new, unfitted model knows.
SCL_2017: Final = Vocabulary(
    airlines=(
        "Aerolineas Argentinas",
        "Aeromexico",
        "Air Canada",
        "Air France",
        "Alitalia",
        "American Airlines",
        "Austral",
        "Avianca",
        "British Airways",
        "Copa Air",
        "Delta Air",
        "Gol Trans",
        "Grupo LATAM",
        "Iberia",
        "JetSmart SPA",
        "K.L.M.",
        "Lacsa",
        "Latin American Wings",
        "Oceanair Linhas Aereas",
        "Plus Ultra Lineas Aereas",
        "Qantas Airways",
        "Sky Airline",
        "United Airlines",
    ),
    flight_types=FLIGHT_TYPES,
    destinations=(
        "Antofagasta",
        "Arica",
        "Asuncion",
        "Atlanta",
        "Auckland N.Z.",
        "Balmaceda",
        "Bariloche",
        "Bogota",
        "Buenos Aires",
        "Calama",
        "Cancun",
        "Castro (Chiloe)",
        "Cataratas Iguacu",
        "Ciudad de Mexico",
        "Ciudad de Panama",
        "Cochabamba",
        "Concepcion",
        "Copiapo",
        "Cordoba",
        "Curitiba, Bra.",
        "Dallas",
        "Florianapolis",
        "Guayaquil",
        "Houston",
        "Iquique",
        "Isla de Pascua",
        "La Paz",
        "La Serena",
        "Lima",
        "Londres",
        "Los Angeles",
        "Madrid",
        "Melbourne",
        "Mendoza",
        "Miami",
        "Montevideo",
        "Neuquen",
        "Nueva York",
        "Orlando",
        "Osorno",
        "Paris",
        "Pisco, Peru",
        "Puerto Montt",
        "Puerto Natales",
        "Puerto Stanley",
        "Punta Arenas",
        "Punta Cana",
        "Punta del Este",
        "Quito",
        "Rio de Janeiro",
        "Roma",
        "Rosario",
        "San Juan, Arg.",
        "Santa Cruz",
        "Sao Paulo",
        "Sydney",
        "Temuco",
        "Toronto",
        "Tucuman",
        "Ushuia",
        "Valdivia",
        "Washington",
    ),
)
