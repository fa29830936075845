"""The rules of a flight: what each field may hold, and what fields say of each other.

They stand here once. JSON requests, tensors, data frames and files all ask
`FlightRules`, so that each of them rejects the same values in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from challenge.flights.faults import INPUT_SHOWN, Fault, shown
from challenge.flights.fields import (
    CATEGORIES,
    DEPARTED,
    FIELD_OF,
    FIELDS,
    FLIGHT_TYPE_WORDS,
    MONTH,
    MONTHS,
    NOT_GIVEN,
    ORIGIN,
    REQUIRED_FIELDS,
    SCHEDULED,
    Field,
    Flight,
    Kind,
)
from challenge.flights.times import (
    is_not_given,
    month_agrees,
    month_mismatch,
    read_time,
)
from challenge.flights.vocabulary import Vocabulary, fold, hint, hint_values

# No airline or city is called longer; folding a text costs time with its length.
MAX_NAME_LENGTH: Final = 1_000
# The type of the fault of a name that a model does not know.
UNKNOWN: Final = "unknown_value"
# And that of a field that is needed and not given.
MISSING: Final = "missing"
_WHOLE_NUMBER: Final = re.compile(r"(-?[0-9]{1,18})(?:\.0{1,18})?")


class FlightRules:
    """Turns the values of a flight's fields into codes, or says what is wrong.

    `None` and the empty text mean that a field is not given.

    Args:
        vocabulary: the names that flights may have.
        time_zones: of each origin, like {"Santiago": "America/Santiago"}, where known.
        implied: whether a field of which only one choice is known may be left out; not
            of past flights, which are what the vocabulary is made of.

    Raises:
        ValueError: a time zone does not exist.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        time_zones: Mapping[str, str] = {},
        implied: bool = True,
    ) -> None:
        self.vocabulary = vocabulary
        self._implied = implied
        self.time_zones = {origin: _zone(name) for origin, name in time_zones.items()}
        self._codes = {one.name: vocabulary.codes(one.name) for one in CATEGORIES}
        self._folded = {one: vocabulary.folded_codes(one) for one in self._codes}

    def code(self, name: str, value: object, hints: bool = True) -> int | Fault:
        """The code of a value of a field, NOT_GIVEN if it is left out and may be.

        Args:
            name: of a CATEGORY or MONTH.
            value: what is given.
            hints: whether to look for known names that are near to one that is not,
                which takes some milliseconds.
        """
        field = FIELD_OF[name]
        if is_not_given(value):
            if self._implied and self.vocabulary.implies(field):
                return 0
            return missing(field.name) if field.required else NOT_GIVEN
        if field.kind is Kind.MONTH:
            return _month(value)
        if not isinstance(value, str):
            return _not_a_text(field, value)
        if not (self._codes[name] or field.required):
            return NOT_GIVEN  # The model learned nothing of this field.
        code = self._codes[name].get(value)
        if code is None and len(value) <= MAX_NAME_LENGTH:
            code = self._folded[name].get(fold(value))
        return self._unknown(field, value, hints) if code is None else code

    def known_name(self, name: str, value: Any) -> Any:
        """The vocabulary's own spelling of a value of a CATEGORY; a value that is not
        known, or not given, as it is."""
        code = self.code(name, value, hints=False)
        if isinstance(code, Fault) or code == NOT_GIVEN:
            return value
        return self.vocabulary[name][code]

    def time_zone(self, origin: object) -> ZoneInfo | None:
        """That of the airport that a flight leaves from; None if it is not known."""
        zones = self.time_zones
        if len(set(zones.values())) == 1:
            return next(iter(zones.values()))
        return zones.get(self.known_name(ORIGIN, origin))

    def local_time(
        self, name: str, flight: Mapping[str, object]
    ) -> datetime | None | Fault:
        """A field of a flight as the local time of the airport that it leaves from."""
        value = flight.get(name)
        time = read_time(name, value)
        # Looked up only where it matters, which is seldom.
        if isinstance(time, Fault) and self.time_zones:
            time = read_time(name, value, self.time_zone(flight.get(ORIGIN)))
        return time

    def read(
        self, flight: Mapping[str, object], hints: bool = True
    ) -> Flight | list[Fault]:
        """Code a whole flight, or list all its faults; `hints` as of `code`.

        A scheduled time must lie in the flight's month, or, when `Fecha-O` tells that
        the flight has left, agree with it as `month_agrees` says. A month that is left
        out is that of the scheduled time.
        """
        scheduled = self.local_time(SCHEDULED, flight)
        departed = self.local_time(DEPARTED, flight)
        month = flight.get(MONTH)
        if is_not_given(month) and isinstance(scheduled, datetime):
            month = scheduled.month
        codes: dict[str, int] = {}
        faults: list[Fault] = []
        for field in FIELDS:
            value = month if field.kind is Kind.MONTH else flight.get(field.name)
            if field.kind is Kind.TEXT:
                outcome: int | Fault | None = _text_fault(field, value)
            elif field.kind is Kind.TIME:
                continue
            elif field.kind is Kind.MOMENT:
                moment = self.local_time(field.name, flight)
                outcome = moment if isinstance(moment, Fault) else None
            elif field.kind is Kind.MONTH and _is_untold(month, scheduled):
                continue
            else:
                outcome = self.code(field.name, value, hints)
            if isinstance(outcome, Fault):
                faults.append(outcome)
            elif outcome is not None:
                codes[field.attribute] = outcome
        faults += [time for time in (scheduled, departed) if isinstance(time, Fault)]
        if not faults and isinstance(scheduled, datetime):
            month_of = departed.month if isinstance(departed, datetime) else None
            if not month_agrees(month, scheduled.month, month_of):
                faults.append(month_mismatch(month, flight[SCHEDULED]))
            codes |= {"hour": scheduled.hour, "weekday": scheduled.weekday()}
        return faults or Flight(**codes)

    def _unknown(self, field: Field, value: str, hints: bool) -> Fault:
        message = f"{shown(value)} is not {field.noun} that the model knows"
        known = self.vocabulary[field.name]
        start, ctx = value[:INPUT_SHOWN], {}
        meant = FLIGHT_TYPE_WORDS.get(fold(start))
        if field.choices and meant in known:
            message += f"; write {meant!r}"
            ctx = {"write": meant}
        elif hints:
            message += f"; {hint(start, known)}"
            ctx = hint_values(start, known)
        return Fault((field.name,), UNKNOWN, message, value, ctx)


def _is_untold(month: object, scheduled: object) -> bool:
    """Whether the month would be that of a time which is a fault: one is enough."""
    return is_not_given(month) and isinstance(scheduled, Fault)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError) as error:
        raise ValueError(f"{name!r} is not a time zone") from error


def _month(value: object) -> int | Fault:
    # A column with gaps holds floats, and to JSON 3.0 is a whole number, too.
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        return Fault(
            (MONTH,), "int_type", f"{shown(value)} is not a whole number", value
        )
    if value not in MONTHS:
        message = f"{shown(value)} is not a month; months are 1 to 12"
        ctx = {"low": MONTHS[0], "high": MONTHS[-1]}
        return Fault((MONTH,), "out_of_range", message, value, ctx)
    return value - 1


def _text_fault(field: Field, value: object) -> Fault | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return _not_a_text(field, value)
    if field.max_length is not None and len(value) > field.max_length:
        message = f"{shown(value)} is over {field.max_length} characters"
        ctx = {"most": field.max_length}
        return Fault((field.name,), "too_long", message, value, ctx)
    return None


def missing(name: str) -> Fault:
    """The fault of a flight without a field that it needs."""
    return Fault((name,), MISSING, "is required")


def _not_a_text(field: Field, value: object) -> Fault:
    return Fault((field.name,), "string_type", f"{shown(value)} is not a text", value)


def averaged(name: str, value: object) -> Fault:
    """A note that a field of a name that is not known was taken as not given."""
    message = (
        f"{shown(value)} is not {FIELD_OF[name].noun} that the model knows; the answer "
        "is that of a flight without one"
    )
    return Fault((name,), "averaged", message, value)


def unknown_fields(
    flight: Mapping[str, object], known: Collection[str] = FIELD_OF
) -> list[Fault]:
    """Faults of what a flight of a request has beside the fields there are."""
    return [
        Fault((name,), "extra_forbidden", "is not a field of a flight", value)
        for name, value in flight.items()
        if name not in known
    ]


def missing_columns(columns: Iterable[object], vocabulary: Vocabulary) -> list[str]:
    """The fields that a table of flights needs and does not have; the month may be left
    out where the scheduled time tells it, the type where there is one."""
    present = set(columns)
    if SCHEDULED in present:
        present.add(MONTH)
    present |= {field.name for field in CATEGORIES if vocabulary.implies(field)}
    return [name for name in REQUIRED_FIELDS if name not in present]


def whole_number(text: object) -> object:
    """In a CSV everything is text: 3, 03 and 3.0, which is written after a gap, are the
    number 3. What is no whole number is for the rules to reject."""
    if isinstance(text, str) and (found := _WHOLE_NUMBER.fullmatch(text)):
        return int(found[1])
    return text
