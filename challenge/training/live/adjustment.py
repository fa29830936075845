"""The live adjustment: how much each term counts, by how far ahead a flight is."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise, product
from math import ceil
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.live.adjustment import (
    DAY,
    DISTANCES_MINUTES,
    HOUR,
    REACH_MINUTES,
    Adjustment,
)
from challenge.live.terms import Group, Term
from challenge.training.live.features import MINUTE, Replay, State
from challenge.training.live.regression import fit_coefficients, log_loss

PRIORS: Final = (5.0, 10.0, 20.0, 50.0)
PENALTIES: Final = (10.0, 30.0, 100.0, 300.0)
# One prior and one penalty for all distances, chosen where hours and where days count.
CHOSEN_AT_MINUTES: Final = (HOUR, DAY)
# A window is used where so many of the flights have it whole.
COMPLETE_SHARE: Final = 1 / 3
# What says nothing there is not judged: hours a day ahead, and days and weeks on fewer
# days.
SHORT_UNTIL_MINUTES: Final = DAY
LONG_JUDGED_DAYS: Final = 14
# So much each term of a group must lower the log loss, in nats. Akaike (1974) asks for one;
# the flights of a day are late together, so chance gives more.
NATS_A_TERM: Final = 2.0
# Shares of the flights, in the order of time: coefficients of those before each are judged
# on those until the next.
JUDGED_FROM: Final = (0.4, 0.6, 0.8)
# Fewer flights tell nothing, and more add nothing to what so many terms can learn.
MIN_FLIGHTS: Final = 500
MAX_FLIGHTS: Final = 60_000


@dataclass(frozen=True)
class FittedAdjustment:
    """What is added to the log-odds of the table.

    Attributes:
        terms: what there is to know.
        prior: of the effects of windows.
        penalty: with which the coefficients were fitted.
        coefficients: of shape (distances, terms), in the order of DISTANCES_MINUTES;
            0 for terms that do not help there.
    """

    terms: tuple[Term, ...]
    prior: float
    penalty: float
    coefficients: NDArray[np.float64]

    def contributions(
        self, state: State, scheduled: NDArray[np.datetime64]
    ) -> NDArray[np.float64]:
        """What each term adds to the log-odds of flights, shape (flights, terms).

        Args:
            state: what was known when they were asked about.
            scheduled: when they should leave, datetime64[s] in UTC.
        """
        ahead = (scheduled - state.at) / MINUTE
        return state.features(self.prior) * self.at(ahead)

    def at(self, ahead: NDArray[np.float64]) -> NDArray[np.float64]:
        """The coefficients so many minutes ahead, shape (flights, terms): linear in the
        logarithm between distances, as at the first below it, fading beyond the last.
        """
        logarithm = np.log(np.maximum(ahead, DISTANCES_MINUTES[0]))
        known = np.log(DISTANCES_MINUTES)
        last = DISTANCES_MINUTES[-1]
        fading = np.clip((REACH_MINUTES - ahead) / (REACH_MINUTES - last), 0, 1)
        columns = [np.interp(logarithm, known, one) for one in self.coefficients.T]
        return np.stack(columns, axis=1) * fading[:, np.newaxis]

    def stored(self) -> Adjustment:
        """The same for a model's file."""
        used = zip(self.terms, self.coefficients.T.tolist(), strict=True)
        coefficients = {term.name: values for term, values in used if any(values)}
        return Adjustment(self.prior, coefficients)

    def helps(self) -> dict[str, list[str]]:
        """What helps, as `LiveCard.helps` has it."""
        groups = {
            distance: list(map(str, self.groups(distance)))
            for distance in DISTANCES_MINUTES
        }
        return {str(distance): found for distance, found in groups.items() if found}

    def to_dict(self) -> dict[str, Any]:
        """Prior, penalty, and by minutes ahead the coefficients that are not 0."""
        coefficients = {
            str(distance): {
                term.name: value
                for term, value in zip(self.terms, values, strict=True)
                if value
            }
            for distance, values in zip(
                DISTANCES_MINUTES, self.coefficients.tolist(), strict=True
            )
        }
        return {
            "prior": self.prior,
            "penalty": self.penalty,
            "coefficients": coefficients,
        }

    def groups(self, distance: int) -> list[Group]:
        """Those that help at one of DISTANCES_MINUTES."""
        used = self.coefficients[DISTANCES_MINUTES.index(distance)] != 0
        helping = {
            t.group for t, is_used in zip(self.terms, used, strict=True) if is_used
        }
        return [group for group in Group if group in helping]


class _Rows(NamedTuple):
    """Flights to learn from at a distance, in the order of time.

    Attributes:
        state: of the flights.
        offset: the log-odds that the table gave them.
        late: whether they were.
        usable: whether each term may be used: its window is whole for all of them.
    """

    state: State
    offset: NDArray[np.float64]
    late: NDArray[np.int8]
    usable: NDArray[np.bool_]

    @property
    def suffice(self) -> bool:
        return len(self.late) >= MIN_FLIGHTS


def fit_adjustment(
    replay: Replay, training: int, groups: Collection[Group] = tuple(Group)
) -> FittedAdjustment:
    """Learn how much each term counts.

    Prior, penalty and what helps are chosen forward in time: coefficients are judged by
    the log loss of the flights after those that they are of.

    Args:
        replay: the past.
        training: how many of its flights, the first, may be looked at.
        groups: the terms that may be used.
    """
    in_groups = np.array([term.group in groups for term in replay.terms], dtype=bool)
    prior, penalty = _choose(replay, training, in_groups)
    coefficients = np.zeros((len(DISTANCES_MINUTES), len(replay.terms)))
    for of_distance, distance in zip(coefficients, DISTANCES_MINUTES, strict=True):
        rows = _rows(replay, training, distance, in_groups)
        if rows.suffice:
            features = rows.state.features(prior)
            used = _helping(replay.terms, rows, features, penalty)
            of_distance[used] = fit_coefficients(
                features[:, used], rows.late, rows.offset, penalty
            )
    return FittedAdjustment(replay.terms, prior, penalty, coefficients)


def _choose(
    replay: Replay, training: int, in_groups: NDArray[np.bool_]
) -> tuple[float, float]:
    losses = dict.fromkeys(product(PRIORS, PENALTIES), 0.0)
    for distance in CHOSEN_AT_MINUTES:
        rows = _rows(replay, training, distance, in_groups)
        if rows.suffice:
            for prior in PRIORS:
                features = rows.state.features(prior)
                for penalty in PENALTIES:
                    loss = _forward_loss(rows, features, rows.usable, penalty)
                    losses[prior, penalty] += loss
    return min(losses, key=lambda one: losses[one])


def _rows(
    replay: Replay, training: int, distance: int, in_groups: NDArray[np.bool_]
) -> _Rows:
    """The flights of the training part that a table had not seen, and whose windows are
    whole."""
    scheduled = replay.past.flights.scheduled
    asked = np.flatnonzero(~np.isnan(replay.expected[:training]))
    at = scheduled[asked] - distance * MINUTE
    # Windows reach back to the first flight of which something was expected.
    reach = (at - scheduled[asked[:1]]) / np.timedelta64(1, "h")
    hours = [
        term.hours
        for term in replay.terms
        if (reach >= term.hours).mean() >= COMPLETE_SHARE
    ]
    longest = max(hours, default=0)
    whole = np.flatnonzero(reach >= longest)
    whole = whole[:: ceil(len(whole) / MAX_FLIGHTS) or 1]
    state = replay.state(asked[whole], at[whole])
    groups = _judged_groups(distance, at[whole])
    usable = in_groups & [
        term.hours <= longest and term.group in groups for term in replay.terms
    ]
    return _Rows(
        state, replay.expected[state.asked], replay.past.late[state.asked], usable
    )


def _judged_groups(distance: int, at: NDArray[np.datetime64]) -> set[Group]:
    """The groups of which flights that are asked about at some moments can say whether
    they help."""
    if not len(at):
        return set()
    judged_days = (1 - JUDGED_FROM[0]) * (at[-1] - at[0]) / np.timedelta64(1, "D")
    groups = {Group.AIRCRAFT}
    if distance < SHORT_UNTIL_MINUTES:
        groups.add(Group.SHORT)
    if judged_days >= LONG_JUDGED_DAYS:
        groups.add(Group.LONG)
    return groups


def _helping(
    terms: Iterable[Term],
    rows: _Rows,
    features: NDArray[np.float64],
    penalty: float,
) -> NDArray[np.bool_]:
    """The terms of the groups that lower the forward loss by NATS_A_TERM. Groups are left
    out one by one, first the one that is missed least."""
    of_group = np.array([list(Group).index(term.group) for term in terms])

    def cost(used: NDArray[np.bool_]) -> float:
        terms = int(used.sum())
        return _forward_loss(rows, features, used, penalty) + NATS_A_TERM * terms

    used = rows.usable
    best = cost(used)
    while used.any():
        fewer = [used & (of_group != group) for group in np.unique(of_group[used])]
        costs = [cost(trial) for trial in fewer]
        if min(costs) > best:
            break
        best = min(costs)
        used = fewer[costs.index(best)]
    return used


def _forward_loss(
    rows: _Rows,
    features: NDArray[np.float64],
    used: NDArray[np.bool_],
    penalty: float,
) -> float:
    """The log loss of flights with coefficients of those before them."""
    chosen = features[:, used]
    loss = 0.0
    for share, until in pairwise((*JUDGED_FROM, 1.0)):
        begin, end = int(share * len(chosen)), int(until * len(chosen))
        earlier, later = slice(begin), slice(begin, end)
        coefficients = fit_coefficients(
            chosen[earlier], rows.late[earlier], rows.offset[earlier], penalty
        )
        log_odds = rows.offset[later] + chosen[later] @ coefficients
        loss += (end - begin) * log_loss(log_odds, rows.late[later])
    return loss
