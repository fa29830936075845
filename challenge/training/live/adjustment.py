"""The live adjustment: how much each term counts, by how far ahead a flight is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product, starmap
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from challenge.artifact.card import DistanceQuality
from challenge.live.adjustment import (
    DAY,
    DISTANCES_MINUTES,
    HOUR,
    REACH_MINUTES,
    Adjustment,
)
from challenge.live.terms import Group, Term
from challenge.training.live.features import MINUTE, Replay, State
from challenge.training.live.forward import PERIODS, Forward, Settings

PRIORS: Final = (5.0, 10.0, 20.0, 50.0)
PENALTIES: Final = (10.0, 30.0, 100.0, 300.0)
# One prior and one penalty for all distances, chosen where hours and where days count.
CHOSEN_AT_MINUTES: Final = (HOUR, DAY)


@dataclass(frozen=True)
class FittedAdjustment:
    """What is added to the log-odds of the table.

    Attributes:
        terms: what there is to know.
        prior: of the effects of windows.
        penalty: with which the coefficients were fitted.
        coefficients: of shape (distances, terms), in the order of DISTANCES_MINUTES;
            0 for terms that do not help there.
        quality: forward in time, by distance, in minutes; without the distances at which
            too few flights were asked about.
    """

    terms: tuple[Term, ...]
    prior: float
    penalty: float
    coefficients: NDArray[np.float64]
    quality: Mapping[int, DistanceQuality] = field(default_factory=dict)

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


def fit_adjustment(
    replay: Replay,
    training: int,
    groups: Collection[Group] = tuple(Group),
    schedule: NDArray[np.float64] | None = None,
) -> FittedAdjustment:
    """Learn how much each term counts.

    Prior, penalty and what helps are chosen forward in time: coefficients are judged by
    the log loss of the flights after those that they are of.

    Args:
        replay: the past.
        training: how many of its flights, the first, may be looked at.
        groups: the terms that may be used.
        schedule: log-odds to measure the quality with, as `Forward.quality` takes them;
            without them it is not measured.
    """
    asked = {
        distance: Forward(replay, training, distance, groups)
        for distance in CHOSEN_AT_MINUTES
    }
    *before, settings = _chosen(list(asked.values()))
    coefficients = np.zeros((len(DISTANCES_MINUTES), len(replay.terms)))
    quality: dict[int, DistanceQuality] = {}
    for of_distance, distance in zip(coefficients, DISTANCES_MINUTES, strict=True):
        past = asked.pop(distance, None) or Forward(replay, training, distance, groups)
        if past.suffice:
            of_distance[:] = past.fit(settings, past.helping(settings))
            measured = schedule is not None and past.quality(before, schedule)
            if measured:
                quality[distance] = measured
    return FittedAdjustment(replay.terms, *settings, coefficients, quality)


def _chosen(asked: Sequence[Forward]) -> list[Settings]:
    """The settings with the lowest loss in the first period, the first two, and so on."""
    losses = {
        settings: np.zeros(PERIODS)
        for settings in starmap(Settings, product(PRIORS, PENALTIES))
    }
    for settings, of_periods in losses.items():
        for past in asked:
            if past.suffice:
                of_periods += [
                    past.loss(settings, past.groups, period)
                    for period in range(PERIODS)
                ]
    return [
        min(losses, key=lambda one: losses[one][:periods].sum())
        for periods in range(1, PERIODS + 1)
    ]
