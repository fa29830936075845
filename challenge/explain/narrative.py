"""Explanations in words, in English and Spanish."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

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
    origin: str
    destination: str
    time: str
    conjunction: str
    likely: str
    raised: str
    lowered: str
    nothing: str
    fields: dict[str, str]
    alike: str
    any: str
    seen: str
    late: str
    on_time: str


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
        flight_types={"I": "being international", "N": "being national"},
        origin="the origin {}",
        destination="the destination {}",
        time="the time ({weekday}, {hour}:00 to {hour}:59)",
        conjunction=" and ",
        likely=(
            "A delay of more than 15 minutes has a probability of {probability}; "
            "over all past flights it was {base_rate}."
        ),
        raised="It is raised by {}",
        lowered="lowered by {}",
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
        seen="Of {flights} past flights {group}, {late} were late ({share}).",
        late="This is above the threshold of {}: expect a delay.",
        on_time="This is not above the threshold of {}: expect no delay.",
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
        flight_types={"I": "ser internacional", "N": "ser nacional"},
        origin="el origen {}",
        destination="el destino {}",
        time="la hora ({weekday}, {hour}:00 a {hour}:59)",
        conjunction=" y ",
        likely=(
            "Un atraso de más de 15 minutos tiene una probabilidad de {probability}; "
            "en todos los vuelos pasados fue de {base_rate}."
        ),
        raised="La aumenta {}",
        lowered="la reduce {}",
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
        seen="De {flights} vuelos pasados {group}, {late} salieron atrasados ({share}).",
        late="Está por encima del umbral de {}: cuente con un atraso.",
        on_time="No está por encima del umbral de {}: no se espera atraso.",
    ),
}


def describe(
    why: Explanation,
    flight: Flight,
    similar: SimilarFlights,
    vocabulary: Vocabulary,
    threshold: float,
    base_rate: float,
    language: Language,
    probability: float,
    day: Mapping[str, float],
) -> str:
    """A few sentences: the probability, what moves it most, and the decision.

    Args:
        why: what `DelayModel.explain` gave for the flight's schedule.
        flight: the flight.
        similar: past flights like it.
        vocabulary: the model's.
        threshold: the model's.
        base_rate: the share of late flights among the training flights, 0 to 1.
        language: "en" or "es".
        probability: of a delay.
        day: what the day adds to that of the schedule, in log-odds, by what people are
            told that it is.
    """
    phrases = _PHRASES[language]
    names = _names(flight, vocabulary, phrases) | {name: name for name in day}
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
    decided = phrases.late if probability > threshold else phrases.on_time
    likely = phrases.likely.format(
        probability=_percent(probability, language),
        base_rate=_percent(base_rate, language),
    )
    alike = [phrases.fields[name] for name in similar.alike]
    group = phrases.alike.format(_listed(alike, phrases)) if alike else phrases.any
    seen = phrases.seen.format(
        flights=similar.flights,
        group=group,
        late=similar.late,
        share=_percent(similar.late / max(similar.flights, 1), language),
    )
    return (
        f"{likely} {moved[0].upper()}{moved[1:]}. {seen} "
        f"{decided.format(_percent(threshold, language))}"
    )


def _names(flight: Flight, vocabulary: Vocabulary, phrases: _Phrases) -> dict[str, str]:
    flight_type = vocabulary[FLIGHT_TYPE][flight.flight_type]
    names = {
        AIRLINE: vocabulary[AIRLINE][flight.airline],
        FLIGHT_TYPE: phrases.flight_types.get(flight_type, flight_type),
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
        names[SCHEDULED] = phrases.time.format(weekday=weekday, hour=flight.hour)
    return names


def _listed(names: list[str], phrases: _Phrases) -> str:
    *others, last = names
    return phrases.conjunction.join([", ".join(others), last] if others else [last])


def _percent(share: float, language: Language) -> str:
    text = f"{share:.1%}"
    # In Spanish with a comma, and a space that does not break.
    return text if language == "en" else text.replace(".", ",").replace("%", "\xa0%")
