"""Where a model warns: the rules that choose its threshold."""

from __future__ import annotations

import numpy as np
import pytest

from challenge.cli import main
from challenge.errors import TrainingDataError
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from challenge.training.data.splits import random_split
from challenge.training.evaluate.evaluation import evaluate_split
from challenge.training.evaluate.metrics import measure
from challenge.training.recipe import Recipe
from challenge.training.threshold import Capacity, LeastCost, MinRecall

pytestmark = pytest.mark.slow

NOTEBOOK = Recipe("logistic-regression", "top10")
OPTIONS = ["--features", "top10", "--classifier", "logistic-regression"]


@pytest.fixture(scope="module")
def dataset(sample_csv):
    return read_dataset(sample_csv)


@pytest.mark.parametrize("recall", [0.5, 0.7, 0.9])
def test_a_recall_that_is_asked_for_is_reached_on_flights_not_chosen_by(
    recall, dataset
):
    result = evaluate_split(NOTEBOOK, dataset, random_split(dataset), MinRecall(recall))
    assert result.quality.recall.value > recall - 0.02


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5, 1])
def test_no_more_flights_are_warned_of_than_can_be_looked_after(share, dataset):
    result = evaluate_split(Recipe(), dataset, random_split(dataset), Capacity(share))
    warned = (result.predictions.probability > result.quality.threshold).mean()
    assert warned == pytest.approx(share, abs=0.03)


def test_the_whole_recall_warns_of_every_delay_that_it_was_chosen_by(dataset):
    split = random_split(dataset)
    threshold = MinRecall(1).choose(NOTEBOOK, dataset, split.training)
    result = evaluate_split(NOTEBOOK, dataset, split)
    assert measure(result.predictions, threshold, replicates=1).recall.value > 0.99


def test_the_flights_that_are_reported_on_choose_no_threshold(dataset):
    split = random_split(dataset)
    threshold = MinRecall(0.7).choose(NOTEBOOK, dataset, split.training)
    dataset.delayed[split.held_out] ^= 1
    again = MinRecall(0.7).choose(NOTEBOOK, dataset, split.training)
    dataset.delayed[split.held_out] ^= 1
    assert again == threshold


def test_no_other_threshold_costs_less(dataset):
    rule = LeastCost(false_alarm=1, missed_delay=4)
    result = evaluate_split(Recipe(), dataset, random_split(dataset), rule)
    assert result.quality.threshold == pytest.approx(1 / 5)

    def cost(threshold: float) -> int:
        confusion = measure(result.predictions, threshold, replicates=1).confusion
        return confusion.on_time_as_delayed + 4 * confusion.delayed_as_on_time

    others = [cost(threshold) for threshold in np.linspace(0.05, 0.5, 46)]
    assert cost(result.quality.threshold) <= min(others) * 1.01


def test_too_few_flights_to_choose_by_are_refused(few_flights, tmp_path):
    path = tmp_path / "flights.csv"
    few_flights.head(4).to_csv(path, index=False)
    with pytest.raises(TrainingDataError, match="too few to choose a threshold"):
        MinRecall(0.7).choose(NOTEBOOK, read_dataset(path), np.arange(4))


@pytest.mark.parametrize(
    ("options", "threshold", "rule"),
    [
        ([], pytest.approx(4 / 60), "balanced"),
        (["--threshold", "0.3"], 0.3, "given"),
        (
            ["--false-alarm-cost", "1", "--missed-delay-cost", "3"],
            0.25,
            "least cost: a false alarm 1, a missed delay 3",
        ),
        (["--min-recall", "0.5"], None, "recall of at least 0.5"),
        (["--capacity", "0.1"], None, "capacity for 0.1 of the flights"),
    ],
)
def test_the_card_tells_the_threshold_and_its_rule(
    options, threshold, rule, few_flights, tmp_path
):
    source, output = tmp_path / "flights.csv", tmp_path / "model.pkl"
    few_flights.to_csv(source, index=False)
    assert main(["train", str(source), str(output), *OPTIONS, *options]) == 0
    model = DelayModel.load(output)
    assert model.card.threshold_rule == rule
    assert model.threshold == model.card.threshold
    if threshold is not None:
        assert model.threshold == threshold


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--threshold", "1.5"], "less than or equal to 1"),
        (["--threshold", "0.2", "--min-recall", "0.5"], "in one way"),
        (["--false-alarm-cost", "1"], "go together"),
        (["--false-alarm-cost", "0", "--missed-delay-cost", "1"], "above 0"),
        (["--min-recall", "0"], "above 0"),
        (["--capacity", "0"], "above 0"),
        (["--capacity", "0.1", "--min-recall", "0.5"], "in one way"),
    ],
)
def test_a_threshold_that_makes_no_sense_is_a_misuse(options, message, capsys):
    assert main(["train", "none.csv", "none.pkl", *options]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
