"""What the live adjustment is worth, by how far ahead flights are asked about."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.live.adjustment import DAY, DISTANCES_MINUTES, said
from challenge.live.terms import Group
from challenge.training.data.past import Past
from challenge.training.data.splits import TRAINING_SHARE
from challenge.training.evaluate.metrics import (
    Predictions,
    Quality,
    has_both_classes,
    measure,
)
from challenge.training.live.adjustment import FittedAdjustment, fit_adjustment
from challenge.training.live.features import MINUTE, Replay, State
from challenge.training.live.forward import MIN_FLIGHTS
from challenge.training.live.learning import can_learn
from challenge.training.live.regression import sigmoid
from challenge.training.live.tables import counts_of, walk_forward
from challenge.training.recipe import Recipe

# Each interval is one of three models at one of nine distances.
LIVE_REPLICATES: Final = 200
# Of log-odds, finer than anybody reads: what the intervals cost grows with the distinct
# values.
DECIMALS: Final = 3
MIDNIGHT: Final = "the midnight before"


@dataclass(frozen=True)
class LiveQuality:
    """The quality on flights that are asked about at one distance.

    Attributes:
        ahead: how long before their time, as people say it.
        told: the share of these flights whose odds the state moved.
        aircraft_told: the share whose odds their aircraft moved.
        groups: what helps there: groups of terms; None between distances.
        without: of the table alone.
        without_aircraft: with the state, but for the aircraft; None if the flights tell
            no aircraft.
        with_state: with all of it.
    """

    ahead: str
    told: float
    aircraft_told: float
    groups: tuple[str, ...] | None
    without: Quality
    without_aircraft: Quality | None
    with_state: Quality

    def to_dict(self) -> dict[str, Any]:
        fewer = self.without_aircraft
        return {
            "told": self.told,
            "aircraft_told": self.aircraft_told,
            "groups": self.groups,
            "without": self.without.to_dict(),
            "without_aircraft": fewer and fewer.to_dict(),
            "with_state": self.with_state.to_dict(),
        }


@dataclass(frozen=True)
class LiveEvaluation:
    """Flights held out by time, asked about again as the days went.

    Attributes:
        training: how many flights were learned from, the first by time.
        held_out: how many came after.
        adjustment: as it was learned from the training part.
        distances: the quality at each distance, the nearest first.
    """

    training: int
    held_out: int
    adjustment: FittedAdjustment
    distances: tuple[LiveQuality, ...]

    def to_dict(self) -> dict[str, Any]:
        return {
            "training": self.training,
            "held_out": self.held_out,
            "adjustment": self.adjustment.to_dict(),
            "distances": {one.ahead: one.to_dict() for one in self.distances},
        }


def evaluate_live(
    recipe: Recipe, past: Past, training_share: float = TRAINING_SHARE
) -> LiveEvaluation | None:
    """Learn table and adjustment from the first flights, and ask about the others.

    Everything is chosen in the training part. The intervals are percentiles over days
    drawn with replacement: the flights of a day are late together.

    Args:
        recipe: how the table is made.
        past: the flights.
        training_share: of them, the first by time, is learned from.

    Returns: None if there are too few flights.
    """
    training = int(len(past) * training_share)
    held_out = past.late[training:]
    is_enough = len(held_out) >= MIN_FLIGHTS and has_both_classes(held_out)
    if not (is_enough and can_learn(past, training)):
        return None
    model = recipe.fit(counts_of(past, training), past.vocabulary)
    expected = walk_forward(recipe, past, training, model)
    replay = Replay(past, expected, model.grid)
    adjustment = fit_adjustment(replay, training)
    without_aircraft = None
    if any(term.group is Group.AIRCRAFT for term in replay.terms):
        groups = (Group.SHORT, Group.LONG)
        without_aircraft = fit_adjustment(replay, training, groups)
    asked = np.arange(training, len(past))
    judged = _Judged(replay, adjustment, without_aircraft, model.threshold)
    distances = tuple(
        judged.quality(moment, asked) for moment in _moments(past, asked, adjustment)
    )
    return LiveEvaluation(training, len(asked), adjustment, distances)


class _Moment(NamedTuple):
    """When flights are asked about: `at` of each, datetime64[s]; others as of
    `LiveQuality`."""

    ahead: str
    groups: tuple[str, ...] | None
    at: NDArray[np.datetime64]


def _moments(
    past: Past, asked: NDArray[np.intp], adjustment: FittedAdjustment
) -> Iterator[_Moment]:
    scheduled, local = past.flights.scheduled[asked], past.local[asked]
    for distance in DISTANCES_MINUTES:
        if distance == DAY:
            since_midnight = local - local.astype("datetime64[D]")
            yield _Moment(MIDNIGHT, None, scheduled - since_midnight)
        groups = tuple(map(str, adjustment.groups(distance)))
        yield _Moment(said(distance), groups, scheduled - distance * MINUTE)


class _Judged(NamedTuple):
    """A table and its adjustments, with and without the aircraft."""

    replay: Replay
    adjustment: FittedAdjustment
    without_aircraft: FittedAdjustment | None
    threshold: float

    def quality(self, moment: _Moment, asked: NDArray[np.intp]) -> LiveQuality:
        """How good the answers to some questions are."""
        state = self.replay.state(asked, moment.at)
        scheduled = self.replay.past.flights.scheduled[state.asked]
        added = self.adjustment.contributions(state, scheduled)
        is_aircraft = np.array(
            [term.group is Group.AIRCRAFT for term in self.adjustment.terms], dtype=bool
        )
        without_aircraft = None
        if self.without_aircraft is not None:
            fewer = self.without_aircraft.contributions(state, scheduled)
            without_aircraft = self._measure(state, fewer)
        return LiveQuality(
            ahead=moment.ahead,
            told=float((added != 0).any(axis=1).mean()),
            aircraft_told=float((added[:, is_aircraft] != 0).any(axis=1).mean()),
            groups=moment.groups,
            without=self._measure(state, np.zeros_like(added)),
            without_aircraft=without_aircraft,
            with_state=self._measure(state, added),
        )

    def _measure(self, state: State, added: NDArray[np.float64]) -> Quality:
        past, asked = self.replay.past, state.asked
        log_odds = self.replay.expected[asked] + added.sum(axis=1)
        days = past.local[asked].astype("datetime64[D]")
        predictions = Predictions(
            sigmoid(log_odds.round(DECIMALS)), past.late[asked], days
        )
        return measure(predictions, self.threshold, LIVE_REPLICATES)
