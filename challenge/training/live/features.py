"""The terms of `challenge.live.terms` of many flights at once."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.compiled.grid import Grid
from challenge.flights.fields import (
    AIRLINE_CODE,
    DESTINATION_CODE,
    HOUR_CODE,
    HOURS,
    NOT_GIVEN,
    ORIGIN_CODE,
)
from challenge.live.terms import (
    INBOUND_TERMS,
    LAST_DEPARTURE_HOURS,
    LAST_DEPARTURE_TERMS,
    MAX_LAST_DELAY_MINUTES,
    MAX_MINUTES,
    SLACK_MINUTES,
    UNIT_MINUTES,
    WAVE_HOURS,
    WINDOW_TERMS,
    Key,
    Term,
)
from challenge.training.data.past import Past
from challenge.training.live.known import Inbound, Known, LastDeparture
from challenge.training.live.tables import log_odds

MINUTE: Final = np.timedelta64(1, "m")


class State(NamedTuple):
    """What was known when some flights were asked about.

    Attributes:
        asked: the positions of the flights.
        at: when each was asked about, datetime64[s] in UTC.
        sums: of the keys and windows, shape (terms, flights, 3), as `Known.lateness`
            gives them.
        aircraft: the terms of the aircraft, shape (flights, terms).
    """

    asked: NDArray[np.intp]
    at: NDArray[np.datetime64]
    sums: NDArray[np.float64]
    aircraft: NDArray[np.float64]

    def features(self, prior: float) -> NDArray[np.float64]:
        """All terms, of shape (flights, terms).

        Args:
            prior: so many flights more than there were left just as expected.
        """
        effects = window_effects(self.sums, prior)
        return np.concatenate([effects.T, self.aircraft], axis=1)


class Replay:
    """The past, played again as it became known.

    Args:
        past: the flights.
        expected: the log-odds of each as a table told them that had not seen it; NaN
            where there is none: these are in no window.
        grid: of the model; what it does not look at, nothing is learned of.

    Attributes:
        past, expected: as given.
        known: what was known when.
        terms: the features of `State.features`, in their order.
    """

    def __init__(self, past: Past, expected: NDArray[np.float64], grid: Grid) -> None:
        self.past = past
        self.expected = expected
        self.known = Known(past.flights)
        self._keys = _keys(grid.codes(grid.numbers(past.codes)))
        self._probability = 1 / (1 + np.exp(-expected))
        self._has_aircraft = past.has_aircraft
        self._has_inbound = not np.isnat(past.flights.due).all()
        self.terms = tuple(self._terms())

    def state(self, asked: NDArray[np.intp], at: NDArray[np.datetime64]) -> State:
        """The state for flights that are asked about at some moments; those that were
        known to have left by then are left out."""
        waiting = ~self.known.has_left(asked, at)
        asked, at = asked[waiting], at[waiting]
        sums = [
            self.known.lateness(
                numbers,
                self._probability,
                asked,
                at,
                [np.timedelta64(hours, "h") for hours in key.windows],
            )
            for key, numbers in self._keys.items()
        ]
        return State(asked, at, np.concatenate(sums), self._aircraft(asked, at))

    def _terms(self) -> list[Term]:
        terms = [term for term in WINDOW_TERMS if term.key in self._keys]
        if self._has_inbound:
            terms += INBOUND_TERMS
        if self._has_aircraft:
            terms += LAST_DEPARTURE_TERMS
        return terms

    def _aircraft(
        self, asked: NDArray[np.intp], at: NDArray[np.datetime64]
    ) -> NDArray[np.float64]:
        scheduled = self.past.flights.scheduled[asked]
        inbound = self.known.inbound(asked, at)
        columns: list[NDArray[np.float64]] = []
        if self._has_inbound:
            due = self.past.flights.due[asked]
            columns += _inbound_terms(inbound, scheduled, due, at)
        if self._has_aircraft:
            last = self.known.last_departure(asked, at)
            columns += _last_departure_terms(last, inbound, scheduled)
        return np.column_stack(columns) if columns else np.zeros((len(asked), 0))


def window_effects(sums: NDArray[np.float64], prior: float) -> NDArray[np.float64]:
    """By how much log-odds were off: those of the share that was late less those of the
    share that was expected, shrunk by a prior; 0 without a flight."""
    flights, late, expected = np.moveaxis(sums, -1, 0)
    mean = np.divide(expected, flights, np.full_like(flights, 0.5), where=flights > 0)
    share = (late + prior * mean) / (flights + prior)
    return log_odds(share) - log_odds(mean)


def _keys(codes: NDArray[np.int16]) -> dict[Key, NDArray[np.int64]]:
    """What flights have in common, as `Key.of` says, in one number. Those that tell no
    destination, or no origin, have that in common, too."""
    origin, airline, destination = (
        codes[:, column].astype(np.int64) - NOT_GIVEN
        for column in (ORIGIN_CODE, AIRLINE_CODE, DESTINATION_CODE)
    )
    wave = codes[:, HOUR_CODE].astype(np.int64) // WAVE_HOURS - NOT_GIVEN
    keys = {
        Key.ALL: np.zeros_like(origin),
        Key.ORIGIN: origin,
        Key.AIRLINE: airline,
        Key.AIRLINE_ORIGIN: airline * (origin.max(initial=0) + 1) + origin,
        Key.WAVE: airline * HOURS + wave,
        Key.DESTINATION: destination,
    }
    # Of one airline, or one origin, the same is said once.
    told_apart: dict[Key, NDArray[np.int64]] = {}
    for key, numbers in keys.items():
        if not any(_are_alike(numbers, other) for other in told_apart.values()):
            told_apart[key] = numbers
    return told_apart


def _are_alike(one: NDArray[np.int64], other: NDArray[np.int64]) -> bool:
    """Whether two keys put the same flights together."""
    _, places = np.unique(one, return_inverse=True)
    _, others = np.unique(other, return_inverse=True)
    pairs = np.unique(places * (others.max(initial=0) + 1) + others)
    return len(pairs) == len(np.unique(places)) == len(np.unique(others))


def _inbound_terms(
    inbound: Inbound,
    scheduled: NDArray[np.datetime64],
    due: NDArray[np.datetime64],
    at: NDArray[np.datetime64],
) -> list[NDArray[np.float64]]:
    is_told = inbound.is_told
    slack = _minutes(scheduled - inbound.expected, is_told)
    overdue = _minutes(at - due, is_told & ~inbound.has_landed)
    hinges = [_units(np.where(is_told, limit - slack, 0)) for limit in SLACK_MINUTES]
    flags = (inbound.has_landed, inbound.has_left, inbound.has_not_left, ~is_told)
    return [*hinges, _units(overdue), *(flag.astype(np.float64) for flag in flags)]


def _last_departure_terms(
    last: LastDeparture, inbound: Inbound, scheduled: NDArray[np.datetime64]
) -> list[NDArray[np.float64]]:
    """Of aircraft that are not known to have come: what is known of these is more."""
    ago = _minutes(scheduled - last.departed, last.is_known)
    delay = _minutes(last.delay, last.is_known)
    columns: list[NDArray[np.float64]] = []
    longer = -np.inf
    for hours in LAST_DEPARTURE_HOURS:
        within = last.is_known & ~inbound.has_landed
        within &= (longer <= ago) & (ago < 60 * hours)
        longer = 60.0 * hours
        of_delay = np.clip(delay, -UNIT_MINUTES, MAX_LAST_DELAY_MINUTES) / UNIT_MINUTES
        is_late = within & (delay > UNIT_MINUTES)
        columns += [
            within.astype(np.float64),
            np.where(within, of_delay, 0.0),
            is_late.astype(np.float64),
        ]
    return columns


def _minutes(
    duration: NDArray[np.timedelta64], is_known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Minutes; 0 where they are not known."""
    return np.where(is_known, duration / MINUTE, 0.0)


def _units(minutes: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(minutes, 0, MAX_MINUTES) / UNIT_MINUTES
