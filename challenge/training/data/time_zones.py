"""The time zones of airports, by their IATA and ICAO codes."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping

from challenge.files.flight_times import Zones
from challenge.flights.fields import ORIGIN
from challenge.flights.vocabulary import Vocabulary


def zones_of_airports(codes: Collection[str]) -> dict[str, str | None]:
    """The time zone of each airport, None where its code is none."""
    known = _airports()
    return {code: known.get(code) for code in codes}


BY_CODE = Zones(zones_of_airports, by_code=True)


def codes_of(vocabulary: Vocabulary) -> dict[str, str]:
    """The codes of the origins in a vocabulary, in capitals, and the names of these; a
    name is a code itself where none stands beside it."""
    names = vocabulary[ORIGIN]
    codes = vocabulary.codes(ORIGIN)
    return {spelling.upper(): names[code] for spelling, code in codes.items()}


def zones_of_origins(vocabulary: Vocabulary, timezone: str | None) -> dict[str, str]:
    """The time zones of the origins in a vocabulary, as a card has them.

    Args:
        vocabulary: of flights.
        timezone: that of all of them, if it was given.
    """
    if timezone is not None:
        return dict.fromkeys(vocabulary[ORIGIN] or ("",), timezone)
    codes = codes_of(vocabulary)
    zones = zones_of_airports(codes)
    return {codes[code]: zone for code, zone in zones.items() if zone is not None}


@functools.cache
def _airports() -> Mapping[str, str]:
    import airportsdata

    airports = airportsdata.load("ICAO")
    zones = {airport["iata"]: airport["tz"] for airport in airports.values()}
    zones |= {code: airport["tz"] for code, airport in airports.items()}
    return {code: zone for code, zone in zones.items() if code and zone}
