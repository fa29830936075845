"""The formats of flight files: what each column of ours is in columns of the file.

A format is a TOML file. A column of ours is a column's name or an expression in
DuckDB's SQL over the file's columns; docs/training.md describes the keys.
"""

from __future__ import annotations

import functools
import re
import tomllib
import zoneinfo
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, get_args

from challenge.errors import FlightsFileError, MissingColumnsError, TimeZoneError
from challenge.flights.fields import (
    AIRLINE,
    DELAY,
    DEPARTED,
    DESTINATION,
    FIELD_OF,
    ORIGIN,
    OUR_COLUMNS,
    SCHEDULED,
)
from challenge.flights.rules import missing_columns
from challenge.flights.vocabulary import Vocabulary, fold, hint
from challenge.flights.vocabulary import nearest as nearest_names

ORIGIN_CODE: Final = str(FIELD_OF[ORIGIN].code_column)
# What is known of a flight beside our columns, from which some of these are made.
MINUTES_LATE: Final = "minutes_late"
OWN_ARRIVAL_SCHEDULED: Final = "scheduled_arrival"
OWN_ARRIVAL: Final = "actual_arrival"
MINUTES_SCHEDULED: Final = "minutes_scheduled"
ARRIVAL_MINUTES_LATE: Final = "arrival_minutes_late"
_TELLING: Final = (AIRLINE, SCHEDULED, DEPARTED, MINUTES_LATE, ORIGIN, DESTINATION)
HELPERS: Final = (
    MINUTES_LATE,
    OWN_ARRIVAL_SCHEDULED,
    OWN_ARRIVAL,
    MINUTES_SCHEDULED,
    ARRIVAL_MINUTES_LATE,
)
# Flights that no model learns from, because they did not leave as scheduled.
CONDITIONS: Final = ("cancelled", "diverted", "unscheduled")

# Below this share of the columns that tell flights a file is not near a format.
_NEAR: Final = 0.5

# What of the columns of ours that there are is missing.
Needed: TypeAlias = Callable[[Collection[str]], list[str]]
Dates: TypeAlias = Literal["day-first", "month-first"]
LOCAL: Final = "local"
_FOLDER: Final = Path(__file__).with_name("known_formats")
# The format of files with our columns.
OURS: Final = "scl"
# In the order in which they are recognized.
_BUILT_IN: Final = (OURS, "bts", "nycflights13", "anac-vra")
# A text, a name in quotes, or a name.
_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|\"((?:[^\"]|\"\")*)\"|([^\W\d]\w*)")
_LONE_NAME: Final = re.compile(r"^[^\W\d][\w .#/-]*$")


@dataclass(frozen=True)
class Format:
    """How a kind of file names what we know of flights.

    Attributes:
        name: as --format takes it.
        title: what it is, for people.
        expressions: by our column, HELPER or CONDITION, as the TOML file has them.
        names: what the expressions call columns of the file that are called in one of
            several ways.
        clock: the zone of the clock that times are told by; "local" for the airport's.
        dates: the order of its dates, where they have one.
        missing: the text that stands for a missing value beside the empty one.
    """

    name: str
    title: str
    expressions: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    clock: str = LOCAL
    dates: Dates | None = None
    missing: str | None = None

    def spellings(self, name: str) -> tuple[str, ...]:
        """What a name in an expression may be called in a file."""
        return self.names.get(name, (name,))

    @property
    def file_columns(self) -> list[str]:
        """The columns of a file in this format, by their first spellings."""
        columns = [spellings[0] for spellings in self.names.values()]
        for expression in self.expressions.values():
            if expression not in self.names:
                columns += _LONE_NAME.findall(expression)
        return list(dict.fromkeys(columns))


@dataclass(frozen=True)
class ReadOptions:
    """How files of flights are to be read, where they do not say it themselves.

    Attributes:
        format: the name of a built-in format; None to recognize it.
        columns: a format of the caller's own; its columns go before those that the
            file calls as we do.
        dates: the order of days and months.
        timezone: of all airports, like "America/Santiago".
        origin: the only origin to learn from.
    """

    format: str | None = None
    columns: Format | None = None
    dates: Dates | None = None
    timezone: str | None = None
    origin: str | None = None


@functools.cache
def built_in_formats() -> dict[str, Format]:
    """The formats that every file is compared with, by their names."""
    return {name: load_format(_FOLDER / f"{name}.toml") for name in _BUILT_IN}


def load_format(path: Path) -> Format:
    """Read a format from its TOML file.

    Raises:
        FlightsFileError: it cannot be read, or has a key that means nothing.
    """
    try:
        content: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise FlightsFileError(path, f"cannot be read: {reason}") from error
    title = content.pop("title", path.stem)
    clock = content.pop("clock", LOCAL)
    dates = content.pop("dates", None)
    if dates is not None and dates not in get_args(Dates):
        problem = f"says dates = {dates!r}; write {' or '.join(get_args(Dates))}"
        raise FlightsFileError(path, problem)
    missing = content.pop("missing", None)
    names = content.pop("names", {})
    known = (*OUR_COLUMNS, *HELPERS, *CONDITIONS)
    for key, value in content.items():
        if key not in known:
            nearest = hint(key, known)
            raise FlightsFileError(
                path, f"names {key!r}, which is no column; {nearest}"
            )
        if not isinstance(value, str):
            problem = f"says {key} = {value!r}; write a column or SQL as a text"
            raise FlightsFileError(path, problem)
    if not content:
        raise FlightsFileError(
            path, 'names no column; write lines like OPERA = "carrier"'
        )
    spelled = {name: tuple(spellings) for name, spellings in names.items()}
    return Format(path.stem, title, content, spelled, clock, dates, missing)


def check_timezone(name: str) -> None:
    """Check that a time zone has a name that both DuckDB and Python know: it is used in
    SQL, and a model whose card had another, like DuckDB's CST, could not be loaded.

    Raises:
        TimeZoneError: it has not.
    """
    import duckdb

    with duckdb.connect() as connection:
        names = connection.execute("SELECT name FROM pg_timezone_names()").fetchall()
    python_names = zoneinfo.available_timezones()
    known = tuple(known for [known] in names if known in python_names)
    if name not in known:
        raise TimeZoneError(name, hint(name, known))


def find_format(
    path: Path, columns: Iterable[str], options: ReadOptions | None, needed: Needed
) -> FoundColumns:
    """The format of a file, and its columns in the file.

    Args:
        path: the file.
        columns: the names of its columns.
        options: which format it is, where it should not be recognized; None for a file
            of a caller who cannot say so.
        needed: which columns of ours cannot be done without.

    Raises:
        MissingColumnsError: it is of no format; the message says what comes nearest.
        FlightsFileError: the caller's format names columns that it does not have.
    """
    names, formats = list(columns), built_in_formats()
    candidates = list(formats.values())
    if options is not None and options.columns is not None:
        if lacking := FoundColumns(options.columns, names).lacking:
            known = tuple(names)
            told = ", ".join(f"{name!r} ({hint(name, known)})" for name in lacking)
            problem = (
                f"has no column {told}; the format {options.columns.name!r} names it"
            )
            raise FlightsFileError(path, problem)
        candidates = [_beside_ours(options.columns)]
    elif options is not None and options.format is not None:
        candidates = [formats[options.format]]
    found = [FoundColumns(one, names) for one in candidates]
    for one in found:
        if not needed(one.ours):
            return one
    raise _missing_columns(found, names, options is not None, needed)


def needed_to_learn(columns: Collection[str]) -> list[str]:
    """The columns that past flights need, those for labels, too, and that are not there."""
    missing = missing_columns(columns, Vocabulary({}))
    if DEPARTED in columns or DELAY not in columns:
        needed = (SCHEDULED, DEPARTED)
        missing += [name for name in needed if name not in (*columns, *missing)]
    return missing


class FoundColumns:
    """The columns of a format in a file.

    Args:
        format: the format.
        names: the names of the file's columns, in their order.

    Attributes:
        expressions: those all of whose columns are in the file, by what they are.
        places: the positions of these columns, by what the expressions call them.
        lacking: the columns of the other expressions.
    """

    def __init__(self, format: Format, names: Iterable[str]) -> None:
        self.format = format
        self.expressions: dict[str, str] = {}
        self.places: dict[str, int] = {}
        self.lacking: list[str] = []
        listed = list(names)
        # Of names that fold alike the first counts, unless one is spelled as ours.
        self._folded = {fold(n): place for place, n in reversed([*enumerate(listed)])}
        self._exact = {name: place for place, name in enumerate(listed)}
        for key, expression in format.expressions.items():
            places = {name: self._place(name) for name in self._columns(expression)}
            absent = [name for name, place in places.items() if place is None]
            if absent:
                self.lacking += [format.spellings(name)[0] for name in absent]
            else:
                self.expressions[key] = expression
                self.places |= {n: p for n, p in places.items() if p is not None}

    @property
    def share(self) -> float:
        """Which part of the columns that tell flights of the format the file has."""
        expressions = self.format.expressions
        told = [expressions[key] for key in _TELLING if key in expressions]
        columns = {name for one in told for name in self._columns(one)}
        present = [name for name in columns if self._place(name) is not None]
        return len(present) / len(columns) if columns else 0.0

    def lacking_for(self, key: str) -> list[str]:
        """The columns that would be needed for one of ours."""
        keys = (key, MINUTES_LATE) if key == DEPARTED else (key,)
        expressions = [self.format.expressions.get(one, "''") for one in keys]
        return [
            self.format.spellings(name)[0]
            for expression in expressions
            for name in self._columns(expression)
            if self._place(name) is None
        ]

    @property
    def ours(self) -> list[str]:
        """The columns of ours that the file has or that are made of what it has."""
        made = [name for name in OUR_COLUMNS if name in self.expressions]
        if MINUTES_LATE in self.expressions and DEPARTED not in made:
            made.append(DEPARTED)
        return made

    def is_column(self, key: str) -> bool:
        """Whether an expression is nothing but the name of a column."""
        return self.expressions[key] in self.places

    def used_by(self, key: str) -> list[str]:
        """What an expression calls the columns that it names."""
        return self._columns(self.expressions[key])

    def _columns(self, expression: str) -> list[str]:
        if expression in self.format.names or self._place(expression) is not None:
            return [expression]
        named = [
            name
            for name in _identifiers(expression)
            if name in self.format.names or self._place(name) is not None
        ]
        # A lone name that is in no file: the column is not there.
        return named or _LONE_NAME.findall(expression)

    def _place(self, name: str) -> int | None:
        for spelling in self.format.spellings(name):
            place = self._exact.get(spelling, self._folded.get(fold(spelling)))
            if place is not None:
                return place
        return None


def _beside_ours(own: Format) -> Format:
    """A caller's format, with the columns that the file calls as we do."""
    expressions = dict(built_in_formats()[OURS].expressions)
    if MINUTES_LATE in own.expressions:
        del expressions[DEPARTED]
    return replace(own, expressions=expressions | dict(own.expressions))


def _identifiers(expression: str) -> list[str]:
    """The names in an expression, of columns or not, each once whatever its case."""
    names = (
        match[1].replace('""', '"') if match[1] is not None else match[2]
        for match in _TOKEN.finditer(expression)
    )
    return list({name.lower(): name for name in names if name}.values())


def _missing_columns(
    found: list[FoundColumns], names: list[str], is_command: bool, needed: Needed
) -> MissingColumnsError:
    """What to say of a file that is of none of some formats, ours being the first."""
    nearest = max(found, key=lambda one: one.share)
    if nearest.share < _NEAR:
        nearest = found[0]
    missing = needed(nearest.ours)
    advice: list[str] = []
    ctx: dict[str, Any] = {}
    if nearest.format.name == OURS:
        told = [(name, hint(name, tuple(names))) for name in missing]
        advice = [f"{name!r}: {near}" for name, near in told if near.startswith("near")]
        close = {name: nearest_names(name, tuple(names)) for name in missing}
        ctx = {"nearest": {name: one for name, one in close.items() if one}}
    else:
        advice.append(f"it comes near the format {nearest.format.name!r}")
        ctx = {"format": nearest.format.name}
        missing = [
            name for key in missing for name in nearest.lacking_for(key)
        ] or missing
    if is_command:
        advice.append("--columns maps columns that are called otherwise")
    lacking = list(dict.fromkeys(missing))
    return MissingColumnsError(lacking, names, "; ".join(advice), ctx)
