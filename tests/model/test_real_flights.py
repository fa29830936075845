"""The quality that the project promises, on real flights."""

from __future__ import annotations

import numpy as np
import pytest
from fastapi.testclient import TestClient
from sklearn.metrics import f1_score, recall_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold

from challenge.api import create_app
from challenge.features.counts import translate
from challenge.flights.fields import NOT_GIVEN
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from challenge.training.data.splits import forward_split, random_split
from challenge.training.evaluate.evaluation import evaluate_split
from challenge.training.evaluate.metrics import Predictions, measure
from challenge.training.recipe import Recipe
from challenge.training.train import train
from tests.conftest import ROOT

REAL_FLIGHTS = ROOT.parent / "shared/data/scl_2017_flights.csv.gz"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not REAL_FLIGHTS.exists(), reason=f"no real flights beside {ROOT}"
    ),
]


@pytest.fixture(scope="module")
def flights():
    return read_dataset(REAL_FLIGHTS)


def without_optional_fields(codes):
    three = codes.copy()
    three[:, 3:] = NOT_GIVEN
    return three


def test_one_model_answers_well_with_three_fields_and_with_all(flights):
    all_fields, three_fields = [], []
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    for training, held_out in folds.split(flights.codes, flights.delayed):
        model = Recipe().fit(flights.counts(training), flights.vocabulary)
        codes, delayed = flights.codes[held_out], flights.delayed[held_out]
        for qualities, asked in (
            (all_fields, codes),
            (three_fields, without_optional_fields(codes)),
        ):
            answers = Predictions(model.predict_codes(asked), delayed)
            qualities.append(measure(answers, model.threshold, replicates=1))

    def mean(qualities, name):
        return np.mean([getattr(quality, name).value for quality in qualities])

    assert mean(three_fields, "roc_auc") >= 0.665
    assert mean(all_fields, "roc_auc") >= 0.708
    assert mean(all_fields, "average_precision") >= 0.38
    assert mean(all_fields, "ece") <= 0.01
    assert mean(three_fields, "ece") <= 0.01
    assert mean(all_fields, "recall") >= 0.64
    assert mean(all_fields, "f1") >= 0.405


def test_the_first_tenth_holds_far_more_delays_than_a_tenth(flights):
    quality = evaluate_split(Recipe(), flights, random_split(flights)).quality
    assert quality.lift_at_10.value >= 2.4


def test_fields_left_out_are_averaged_over(flights):
    model = Recipe().fit(flights.counts(), flights.vocabulary)
    probability = model.predict_codes(without_optional_fields(flights.codes))
    groups, group = np.unique(flights.codes[:, :3], axis=0, return_inverse=True)
    group = group.reshape(-1)
    rate = np.bincount(group, flights.delayed) / np.bincount(group)
    assert len(groups) > 200
    assert np.abs(probability - rate[group]).mean() <= 0.02


def test_a_model_of_the_past_answers_for_the_months_after(flights):
    quality = evaluate_split(Recipe(), flights, forward_split(flights)).quality
    assert quality.roc_auc.value >= 0.640
    assert quality.average_precision.value >= 0.34
    assert quality.brier.value <= 0.162


def test_a_model_of_sample_flights_knows_real_ones(schedule_model, flights):
    model = DelayModel.load(schedule_model)
    codes, known = translate(flights.codes, flights.vocabulary, model.vocabulary)
    assert known.all()
    probability = model.predict_codes(codes)
    assert roc_auc_score(flights.delayed, probability) >= 0.70
    warned = probability > model.threshold
    assert recall_score(flights.delayed, warned) >= 0.64
    assert f1_score(flights.delayed, warned) >= 0.405


def test_real_flights_can_be_learned_and_served(tmp_path):
    output = tmp_path / "model.pkl"
    training = train(REAL_FLIGHTS, output, Recipe(parameters={"rounds": 40}))
    assert training.dataset.rejected == 0
    assert training.results["random"].quality.roc_auc.value > 0.70
    client = TestClient(create_app(output))
    flight = {"OPERA": "Aerolineas Argentinas", "TIPOVUELO": "I", "MES": 3}
    late = flight | {"OPERA": "Air Canada", "MES": 1}
    answer = client.post("/predict", json={"flights": [flight, late]})
    assert answer.json() == {"predict": [0, 1]}
