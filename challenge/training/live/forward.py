"""Past flights asked about at one distance, and how well those before foretell them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.artifact.card import DistanceQuality
from challenge.live.adjustment import DAY
from challenge.live.terms import Group
from challenge.training.evaluate.bootstrap import CountsByProbability
from challenge.training.evaluate.metrics import (
    average_precision,
    has_both_classes,
    roc_auc,
)
from challenge.training.live.features import MINUTE, Replay
from challenge.training.live.regression import fit_coefficients, log_loss, sigmoid

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
# on those until the next, a period.
JUDGED_FROM: Final = (0.4, 0.6, 0.8)
PERIODS: Final = len(JUDGED_FROM)
# Fewer flights tell nothing, and more add nothing to what so many terms can learn.
MIN_FLIGHTS: Final = 500
MAX_FLIGHTS: Final = 60_000


class Settings(NamedTuple):
    """The prior of the effects of windows, and the penalty of the coefficients."""

    prior: float
    penalty: float


class Forward:
    """Flights of the training part, asked about at a distance, in the order of time: those
    that a table had not seen, and whose windows are whole.

    What is computed is remembered, as the same is asked again and again.

    Args:
        replay: the past.
        training: how many of its flights, the first, may be looked at.
        distance: how long before their time they are asked about, in minutes.
        groups: the terms that may be used.

    Attributes:
        groups: those of them of which these flights can say whether they help.
    """

    def __init__(
        self, replay: Replay, training: int, distance: int, groups: Collection[Group]
    ) -> None:
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
        judged = _judged_groups(distance, at[whole]).intersection(groups)
        self._group_of = [
            term.group if term.hours <= longest and term.group in judged else None
            for term in replay.terms
        ]
        self.groups = frozenset(group for group in self._group_of if group is not None)
        self._state = replay.state(asked[whole], at[whole])
        self._offset = replay.expected[self._state.asked]
        self._late = replay.past.late[self._state.asked]
        shares = (*JUDGED_FROM, 1.0)
        self._bounds = [int(share * len(self._late)) for share in shares]
        # Coefficients of the last fit: those of the next are near.
        self._last = np.zeros(len(replay.terms))
        self._features: tuple[float, NDArray[np.float64]] | None = None
        self._log_odds: dict[
            tuple[Settings, frozenset[Group], int], NDArray[np.float64]
        ] = {}

    @property
    def suffice(self) -> bool:
        """Whether there are enough flights to learn from."""
        return len(self._late) >= MIN_FLIGHTS

    def loss(self, settings: Settings, groups: frozenset[Group], period: int) -> float:
        """The log loss of the flights of a period, summed, with coefficients of those
        before it."""
        log_odds = self._foretold(settings, groups, period)
        begin, end = self._bounds[period : period + 2]
        return (end - begin) * log_loss(log_odds, self._late[begin:end])

    def helping(self, settings: Settings, periods: int = PERIODS) -> frozenset[Group]:
        """The groups that lower the loss of the first periods by NATS_A_TERM for each of
        their terms. Groups are left out one by one, first the one that is missed least.
        """

        def cost(groups: frozenset[Group]) -> float:
            losses = (self.loss(settings, groups, period) for period in range(periods))
            return sum(losses) + NATS_A_TERM * int(self._used(groups).sum())

        helping = self.groups
        while helping:
            fewer = [helping - {group} for group in Group if group in helping]
            best = min(fewer, key=cost)
            if cost(best) > cost(helping):
                break
            helping = best
        return helping

    def fit(self, settings: Settings, groups: frozenset[Group]) -> NDArray[np.float64]:
        """The coefficients of all terms, shape (terms,); 0 for those of other groups."""
        used = self._used(groups)
        features = self._features_with(settings.prior)[:, used]
        coefficients = np.zeros(len(used))
        coefficients[used] = self._fitted(features, used, len(features), settings)
        return coefficients

    def quality(
        self, chosen: Sequence[Settings], schedule: NDArray[np.float64]
    ) -> DistanceQuality | None:
        """How good the odds of a schedule are with what coefficients add to them, in all
        periods but the first. What helps in a period is chosen on the periods before it,
        and its coefficients are fitted to the flights before it.

        Args:
            chosen: the settings of these periods.
            schedule: the log-odds of all flights of the past, as told by a table that had
                not seen them; NaN where there is none.

        Returns: None if there are too few flights.
        """
        moved = [
            self._foretold(settings, self.helping(settings, period), period)
            for period, settings in enumerate(chosen, start=1)
        ]
        later = slice(self._bounds[1], None)
        added = np.concatenate(moved) - self._offset[later]
        odds, late = schedule[self._state.asked[later]], self._late[later]
        is_told = ~np.isnan(odds)
        odds, added, late = odds[is_told], added[is_told], late[is_told]
        if len(late) < MIN_FLIGHTS or not has_both_classes(late):
            return None
        with_state, alone = (
            CountsByProbability.of(sigmoid(log_odds), late).whole()
            for log_odds in (odds + added, odds)
        )
        return DistanceQuality(
            roc_auc=float(roc_auc(with_state)),
            average_precision=float(average_precision(with_state)),
            schedule_roc_auc=float(roc_auc(alone)),
            schedule_average_precision=float(average_precision(alone)),
            flights=len(late),
        )

    def _foretold(
        self, settings: Settings, groups: frozenset[Group], period: int
    ) -> NDArray[np.float64]:
        """The log-odds of the flights of a period, with coefficients of those before."""
        key = settings, groups, period
        if key not in self._log_odds:
            begin, end = self._bounds[period : period + 2]
            used = self._used(groups)
            features = self._features_with(settings.prior)[:end, used]
            added = features[begin:] @ self._fitted(features, used, begin, settings)
            self._log_odds[key] = self._offset[begin:end] + added
        return self._log_odds[key]

    def _fitted(
        self,
        features: NDArray[np.float64],
        used: NDArray[np.bool_],
        flights: int,
        settings: Settings,
    ) -> NDArray[np.float64]:
        """The coefficients of the terms used, fitted to the first flights."""
        coefficients = fit_coefficients(
            features[:flights],
            self._late[:flights],
            self._offset[:flights],
            settings.penalty,
            self._last[used],
        )
        self._last[used] = coefficients
        return coefficients

    def _features_with(self, prior: float) -> NDArray[np.float64]:
        # Of one prior: they are large, and priors are tried one after the other.
        if self._features is None or self._features[0] != prior:
            self._features = prior, self._state.features(prior)
        return self._features[1]

    def _used(self, groups: frozenset[Group]) -> NDArray[np.bool_]:
        return np.array([group in groups for group in self._group_of], dtype=bool)


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
