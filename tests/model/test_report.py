"""The report of an evaluation: one page that needs nothing but itself."""

from __future__ import annotations

import re

import pytest

from challenge.cli import main
from challenge.errors import FlightProphetError
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from challenge.training.evaluate.evaluation import evaluate
from challenge.training.report.report import render, write_report

pytestmark = pytest.mark.slow

HEADINGS = [
    "Key figures",
    "Ranking and calibration",
    "Decisions",
    "What the model uses",
    "By month and airline",
    "Comparison with other models",
    "By group",
    "Glossary",
]


def evaluated(flights, tmp_path, features="schedule"):
    source, model = tmp_path / "flights.csv", tmp_path / "model.pkl"
    flights.to_csv(source, index=False)
    options = ["--classifier", "logistic-regression", "--features", features]
    assert main(["train", str(source), str(model), *options]) == 0
    return evaluate(DelayModel.load(model), read_dataset(source))


@pytest.fixture
def evaluation(enough_flights, tmp_path):
    return evaluated(enough_flights, tmp_path)


def test_the_page_has_every_section_and_chart(evaluation):
    page = render(evaluation)
    assert re.findall(r"<h2>(.*?)</h2>", page) == HEADINGS
    # Ranking 4, decisions 1, importance 1, effects 6, heat maps 2.
    assert page.count("<svg") == page.count("</svg>") == 15
    assert page.count('role="img"') == 15


def test_the_page_needs_no_network(evaluation):
    page = render(evaluation)
    assert not re.search(r"""(?:src|href)=["'](?!#|data:)""", page)
    assert not re.search(r"url\((?!#)|@import|<script|<link", page)


def test_the_same_evaluation_gives_the_same_page(evaluation):
    assert render(evaluation) == render(evaluation)


def test_names_in_the_data_are_text_and_never_markup(enough_flights, tmp_path):
    named = enough_flights.replace("Sky Airline", "<script>alert(1)</script>")
    page = render(evaluated(named, tmp_path))
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_feature_set_shows_the_effects_of_its_own_fields(enough_flights, tmp_path):
    page = render(evaluated(enough_flights, tmp_path, "top10"))
    assert "Effect of the airline" in page
    assert "Effect of the hour" not in page


def test_flights_without_times_have_no_forward_split(few_flights, tmp_path):
    table = few_flights[["OPERA", "TIPOVUELO", "MES"]].assign(delay=[0, 1, 0] * 20)
    page = render(evaluated(table, tmp_path))
    assert "a random third" in page
    assert "the last third" not in page


def test_too_few_flights_are_told(few_flights, tmp_path):
    table = few_flights.head(4)[["OPERA", "TIPOVUELO", "MES"]].assign(
        delay=[0, 1, 0, 1]
    )
    assert "too few flights" in render(evaluated(table, tmp_path))


def test_a_report_that_cannot_be_written_leaves_the_old_one(evaluation, tmp_path):
    old = tmp_path / "report.html"
    old.write_text("the old one")
    blocked = old / "report.html"
    with pytest.raises(FlightProphetError, match="report .* cannot be written"):
        write_report(evaluation, blocked)
    assert old.read_text() == "the old one"


def test_the_command_writes_it(enough_flights, tmp_path, capsys):
    evaluated(enough_flights, tmp_path)
    report = tmp_path / "new folder" / "report.html"
    files = [str(tmp_path / "model.pkl"), str(tmp_path / "flights.csv")]
    assert main(["evaluate", *files, "--report", str(report)]) == 0
    assert report.read_text().startswith("<!doctype html>")
    assert [path.name for path in report.parent.iterdir()] == ["report.html"]
