"""The evaluation of a model: splits, groups, and reference models."""

from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.model_selection import train_test_split

from challenge.cli import main
from challenge.errors import NotFittedError
from challenge.features.counts import translate
from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_TYPE,
    NOT_GIVEN,
    Flight,
)
from challenge.flights.vocabulary import Vocabulary
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from challenge.training.data.splits import forward_split, random_split
from challenge.training.evaluate.evaluation import REFERENCE_MODELS, evaluate

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sample_dataset(sample_csv):
    return read_dataset(sample_csv)


@pytest.fixture(scope="module")
def notebook_model(sample_csv, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "notebook.pkl"
    options = ["--features", "top10", "--classifier", "logistic-regression"]
    assert main(["train", str(sample_csv), str(path), *options]) == 0
    return path


@pytest.fixture(scope="module")
def evaluation(notebook_model, sample_dataset):
    return evaluate(DelayModel.load(notebook_model), sample_dataset)


def test_the_random_split_is_the_one_of_the_notebook(sample_dataset):
    positions = np.arange(len(sample_dataset.codes))
    expected = train_test_split(positions, test_size=0.33, random_state=42)
    for ours, theirs in zip(random_split(sample_dataset), expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_forward_split_learns_from_the_past_alone(sample_dataset):
    past, future = forward_split(sample_dataset)
    scheduled = sample_dataset.scheduled
    assert scheduled[past].max() <= scheduled[future].min()
    assert len(past) == int(0.67 * 68_206)
    assert len(past) + len(future) == 68_206


def test_flights_without_a_time_are_in_no_part_of_the_forward_split(
    few_flights, tmp_path
):
    few_flights.loc[::2, "Fecha-I"] = None
    table = few_flights.drop(columns="Fecha-O").assign(delay=[0, 1, 1] * 20)
    table.to_csv(tmp_path / "flights.csv", index=False)
    past, future = forward_split(read_dataset(tmp_path / "flights.csv"))
    assert len(past) + len(future) == 30


def test_too_few_flights_are_not_split(few_flights, tmp_path):
    path = tmp_path / "flights.csv"
    few_flights.head(10).to_csv(path, index=False)
    assert random_split(read_dataset(path)) is None
    assert forward_split(read_dataset(path)) is None


def test_a_random_split_flatters(evaluation):
    random, forward = (
        evaluation.results[name].quality.roc_auc for name in ("random", "forward")
    )
    assert random.low > forward.high


def test_each_group_is_counted_once(evaluation):
    for result in evaluation.results.values():
        assert result.groups.keys() == {"OPERA", "SIGLADES", "MES"}
        for group in result.groups.values():
            flights = sum(quality.flights for quality in group.values())
            assert flights == result.quality.flights


def test_the_models_of_the_notebook_stand_beside_those_of_the_schedule(evaluation):
    assert evaluation.comparison.keys() == REFERENCE_MODELS.keys()
    assert len(REFERENCE_MODELS) == 8
    auc = {
        name: by_split["random"].roc_auc.value
        for name, by_split in evaluation.comparison.items()
    }
    assert (
        auc["XGBoost, whole schedule, balanced"]
        > auc["XGBoost, all categories"]
        > auc["XGBoost, top 10, balanced"]
    )
    # Class weights move decisions, not the order of the flights.
    assert auc["XGBoost, top 10, balanced"] == auc["XGBoost, top 10, not balanced"]


def test_flights_that_a_model_was_trained_on_do_not_judge_it(evaluation):
    assert evaluation.as_it_is is None
    assert evaluation.may_have_seen


def test_a_model_is_judged_as_it_is_by_other_flights(
    notebook_model, few_flights, tmp_path
):
    path = tmp_path / "flights.csv"
    few_flights.loc[0, "OPERA"] = "Concorde"
    for column in ("Fecha-I", "Fecha-O"):
        few_flights[column] = few_flights[column].str.replace("2017", "2018")
    few_flights.to_csv(path, index=False)
    evaluation = evaluate(DelayModel.load(notebook_model), read_dataset(path))
    assert evaluation.as_it_is.flights == 59
    assert not evaluation.may_have_seen


def test_an_unfitted_model_is_not_evaluated(sample_dataset):
    with pytest.raises(NotFittedError, match="not fitted"):
        evaluate(DelayModel(), sample_dataset)


def test_the_command_prints_tables_or_json(
    notebook_model, enough_flights, tmp_path, capsys
):
    source = tmp_path / "flights.csv"
    enough_flights.to_csv(source, index=False)
    assert main(["evaluate", str(notebook_model), str(source)]) == 0
    printed = capsys.readouterr().out
    for words in ("random third", "the model as it is", "ROC AUC", "SIGLADES, last"):
        assert words in printed
    assert main(["evaluate", str(notebook_model), str(source), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["splits"]["random"]["flights"] == 20
    assert told["splits"]["random"]["by"]["OPERA"].keys() == {
        "Grupo LATAM",
        "Sky Airline",
    }


def test_too_few_flights_are_told(notebook_model, few_flights, tmp_path, capsys):
    source = tmp_path / "flights.csv"
    few_flights.head(4).assign(OPERA="Concorde").to_csv(source, index=False)
    assert main(["evaluate", str(notebook_model), str(source)]) == 0
    assert "too few flights" in capsys.readouterr().out


def test_codes_are_translated_by_name():
    ours = Vocabulary(
        {AIRLINE: ("A", "B"), FLIGHT_TYPE: ("I", "N"), DESTINATION: ("Lima",)}
    )
    theirs = Vocabulary(
        {AIRLINE: ("b",), FLIGHT_TYPE: ("N", "I"), DESTINATION: ("Arica", "LIMA ")}
    )
    flights = [
        Flight(1, 0, 5, 0, 8, 1),
        Flight(0, 1, 5, 0, 8, 1),
        Flight(1, 1, 5, NOT_GIVEN, 8, 1),
    ]
    codes = np.array(flights, np.int16)
    translated, known = translate(codes, ours, theirs)
    assert known.tolist() == [True, False, True]
    assert translated[known].tolist() == [
        list(Flight(0, 1, 5, 1, 8, 1)),
        list(Flight(0, 0, 5, NOT_GIVEN, 8, 1)),
    ]
