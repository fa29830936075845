"""Whether a new model may take the place of one that is in use."""

from __future__ import annotations

import pytest

from challenge.cli import main
from challenge.cli.exit_codes import WORSE
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from challenge.training.data.splits import random_split
from challenge.training.evaluate.evaluation import evaluate_split
from challenge.training.evaluate.model_comparison import compare
from challenge.training.recipe import Recipe

pytestmark = pytest.mark.slow

TOP10 = ["--features", "top10", "--classifier", "logistic-regression"]
ALL = ["--features", "all", "--classifier", "logistic-regression"]


@pytest.fixture(scope="module")
def good(sample_csv, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "good.pkl"
    assert main(["train", str(sample_csv), str(path), *ALL]) == 0
    return path


def test_a_worse_model_is_not_written_and_told_by_how_much(
    sample_csv, good, tmp_path, capsys
):
    output = tmp_path / "model.pkl"
    output.write_bytes(b"the old one")
    arguments = [str(sample_csv), str(output), *TOP10, "--baseline", str(good)]
    assert main(["train", *arguments]) == WORSE
    captured = capsys.readouterr()
    assert captured.out == ""
    [line] = captured.err.splitlines()
    assert "average precision 0.280 against 0.309 on 22,508 held-out flights" in line
    assert "-0.029 (-0.0" in line
    assert output.read_bytes() == b"the old one"


@pytest.mark.parametrize(
    "options", [ALL, ["--features", "all"]], ids=["same", "better"]
)
def test_a_model_that_is_not_worse_is_written(options, sample_csv, good, tmp_path):
    output = tmp_path / "model.pkl"
    arguments = [str(sample_csv), str(output), *options, "--baseline", str(good)]
    assert main(["train", *arguments]) == 0
    assert DelayModel.load(output).card.rows == 68_206


def test_a_baseline_is_judged_without_the_flights_that_are_held_out(good, sample_csv):
    dataset = read_dataset(sample_csv)
    same = evaluate_split(
        Recipe("logistic-regression", "all"), dataset, random_split(dataset)
    )
    comparison = compare(same, DelayModel.load(good), dataset)
    assert comparison.difference.value == 0


def test_flights_that_the_baseline_does_not_know_are_not_compared_by(
    enough_flights, tmp_path
):
    source = tmp_path / "flights.csv"
    enough_flights.to_csv(source, index=False)
    dataset = read_dataset(source)
    candidate = evaluate_split(
        Recipe("logistic-regression"), dataset, random_split(dataset)
    )
    known = len(candidate.split.held_out)

    enough_flights[enough_flights["OPERA"] == "Sky Airline"].to_csv(source, index=False)
    baseline = tmp_path / "model.pkl"
    assert main(["train", str(source), str(baseline), *ALL]) == 0
    comparison = compare(candidate, DelayModel.load(baseline), dataset)
    assert 0 < comparison.flights < known


def test_nothing_to_compare_by_is_no_obstacle(enough_flights, tmp_path):
    source, baseline = tmp_path / "flights.csv", tmp_path / "baseline.pkl"
    enough_flights.replace("Sky Airline", "Concorde").to_csv(source, index=False)
    assert main(["train", str(source), str(baseline), *ALL]) == 0
    enough_flights.replace("Grupo LATAM", "Aeromar").to_csv(source, index=False)
    output = tmp_path / "model.pkl"
    arguments = [str(source), str(output), *ALL, "--baseline", str(baseline)]
    assert main(["train", *arguments]) == 0


def test_a_baseline_that_cannot_be_read_stops_it_first(sample_csv, tmp_path, capsys):
    arguments = [str(sample_csv), str(tmp_path / "model.pkl")]
    assert main(["train", *arguments, "--baseline", str(tmp_path / "none.pkl")]) == 1
    assert "none.pkl' does not exist" in capsys.readouterr().err
