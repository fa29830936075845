"""Whether the flights that are asked about differ from those that were learned from.

Each worker counts a sample of the flights in parts of the window; the oldest part goes
when a new one begins. What is kept does not grow with the requests.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from challenge.model import DelayModel

FIELDS: Final = ("OPERA", "TIPOVUELO", "MES", "SIGLADES", "hour", "weekday")
PARTS: Final = 24
SAMPLED_AT_ONCE: Final = 1_000
MODERATE: Final = 0.1
MAJOR: Final = 0.25
# The 95th percentile of the standard normal distribution.
Z_95: Final = 1.645


class Part(msgspec.Struct):
    """A part of the window: flights, those predicted to be late, the codes of each
    field with how often they were given, and unknown values by field."""

    flights: int = 0
    late: int = 0
    codes: list[dict[int, int]] = msgspec.field(
        default_factory=lambda: [{} for _ in FIELDS]
    )
    unknown: dict[str, int] = {}


class Window(msgspec.Struct):
    """The last parts, each under its number, for the model with a fingerprint."""

    model: str = ""
    parts: dict[int, Part] = {}

    def at(self, number: int, model: str) -> Part:
        """The part with a number, the last; a new model begins a new window."""
        if model != self.model:
            self.model, self.parts = model, {}
        if number not in self.parts:
            self.parts[number] = Part()
            for old in [n for n in self.parts if n <= number - PARTS]:
                del self.parts[old]
        return self.parts[number]

    def add(self, other: Window) -> None:
        """Add what another worker has counted, if of the same model."""
        if not self.model:
            self.model = other.model
        if other.model != self.model:
            return
        for number, theirs in other.parts.items():
            mine = self.parts.setdefault(number, Part())
            mine.flights += theirs.flights
            mine.late += theirs.late
            for own, counts in zip(mine.codes, theirs.codes, strict=True):
                _add_counts(own, counts)
            _add_counts(mine.unknown, theirs.unknown)

    def sum(self, number: int) -> Part:
        """Everything in the window that ends with a part."""
        recent = {n: part for n, part in self.parts.items() if n > number - PARTS}
        summed = Window(self.model)
        for part in recent.values():
            summed.add(Window(self.model, {0: part}))
        return summed.parts.get(0, Part())


class Sampler:
    """Takes notes of flights while requests are answered, and counts them later.

    Args:
        hours: the length of the window.
    """

    def __init__(self, hours: float) -> None:
        self.part_seconds = hours * 3600 / PARTS
        self._model: DelayModel | None = None
        self._noted: list[int] = []
        self._unknown: list[str] = []

    def note(self, model: DelayModel, cells: Sequence[int]) -> None:
        """Note flights, at most SAMPLED_AT_ONCE of them between two counts."""
        if model is not self._model:
            self._model, self._noted = model, []
        room = SAMPLED_AT_ONCE - len(self._noted)
        if len(cells) <= room:
            self._noted += cells
        elif room:
            self._noted += cells[:: math.ceil(len(cells) / room)]

    def note_unknown(self, fields: Sequence[str]) -> None:
        self._unknown += fields[: SAMPLED_AT_ONCE - len(self._unknown)]

    def number(self) -> int:
        """The number of the part that is now. No clock that can be set tells it."""
        return int(time.monotonic() // self.part_seconds)

    def count(self, window: Window, model: DelayModel) -> None:
        """Count what was noted of this model, and forget what was of another."""
        cells = self._noted if self._model is model else []
        unknown = self._unknown
        self._noted, self._unknown = [], []
        if not cells and not unknown:
            return
        part = window.at(self.number(), model.fingerprint or "")
        for field in unknown:
            part.unknown[field] = part.unknown.get(field, 0) + 1
        part.flights += len(cells)
        part.late += sum(model.decide(model.predict_cells(cells)))
        for cell, flights in Counter(cells).items():
            flight = model.grid.flight(cell)
            for counts, code in zip(part.codes, flight, strict=True):
                counts[code] = counts.get(code, 0) + flights


def population_stability_index(
    expected: Sequence[float], found: Sequence[float]
) -> float:
    """The sum of (f - e) ln(f / e) over the shares e and f of each bin.

    Half a case is added to every bin, so that an empty one gives no infinity. Source:
    Siddiqi, Credit Risk Scorecards (2006), where below 0.1 means no change that
    matters, and from 0.25 on one that does.
    """
    bins = len(expected)
    total_e, total_f = sum(expected) + bins / 2, sum(found) + bins / 2
    index = 0.0
    for e, f in zip(expected, found, strict=True):
        share_e, share_f = (e + 0.5) / total_e, (f + 0.5) / total_f
        index += (share_f - share_e) * math.log(share_f / share_e)
    return index


def flights_needed(bins: int, training_flights: int) -> int:
    """From how many flights on chance alone rarely (5 %) gives an index of MODERATE.

    Without drift the index is about (1/n + 1/m) times a chi-squared variable with
    bins - 1 degrees of freedom, here by its normal approximation. Source: Yurdakul
    and Naranjo, Statistical properties of the population stability index (2020).
    """
    chance = (bins - 1) + Z_95 * math.sqrt(2 * (bins - 1))
    rest = MODERATE / chance - 1 / max(training_flights, 1)
    return math.ceil(1 / rest) if rest > 0 else training_flights


def drift(
    model: DelayModel, counts: list[list[int]], part: Part, hours: float
) -> dict[str, Any]:
    """What GET /drift answers.

    Args:
        counts: how many training flights had each code of each of FIELDS; empty if
            that is not known.
        part: the sum over the window.
        hours: the window's length.
    """
    fields: dict[str, Any] = {}
    for name, training, found in zip(FIELDS, counts, part.codes, strict=False):
        given = [found.get(code, 0) for code in range(len(training))]
        # A value that neither knows says nothing of either.
        seen = [(e, f) for e, f in zip(training, given, strict=True) if e or f]
        flights, unknown = sum(given), part.unknown.get(name, 0)
        needed = flights_needed(len(seen), sum(training)) if len(seen) > 1 else 0
        index = None
        if needed and flights >= needed:
            index = population_stability_index(*zip(*seen, strict=True))
        fields[name] = {
            "flights": flights,
            "flights_needed": needed,
            "psi": None if index is None else round(index, 4),
            "verdict": _verdict(index),
            "unknown_share": unknown / (flights + unknown) if unknown else 0.0,
        }
    return {
        "model": model.fingerprint,
        "window_hours": hours,
        "flights": part.flights,
        "predicted_delay_rate": part.late / part.flights if part.flights else None,
        "training_delay_rate": model.card.delay_rate if model.card else None,
        "fields": fields,
    }


def _verdict(index: float | None) -> str:
    if index is None:
        return "too few flights"
    if index < MODERATE:
        return "stable"
    return "moderate" if index < MAJOR else "major"


def _add_counts(own: dict[Any, int], counts: dict[Any, int]) -> None:
    for key, count in counts.items():
        own[key] = own.get(key, 0) + count
