"""The names that a model knows, and how a name is recognized."""

from __future__ import annotations

import functools
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from challenge.errors import TrainingDataError
from challenge.flights.fields import (
    CATEGORIES,
    DAYS_A_WEEK,
    FIELDS,
    HOURS,
    MONTHS,
    NOT_GIVEN,
    ORIGIN,
    Field,
    Flight,
    Kind,
    code_of,
)

# Codes are numbers of 16 bits.
MAX_NAMES: Final = 32_767

# So many names a message can list.
_FEW: Final = 5


@dataclass(frozen=True)
class Vocabulary:
    """The names that a model knows, each in the order of its codes.

    Attributes:
        names: of each CATEGORY, by the field's name.
        aliases: other names of these, by the field's name: the codes that training data
            holds beside the names.

    Raises:
        TrainingDataError: a field has more than MAX_NAMES.
    """

    names: Mapping[str, tuple[str, ...]]
    aliases: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, known in self.names.items():
            if len(known) > MAX_NAMES:
                raise TrainingDataError(
                    f"{name}: there are {len(known)} names, more than {MAX_NAMES}"
                )

    def __getitem__(self, name: str) -> tuple[str, ...]:
        """The names of a field; none if the training data has no such column."""
        return self.names.get(name, ())

    def implies(self, field: Field) -> bool:
        """Whether a field may be left out, as only one of its choices is known."""
        return bool(field.choices) and len(self[field.name]) == 1

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many codes each column of a `Flight` has, in their order."""
        sizes = {"month": len(MONTHS), "hour": HOURS, "weekday": DAYS_A_WEEK}
        sizes |= {one.attribute: len(self[one.name]) for one in CATEGORIES}
        return tuple(sizes[attribute] for attribute in Flight._fields)

    @property
    def told_apart(self) -> tuple[str, ...]:
        """The attributes of a `Flight` by which flights differ: not the origin, where
        all leave from the same."""
        if len(self[ORIGIN]) > 1:
            return Flight._fields
        return tuple(name for name in Flight._fields if name != "origin")

    def codes(self, name: str) -> dict[str, int]:
        """The code of every spelling of a field's names that needs no folding."""
        code = {known: place for place, known in enumerate(self[name])}
        aliases = self.aliases.get(name, {})
        return {a: code[known] for a, known in aliases.items() if known in code} | code

    def folded_codes(self, name: str) -> dict[str, int]:
        """The code of every spelling of a field's names as `fold` gives it."""
        return {fold(spelling): code for spelling, code in self.codes(name).items()}

    def values(self, flight: Flight, day: date | None = None) -> dict[str, str | int]:
        """The fields of a flight as a request gives them.

        Args:
            flight: the flight.
            day: of its time, if it has one; by default one of 2017 in its month and
                on its weekday.
        """
        values: dict[str, str | int] = {}
        for one in FIELDS:
            if one.kind is Kind.CATEGORY:
                code = flight[code_of(one)]
                if code != NOT_GIVEN:
                    values[one.name] = self[one.name][code]
            elif one.kind is Kind.MONTH:
                values[one.name] = flight.month + 1
            elif one.kind is Kind.TIME and flight.hour != NOT_GIVEN:
                day = day or _day_of_2017(flight)
                values[one.name] = str(datetime.combine(day, time(flight.hour)))
        return values


def fold(name: str) -> str:
    """A name without what people write differently: case, accents, outer blanks."""
    if name.isascii():
        return name.strip().casefold()
    letters = unicodedata.normalize("NFKD", name.strip().casefold())
    return "".join(one for one in letters if unicodedata.category(one)[0] != "M")


def distinct_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names in alphabetical order, those that fold alike once."""
    return tuple(sorted({fold(one): one.strip() for one in sorted(names)}.values()))


def hint(value: str, known: tuple[str, ...]) -> str:
    """What would be right in the place of a name that is not known."""
    if close := nearest(value, known):
        return "nearest: " + ", ".join(map(repr, close))
    if len(known) <= _FEW:
        return "known: " + ", ".join(map(repr, known))
    return f"none of the {len(known)} that it knows is near"


def hint_values(value: str, known: tuple[str, ...]) -> dict[str, Any]:
    """What `hint` names: the names that are nearest, or all that are known, or how many
    these are."""
    if close := nearest(value, known):
        return {"nearest": close}
    return {"known": known} if len(known) <= _FEW else {"names": len(known)}


@functools.lru_cache(maxsize=1024)
def nearest(value: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """The known names that are near to one that is not, the nearest first."""
    # Only a rejected request pays for the import.
    from difflib import get_close_matches

    by_folded = {fold(name): name for name in known}
    close = get_close_matches(fold(value), by_folded, cutoff=0.6)
    return tuple(by_folded[name] for name in close)


def _day_of_2017(flight: Flight) -> date:
    first = date(2017, flight.month + 1, 1)
    return first + timedelta(days=(flight.weekday - first.weekday()) % DAYS_A_WEEK)
