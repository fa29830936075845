"""Cross-validation of parameters."""

from __future__ import annotations

import numpy as np
import pytest

from challenge.classifier import CLASSIFIERS
from challenge.cli import main
from challenge.errors import TrainingDataError
from challenge.training import tuning
from challenge.training.data.dataset import read_dataset
from challenge.training.data.splits import random_split
from challenge.training.tuning import FOLDS, SPACE, folds, tune

pytestmark = pytest.mark.slow


@pytest.fixture
def dataset(enough_flights, tmp_path):
    path = tmp_path / "flights.csv"
    enough_flights.to_csv(path, index=False)
    return read_dataset(path)


def test_every_flight_is_held_out_once_with_a_fair_share_of_delays(dataset):
    flights = np.arange(10, 60)
    held_out = [fold.held_out for fold in folds(dataset.delayed, flights)]
    assert sorted(np.concatenate(held_out).tolist()) == flights.tolist()
    delays = [int(dataset.delayed[part].sum()) for part in held_out]
    assert max(delays) - min(delays) <= 1
    for fold in folds(dataset.delayed, flights):
        assert not set(fold.training) & set(fold.held_out)


def test_all_choices_are_tried_and_the_best_comes_first(dataset):
    trials = tune("logistic-regression", dataset, {"C": (0.001, 1.0)})
    assert {trial.parameters["C"] for trial in trials} == {0.001, 1.0}
    best, second = (trial.measures["average_precision"] for trial in trials)
    assert best >= second


def test_the_flights_that_training_reports_on_are_not_looked_at(dataset):
    space = {"C": (1.0,)}
    before = tune("logistic-regression", dataset, space)
    dataset.delayed[random_split(dataset).held_out] ^= 1
    assert tune("logistic-regression", dataset, space) == before


def test_the_space_holds_what_is_shipped():
    assert SPACE.keys() == CLASSIFIERS.keys()
    for name, space in SPACE.items():
        shipped = CLASSIFIERS[name]().parameters
        for parameter, values in space.items():
            assert shipped[parameter] in values


def test_the_command_prints_a_table(dataset, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(tuning.SPACE, "logistic-regression", {"C": (0.1, 1.0)})
    arguments = [str(tmp_path / "flights.csv"), "--classifier", "logistic-regression"]
    assert main(["tune", *arguments]) == 0
    header, rule, *rows = capsys.readouterr().out.splitlines()
    assert header == "| C | average_precision | roc_auc | brier | ece | recall | f1 |"
    assert len(rows) == 2


def test_too_few_flights_are_refused(few_flights, tmp_path):
    path = tmp_path / "flights.csv"
    few_flights.head(12).to_csv(path, index=False)
    with pytest.raises(TrainingDataError, match=f"too few for {FOLDS} folds"):
        tune("xgboost", read_dataset(path))
