"""Logistic regression with an offset and an L2 penalty, and without an intercept.

scikit-learn's has no offset. With a slope and an intercept in its place the mean would
drift from the rate as soon as the days differ from those of the fit.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

MAX_STEPS: Final = 50
MAX_HALVINGS: Final = 20
# A step that moves no coefficient by more is the last: what it leaves to go is about its
# square.
TOLERANCE: Final = 1e-5


def fit_coefficients(
    features: NDArray[np.float64],
    late: NDArray[np.integer],
    offset: NDArray[np.float64],
    penalty: float,
    start: NDArray[np.float64] | None = None,
) -> NDArray[np.float64]:
    """The coefficients that minimise the log loss and half the penalty times the sum of
    their squares, by Newton's method.

    Args:
        features: shape (flights, terms).
        late: 0 or 1, shape (flights,).
        offset: log-odds without the features, shape (flights,).
        penalty: above 0.
        start: coefficients near those, to find them sooner; 0 by default.

    Returns: shape (terms,).
    """
    coefficients = np.zeros(features.shape[1]) if start is None else start
    ridge = penalty * np.eye(features.shape[1])

    def loss(trial: NDArray[np.float64]) -> float:
        flights = len(late) * log_loss(offset + features @ trial, late)
        return flights + penalty * float(trial @ trial) / 2

    best = loss(coefficients)
    for _ in range(MAX_STEPS):
        probability = sigmoid(offset + features @ coefficients)
        gradient = features.T @ (late - probability) - penalty * coefficients
        weight = probability * (1 - probability)
        step = np.linalg.solve((features.T * weight) @ features + ridge, gradient)
        if np.abs(step).max(initial=0) < TOLERANCE:
            return coefficients + step
        for _ in range(MAX_HALVINGS):
            if (reached := loss(coefficients + step)) <= best:
                break
            step /= 2
        else:
            break
        coefficients, best = coefficients + step, reached
    return coefficients


def log_loss(log_odds: NDArray[np.float64], late: NDArray[np.integer]) -> float:
    """The mean negative log-likelihood, in nats."""
    return float((np.logaddexp(0, log_odds) - late * log_odds).mean())


def sigmoid(log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probabilities of log-odds."""
    probability: NDArray[np.float64] = 1 / (1 + np.exp(-log_odds))
    return probability
