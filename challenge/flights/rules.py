"""The rules of a flight: what each field may hold, and what fields say of each other.

They stand here once. JSON requests, tensors, data frames and files all ask
`FlightRules`, so that each of them rejects the same values in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from challenge.flights.faults import INPUT_SHOWN, Fault, shown
from challenge.flights.fields import (
    CATEGORIES,
    DEPARTED,
    FIELD_OF,
    FIELDS,
    MONTH,
    MONTHS,
    NOT_GIVEN,
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
from challenge.flights.vocabulary import Vocabulary, fold, hint

# No airline or city is called longer; folding a text costs time with its length.
MAX_NAME_LENGTH: Final = 1_000
_WHOLE_NUMBER: Final = re.compile(r"(-?[0-9]{1,18})(?:\.0{1,18})?")


class FlightRules:
    """Turns the values of a flight's fields into codes, or says what is wrong.

    `None` and the empty text mean that a field is not given.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
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
            return _missing(field) if field.required else NOT_GIVEN
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
        code = self.code(name, value)
        if isinstance(code, Fault) or code == NOT_GIVEN:
            return value
        return self.vocabulary[name][code]

    def read(
        self, flight: Mapping[str, object], hints: bool = True
    ) -> Flight | list[Fault]:
        """Code a whole flight, or list all its faults; `hints` as of `code`.

        A scheduled time must lie in the flight's month, or, when `Fecha-O` tells that
        the flight has left, agree with it as `month_agrees` says. A month that is left
        out is that of the scheduled time.
        """
        scheduled = read_time(SCHEDULED, flight.get(SCHEDULED))
        departed = read_time(DEPARTED, flight.get(DEPARTED))
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
        if hints:
            known = self.vocabulary[field.name]
            message += f"; {hint(value[:INPUT_SHOWN], known)}"
        return Fault((field.name,), "unknown_value", message, value)


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
        return Fault((MONTH,), "out_of_range", message, value)
    return value - 1


def _text_fault(field: Field, value: object) -> Fault | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return _not_a_text(field, value)
    if field.max_length is not None and len(value) > field.max_length:
        message = f"{shown(value)} is over {field.max_length} characters"
        return Fault((field.name,), "too_long", message, value)
    return None


def _missing(field: Field) -> Fault:
    return Fault((field.name,), "missing", "is required")


def _not_a_text(field: Field, value: object) -> Fault:
    return Fault((field.name,), "string_type", f"{shown(value)} is not a text", value)


def unknown_fields(flight: Mapping[str, object]) -> list[Fault]:
    """Faults of what a flight of a request has beside the fields there are."""
    return [
        Fault((name,), "extra_forbidden", "is not a field of a flight", value)
        for name, value in flight.items()
        if name not in FIELD_OF
    ]


def missing_columns(columns: Iterable[object]) -> list[str]:
    """The fields that a table of flights needs and does not have; the month may be left
    out where the scheduled time tells it."""
    present = set(columns)
    if SCHEDULED in present:
        present.add(MONTH)
    return [name for name in REQUIRED_FIELDS if name not in present]


def whole_number(text: object) -> object:
    """In a CSV everything is text: 3, 03 and 3.0, which is written after a gap, are the
    number 3. What is no whole number is for the rules to reject."""
    if isinstance(text, str) and (found := _WHOLE_NUMBER.fullmatch(text)):
        return int(found[1])
    return text
