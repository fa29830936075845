"""Log-odds, the scale on which a model adds up, without numpy."""

from __future__ import annotations

import math
from typing import Any, Final

SMALLEST_PROBABILITY: Final = 1e-9


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), finite also for 0 and 1."""
    if not SMALLEST_PROBABILITY < probability < 1 - SMALLEST_PROBABILITY:
        low = probability < 0.5
        probability = SMALLEST_PROBABILITY if low else 1 - SMALLEST_PROBABILITY
    return math.log(probability / (1 - probability))


def probability(log_odds: float) -> float:
    """The probability that has these log-odds."""
    # No exponential of a large number.
    odds = math.exp(-abs(log_odds))
    return (odds if log_odds < 0 else 1) / (1 + odds)


def shifted(probability: Any, odds_ratio: Any) -> Any:
    """A probability whose odds were multiplied, or an array of them; unchanged by 1."""
    return probability * odds_ratio / (1 + probability * (odds_ratio - 1))
