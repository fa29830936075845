"""Explanations in words, in English and Spanish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from challenge.artifact.card import Level, Levels
from challenge.explain.evidence import SimilarFlights
from challenge.explain.shapley import Explanation
from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_TYPE,
    MONTH,
    NOT_GIVEN,
    ORIGIN,
    SCHEDULED,
    Flight,
    Language,
)
from challenge.flights.vocabulary import Vocabulary

# In log-odds; about one percentage point near the delay rate.
MENTIONED: Final = 0.07


@dataclass(frozen=True)
class _Phrases:
    months: tuple[str, ...]
    weekdays: tuple[str, ...]
    flight_types: dict[str, str]
    being: str
    origin: str
    destination: str
    time: str
    hour: str
    conjunction: str
    never_flown: str
    route_from: str
    route_to: str
    likely: str
    levels: dict[Level, str]
    twice: str
    raised: str
    lowered: str
    nothing: str
    fields: dict[str, str]
    alike: str
    any: str
    seen: str
    thousands: str


_PHRASES: Final[dict[Language, _Phrases]] = {
    "en": _Phrases(
        months=(
            *("January", "February", "March", "April", "May", "June", "July"),
            *("August", "September", "October", "November", "December"),
        ),
        weekdays=(
            *("Monday", "Tuesday", "Wednesday", "Thursday", "Friday"),
            *("Saturday", "Sunday"),
        ),
        flight_types={"I": "international", "N": "national"},
        being="being {}",
        origin="the origin {}",
        destination="the destination {}",
        time="the time ({weekday}, {hour}:00 to {hour}:59)",
        hour="{weekday} {hour} h",
        conjunction=" and ",
        never_flown=(
            "No past flight of {airline} was {type}{route}; what follows is estimated "
            "from other flights. "
        ),
        route_from=" from {}",
        route_to=" to {}",
        likely="A delay of more than 15 minutes has a probability of {}.",
        levels={
            "usual": "That is usual: not above {raised}, the average of past flights.",
            "raised": "That is raised: above {raised}, the average of past flights.",
            "high": "That is high: above {high}; the average of past flights is {raised}.",
        },
        twice="That is high: above {high}, twice the average of past flights.",
        raised="It is driven up by {}",
        lowered="driven down by {}",
        nothing="No field of the flight moves it much",
        fields={
            AIRLINE: "airline",
            FLIGHT_TYPE: "type",
            MONTH: "month",
            ORIGIN: "origin",
            DESTINATION: "destination",
            SCHEDULED: "hour of the week",
        },
        alike="of the same {}",
        any="of any kind",
        seen="Of {flights} past flights {group}, {share} were late ({late}).",
        thousands=",",
    ),
    "es": _Phrases(
        months=(
            *("enero", "febrero", "marzo", "abril", "mayo", "junio", "julio"),
            *("agosto", "septiembre", "octubre", "noviembre", "diciembre"),
        ),
        weekdays=(
            *("lunes", "martes", "miércoles", "jueves", "viernes"),
            *("sábado", "domingo"),
        ),
        flight_types={"I": "internacional", "N": "nacional"},
        being="ser {}",
        origin="el origen {}",
        destination="el destino {}",
        time="la hora ({weekday}, {hour}:00 a {hour}:59)",
        hour="{weekday} {hour} h",
        conjunction=" y ",
        never_flown=(
            "Ningún vuelo pasado de {airline} fue {type}{route}; lo que sigue se estima "
            "a partir de otros vuelos. "
        ),
        route_from=" desde {}",
        route_to=" con destino a {}",
        likely="Un atraso de más de 15 minutos tiene una probabilidad del {}.",
        levels={
            "usual": (
                "Está en lo habitual: no supera el {raised}, el promedio de los vuelos "
                "pasados."
            ),
            "raised": (
                "Está sobre lo habitual: supera el {raised}, el promedio de los vuelos "
                "pasados."
            ),
            "high": (
                "Es alta: supera el {high}; el promedio de los vuelos pasados es del "
                "{raised}."
            ),
        },
        twice="Es alta: supera el {high}, el doble del promedio de los vuelos pasados.",
        raised="Aumenta por {}",
        lowered="disminuye por {}",
        nothing="Ningún dato del vuelo la cambia mucho",
        fields={
            AIRLINE: "aerolínea",
            FLIGHT_TYPE: "tipo",
            MONTH: "mes",
            ORIGIN: "origen",
            DESTINATION: "destino",
            SCHEDULED: "hora de la semana",
        },
        alike="con igual {}",
        any="de todo tipo",
        seen="De {flights} vuelos pasados {group}, el {share} salió atrasado ({late}).",
        thousands=".",
    ),
}


def describe(
    why: Explanation,
    flight: Flight,
    similar: SimilarFlights,
    was_flown: bool,
    vocabulary: Vocabulary,
    levels: Levels,
    language: Language,
    probability: float,
    day: Mapping[str, float],
) -> str:
    """A few sentences: the probability, its level, and what moves it most; before all that
    nobody ever flew like that, if so.

    Args:
        why: what `DelayModel.explain` gave for the flight's schedule.
        flight: the flight.
        similar: past flights like it.
        was_flown: whether its airline ever flew its type on its route.
        vocabulary, levels: the model's.
        language: "en" or "es".
        probability: of a delay.
        day: what the day adds to that of the schedule, in log-odds, by what people are
            told that it is.
    """
    phrases = _PHRASES[language]
    names = field_names(flight, vocabulary, language) | {name: name for name in day}
    added = why.contributions | dict(day)
    by_size = sorted(added.items(), key=lambda item: -abs(item[1]))
    moving = [item for item in by_size if abs(item[1]) >= MENTIONED]
    raising = [names[field] for field, size in moving if size > 0]
    lowering = [names[field] for field, size in moving if size < 0]
    clauses = []
    if raising:
        clauses.append(phrases.raised.format(_listed(raising, phrases)))
    if lowering:
        clauses.append(phrases.lowered.format(_listed(lowering, phrases)))
    moved = "; ".join(clauses) or phrases.nothing
    likely = phrases.likely.format(_percent(probability, language))
    alike = [phrases.fields[name] for name in similar.alike]
    group = phrases.alike.format(_listed(alike, phrases)) if alike else phrases.any
    seen = phrases.seen.format(
        flights=_count(similar.flights, phrases),
        group=group,
        late=_count(similar.late, phrases),
        share=_percent(similar.late / max(similar.flights, 1), language),
    )
    before = "" if was_flown else _never_flown(flight, vocabulary, phrases)
    level = _level(probability, levels, phrases, language)
    # Some names end in a full stop.
    moved = moved.rstrip(".")
    return f"{before}{likely} {level} {moved[0].upper()}{moved[1:]}. {seen}"


def _never_flown(flight: Flight, vocabulary: Vocabulary, phrases: _Phrases) -> str:
    route = ""
    for name, code, phrase in (
        (ORIGIN, flight.origin, phrases.route_from),
        (DESTINATION, flight.destination, phrases.route_to),
    ):
        if code != NOT_GIVEN:
            route += phrase.format(vocabulary[name][code])
    return phrases.never_flown.format(
        airline=vocabulary[AIRLINE][flight.airline],
        type=_type(flight, vocabulary, phrases),
        route=route,
    )


def _level(
    probability: float, levels: Levels, phrases: _Phrases, language: Language
) -> str:
    level = levels.level_of(probability)
    is_twice = level == "high" and levels.high == 2 * levels.raised
    return (phrases.twice if is_twice else phrases.levels[level]).format(
        raised=_percent(levels.raised, language), high=_percent(levels.high, language)
    )


def _type(flight: Flight, vocabulary: Vocabulary, phrases: _Phrases) -> str:
    flight_type = vocabulary[FLIGHT_TYPE][flight.flight_type]
    return phrases.flight_types.get(flight_type, flight_type)


def field_names(
    flight: Flight, vocabulary: Vocabulary, language: Language, is_short: bool = False
) -> dict[str, str]:
    """What people are told that the fields of a flight are, those that it gives; where
    that must be short the time is "Friday 18 h"."""
    phrases = _PHRASES[language]
    names = {
        AIRLINE: vocabulary[AIRLINE][flight.airline],
        FLIGHT_TYPE: phrases.being.format(_type(flight, vocabulary, phrases)),
        MONTH: phrases.months[flight.month],
    }
    for name, code, phrase in (
        (ORIGIN, flight.origin, phrases.origin),
        (DESTINATION, flight.destination, phrases.destination),
    ):
        if code != NOT_GIVEN:
            names[name] = phrase.format(vocabulary[name][code])
    if flight.hour != NOT_GIVEN:
        weekday = phrases.weekdays[flight.weekday]
        time = phrases.hour if is_short else phrases.time
        names[SCHEDULED] = time.format(weekday=weekday, hour=flight.hour)
    return names


def _listed(names: list[str], phrases: _Phrases) -> str:
    *others, last = names
    return phrases.conjunction.join([", ".join(others), last] if others else [last])


def _count(flights: int, phrases: _Phrases) -> str:
    return f"{flights:,}".replace(",", phrases.thousands)


def _percent(share: float, language: Language) -> str:
    text = f"{share:.1%}"
    # In Spanish with a comma, and a space that does not break.
    return text if language == "en" else text.replace(".", ",").replace("%", "\xa0%")
