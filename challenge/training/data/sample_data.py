"""Sample flights that reproduce every count of the figures.

The figures are counts of the public SCL 2017 dataset. One table counts the flights and
delays of each month, airline and city. Those flights are laid out and then dealt what
the other tables count: hours, weekdays, minutes late. No line of the result is a real
flight, every count is.

The bytes are the same on every Python and platform: of the generator only `random()`
is used, the one method whose sequence Python promises to keep. So counting them always
gives the same, whatever kind of file they came in: by that they are known again.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from challenge.artifact.atomic import replacing
from challenge.errors import FlightProphetError
from challenge.flights.fields import DELAY_THRESHOLD_MINUTES

if TYPE_CHECKING:
    from challenge.features.counts import Counts

COLUMNS: Final = tuple(
    "Fecha-I,Vlo-I,Ori-I,Des-I,Emp-I,Fecha-O,Vlo-O,Ori-O,Des-O,Emp-O,"
    "DIA,MES,AÑO,DIANOM,TIPOVUELO,OPERA,SIGLAORI,SIGLADES".split(",")
)
YEAR: Final = 2017
ORIGIN: Final = "Santiago"
ORIGIN_CODE: Final = "SCEL"
DAY_NAMES: Final = tuple("Lunes Martes Miercoles Jueves Viernes Sabado Domingo".split())

_Fields: TypeAlias = tuple[str, ...]


class _Table(NamedTuple):
    """Counts of `card` for flights alike in `key`, dealt in the order of `along`."""

    file: str
    key: _Fields
    card: str
    along: _Fields


_FLIGHTS_FILE: Final = "flights_by_month_airline_city.csv"
_AIRLINES_FILE: Final = "airlines.csv"
_CITIES_FILE: Final = "cities.csv"
_CELL: Final = ("MES", "OPERA", "TIPOVUELO", "SIGLADES")
_ROUTE: Final = ("OPERA", "SIGLADES")
_TABLES: Final = (
    _Table("flights_by_airline_city_hour.csv", _ROUTE, "hour", ("MES",)),
    _Table("flights_by_month_weekday.csv", ("MES",), "DIANOM", (*_ROUTE, "hour")),
    _Table("flights_by_delay_minutes.csv", (), "min_diff", _ROUTE),
)
_ALLOWED: Final[dict[str, Sequence[Any]]] = {
    "MES": range(1, 13),
    "DIANOM": DAY_NAMES,
    "hour": range(24),
    "min_diff": range(-24 * 60, 24 * 60 + 1),
    "flights": range(1_000_000),
    "delayed": range(1_000_000),
}
_SCHEDULE_MINUTES: Final = range(0, 60, 5)
_DAYS_A_YEAR: Final = 365
_SEED: Final = 2017
# Of `Counts.to_bytes` of all of them.
_COUNTS_SHA256: Final = (
    "418b8a0ffe5eedee09e4e01a769476c6d1d48ffc6930087229a2f563cec3e203"
)


class SampleDataError(FlightProphetError, ValueError):
    """A file of the figures is missing, does not parse or contradicts another."""


@dataclass(slots=True)
class SampleFlight:
    """A flight of one cell; fields of the figures bear the names they have there."""

    MES: int
    OPERA: str
    TIPOVUELO: str
    SIGLADES: str
    delayed: bool
    airline_code: str = ""
    city_code: str = ""
    hour: int = 0
    minute: int = 0
    DIANOM: str = ""
    min_diff: int = 0
    scheduled: datetime = datetime.min


_Flights: TypeAlias = list[SampleFlight]
_Line: TypeAlias = dict[str, Any]
_Row: TypeAlias = tuple[object, ...]
_Decks: TypeAlias = dict[Any, Counter[Any]]


def write_sample_flights(figures: Path, output: Path) -> int:
    """Expand the folder `figures` into the CSV file `output`; return its flights.

    The file is replaced as a whole or not at all. Raises `SampleDataError` if the
    figures cannot be expanded and `OSError` if the file cannot be written.
    """
    flights = sample_flights(figures)
    _write(output, map(_row, flights))
    return len(flights)


def sample_flights(figures: Path) -> list[SampleFlight]:
    """Return the flights that the figures count, in the order of their schedule."""
    flights = _lay_out(figures / _FLIGHTS_FILE)
    _set_codes(flights, figures / _AIRLINES_FILE, ("OPERA",), "Emp-I", "airline_code")
    city = ("SIGLADES", "TIPOVUELO")
    _set_codes(flights, figures / _CITIES_FILE, city, "Des-I", "city_code")
    decks = [_read_decks(figures / t.file, t, flights) for t in _TABLES]

    # A deal of cards, no secret.
    rng = random.Random(_SEED)  # nosec B311
    for table, deck in zip(_TABLES, decks, strict=True):
        groups = _group(flights, (*table.key, "delayed"))
        _deal(groups, deck, table.card, table.along, rng)
    _deal_minutes(flights, rng)
    _choose_dates(flights, rng)
    return sorted(flights, key=attrgetter("scheduled", *_ROUTE, "min_diff"))


def is_sample(counts: Counts) -> bool:
    """Whether flights, by their own vocabulary, are all of the sample flights and no
    others."""
    return hashlib.sha256(counts.to_bytes()).hexdigest() == _COUNTS_SHA256


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m challenge.training.data.sample_data",
        description="Expand the figures into a CSV file of sample flights.",
    )
    parser.add_argument("--figures", type=Path, default=Path("data/figures"))
    parser.add_argument("output", type=Path, nargs="?", default=Path("data/data.csv"))
    options = parser.parse_args(arguments)
    try:
        count = write_sample_flights(options.figures, options.output)
    except (SampleDataError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{count:,} sample flights written to {options.output}: "
        "no line is a real flight, every count is real"
    )
    return 0


def _lay_out(path: Path) -> _Flights:
    flights: _Flights = []
    for line, count in _read_counts(path, _CELL):
        flights += [SampleFlight(**line) for _ in range(count)]
    return flights


def _set_codes(
    flights: _Flights, path: Path, names: _Fields, column: str, field: str
) -> None:
    lines = _read(path, (*names, column))
    codes = {itemgetter(*names)(line): line[column] for line in lines}
    for name, group in _group(flights, names).items():
        if name not in codes:
            raise SampleDataError(f"{path}: no {column} for {name!r}")
        for flight in group:
            setattr(flight, field, codes[name])


def _deal_minutes(flights: _Flights, rng: random.Random) -> None:
    """Give an airline, city and hour as many times as it has flights a day."""
    groups = _group(flights, (*_ROUTE, "hour"))
    decks: _Decks = {}
    for key, group in groups.items():
        times = _shuffled(_SCHEDULE_MINUTES, rng)[: 1 + len(group) // _DAYS_A_YEAR]
        decks[key] = Counter(times[i % len(times)] for i in range(len(group)))
    _deal(groups, decks, "minute", ("MES", "DIANOM"), rng)


def _choose_dates(flights: _Flights, rng: random.Random) -> None:
    """Take the dates of a weekday in turn, so that an hour is spread over them."""
    groups = _group(_shuffled(flights, rng), ("MES", "DIANOM"))
    for (month, weekday), group in groups.items():
        dates = _dates(month, weekday)
        group.sort(key=attrgetter(*_ROUTE, "hour"))
        for position, flight in enumerate(group):
            turn = position % len(dates)
            flight.scheduled = _schedule(flight, dates[turn:] + dates[:turn])


def _dates(month: int, weekday: str) -> list[datetime]:
    days = (datetime(YEAR, month, 1) + timedelta(days=i) for i in range(31))
    return [d for d in days if d.month == month and DAY_NAMES[d.weekday()] == weekday]


def _schedule(flight: SampleFlight, dates: list[datetime]) -> datetime:
    """Schedule on the first date that lets the flight depart in its month, if any."""
    clock = timedelta(hours=flight.hour, minutes=flight.minute)
    departed = clock + timedelta(minutes=flight.min_diff)
    fitting = (date for date in dates if (date + departed).month == flight.MES)
    return next(fitting, dates[0]) + clock


def _group(flights: _Flights, fields: _Fields) -> dict[Any, _Flights]:
    groups: dict[Any, _Flights] = defaultdict(list)
    key_of = attrgetter(*fields)
    for flight in flights:
        groups[key_of(flight)].append(flight)
    return groups


def _deal(
    groups: dict[Any, _Flights],
    decks: _Decks,
    card: str,
    along: _Fields,
    rng: random.Random,
) -> None:
    for key, group in groups.items():
        in_order = sorted(group, key=attrgetter(*along))
        for flight, value in zip(in_order, _mixed(decks[key], rng), strict=True):
            setattr(flight, card, value)


def _mixed(deck: Counter[Any], rng: random.Random) -> list[Any]:
    """Spread each card over the whole deck: a chance peak would be learned as real."""
    places = [
        ((copy + rng.random()) / count, card)
        for card, count in deck.items()
        for copy in range(count)
    ]
    return [card for _, card in sorted(places)]


def _shuffled(items: Iterable[Any], rng: random.Random) -> list[Any]:
    return sorted(items, key=lambda _: rng.random())


def _read_decks(path: Path, table: _Table, flights: _Flights) -> _Decks:
    """Read the cards of each group of flights; there must be one for each flight."""
    fields = (*table.key, "delayed")
    decks: _Decks = defaultdict(Counter)
    for line, count in _read_counts(path, (*table.key, table.card)):
        decks[itemgetter(*fields)(line)][line[table.card]] += count
    laid_out = Counter(map(attrgetter(*fields), flights))
    for key in sorted(laid_out.keys() | decks.keys()):
        if decks[key].total() != laid_out[key]:
            raise SampleDataError(
                f"{path}: {decks[key].total()} flights with {', '.join(fields)} of "
                f"{key}, not {laid_out[key]} as in {_FLIGHTS_FILE}"
            )
    return decks


def _read_counts(path: Path, columns: _Fields) -> Iterator[tuple[_Line, int]]:
    """Read a table of counts, split into on time and delayed."""
    if "min_diff" in columns:
        for line in _read(path, (*columns, "flights")):
            delayed = line["min_diff"] > DELAY_THRESHOLD_MINUTES
            yield line | {"delayed": delayed}, line["flights"]
        return
    for line in _read(path, (*columns, "flights", "delayed")):
        flights, delayed = line.pop("flights"), line.pop("delayed")
        yield line | {"delayed": False}, flights - delayed
        yield line | {"delayed": True}, delayed


def _read(path: Path, columns: _Fields) -> list[_Line]:
    position = 1
    lines = []
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for position, texts in enumerate(csv.DictReader(file, strict=True), 2):
                lines.append(_parse(texts, columns))
    except OSError as error:
        raise SampleDataError(f"{path}: {error.strerror}") from error
    except csv.Error as error:
        raise SampleDataError(f"{path}, after line {position}: {error}") from error
    except ValueError as error:
        raise SampleDataError(f"{path}, line {position}: {error}") from error
    return lines


def _parse(texts: dict[str, str], columns: _Fields) -> _Line:
    if texts.keys() != set(columns) or None in texts.values():
        raise ValueError(f"the fields are not {', '.join(columns)}")
    line = {column: _value(column, texts[column]) for column in columns}
    if line.get("delayed", 0) > line.get("flights", 0):
        raise ValueError("more delayed flights than flights")
    return line


def _value(column: str, text: str) -> Any:
    allowed = _ALLOWED.get(column)
    if allowed is None:
        return text
    try:
        value = int(text) if isinstance(allowed, range) else text
        return allowed[allowed.index(value)]
    except ValueError:
        bounds = f"{allowed[0]} to {allowed[-1]}"
        raise ValueError(f"{column} is {text!r}, not from {bounds}") from None


def _row(flight: SampleFlight) -> _Row:
    scheduled = flight.scheduled
    departed = scheduled + timedelta(minutes=flight.min_diff)
    route = "", ORIGIN_CODE, flight.city_code, flight.airline_code
    date = scheduled.day, scheduled.month, scheduled.year, flight.DIANOM
    names = flight.TIPOVUELO, flight.OPERA, ORIGIN, flight.SIGLADES
    return scheduled, *route, departed, *route, *date, *names


def _write(output: Path, rows: Iterable[_Row]) -> None:
    with (
        replacing(output) as temporary,
        temporary.open("x", encoding="utf-8", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(rows)


if __name__ == "__main__":
    sys.exit(main())
