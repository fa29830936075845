"""The log-odds of a probability, without numpy."""

from __future__ import annotations

import math
from typing import Final

SMALLEST_PROBABILITY: Final = 1e-9


def log_odds(probability: float) -> float:
    """ln(p / (1 - p)), finite also for 0 and 1."""
    if not SMALLEST_PROBABILITY < probability < 1 - SMALLEST_PROBABILITY:
        low = probability < 0.5
        probability = SMALLEST_PROBABILITY if low else 1 - SMALLEST_PROBABILITY
    return math.log(probability / (1 - probability))
