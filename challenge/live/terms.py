"""What the day adds to the odds of a flight: the terms, their formulas and their names.

Each term is a number that is known before the flight leaves. Training computes the same
for many flights at once, in `challenge.training.live.features`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from challenge.compiled.log_odds import log_odds
from challenge.flights.fields import HOURS, NOT_GIVEN, Language
from challenge.live.known import Inbound, LastDeparture

SHORT_WINDOWS_HOURS: Final = (1, 3, 12)
LONG_WINDOWS_HOURS: Final = (24, 7 * 24, 28 * 24)
WINDOWS_HOURS: Final = SHORT_WINDOWS_HOURS + LONG_WINDOWS_HOURS
# Airlines are late in waves, of so many hours by the local clock.
WAVE_HOURS: Final = 4
# The aircraft is there so many minutes before the flight leaves, or fewer.
SLACK_MINUTES: Final = (0, 15, 30, 45)
# The aircraft left here last within so many hours, and longer ago than the one before.
LAST_DEPARTURE_HOURS: Final = (8, 16, 40)
# A delay beyond says no more: the next flight gets another aircraft.
MAX_MINUTES: Final = 240
MAX_LAST_DELAY_MINUTES: Final = 180
# Delays are counted in quarters of an hour, so that all terms are of one size and one
# penalty is right for them.
UNIT_MINUTES: Final = 15


class Group(StrEnum):
    """Terms that help at a distance together, or are left out there together."""

    SHORT = "the last hours"
    LONG = "the last days and weeks"
    AIRCRAFT = "the aircraft"


class Key(StrEnum):
    """What the flights of a window have in common with the one that is asked about."""

    ALL = "all"
    ORIGIN = "origin"
    AIRLINE = "airline"
    AIRLINE_ORIGIN = "airline_origin"
    WAVE = "airline_wave"
    DESTINATION = "destination"

    @property
    def windows(self) -> tuple[int, ...]:
        """Its windows in hours; a wave comes once a day."""
        return LONG_WINDOWS_HOURS if self is Key.WAVE else WINDOWS_HOURS

    def of(
        self, airline: int, origin: int, destination: int, time: int
    ) -> tuple[int, ...]:
        """What a flight has of it, by the codes of its fields; the time is the hour of
        the week."""
        match self:
            case Key.ALL:
                return ()
            case Key.ORIGIN:
                return (origin,)
            case Key.AIRLINE:
                return (airline,)
            case Key.AIRLINE_ORIGIN:
                return (airline, origin)
            case Key.WAVE:
                wave = NOT_GIVEN if time == NOT_GIVEN else time % HOURS // WAVE_HOURS
                return (airline, wave)
            case Key.DESTINATION:
                return (destination,)


class Term(NamedTuple):
    """A term.

    Attributes:
        name: in files of models and in JSON.
        group: its group.
        key: of its window; None if it has none.
        hours: of its window.
    """

    name: str
    group: Group
    key: Key | None = None
    hours: int = 0


WINDOW_TERMS: Final = tuple(
    Term(
        f"{key}_{hours}h",
        Group.SHORT if hours in SHORT_WINDOWS_HOURS else Group.LONG,
        key,
        hours,
    )
    for key in Key
    for hours in key.windows
)
INBOUND_TERMS: Final = tuple(
    Term(f"aircraft_{name}", Group.AIRCRAFT)
    for name in (
        *(f"slack_{minutes}min" for minutes in SLACK_MINUTES),
        *("overdue", "landed", "airborne", "not_left", "not_known"),
    )
)
LAST_DEPARTURE_TERMS: Final = tuple(
    Term(f"aircraft_departed_{hours}h{what}", Group.AIRCRAFT)
    for hours in LAST_DEPARTURE_HOURS
    for what in ("", "_delay", "_late")
)
AIRCRAFT_TERMS: Final = INBOUND_TERMS + LAST_DEPARTURE_TERMS
TERMS: Final = {
    term.name: term for term in (*WINDOW_TERMS, *INBOUND_TERMS, *LAST_DEPARTURE_TERMS)
}


def window_effect(flights: int, late: int, expected: float, prior: float) -> float:
    """By how much log-odds were off: those of the share that was late less those of the
    share that was expected, shrunk by a prior; 0 without a flight."""
    if not flights:
        return 0.0
    mean = expected / flights
    share = (late + prior * mean) / (flights + prior)
    return log_odds(share) - log_odds(mean)


def inbound_terms(inbound: Inbound | None, scheduled: int, at: int) -> list[float]:
    """The values of INBOUND_TERMS.

    Args:
        inbound: what is known of the aircraft; None if it is not known when it comes.
        scheduled, at: of the flight, and when it is asked about; seconds in UTC.
    """
    if inbound is None:
        return [0.0] * (len(INBOUND_TERMS) - 1) + [1.0]
    slack = (scheduled - inbound.expected) / 60
    overdue = 0.0 if inbound.has_landed else (at - inbound.due) / 60
    return [
        *(_units(minutes - slack) for minutes in SLACK_MINUTES),
        _units(overdue),
        float(inbound.has_landed),
        float(inbound.has_left),
        float(inbound.has_not_left),
        0.0,
    ]


def last_departure_terms(
    last: LastDeparture | None, inbound: Inbound | None, scheduled: int
) -> list[float]:
    """The values of LAST_DEPARTURE_TERMS; 0 of an aircraft that is known to have come,
    as what is known of that is more. Arguments as of `inbound_terms`."""
    values = [0.0] * len(LAST_DEPARTURE_TERMS)
    if last is None or (inbound is not None and inbound.has_landed):
        return values
    ago, delay = (scheduled - last.departed) / 60, last.delay / 60
    for place, hours in enumerate(LAST_DEPARTURE_HOURS):
        if ago < 60 * hours:
            counted = min(max(delay, -UNIT_MINUTES), MAX_LAST_DELAY_MINUTES)
            is_late = float(delay > UNIT_MINUTES)
            values[3 * place : 3 * place + 3] = [1.0, counted / UNIT_MINUTES, is_late]
            break
    return values


def _units(minutes: float) -> float:
    return min(max(minutes, 0.0), MAX_MINUTES) / UNIT_MINUTES


_GROUPS: Final[dict[Language, dict[Group, str]]] = {
    "en": {group: str(group) for group in Group},
    "es": {
        Group.SHORT: "las últimas horas",
        Group.LONG: "los últimos días y semanas",
        Group.AIRCRAFT: "el avión",
    },
}
_KEYS: Final[dict[Language, dict[Key, str]]] = {
    "en": {
        Key.ALL: "all flights",
        Key.ORIGIN: "flights from this airport",
        Key.AIRLINE: "flights of the airline",
        Key.AIRLINE_ORIGIN: "flights of the airline from this airport",
        Key.WAVE: "flights of the airline at this time of day",
        Key.DESTINATION: "flights to the destination",
    },
    "es": {
        Key.ALL: "todos los vuelos",
        Key.ORIGIN: "los vuelos desde este aeropuerto",
        Key.AIRLINE: "los vuelos de la aerolínea",
        Key.AIRLINE_ORIGIN: "los vuelos de la aerolínea desde este aeropuerto",
        Key.WAVE: "los vuelos de la aerolínea a esta hora del día",
        Key.DESTINATION: "los vuelos al destino",
    },
}
_WINDOWS: Final[dict[Language, dict[int, str]]] = {
    "en": {
        1: "in the last hour",
        3: "in the last 3 hours",
        12: "in the last 12 hours",
        24: "in the last day",
        7 * 24: "in the last 7 days",
        28 * 24: "in the last 28 days",
    },
    "es": {
        1: "en la última hora",
        3: "en las últimas 3 horas",
        12: "en las últimas 12 horas",
        24: "en el último día",
        7 * 24: "en los últimos 7 días",
        28 * 24: "en los últimos 28 días",
    },
}
_AIRCRAFT: Final[dict[Language, tuple[str, ...]]] = {
    "en": (
        *(
            f"less than {minutes} min between the aircraft's arrival and the departure"
            for minutes in SLACK_MINUTES
        ),
        "the aircraft's arrival is overdue",
        "the aircraft has landed",
        "the aircraft is in the air",
        "the aircraft has not left for here",
        "the aircraft's arrival is not known",
        *(
            f"the aircraft's last departure, within {hours} h{what}"
            for hours in LAST_DEPARTURE_HOURS
            for what in ("", ": its delay", ": late")
        ),
    ),
    "es": (
        *(
            f"menos de {minutes} min entre la llegada del avión y la salida"
            for minutes in SLACK_MINUTES
        ),
        "la llegada del avión está atrasada",
        "el avión ya aterrizó",
        "el avión está en vuelo",
        "el avión aún no ha salido hacia aquí",
        "no se sabe cuándo llega el avión",
        *(
            f"la última salida del avión, hace menos de {hours} h{what}"
            for hours in LAST_DEPARTURE_HOURS
            for what in ("", ": su atraso", ": atrasada")
        ),
    ),
}


def term_text(term: Term, language: Language) -> str:
    """What people are told that a term is."""
    if term.key is not None:
        return f"{_KEYS[language][term.key]} {_WINDOWS[language][term.hours]}"
    return _AIRCRAFT[language][AIRCRAFT_TERMS.index(term)]


def sums_of_groups(terms: Mapping[Term, float]) -> dict[Group, float]:
    """What the terms of each group add together; groups without any are left out."""
    sums: dict[Group, float] = {}
    for term, value in terms.items():
        sums[term.group] = sums.get(term.group, 0.0) + value
    return sums


def group_text(group: Group, language: Language) -> str:
    """What people are told that a group is."""
    return _GROUPS[language][group]
