"""The day of operations as a model knows it: what it adds to the odds of flights.

The state is that of past flights at the moment of its clock, which is what it last heard
of, or of any moment that is asked about. What is added is linear in the terms of
`challenge.live.terms`; their coefficients depend on how far ahead a flight is.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from datetime import datetime
from functools import lru_cache
from typing import Any, Final

from challenge.compiled.grid import Grid
from challenge.compiled.log_odds import shifted
from challenge.errors import MomentError
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    DELAY_THRESHOLD_MINUTES,
    DESTINATION,
    ORIGIN,
)
from challenge.flights.rules import FlightRules
from challenge.flights.vocabulary import Vocabulary, fold
from challenge.live.adjustment import (
    DISTANCES_MINUTES,
    REACH_MINUTES,
    Adjustment,
    Distance,
)
from challenge.live.clock import FIRST_MOMENT, LAST_MOMENT
from challenge.live.groups import Groups
from challenge.live.history import History, PastFlight
from challenge.live.identity import FlightKey, FlightKeys
from challenge.live.known import (
    ELSEWHERE,
    NOT_LEFT,
    WAITING_SECONDS,
    Aircraft,
    Counted,
    Inbound,
    Leg,
    Outcome,
    Question,
    Sums,
    Windows,
    lateness,
)
from challenge.live.questions import Facts, LocalTimes, registration
from challenge.live.terms import (
    AIRCRAFT_TERMS,
    TERMS,
    Term,
    inbound_terms,
    last_departure_terms,
    window_effect,
)

# A flight that is overdue by more is late.
OVERDUE_MINUTES: Final = DELAY_THRESHOLD_MINUTES
# So many flights and groups are remembered, some hundred bytes each.
_ANSWERS_KEPT: Final = 5_000
_SUMS_KEPT: Final = 2_000
# Looks up what is told of a flight.
Known = Callable[[FlightKey], Facts | None]


class Day:
    """A state of the day, with what it adds to the odds of flights.

    Args:
        adjustment: the coefficients.
        history: the past flights.
        rules, grid: the model's.

    It is never changed; `changed` gives another one, which shares what is the same.

    Attributes:
        adjustment, history: as given.
        clock: the moment of the state, in seconds since 1970, UTC; None if no flight has
            left, and then nothing is added but at moments that are asked about.
        times: reads local times as moments.
        known: what is told of today's flights beside a question; None for nothing.
    """

    def __init__(
        self, adjustment: Adjustment, history: History, rules: FlightRules, grid: Grid
    ) -> None:
        self._made_of = (adjustment, history, rules, grid)
        self.adjustment = adjustment
        self.history = history
        self.clock = history.clock
        self.times = LocalTimes(rules)
        self.known: Known | None = None
        self._lead: int | None = None
        self._flight_keys = FlightKeys(rules)
        used = [TERMS[name] for name in adjustment.coefficients]
        self._keys = list(dict.fromkeys(term.key for term in used if term.key))
        # Of each key.
        self._window_terms = [
            [term for term in used if term.key is key] for key in self._keys
        ]
        self._groups = Groups(grid, self._keys)
        self._aircraft_coefficients: list[list[float]] = []
        if not all(term.key for term in used):
            self._aircraft_coefficients = [
                adjustment.coefficients.get(term.name, []) for term in AIRCRAFT_TERMS
            ]
        self._airports = _origins_that_are_destinations(rules.vocabulary)
        flights = list(history.flights())
        self._left = Windows(self._counted(flights, are_waiting=False))
        self._waiting = Windows(self._counted(flights, are_waiting=True))
        self._aircraft = Aircraft(self._flown(flights))
        self._forget()

    def with_history(self, history: History) -> Day:
        """The same of other past flights."""
        _, _, rules, grid = self._made_of
        return Day(self.adjustment, history, rules, grid)

    def changed(
        self,
        removed: Sequence[PastFlight],
        added: Sequence[PastFlight],
        clock: int | None,
        known: Known | None,
    ) -> Day:
        """The same without some past flights, and with others.

        Args:
            removed: each of the history, or added by an earlier change.
            added: the others.
            clock, known: of the new state.
        """
        day = copy(self)
        day.clock, day.known = clock, known
        # What has not left is in other windows than what has.
        windows = [
            state.changed(
                self._counted(removed, are_waiting), self._counted(added, are_waiting)
            )
            for state, are_waiting in ((self._left, False), (self._waiting, True))
        ]
        day._left, day._waiting = windows
        day._aircraft = self._aircraft.changed(self._flown(removed), self._flown(added))
        day._forget()
        return day

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
        if at is not None:
            return self.at_moment(self.moment(at))
        day = copy(self)
        day._lead = lead
        return day

    def moment(self, at: str | datetime) -> int:
        """A time that is asked about, in seconds since 1970, UTC.

        Args:
            at: a local time, or one with an offset from UTC.

        Raises:
            MomentError: it is no time, or may be several.
        """
        if isinstance(at, datetime):
            at = at.isoformat(timespec="seconds")
        moment = self.times.moment(at)
        if isinstance(moment, Fault):
            raise MomentError(moment.msg, moment.ctx)
        return moment

    def at_moment(self, moment: int) -> Day:
        """The same, as it was at a moment, in seconds since 1970, UTC."""
        day = copy(self)
        day.clock, day._lead = moment, None
        return day

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
        number: object = None,
        *,
        cell: int | None = None,
        place: int = 0,
        departed: int | None = None,
        as_shown: bool = True,
    ) -> Question | None:
        """What is asked about a flight; None if the day adds nothing to its odds.

        What the flight's own fields do not say is looked up in what is told of it.

        Args:
            scheduled, origin, aircraft, due, expected, arrived, number: as the fields of
                a flight tell them; they are valid.
            cell: the flight; None to look nothing up.
            place: among flights without a number that have all else in common.
            departed: when the flight left, in seconds since 1970, UTC; None if it has
                not.
            as_shown: as for `LocalTimes.by_schedule`, of the arrivals.
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
        own = (
            self.times.by_schedule(time, scheduled, origin, as_shown) if time else None
            for time in (due, expected, arrived)
        )
        question = Question(at, moment, registration(aircraft), *own)
        told = None
        if self.known is not None and cell is not None:
            told = self._told(cell, moment, origin, number, place)
        if told is not None:
            departed, question = told.departed, told.completed(question)
        if moment <= at:
            has_left = departed is not None and departed <= at
            if has_left or (told is not None and told.is_cancelled):
                return None
        return question

    def at(self, scheduled: int) -> int | None:
        """The moment at which a flight is asked about, by its scheduled time."""
        return self.clock if self._lead is None else scheduled - 60 * self._lead

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
        place, coefficients_of = Distance(question), self.adjustment.coefficients
        added = {
            term: place.between(coefficients_of[term.name]) * effect
            for group in self._groups.of(cell)
            for term, effect in self._effects(group, question.at).items()
        }
        for term, value in zip(AIRCRAFT_TERMS, self._of_aircraft(cell, question)):
            if coefficients := coefficients_of.get(term.name):
                added[term] = place.between(coefficients) * value
        return {term: value for term, value in added.items() if value}

    def inbound(self, cell: int, question: Question) -> Inbound | None:
        """What is known of the aircraft that a flight waits for, as far as what is told
        of other flights is of use to the odds; None if nothing is."""
        return self._aircraft.inbound(question, self._groups.codes(cell).origin)

    def last_hour(self) -> Sums:
        """The flights of which it became known in the last hour whether they are late."""
        if self.clock is None:
            return Sums(0, 0, 0.0)
        everything, at = self._groups.everything, self.clock
        [left] = self._left.sums(everything, at, [1])
        [waiting] = self._waiting.sums(everything, at, [1], WAITING_SECONDS)
        return left.plus(waiting)

    def _add(self, cell: int, question: Question) -> float:
        """What the day adds to the log-odds of a flight."""
        place = Distance(question)
        at = question.at
        groups = self._groups.of(cell)
        added = sum(place.between(self._sums(one, at)) for one in groups)
        if self._aircraft_coefficients:
            added += sum(
                place.between(coefficients) * value
                for coefficients, value in zip(
                    self._aircraft_coefficients, self._of_aircraft(cell, question)
                )
                if value and coefficients
            )
        return added

    def _sum(self, group: tuple[int, ...], at: int) -> list[float]:
        """What all windows of a group add together, at each distance."""
        sums = [0.0] * len(DISTANCES_MINUTES)
        for term, effect in self._effects(group, at).items():
            if effect:
                for place, one in enumerate(self.adjustment.coefficients[term.name]):
                    sums[place] += one * effect
        return sums

    def _look_at(self, group: tuple[int, ...], at: int) -> dict[Term, float]:
        """The values of the terms of a group's windows."""
        prior, terms = self.adjustment.prior, self._window_terms[group[0]]
        hours = [term.hours for term in terms]
        sums = self._left.sums(group, at, hours)
        if self._waiting:
            waiting = self._waiting.sums(group, at, hours, WAITING_SECONDS)
            sums = [one.plus(other) for one, other in zip(sums, waiting, strict=True)]
        return {
            term: window_effect(*one, prior)
            for term, one in zip(terms, sums, strict=True)
        }

    def _of_aircraft(self, cell: int, question: Question) -> list[float]:
        """The values of AIRCRAFT_TERMS."""
        inbound = self.inbound(cell, question)
        last = self._aircraft.last_departure(question.aircraft, question.at)
        return [
            *inbound_terms(inbound, question.scheduled, question.at),
            *last_departure_terms(last, inbound, question.scheduled),
        ]

    def _look_up(
        self, cell: int, scheduled: int, origin: object, number: object, place: int
    ) -> Facts | None:
        """What is told of a flight; the arguments are those of `question`."""
        assert self.known is not None
        codes = self._groups.codes(cell)
        return self.known(
            self._flight_keys.of(
                codes.airline, scheduled, origin, number, codes.destination, place
            )
        )

    def _counted(
        self, flights: Iterable[PastFlight], are_waiting: bool
    ) -> Iterator[Counted]:
        """The flights that have left, or those that have not, as windows count them."""
        for flight in flights:
            if (flight.departed == NOT_LEFT) == are_waiting:
                known = lateness(flight.scheduled, flight.departed)
                outcome = Outcome(known.known_from, known.is_late, flight.expected)
                yield outcome, self._groups.counted(flight.cell)

    def _flown(self, flights: Iterable[PastFlight]) -> Iterator[Leg]:
        """The flights as those of aircraft, if where these are is of use."""
        if not self._aircraft_coefficients:
            return
        for flight in flights:
            comes_to = self._airports[self._groups.codes(flight.cell).destination]
            yield Leg(flight.aircraft, flight.scheduled, flight.departed, comes_to)

    def _forget(self) -> None:
        """Remember nothing of another state."""
        # The same flights are asked about again and again, and others like them.
        self._added = lru_cache(_ANSWERS_KEPT)(self._add)
        self._sums = lru_cache(_SUMS_KEPT)(self._sum)
        self._effects = lru_cache(_SUMS_KEPT)(self._look_at)
        self._told = lru_cache(_ANSWERS_KEPT)(self._look_up)

    def __copy__(self) -> Day:
        day = object.__new__(Day)
        day.__dict__.update(self.__dict__)
        return day

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), self._made_of, {"clock": self.clock, "_lead": self._lead}


def _origins_that_are_destinations(vocabulary: Vocabulary) -> list[int]:
    """The origin that each destination is, by their codes, ELSEWHERE for others."""
    origins = {fold(name): code for code, name in enumerate(vocabulary[ORIGIN])}
    # The last is what NOT_GIVEN, -1, points at.
    return [
        *(origins.get(fold(name), ELSEWHERE) for name in vocabulary[DESTINATION]),
        ELSEWHERE,
    ]
