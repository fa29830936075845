"""`evaluate --live`: what the day tells is found, and nothing else is."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from challenge.cli import main
from challenge.cli.summaries.live import print_live
from challenge.files.formats import ReadOptions
from challenge.live.adjustment import DISTANCES_MINUTES, REACH_MINUTES, said
from challenge.live.terms import Group, Term
from challenge.training.data.dataset import read_dataset
from challenge.training.data.past import read_past
from challenge.training.evaluate.live import evaluate_live
from challenge.training.live.adjustment import FittedAdjustment, fit_adjustment
from challenge.training.live.features import Replay, window_effects
from challenge.training.live.regression import fit_coefficients, sigmoid
from challenge.training.live.tables import log_odds, walk_forward
from challenge.training.recipe import Recipe
from tests.conftest import ROOT

REAL_FLIGHTS = ROOT.parent / "shared/data/scl_2017_flights.csv.gz"
SMALL = Recipe(parameters={"rounds": 10})
DAYS, FLIGHTS_A_DAY = 90, 60


def write_flights(path, late, **columns):
    """Flights of two airlines, sixty a day, of which `late` left half an hour late."""
    number = np.arange(DAYS * FLIGHTS_A_DAY)
    day, of_day = np.divmod(number, FLIGHTS_A_DAY)
    scheduled = (
        np.datetime64("2017-03-01T06:00", "m")
        + day * np.timedelta64(1, "D")
        + 15 * of_day * np.timedelta64(1, "m")
    )
    minutes = np.where(late, 30, 0) * np.timedelta64(1, "m")
    pd.DataFrame(
        {
            "OPERA": np.where(number % 2, "Sky Airline", "Grupo LATAM"),
            "TIPOVUELO": "N",
            "SIGLADES": "Arica",
            "Fecha-I": pd.Series(scheduled).dt.strftime("%Y-%m-%d %H:%M:%S"),
            "Fecha-O": pd.Series(scheduled + minutes).dt.strftime("%Y-%m-%d %H:%M:%S"),
            **columns,
        }
    ).to_csv(path, index=False)
    return path


@pytest.fixture
def chance():
    return np.random.default_rng(0)


@pytest.fixture(scope="module")
def bad_hours(tmp_path_factory):
    """Blocks of six hours on which most flights are late, and others with hardly any."""
    chance = np.random.default_rng(1)
    is_bad = np.repeat(chance.random(DAYS * FLIGHTS_A_DAY // 20) < 0.3, 20)
    late = chance.random(len(is_bad)) < np.where(is_bad, 0.7, 0.1)
    return write_flights(tmp_path_factory.mktemp("bad hours") / "flights.csv", late)


@pytest.fixture(scope="module")
def late_aircraft(tmp_path_factory):
    """Flights that are late where their aircraft comes in late, ten minutes before."""
    late = np.random.default_rng(2).random(DAYS * FLIGHTS_A_DAY) < 0.2
    path = write_flights(
        tmp_path_factory.mktemp("late aircraft") / "flights.csv",
        late,
        MATRICULA=np.arange(len(late)) % 900,
    )
    data = pd.read_csv(path)
    due = pd.to_datetime(data["Fecha-I"]) - pd.Timedelta(minutes=45)
    came = due + pd.to_timedelta(np.where(late, 40, 0), "m")
    data.assign(**{"Llegada-I": due, "Llegada-O": came}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def chance_alone(tmp_path_factory):
    late = np.random.default_rng(2).random(DAYS * FLIGHTS_A_DAY) < 0.2
    return write_flights(tmp_path_factory.mktemp("chance") / "flights.csv", late)


def evaluated(path):
    evaluation = evaluate_live(SMALL, read_past(path, read_dataset(path)))
    assert evaluation is not None
    return evaluation


def by_distance(evaluation):
    return {one.ahead: one for one in evaluation.distances}


@pytest.fixture(scope="module")
def of_bad_hours(bad_hours):
    return evaluated(bad_hours)


def test_bad_hours_are_known_an_hour_before_and_not_a_week_before(of_bad_hours):
    found = by_distance(of_bad_hours)
    near, far = found["1 h"], found["7 days"]
    assert near.groups == ("the last hours",)
    assert near.told == 1 and near.aircraft_told == 0
    assert near.without_aircraft is None
    assert near.with_state.roc_auc.low > near.without.roc_auc.high
    assert near.with_state.brier.value < near.without.brier.value - 0.01
    assert far.groups == ()
    assert far.with_state == far.without


def test_a_late_aircraft_is_known_once_it_should_have_come(late_aircraft):
    found = by_distance(evaluated(late_aircraft))
    near, far = found["30 min"], found["2 h"]
    assert near.groups == ("the aircraft",)
    assert near.aircraft_told == 1
    assert near.with_state.roc_auc.value > 0.95
    assert near.without_aircraft == near.without
    assert far.groups == ()


def test_what_no_hour_and_no_aircraft_tell_stays_zero_to_the_bit(chance_alone):
    past = read_past(chance_alone, read_dataset(chance_alone))
    training = len(past) * 2 // 3
    model = SMALL.fit(read_dataset(chance_alone).counts(), past.vocabulary)
    expected = walk_forward(SMALL, past, training, model)
    replay = Replay(past, expected, model.grid)
    adjustment = fit_adjustment(replay, training)
    assert not adjustment.coefficients.any()


def test_what_happens_after_training_changes_no_coefficient(bad_hours, tmp_path):
    data = pd.read_csv(bad_hours)
    training = len(data) * 2 // 3
    data.loc[training + FLIGHTS_A_DAY :, "Fecha-O"] = data["Fecha-I"]
    (tmp_path / "other.csv").write_text(data.to_csv(index=False))
    coefficients = []
    for path in (bad_hours, tmp_path / "other.csv"):
        past = read_past(path, read_dataset(path))
        model = SMALL.fit(read_dataset(bad_hours).counts(), past.vocabulary)
        expected = walk_forward(SMALL, past, training, model)
        replay = Replay(past, expected, model.grid)
        coefficients.append(fit_adjustment(replay, training).coefficients)
    assert coefficients[0].any()
    assert coefficients[0] == pytest.approx(coefficients[1], abs=1e-9)


def test_too_few_flights_are_not_evaluated(tmp_path, enough_flights):
    path = tmp_path / "few.csv"
    enough_flights.to_csv(path, index=False)
    assert evaluate_live(SMALL, read_past(path, read_dataset(path))) is None


def test_a_window_shifts_the_share_expected_to_the_share_that_was_late():
    sums = np.array([[10.0, 6.0, 2.0], [0.0, 0.0, 0.0], [1e6, 6e5, 2e5]])
    few, none, many = window_effects(sums, prior=10.0)
    assert few == pytest.approx(log_odds(np.array(0.4)) - log_odds(np.array(0.2)))
    assert none == 0
    assert many == pytest.approx(np.log(0.6 / 0.4) - np.log(0.2 / 0.8), abs=1e-4)


@pytest.mark.parametrize(
    ("ahead", "coefficient"),
    [
        pytest.param(0, 1.0, id="below the first distance: as there"),
        pytest.param(15, 1.0, id="the first distance"),
        pytest.param(15 * 2**0.5, 1.5, id="half way in the logarithm"),
        pytest.param(30, 2.0, id="the second"),
        pytest.param(DISTANCES_MINUTES[-1], 8.0, id="the last"),
        pytest.param(1.5 * DISTANCES_MINUTES[-1], 4.0, id="half faded"),
        pytest.param(REACH_MINUTES, 0.0, id="out of reach"),
        pytest.param(2 * REACH_MINUTES, 0.0, id="beyond"),
    ],
)
def test_coefficients_between_distances(ahead, coefficient):
    distances = np.arange(1.0, len(DISTANCES_MINUTES) + 1)[:, np.newaxis]
    terms = (Term("a term", Group.SHORT, 1),)
    adjustment = FittedAdjustment(terms, 10.0, 10.0, distances)
    assert adjustment.at(np.array([ahead]))[0] == pytest.approx([coefficient])


def test_coefficients_are_where_the_penalised_log_loss_is_flat(chance):
    features = chance.normal(size=(2_000, 3))
    offset = chance.normal(size=2_000)
    truth = np.array([1.0, -0.5, 0.0])
    late = (chance.random(2_000) < sigmoid(offset + features @ truth)).astype(np.int8)
    found = fit_coefficients(features, late, offset, penalty=5.0)
    residual = late - sigmoid(offset + features @ found)
    assert features.T @ residual == pytest.approx(5.0 * found, abs=1e-5)
    assert found == pytest.approx(truth, abs=0.2)


def test_coefficients_are_the_same_from_wherever_they_are_sought(chance):
    features, offset = chance.normal(size=(2_000, 3)), chance.normal(size=2_000)
    late = (chance.random(2_000) < 0.3).astype(np.int8)
    found = fit_coefficients(features, late, offset, penalty=5.0)
    for start in (found, found + 1, -10 * found):
        again = fit_coefficients(features, late, offset, 5.0, start)
        assert again == pytest.approx(found, abs=1e-9)


def test_no_terms_have_no_coefficients():
    nothing = np.zeros((10, 0))
    assert fit_coefficients(nothing, np.zeros(10, int), np.zeros(10), 1.0).shape == (0,)


@pytest.mark.parametrize(
    ("minutes", "text"),
    [(15, "15 min"), (60, "1 h"), (240, "4 h"), (1440, "1 day"), (10080, "7 days")],
)
def test_distances_are_said_in_the_largest_unit(minutes, text):
    assert said(minutes) == text


def test_what_each_distance_is_worth_is_printed(of_bad_hours, capsys):
    print_live(of_bad_hours)
    shown = capsys.readouterr().out
    assert "asked about with what was known by then" in shown
    assert "the midnight before" in shown
    assert "with all that was known" in shown


def test_the_command_writes_what_each_distance_is_worth(bad_hours, tmp_path, capsys):
    model = tmp_path / "model.pkl"
    past = read_dataset(bad_hours)
    Recipe("logistic-regression", "all").fit(past.counts(), past.vocabulary).save(model)
    command = ["evaluate", str(model), str(bad_hours), "--live", "--json"]
    report = tmp_path / "report.html"
    assert main([*command, "--timezone=America/Santiago", f"--report={report}"]) == 0
    page = report.read_text()
    assert "<h2>As the day goes</h2>" in page
    assert "Average precision by distance" in page and "the midnight before" in page
    live = json.loads(capsys.readouterr().out)["live"]
    hour = live["distances"]["1 h"]
    learned = live["adjustment"]["coefficients"]
    assert learned["60"]["all_3h"] > 0
    assert learned[str(7 * 24 * 60)] == {}
    assert list(live["distances"])[:2] == ["15 min", "30 min"]
    assert hour["told"] == 1
    assert hour["with_state"]["roc_auc"]["value"] > hour["without"]["roc_auc"]["value"]


def test_it_is_said_that_flights_are_too_few(capsys):
    print_live(None)
    assert "There are too few flights that have left" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.skipif(not REAL_FLIGHTS.exists(), reason=f"no real flights beside {ROOT}")
def test_on_real_flights_the_day_is_worth_what_the_documents_say(monkeypatch):
    # Intervals are not looked at.
    monkeypatch.setattr("challenge.training.evaluate.live.LIVE_REPLICATES", 2)
    options = ReadOptions(timezone="America/Santiago")
    dataset = read_dataset(REAL_FLIGHTS, options=options)
    past = read_past(REAL_FLIGHTS, dataset, options=options)
    found = by_distance(evaluate_live(Recipe(), past))
    for ahead, roc_auc, average_precision, brier in (
        ("1 h", 0.681, 0.396, 0.155),
        ("2 h", 0.678, 0.393, 0.156),
        ("the midnight before", 0.668, 0.383, 0.157),
        ("7 days", 0.647, 0.353, 0.161),
    ):
        quality = found[ahead].with_state
        assert quality.roc_auc.value >= roc_auc
        assert quality.average_precision.value >= average_precision
        assert quality.brier.value <= brier
        assert abs(quality.mean_probability - quality.delay_rate) < 0.02
        assert quality.ece.value < 0.045
