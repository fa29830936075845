"""Every classifier keeps the contract, also one that somebody else writes."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from challenge.classifier import (
    Classifier,
    LogisticRegressionClassifier,
    XGBoostClassifier,
)
from tests.model.classifier_checks import CHECKS, classifier_checks, sample_rows


class RateClassifier(Classifier):
    """The delay rate of each category of one column, a little shrunk to that of all."""

    name = "rate"

    def __init__(self, column: int = 1) -> None:
        self.column = column

    @property
    def parameters(self):
        return {"column": self.column}

    def _fit(self, features, target, weight):
        codes = features[:, self.column] + 1
        rows = np.bincount(codes, weight) + 1
        late = np.bincount(codes, weight * target) + self.base_rate_
        self.rates_ = np.append(late / rows, self.base_rate_)

    def _predict_proba(self, features):
        return self.rates_[features[:, self.column] + 1]

    def _outer_log_odds(self, left, right):
        rows = np.hstack(
            [left.repeat(len(right), axis=0), np.tile(right, (len(left), 1))]
        )
        rate = self._predict_proba(rows).reshape(len(left), len(right))
        return np.log(rate / (1 - rate))

    def _state(self):
        return {"rates": self.rates_.tolist()}

    def _restore(self, state):
        self.rates_ = np.array(state["rates"])


CLASSIFIERS = [LogisticRegressionClassifier, XGBoostClassifier, RateClassifier]


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{make.__name__}-{name}")
        for make in CLASSIFIERS
        for name, check in classifier_checks(make)
    ],
)
def test_every_classifier_keeps_the_contract(check):
    check()


class Unweighted(RateClassifier):
    def _fit(self, features, target, weight):
        super()._fit(features, target, np.ones_like(weight))


class Random(RateClassifier):
    def _fit(self, features, target, weight):
        super()._fit(features, target, weight)
        self.rates_ += np.random.default_rng().uniform(0, 0.001, len(self.rates_))


class Forgetful(RateClassifier):
    def _state(self):
        return {"rates": self.rates_.round(3).tolist()}


class Arrays(RateClassifier):
    def _state(self):
        return {"rates": self.rates_}


class Biased(RateClassifier):
    def _predict_proba(self, features):
        return super()._predict_proba(features) * 1.1


@pytest.mark.parametrize(
    ("make", "broken"),
    [
        (Unweighted, {"weights_count_like_repeated_rows"}),
        (
            Random,
            {
                "fits_are_deterministic_and_independent",
                "parameters_make_an_equal_classifier",
                "weights_count_like_repeated_rows",
            },
        ),
        (Forgetful, {"state_is_plain_and_changes_no_answer"}),
        (Arrays, {"state_is_plain_and_changes_no_answer"}),
        (Biased, {"probabilities_are_calibrated_in_the_large"}),
    ],
)
def test_the_checks_find_what_breaks_the_contract(make, broken):
    assert len(CHECKS) == 16
    assert failing(make) == broken


def failing(make) -> set[str]:
    found = set()
    for name, check in classifier_checks(make):
        try:
            check()
        except AssertionError:
            found.add(name)
    return found


def test_predicting_imports_no_scikit_learn():
    features, target = sample_rows()
    classifier = LogisticRegressionClassifier().fit(features, target)
    script = (
        "import sys\n"
        "from challenge.classifier import LogisticRegressionClassifier as Classifier\n"
        f"model = Classifier.from_state({classifier.state()!r}, {{'C': 1.0}})\n"
        "print(model.predict_proba([[1, 2, 3]]), 'sklearn' in sys.modules)"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert run.stdout.endswith("False\n")
