"""Past flights and how they left, as a model's file keeps those of the last days."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from time import time
from typing import Any, Final, NamedTuple, Self

import msgspec

from challenge.artifact.model_file import compress, decompress
from challenge.live.clock import DAY_SECONDS, EPOCH, FIRST_MOMENT, LAST_MOMENT
from challenge.live.known import NOT_LEFT, lateness

# So many days of flights are kept: the longest window, whole also a day or two before.
KEPT_DAYS: Final = 30
NO_AIRCRAFT: Final = -1
# Of a million flights.
MAX_BYTES: Final = 64 << 20


class PastFlight(NamedTuple):
    """A flight and how it left; times in seconds since 1970, UTC.

    Attributes:
        cell: its number in the grid of the model.
        scheduled: when it should leave.
        departed: when it left; NOT_LEFT if it has not.
        aircraft: the registration; empty if it is not known.
        expected: the probability of a delay that a table gave it which had not seen it.
    """

    cell: int
    scheduled: int
    departed: int
    aircraft: str
    expected: float


def _column(typecode: str) -> array[int]:
    return field(default_factory=lambda: array(typecode))


@dataclass(frozen=True)
class History:
    """Flights in the order of their scheduled times, by columns; see `PastFlight`.

    Attributes:
        aircraft: positions in `registrations`; NO_AIRCRAFT where it is not known.
        registrations: the aircraft.
    """

    cells: array[int] = _column("q")
    scheduled: array[int] = _column("q")
    departed: array[int] = _column("q")
    aircraft: array[int] = _column("i")
    expected: array[float] = field(default_factory=lambda: array("d"))
    registrations: Sequence[str] = ()

    @classmethod
    def of(cls, flights: Iterable[PastFlight]) -> Self:
        """That of some flights, in any order."""
        numbers: dict[str, int] = {"": NO_AIRCRAFT}
        history = cls()
        for one in sorted(flights, key=lambda flight: flight.scheduled):
            history.cells.append(one.cell)
            history.scheduled.append(one.scheduled)
            history.departed.append(one.departed)
            number = numbers.setdefault(one.aircraft, len(numbers) - 1)
            history.aircraft.append(number)
            history.expected.append(one.expected)
        return cls(
            history.cells,
            history.scheduled,
            history.departed,
            history.aircraft,
            history.expected,
            list(numbers)[1:],
        )

    def __len__(self) -> int:
        return len(self.cells)

    def flight(self, place: int) -> PastFlight:
        """The flight at a place."""
        number = self.aircraft[place]
        return PastFlight(
            self.cells[place],
            self.scheduled[place],
            self.departed[place],
            "" if number == NO_AIRCRAFT else self.registrations[number],
            self.expected[place],
        )

    @property
    def clock(self) -> int | None:
        """The moment up to which all is known: the latest departure of a flight that was
        not late, as one straggler may leave long after all others; None if none has
        left."""
        left = [
            (not lateness(scheduled, departed).is_late, departed)
            for scheduled, departed in zip(self.scheduled, self.departed)
            if departed != NOT_LEFT
        ]
        return max(left)[1] if left else None

    @property
    def impossible_clock(self) -> str | None:
        """The clock as a text, if it is not of this time: one wrong year would put all
        flights behind it. None if all is well."""
        clock, tomorrow = self.clock, time() + DAY_SECONDS
        if clock is None or FIRST_MOMENT < clock < tomorrow:
            return None
        if FIRST_MOMENT < clock < LAST_MOMENT:
            return str((EPOCH + timedelta(seconds=clock)).date())
        return "a day of another century"

    def last_days(self, days: int = KEPT_DAYS) -> Self:
        """The flights of the last days before the clock, and those after."""
        clock = self.clock
        if clock is None:
            return self
        first = clock - days * DAY_SECONDS
        return type(self).of(one for one in self.flights() if one.scheduled > first)

    def flights(self) -> Iterable[PastFlight]:
        """The flights one by one."""
        names = [*self.registrations, ""]
        return (
            PastFlight(cell, scheduled, departed, names[aircraft], expected)
            for cell, scheduled, departed, aircraft, expected in zip(
                self.cells, self.scheduled, self.departed, self.aircraft, self.expected
            )
        )

    def to_bytes(self) -> bytes:
        """All of it, compressed; numbers are little-endian."""
        packed = [_little_endian(column[:]).tobytes() for column in self._columns]
        return compress(msgspec.msgpack.encode([*packed, list(self.registrations)]))

    @classmethod
    def from_bytes(cls, data: bytes, cells: int) -> Self:
        """What `to_bytes` gave.

        Args:
            data: the bytes.
            cells: how many the grid has.

        Raises:
            ValueError: they are damaged, or not of this grid.
        """
        try:
            *packed, registrations = msgspec.msgpack.decode(
                decompress(data, MAX_BYTES),
                type=tuple[bytes, bytes, bytes, bytes, bytes, list[str]],
            )
            history = cls(registrations=registrations)
            for column, values in zip(history._columns, packed, strict=True):
                column.frombytes(values)
                _little_endian(column)
        except (msgspec.DecodeError, ValueError) as error:
            raise ValueError(f"its flights are damaged: {error}") from error
        history._check(cells)
        return history

    @property
    def _columns(self) -> list[array[Any]]:
        return [
            self.cells,
            self.scheduled,
            self.departed,
            self.aircraft,
            self.expected,
        ]

    def _check(self, cells: int) -> None:
        is_sound = (
            all(len(column) == len(self) for column in self._columns)
            and all(0 <= cell < cells for cell in self.cells)
            and all(NO_AIRCRAFT <= a < len(self.registrations) for a in self.aircraft)
            and all(0 <= expected <= 1 for expected in self.expected)
        )
        if not is_sound:
            raise ValueError("its flights are damaged")


def _little_endian(column: array[Any]) -> array[Any]:
    """A column with the bytes of its numbers in that order, or back again."""
    if sys.byteorder == "big":
        column.byteswap()
    return column
