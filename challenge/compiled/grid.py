"""Every flight that differs to a model has a number: its cell in a grid."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING, Final, NamedTuple

from challenge.flights.fields import (
    CODES,
    DAYS_A_WEEK,
    FIELDS,
    HOUR_CODE,
    HOURS,
    MONTHS,
    NOT_GIVEN,
    WEEKDAY_CODE,
    Field,
    Flight,
    Kind,
    code_of,
)
from challenge.flights.vocabulary import Vocabulary

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MAX_CELLS: Final = 16_000_000


class Axis(NamedTuple):
    """An axis of a grid.

    Attributes:
        field: the field whose values are its entries; before those of an optional field
            stands an entry for a flight without it.
        size: how many entries it has; one if the model does not look at the field.
        stride: what a step along it adds to the number of a cell; 0 if it has one entry.
        first: the entry of the first value: 1 where entry 0 is for flights without one.
        code: the position of its code in a `Flight`; for a time that of the hour.
    """

    field: Field
    size: int
    stride: int
    first: int
    code: int

    def entry(self, flight: Flight) -> int:
        """Where a flight is on the axis, if it has more than one entry."""
        if self.code != HOUR_CODE:
            return flight[self.code] + self.first
        if flight.hour == NOT_GIVEN:
            return 0
        return flight.weekday * HOURS + flight.hour + self.first


class Grid:
    """Numbers the flights, from 0 to `cells` - 1.

    Args:
        vocabulary: the names that the model knows.
        looked_at: the attributes of a `Flight` that it looks at.

    Attributes:
        axes: one for each field that a model may look at, in the order of FIELDS.
        cells: how many there are.
    """

    def __init__(self, vocabulary: Vocabulary, looked_at: Collection[str]) -> None:
        fields = [field for field in FIELDS if field.is_in_table]
        self.sizes = tuple(_size(field, vocabulary, looked_at) for field in fields)
        self.cells = math.prod(self.sizes)
        self.axes = tuple(
            Axis(
                field,
                size,
                stride=math.prod(self.sizes[place + 1 :]) if size > 1 else 0,
                first=0 if field.required else 1,
                code=HOUR_CODE if field.kind is Kind.TIME else code_of(field),
            )
            for place, (field, size) in enumerate(zip(fields, self.sizes, strict=True))
        )

    def axis(self, name: str) -> Axis:
        """The axis of a field."""
        return next(axis for axis in self.axes if axis.field.name == name)

    def cell(self, flight: Flight) -> int:
        """The number of a flight."""
        return sum(self.steps(flight))

    def steps(self, flight: Flight) -> tuple[int, ...]:
        """What each axis adds to the number of a flight."""
        return tuple(axis.entry(flight) * axis.stride for axis in self.axes)

    def flight(self, cell: int) -> Flight:
        """The flight with a number, as far as the model looks at it."""
        codes = {}
        for axis in self.axes:
            code = self.code(cell, axis)
            if axis.field.kind is not Kind.TIME:
                codes[axis.field.attribute] = code
            elif code != NOT_GIVEN:
                codes["weekday"], codes["hour"] = divmod(code, HOURS)
        return Flight(**codes)

    def code(self, cell: int, axis: Axis) -> int:
        """The code that the flight with a number has on an axis: of a time the hour of
        the week; NOT_GIVEN where it has none."""
        if axis.size == 1:
            return _only_code(axis)
        return cell // axis.stride % axis.size - axis.first

    def codes(self, cells: NDArray[np.int64]) -> NDArray[np.int16]:
        """The flights with these numbers, as codes of shape (cells, CODES)."""
        import numpy as np

        codes = np.full((len(cells), CODES), NOT_GIVEN, dtype=np.int16)
        entries = np.unravel_index(cells, self.sizes)
        for axis, entry in zip(self.axes, entries, strict=True):
            code = entry - axis.first if axis.size > 1 else entry + _only_code(axis)
            if axis.field.kind is not Kind.TIME:
                codes[:, axis.code] = code
                continue
            weekday, hour = np.divmod(code, HOURS)
            for column, values in ((HOUR_CODE, hour), (WEEKDAY_CODE, weekday)):
                codes[:, column] = np.where(code == NOT_GIVEN, NOT_GIVEN, values)
        return codes

    def numbers(self, codes: NDArray[np.int16]) -> NDArray[np.int64]:
        """The numbers of flights, shape (flights,), from codes of shape (flights, CODES)."""
        import numpy as np

        by_column = codes.T.astype(np.int64)
        hour, weekday = by_column[HOUR_CODE], by_column[WEEKDAY_CODE]
        numbers = np.zeros(len(codes), dtype=np.int64)
        for axis in self.axes:
            if axis.field.kind is not Kind.TIME:
                numbers += (by_column[axis.code] + axis.first) * axis.stride
            else:
                time = weekday * HOURS + hour + axis.first
                numbers += np.where(hour == NOT_GIVEN, 0, time) * axis.stride
        return numbers

    def factors(self) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
        """The grid as a product: cell i * len(second) + j is i of first, j of second.

        The first holds the required fields, the second the optional ones, both as codes
        of shape (rows, CODES).
        """
        import numpy as np

        width = math.prod(axis.size for axis in self.axes if not axis.field.required)
        return self.codes(np.arange(0, self.cells, width)), self.codes(np.arange(width))


def _size(field: Field, vocabulary: Vocabulary, looked_at: Collection[str]) -> int:
    if field.kind is Kind.MONTH:
        return len(MONTHS)
    if field.kind is Kind.TIME:
        return HOURS * DAYS_A_WEEK + 1 if "hour" in looked_at else 1
    names = len(vocabulary[field.name])
    if field.required:
        return names
    return names + 1 if field.attribute in looked_at else 1


def _only_code(axis: Axis) -> int:
    """The code of the only entry of an axis."""
    return 0 if axis.field.required else NOT_GIVEN
