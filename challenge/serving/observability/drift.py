"""Whether the requested flights differ from those that the model was trained on.

Each worker counts a sample of the flights in slices of a sliding window; the oldest slice
is dropped when a new one begins. The memory taken does not grow with the requests.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import msgspec

from challenge.flights.fields import FIELDS, Flight

if TYPE_CHECKING:
    from challenge.model import DelayModel

_NAMES: Final = {field.attribute: field.name for field in FIELDS}
DRIFT_FIELDS: Final = tuple(_NAMES.get(code, code) for code in Flight._fields)
SLICES: Final = 24
SAMPLE_SIZE: Final = 1_000
MODERATE: Final = 0.1
MAJOR: Final = 0.25
# The 95th percentile of the standard normal distribution.
Z_95: Final = 1.645


class Slice(msgspec.Struct):
    """A slice of the window: the number of flights, of those predicted to be late, of
    each field's codes, and of the unknown values of each field."""

    flights: int = 0
    late: int = 0
    codes: list[dict[int, int]] = msgspec.field(
        default_factory=lambda: [{} for _ in DRIFT_FIELDS]
    )
    unknown: dict[str, int] = {}


class Window(msgspec.Struct):
    """The last slices by their numbers, for the model with a fingerprint."""

    model: str = ""
    slices: dict[int, Slice] = {}

    def at(self, number: int, model: str) -> Slice:
        """The slice with a number, the latest; a new model begins a new window."""
        if model != self.model:
            self.model, self.slices = model, {}
        if number not in self.slices:
            self.slices[number] = Slice()
            for old in [n for n in self.slices if n <= number - SLICES]:
                del self.slices[old]
        return self.slices[number]

    def add(self, other: Window) -> None:
        """Add what another worker has counted, if of the same model."""
        if not self.model:
            self.model = other.model
        if other.model != self.model:
            return
        for number, theirs in other.slices.items():
            mine = self.slices.setdefault(number, Slice())
            mine.flights += theirs.flights
            mine.late += theirs.late
            for own, counts in zip(mine.codes, theirs.codes, strict=True):
                add_counts(own, counts)
            add_counts(mine.unknown, theirs.unknown)

    def sum(self, number: int) -> Slice:
        """Everything in the window that ends with a slice."""
        summed = Window(self.model)
        for slice_number, one in self.slices.items():
            if slice_number > number - SLICES:
                summed.add(Window(self.model, {0: one}))
        return summed.slices.get(0, Slice())


class Sampler:
    """Samples flights while requests are answered, and counts them later.

    Args:
        hours: the length of the window.
    """

    def __init__(self, hours: float) -> None:
        self.slice_seconds = hours * 3600 / SLICES
        self._fingerprint = ""
        self._sampled: list[int] = []
        self._unknown: list[str] = []

    def add(self, model: DelayModel, cells: Sequence[int]) -> None:
        """Add flights, at most SAMPLE_SIZE of them between two counts."""
        # Not the object: the same model may be asked as on another day.
        if model.fingerprint != self._fingerprint:
            self._fingerprint, self._sampled = model.fingerprint, []
        room = SAMPLE_SIZE - len(self._sampled)
        if len(cells) <= room:
            self._sampled += cells
        elif room:
            self._sampled += cells[:: math.ceil(len(cells) / room)]

    def add_unknown(self, fields: Sequence[str]) -> None:
        self._unknown += fields[: SAMPLE_SIZE - len(self._unknown)]

    def number(self) -> int:
        """The current slice's number, by a clock that cannot be set."""
        return int(time.monotonic() // self.slice_seconds)

    def count(self, window: Window, model: DelayModel) -> None:
        """Count the sampled flights of this model, and drop those of another."""
        cells = self._sampled if model.fingerprint == self._fingerprint else []
        unknown = self._unknown
        self._sampled, self._unknown = [], []
        if not cells and not unknown:
            return
        current = window.at(self.number(), model.fingerprint)
        for field in unknown:
            current.unknown[field] = current.unknown.get(field, 0) + 1
        current.flights += len(cells)
        current.late += sum(model.decide(model.predict_cells(cells)))
        for cell, flights in Counter(cells).items():
            flight = model.grid.flight(cell)
            for counts, code in zip(current.codes, flight, strict=True):
                counts[code] = counts.get(code, 0) + flights


def add_counts(own: dict[Any, int], counts: dict[Any, int]) -> None:
    """Add counts to the counts of the same keys."""
    for key, count in counts.items():
        own[key] = own.get(key, 0) + count


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
    model: DelayModel, counts: list[list[int]], found: Slice, hours: float
) -> dict[str, Any]:
    """The answer of GET /drift.

    Args:
        counts: the number of training flights with each code of each of DRIFT_FIELDS;
            empty if unknown.
        found: the sum over the window.
        hours: the window's length.
    """
    fields: dict[str, Any] = {}
    told_apart = model.vocabulary.told_apart
    columns = zip(Flight._fields, DRIFT_FIELDS, counts, found.codes, strict=False)
    for attribute, name, training, codes in columns:
        if attribute not in told_apart:
            continue
        given = [codes.get(code, 0) for code in range(len(training))]
        # A value that neither has says nothing about either.
        seen = [(e, f) for e, f in zip(training, given, strict=True) if e or f]
        flights, unknown = sum(given), found.unknown.get(name, 0)
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
        "flights": found.flights,
        "predicted_delay_rate": found.late / found.flights if found.flights else None,
        "training_delay_rate": model.card.delay_rate,
        "fields": fields,
    }


def _verdict(index: float | None) -> str:
    if index is None:
        return "too few flights"
    if index < MODERATE:
        return "stable"
    return "moderate" if index < MAJOR else "major"
