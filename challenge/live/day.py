"""The day of operations as a model knows it: what it adds to the odds of flights.

The state is that of past flights at the moment of its clock, which is what it last heard
of, or of any moment that is asked about. What is added is linear in the terms of
`challenge.live.terms`; their coefficients depend on how far ahead a flight is.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Hashable, Mapping, Sequence
from copy import copy
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from challenge.compiled.grid import Grid
from challenge.compiled.log_odds import shifted
from challenge.errors import MomentError
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    AIRLINE,
    DELAY_THRESHOLD_MINUTES,
    DESTINATION,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.rules import FlightRules
from challenge.flights.vocabulary import Vocabulary, fold
from challenge.live.clock import FIRST_MOMENT, LAST_MOMENT
from challenge.live.history import History
from challenge.live.known import (
    ELSEWHERE,
    NOT_LEFT,
    WAITING_SECONDS,
    Aircraft,
    Question,
    Windows,
    lateness,
)
from challenge.live.questions import LocalTimes, registration
from challenge.live.terms import (
    AIRCRAFT_TERMS,
    TERMS,
    WINDOWS_HOURS,
    Key,
    Term,
    inbound_terms,
    last_departure_terms,
    window_effect,
)

HOUR: Final = 60
DAY: Final = 24 * HOUR
DISTANCES_MINUTES: Final = (
    *(15, 30),
    *(HOUR, 2 * HOUR, 4 * HOUR),
    *(DAY, 7 * DAY, 14 * DAY),
)
# Beyond, nothing is known that the table does not say.
REACH_MINUTES: Final = 28 * DAY
# A flight that is overdue by more is late.
OVERDUE_MINUTES: Final = DELAY_THRESHOLD_MINUTES
_LOGARITHMS: Final = tuple(map(math.log, DISTANCES_MINUTES))
# So many flights, groups and cells are remembered, some hundred bytes each.
_ANSWERS_KEPT: Final = 5_000
_SUMS_KEPT: Final = 2_000
_CELLS_KEPT: Final = 2_000


class Adjustment(msgspec.Struct, frozen=True):
    """What was learned of past days.

    Attributes:
        prior: so many flights more of each window left just as expected.
        coefficients: by the name of the term, for each of DISTANCES_MINUTES; what helps
            at none of them is left out.
    """

    prior: float
    coefficients: dict[str, list[float]]

    def check(self) -> None:
        """
        Raises:
            ValueError: it is damaged.
        """
        numbers = [self.prior, *sum(self.coefficients.values(), [])]
        is_sound = all(
            name in TERMS and len(of_term) == len(DISTANCES_MINUTES)
            for name, of_term in self.coefficients.items()
        )
        if not (is_sound and self.prior > 0 and all(map(math.isfinite, numbers))):
            raise ValueError("its adjustment is damaged")


class Day:
    """A state of the day, with what it adds to the odds of flights.

    Args:
        adjustment: the coefficients.
        history: the past flights.
        rules, grid: the model's.

    Attributes:
        adjustment, history: as given.
        clock: the moment of the state, in seconds since 1970, UTC; None if no flight has
            left, and then nothing is added but at moments that are asked about.
        times: reads local times as moments.
    """

    def __init__(
        self, adjustment: Adjustment, history: History, rules: FlightRules, grid: Grid
    ) -> None:
        self._made_of = (adjustment, history, rules, grid)
        self.adjustment = adjustment
        self.history = history
        self.clock = history.clock
        self.times = LocalTimes(rules)
        self._lead: int | None = None
        self._grid = grid
        self._axes = [
            grid.axis(name) for name in (AIRLINE, ORIGIN, DESTINATION, SCHEDULED)
        ]
        used = [TERMS[name] for name in adjustment.coefficients]
        self._keys = list(dict.fromkeys(term.key for term in used if term.key))
        self._window_terms = [term for term in used if term.key]
        self._window_coefficients = [
            adjustment.coefficients[term.name] for term in self._window_terms
        ]
        # Where the sums of each are among those of all keys and windows.
        self._window_places = [
            (self._keys.index(term.key), WINDOWS_HOURS.index(term.hours))
            for term in self._window_terms
            if term.key
        ]
        self._groups = lru_cache(_CELLS_KEPT)(self._groups_of)
        self._left = self._read_windows(are_waiting=False)
        self._waiting = self._read_windows(are_waiting=True)
        self._aircraft_coefficients: list[list[float]] = []
        if not all(term.key for term in used):
            self._aircraft_coefficients = [
                adjustment.coefficients.get(term.name, []) for term in AIRCRAFT_TERMS
            ]
        self._aircraft = self._read_aircraft(rules.vocabulary)
        # The same flights are asked about again and again, and others like them.
        self._added = lru_cache(_ANSWERS_KEPT)(self._add)
        self._sums = lru_cache(_SUMS_KEPT)(self._sum)

    def with_history(self, history: History) -> Day:
        """The same of other past flights."""
        _, _, rules, grid = self._made_of
        return Day(self.adjustment, history, rules, grid)

    def asked(self, at: str | datetime | None = None, lead: int | None = None) -> Day:
        """The same, as it was at another moment than the clock's.

        Args:
            at: the moment, a local time or one with an offset from UTC.
            lead: or so many minutes before each flight, at least 0.

        Raises:
            MomentError: `at` is no time, or may be several; or both are given. It is a
                ValueError.
        """
        if at is not None and lead is not None:
            raise MomentError("give either a moment or a lead, not both")
        if lead is not None and lead < 0:
            raise MomentError(f"a lead of {lead} minutes is after the flight")
        day = copy(self)
        day._lead = lead
        if at is not None:
            if isinstance(at, datetime):
                at = at.isoformat(timespec="seconds")
            moment = self.times.moment(at)
            if isinstance(moment, Fault):
                raise MomentError(moment.msg)
            day.clock = moment
        return day

    def at(self, scheduled: int) -> int | None:
        """The moment at which a flight is asked about, by its scheduled time."""
        return self.clock if self._lead is None else scheduled - 60 * self._lead

    @property
    def is_kept(self) -> bool:
        """Whether the past flights reach back to its clock."""
        history = self.history
        return bool(self.clock and len(history) and history.scheduled[0] <= self.clock)

    @property
    def span(self) -> tuple[int, int] | None:
        """The scheduled times of flights to whose odds it may add something, the first
        and the last; None if there are none."""
        if not self.adjustment.coefficients:
            return None
        if self._lead is not None:
            return FIRST_MOMENT, LAST_MOMENT
        if self.clock is None:
            return None
        return self.clock - 60 * OVERDUE_MINUTES, self.clock + 60 * REACH_MINUTES

    def question(
        self,
        scheduled: object,
        origin: object = None,
        aircraft: object = None,
        due: object = None,
        expected: object = None,
        arrived: object = None,
        *,
        as_shown: bool = True,
    ) -> Question | None:
        """What is asked about a flight; None if the day adds nothing to its odds.

        Args:
            scheduled, origin, aircraft, due, expected, arrived: as the fields of a
                flight tell them; they are valid.
            as_shown: as for `LocalTimes.by_schedule`, of the last three.
        """
        if not self.adjustment.coefficients:
            return None
        moment = self.times.scheduled(scheduled, origin)
        if moment is None:
            return None
        at = self.at(moment)
        if at is None or not -60 * OVERDUE_MINUTES <= moment - at < 60 * REACH_MINUTES:
            return None
        if self._lead is not None:
            # Nothing says when that was expected.
            expected = None
        arrivals = (
            self.times.by_schedule(time, scheduled, origin, as_shown) if time else None
            for time in (due, expected, arrived)
        )
        return Question(at, moment, registration(aircraft), *arrivals)

    def moved(self, probability: float, cell: int, question: Question) -> float:
        """The answer of the table to a flight, moved by what the day adds."""
        moved: float = shifted(probability, math.exp(self._added(cell, question)))
        return moved

    def move(
        self,
        probabilities: list[float],
        cells: Sequence[int],
        questions: Mapping[int, Question],
    ) -> None:
        """Move the answers of the table to flights about which there is a question.

        Args:
            probabilities: of all flights, of which some are replaced.
            cells: the flights.
            questions: by their positions.
        """
        for place, question in questions.items():
            probabilities[place] = self.moved(
                probabilities[place], cells[place], question
            )

    def terms(self, cell: int, question: Question) -> dict[Term, float]:
        """What each term adds to the log-odds of a flight, those that add something."""
        place = _Place(question)
        added = {
            term: place.between(coefficients) * effect
            for term, coefficients, effect in zip(
                self._window_terms,
                self._window_coefficients,
                self._effects(self._groups(cell), question.at),
                strict=True,
            )
        }
        for term, value in zip(AIRCRAFT_TERMS, self._of_aircraft(cell, question)):
            if coefficients := self.adjustment.coefficients.get(term.name):
                added[term] = place.between(coefficients) * value
        return {term: value for term, value in added.items() if value}

    def _add(self, cell: int, question: Question) -> float:
        """What the day adds to the log-odds of a flight."""
        place = _Place(question)
        added = place.between(self._sums(self._groups(cell), question.at))
        if self._aircraft_coefficients:
            added += sum(
                place.between(coefficients) * value
                for coefficients, value in zip(
                    self._aircraft_coefficients, self._of_aircraft(cell, question)
                )
                if value and coefficients
            )
        return added

    def _sum(self, groups: tuple[Hashable, ...], at: int) -> list[float]:
        """What all windows of some groups add together, at each distance."""
        sums = [0.0] * len(DISTANCES_MINUTES)
        for coefficients, effect in zip(
            self._window_coefficients, self._effects(groups, at), strict=True
        ):
            if effect:
                for place, coefficient in enumerate(coefficients):
                    sums[place] += coefficient * effect
        return sums

    def _effects(self, groups: tuple[Hashable, ...], at: int) -> list[float]:
        """The values of the terms of windows."""
        prior = self.adjustment.prior
        left = self._left.sums(groups, at, WINDOWS_HOURS)
        if not len(self._waiting):
            return [window_effect(*left[k][w], prior) for k, w in self._window_places]
        waiting = self._waiting.sums(groups, at, WINDOWS_HOURS, WAITING_SECONDS)
        return [
            window_effect(*left[k][w].plus(waiting[k][w]), prior)
            for k, w in self._window_places
        ]

    def _groups_of(self, cell: int) -> tuple[Hashable, ...]:
        """What the flight of a cell has in common with others, of each key."""
        codes = [self._grid.code(cell, axis) for axis in self._axes]
        return tuple((place, *key.of(*codes)) for place, key in enumerate(self._keys))

    def _of_aircraft(self, cell: int, question: Question) -> list[float]:
        """The values of AIRCRAFT_TERMS."""
        origin = self._grid.code(cell, self._grid.axis(ORIGIN))
        inbound = self._aircraft.inbound(question, origin)
        last = self._aircraft.last_departure(question.aircraft, question.at)
        return [
            *inbound_terms(inbound, question.scheduled, question.at),
            *last_departure_terms(last, inbound, question.scheduled),
        ]

    def _read_windows(self, are_waiting: bool) -> Windows:
        """The flights that have left, or those that have not."""
        history = self.history
        places = [
            place
            for place, departed in enumerate(history.departed)
            if (departed == NOT_LEFT) == are_waiting
        ]
        known_from, late = array("q"), bytearray()
        for place in places:
            known = lateness(history.scheduled[place], history.departed[place])
            known_from.append(known.known_from)
            late.append(known.is_late)
        order = array("i", sorted(range(len(places)), key=known_from.__getitem__))
        of_history = array("i", map(places.__getitem__, order))
        return Windows(
            array("q", map(known_from.__getitem__, order)),
            bytes(map(late.__getitem__, order)),
            array("d", map(history.expected.__getitem__, of_history)),
            (self._groups_of(history.cells[place]) for place in of_history),
        )

    def _read_aircraft(self, vocabulary: Vocabulary) -> Aircraft:
        history, grid = self.history, self._grid
        if not self._aircraft_coefficients:
            history = History()
        origins = {fold(name): code for code, name in enumerate(vocabulary[ORIGIN])}
        # The last is what NOT_GIVEN, -1, points at.
        airports = [
            *(origins.get(fold(name), ELSEWHERE) for name in vocabulary[DESTINATION]),
            ELSEWHERE,
        ]
        destination = grid.axis(DESTINATION)
        return Aircraft(
            history.registrations,
            history.aircraft,
            history.scheduled,
            history.departed,
            lambda place: airports[grid.code(history.cells[place], destination)],
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of, {"clock": self.clock, "_lead": self._lead}


class _Place:
    """Where a flight is among DISTANCES_MINUTES.

    Coefficients are linear in the logarithm of the distance, as at the first below it,
    and fade beyond the last.
    """

    def __init__(self, question: Question) -> None:
        ahead = max((question.scheduled - question.at) / 60, DISTANCES_MINUTES[0])
        last = DISTANCES_MINUTES[-1]
        self._before = min(
            bisect_right(DISTANCES_MINUTES, ahead) - 1, len(_LOGARITHMS) - 2
        )
        low, high = _LOGARITHMS[self._before : self._before + 2]
        self._share = min((math.log(ahead) - low) / (high - low), 1.0)
        self._fading = 1.0
        if ahead > last:
            self._fading = max(REACH_MINUTES - ahead, 0) / (REACH_MINUTES - last)

    def between(self, values: Sequence[float]) -> float:
        """The value here, of those at the distances."""
        low, high = values[self._before], values[self._before + 1]
        return self._fading * (low + self._share * (high - low))


def said(minutes: int) -> str:
    """A distance as people say it: "15 min", "4 h", "7 days"."""
    if minutes < HOUR:
        return f"{minutes} min"
    if minutes < DAY:
        return f"{minutes // HOUR} h"
    days = minutes // DAY
    return "1 day" if days == 1 else f"{days} days"
