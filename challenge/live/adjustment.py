"""How much each term of the day counts, by how far ahead a flight is."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Final

import msgspec

from challenge.live.known import Question
from challenge.live.terms import TERMS

HOUR: Final = 60
DAY: Final = 24 * HOUR
DISTANCES_MINUTES: Final = (
    *(15, 30),
    *(HOUR, 2 * HOUR, 4 * HOUR),
    *(DAY, 7 * DAY, 14 * DAY),
)
# Beyond, nothing is known that the table does not say.
REACH_MINUTES: Final = 28 * DAY
_LOGARITHMS: Final = tuple(map(math.log, DISTANCES_MINUTES))


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


class Distance:
    """How far ahead a flight is, among DISTANCES_MINUTES.

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
