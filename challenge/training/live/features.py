"""What the state of the day says about flights, as numbers that log-odds are linear in."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.flights.fields import (
    AIRLINE_CODE,
    DESTINATION_CODE,
    HOUR_CODE,
    HOURS,
    NOT_GIVEN,
    ORIGIN_CODE,
)
from challenge.live.known import Inbound, Known, LastDeparture
from challenge.training.data.past import Past
from challenge.training.live.tables import log_odds

SHORT_WINDOWS_HOURS: Final = (1, 3, 12)
LONG_WINDOWS_HOURS: Final = (24, 7 * 24, 28 * 24)
WINDOWS_HOURS: Final = SHORT_WINDOWS_HOURS + LONG_WINDOWS_HOURS
# Airlines are late in waves, of so many hours by the local clock.
WAVE_HOURS: Final = 4
WAVE: Final = "the airline at this time of day"
# The aircraft is there so many minutes before the flight leaves, or fewer.
SLACK_MINUTES: Final = (0, 15, 30, 45)
# The aircraft left here last within so many hours, and longer ago than the one before.
LAST_DEPARTURE_HOURS: Final = (8, 16, 40)
# A delay beyond says no more: the next flight gets another aircraft.
MAX_MINUTES: Final = 240
MAX_LAST_DELAY_MINUTES: Final = 180
# Delays are counted in quarters of an hour, so that all terms are of one size and one
# penalty is right for them.
UNIT_MINUTES: Final = 15
MINUTE: Final = np.timedelta64(1, "m")


class Group(StrEnum):
    """Terms that help at a distance together, or are left out there together."""

    SHORT = "the last hours"
    LONG = "the last days and weeks"
    AIRCRAFT = "the aircraft"


class Term(NamedTuple):
    """A feature.

    Attributes:
        name: as people are told it.
        group: its group.
        hours: of its window; 0 if it has none.
    """

    name: str
    group: Group
    hours: int = 0


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

    Attributes:
        past, expected: as given.
        known: what was known when.
        terms: the features of `State.features`, in their order.
    """

    def __init__(self, past: Past, expected: NDArray[np.float64]) -> None:
        self.past = past
        self.expected = expected
        self.known = Known(past.flights)
        self._keys = _keys(past.codes)
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
                key,
                self._probability,
                asked,
                at,
                [np.timedelta64(hours, "h") for hours in _windows(name)],
            )
            for name, key in self._keys.items()
        ]
        return State(asked, at, np.concatenate(sums), self._aircraft(asked, at))

    def _terms(self) -> list[Term]:
        terms = [
            Term(
                f"{name}, last {hours} h",
                Group.SHORT if hours in SHORT_WINDOWS_HOURS else Group.LONG,
                hours,
            )
            for name in self._keys
            for hours in _windows(name)
        ]
        names: list[str] = []
        if self._has_inbound:
            names += [f"less than {m} min with the aircraft" for m in SLACK_MINUTES]
            names += ["arrival overdue", "landed", "in the air", "not left for here"]
            names += ["arrival not known"]
        if self._has_aircraft:
            for hours in LAST_DEPARTURE_HOURS:
                within = f"last departure within {hours} h"
                names += [within, f"{within}, delay", f"{within}, late"]
        return terms + [Term(name, Group.AIRCRAFT) for name in names]

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


def _windows(key: str) -> tuple[int, ...]:
    """The windows of a key in hours; a wave comes once a day."""
    return LONG_WINDOWS_HOURS if key == WAVE else WINDOWS_HOURS


def _keys(codes: NDArray[np.int16]) -> dict[str, NDArray[np.int64]]:
    """What flights have in common. Those that tell no destination, or no origin, have that
    in common, too."""
    origin, airline, destination = (
        codes[:, column].astype(np.int64) - NOT_GIVEN
        for column in (ORIGIN_CODE, AIRLINE_CODE, DESTINATION_CODE)
    )
    wave = codes[:, HOUR_CODE].astype(np.int64) // WAVE_HOURS
    keys = {
        "all flights": np.zeros_like(origin),
        "the origin": origin,
        "the airline": airline,
        "the airline at the origin": airline * (origin.max(initial=0) + 1) + origin,
        WAVE: airline * HOURS + wave,
        "the destination": destination,
    }
    # Of one airline, or one origin, the same is said once.
    told_apart: dict[str, NDArray[np.int64]] = {}
    for name, key in keys.items():
        if not any(_are_alike(key, other) for other in told_apart.values()):
            told_apart[name] = key
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
