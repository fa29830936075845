"""Recent form: made of the last flights, added to the table, fading by itself."""

from __future__ import annotations

import json
import math
from datetime import date, timedelta
from types import SimpleNamespace

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from challenge.artifact import model_file
from challenge.artifact.card import FormSettings, RecentForm
from challenge.cli import main
from challenge.cli.summaries.evaluation import print_rolling
from challenge.compiled.log_odds import log_odds
from challenge.errors import ModelFileError, TrainingDataError
from challenge.files.answering import count_delays, predict_file
from challenge.flights.fields import AIRLINE, DESTINATION, FIELDS, NOT_GIVEN, Flight
from challenge.flights.scl_2017 import SCL_2017
from challenge.live.recent import Recent, weight
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from challenge.training.data.splits import forward_split
from challenge.training.evaluate.evaluation import evaluate, evaluate_split
from challenge.training.evaluate.model_comparison import compare_as_they_are
from challenge.training.form import Nights, play, play_as_it_is, update
from challenge.training.recipe import Recipe
from challenge.training.train import train
from tests.conftest import probabilities

pytestmark = pytest.mark.slow

UNTIL = date(2017, 12, 31)
TURN = date(2018, 10, 15)
SKY = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 1, "SIGLADES": "Calama"}
IBERIA = {"OPERA": "Iberia", "TIPOVUELO": "I", "MES": 1, "SIGLADES": "Madrid"}


@pytest.fixture(scope="module")
def model(updated_model):
    return DelayModel.load(updated_model)


@pytest.fixture(scope="module")
def before(schedule_model):
    return DelayModel.load(schedule_model)


def asked(model, flight, day=None):
    if day is not None:
        flight = flight | {"MES": day.month, "Fecha-I": f"{day} 08:15:00"}
    cell = model.encoder.cell(flight)
    assert isinstance(cell, int), cell
    (probability,) = model.predict_cells([cell])
    return probability


def test_an_airline_that_was_late_is_expected_to_be_late_again(model, before):
    tomorrow = UNTIL + timedelta(days=1)
    assert asked(model, SKY, tomorrow) > 2 * asked(before, SKY, tomorrow)
    assert asked(model, SKY, tomorrow) > 0.6
    assert abs(asked(model, IBERIA, tomorrow) - asked(before, IBERIA, tomorrow)) < 0.05


def test_form_fades_with_the_days_until_the_table_is_all_that_is_left(model, before):
    half_life = model.card.form_settings.half_life_days

    def added(days):
        day = UNTIL + timedelta(days=days)
        return log_odds(asked(model, SKY, day)) - log_odds(asked(before, SKY, day))

    first = added(0)
    for days in (1, 5, 20):
        assert added(days) == pytest.approx(first * 0.5 ** (days / half_life), abs=1e-9)
    assert added(int(6 * half_life)) == pytest.approx(first / 64, rel=0.01)
    assert added(int(6 * half_life) + 1) == added(-int(6 * half_life) - 1) == 0


def test_a_flight_on_no_day_is_answered_by_the_table(model, before):
    assert asked(model, SKY) == asked(before, SKY)
    flight = Flight(21, 1, 0, 9, 8, 0)
    assert probabilities(model, [flight]) == probabilities(before, [flight])


def test_the_table_stays_as_it_is(model, before):
    assert model.table.to_bytes() == before.table.to_bytes()
    assert model.card.created == before.card.created
    assert model.threshold == before.threshold


def test_an_offset_moves_what_was_expected_to_what_happened_but_for_the_prior(
    model, before, last_weeks
):
    """Of an airline; by hand, from the rows."""
    form, how = model.card.recent_form, model.card.form_settings
    rows = pd.read_csv(last_weeks)
    scheduled = pd.to_datetime(rows["Fecha-I"])
    since = pd.Timestamp(UNTIL) - pd.Timedelta(days=how.window_days - 1)
    rows = rows[(scheduled >= since) & (rows["OPERA"] == "Copa Air")]
    assert len(rows) > 20
    fields = ["OPERA", "TIPOVUELO", "MES", "SIGLADES", "Fecha-I"]
    p = np.array([asked(before, row) for row in rows[fields].to_dict("records")])
    minutes = pd.to_datetime(rows["Fecha-O"]) - pd.to_datetime(rows["Fecha-I"])
    late = (minutes > pd.Timedelta(minutes=15)).to_numpy()
    share = (late.sum() + how.prior * p.mean()) / (len(p) + how.prior)
    expected = log_odds(share) - log_odds(p.mean())
    assert form.airlines["Copa Air"] == pytest.approx(expected, abs=1e-5)
    # To first order: the residuals over the sum of p (1 - p) with a prior.
    variance = p.mean() * (1 - p.mean()) * (len(p) + how.prior)
    assert expected == pytest.approx((late - p).sum() / variance, rel=0.35)


def test_many_late_flights_of_a_punctual_airline_are_not_overshot(
    before, last_weeks, tmp_path, schedule_model
):
    """Half of what one airline flew was late: its flights are expected to be, half."""
    rows = pd.read_csv(last_weeks)
    rows = pd.concat([rows[rows["OPERA"] == "Iberia"]] * 400, ignore_index=True)
    scheduled = pd.to_datetime(rows["Fecha-I"])
    departed = scheduled + pd.to_timedelta(np.where(rows.index % 2, 60, 1), "min")
    rows.assign(**{"Fecha-O": departed}).to_csv(tmp_path / "weeks.csv", index=False)
    update(schedule_model, tmp_path / "weeks.csv", tmp_path / "new.pkl")
    model = DelayModel.load(tmp_path / "new.pkl")
    assert asked(before, IBERIA, UNTIL) < 0.25
    assert asked(model, IBERIA, UNTIL) == pytest.approx(0.5, abs=0.1)


def test_the_card_tells_what_the_form_was_made_of(model, last_weeks, updated_model):
    form, how = model.card.recent_form, model.card.form_settings
    scheduled = pd.to_datetime(pd.read_csv(last_weeks)["Fecha-I"]).dt.date
    since = UNTIL - timedelta(days=how.window_days)
    assert form.until == str(UNTIL)
    assert form.flights == (scheduled > since).sum()
    assert set(form.airlines) <= set(model.vocabulary[AIRLINE])


def test_updating_again_replaces_the_form(updated_model, last_weeks, tmp_path):
    again = tmp_path / "again.pkl"
    update(updated_model, last_weeks, again)
    assert again.read_bytes() == updated_model.read_bytes()


def test_flights_that_the_model_cannot_know_are_left_out(
    updated_model, last_weeks, tmp_path
):
    rows = pd.read_csv(last_weeks)
    rows.loc[rows.index[-3:], "OPERA"] = "Concorde"
    rows.to_csv(tmp_path / "weeks.csv", index=False)
    updated = update(updated_model, tmp_path / "weeks.csv", tmp_path / "new.pkl")
    known = DelayModel.load(updated_model).card.recent_form.flights
    assert (updated.unknown, updated.form.flights) == (3, known - 3)


def test_a_model_over_fewer_fields_moves_by_airline(sample_csv, last_weeks, tmp_path):
    train(sample_csv, tmp_path / "model.pkl", Recipe("logistic-regression", "top10"))
    update(tmp_path / "model.pkl", last_weeks, tmp_path / "new.pkl")
    model = DelayModel.load(tmp_path / "new.pkl").verify()
    assert model.card.recent_form.destinations == {}
    day = UNTIL + timedelta(days=1)
    assert asked(model, SKY, day) > asked(model, SKY) + 0.2


@settings(deadline=None)
@given(
    st.integers(0, 22),
    st.integers(0, 1),
    st.integers(NOT_GIVEN, 61),
    st.dates(date(2017, 6, 1), date(2018, 9, 1)),
    st.integers(0, 23),
)
def test_the_short_cut_the_rules_and_the_arrays_agree(
    model, airline, kind, destination, day, hour
):
    flight = Flight(airline, kind, day.month - 1, destination, hour, day.weekday())
    values = model.vocabulary.values(flight, day)
    cell = model.encoder.cell(values)
    asked_flight = SimpleNamespace(
        **{one.attribute: values.get(one.name) for one in FIELDS}
    )
    assert model.encoder.look_up([asked_flight]) == [cell]
    assert model.grid.numbers(np.array([flight])) + model.recent.steps(
        np.array([day], "datetime64[D]")
    ) == [cell]
    codes = np.array([flight], np.int16)
    days = np.array([day], "datetime64[D]")
    (offset,) = model.recent.offsets(codes, days)
    assert model.recent.offset(cell) == pytest.approx(offset, abs=1e-12)
    (by_arrays,) = model.predict_codes(codes, days)
    (by_number,) = model.predict_cells([cell])
    assert by_number == pytest.approx(by_arrays, abs=1e-5)
    assert model.grid.flight(cell) == flight


@settings(deadline=None, max_examples=30)
@given(st.dates(date(2017, 12, 1), date(2018, 2, 1)), st.integers(0, 23))
def test_an_explanation_adds_up_with_recent_form(model, day, hour):
    flight = SKY | {"MES": day.month, "Fecha-I": f"{day} {hour:02}:00:00"}
    cell = model.encoder.cell(flight)
    (why,) = model.explain([cell])
    total = why.base_log_odds + sum(why.contributions.values()) + why.recent_form
    assert why.recent_form > 0.1
    assert 1 / (1 + math.exp(-total)) == pytest.approx(why.probability, abs=1e-9)
    assert why.by_hour[hour] == why.probability
    assert why.probability == asked(model, flight)


def test_known_flights_of_the_card_are_on_days_with_form(model, updated_model):
    known = [one for one in model.card.known if "Fecha-I" in one.flight]
    assert len(known) == 5
    assert {one.flight["Fecha-I"][:10] for one in known} == {"2018-01-01"}
    assert main(["check", str(updated_model)]) == 0


def test_a_model_with_a_form_that_was_changed_is_found_out(updated_model, tmp_path):
    stored, _ = model_file.read(updated_model)
    form = stored.card.recent_form
    turned = {name: -offset for name, offset in form.airlines.items()}
    card = replace(stored.card, recent_form=replace(form, airlines=turned))
    model_file.write(tmp_path / "other.pkl", replace(stored, card=card))
    with pytest.raises(ModelFileError, match="its card says 0[.]"):
        DelayModel.load(tmp_path / "other.pkl").verify()


def test_a_form_without_settings_is_no_model(updated_model, tmp_path):
    stored, _ = model_file.read(updated_model)
    card = replace(stored.card, form_settings=None)
    model_file.write(tmp_path / "other.pkl", replace(stored, card=card))
    with pytest.raises(ModelFileError, match="a recent form without settings"):
        DelayModel.load(tmp_path / "other.pkl")


@pytest.mark.parametrize(
    ("form", "settings"),
    [
        ({"airlines": {"Iberia": 51.0}}, {}),
        ({"airlines": {"Iberia": math.nan}}, {}),
        ({"until": "2017-12"}, {}),
        ({"until": "2017-02-31"}, {}),
        ({"until": "0017-12-31"}, {}),
        ({}, {"half_life_days": 0.0}),
        ({}, {"half_life_days": 1e9}),
        ({}, {"window_days": 0}),
    ],
)
def test_a_form_that_makes_no_sense_is_no_model(
    form, settings, updated_model, tmp_path
):
    stored, _ = model_file.read(updated_model)
    card = replace(
        stored.card,
        recent_form=replace(stored.card.recent_form, **form),
        form_settings=replace(stored.card.form_settings, **settings),
    )
    model_file.write(tmp_path / "other.pkl", replace(stored, card=card))
    with pytest.raises(ModelFileError, match="is not a whole model"):
        DelayModel.load(tmp_path / "other.pkl")


def test_a_model_of_too_few_weeks_cannot_be_updated(enough_flights, tmp_path):
    enough_flights.to_csv(tmp_path / "flights.csv", index=False)
    train(tmp_path / "flights.csv", tmp_path / "model.pkl")
    assert DelayModel.load(tmp_path / "model.pkl").card.form_settings is None
    with pytest.raises(TrainingDataError, match="tells no settings of recent form"):
        update(tmp_path / "model.pkl", tmp_path / "flights.csv", tmp_path / "new.pkl")
    assert not (tmp_path / "new.pkl").exists()


def test_flights_without_times_have_no_form(schedule_model, tmp_path):
    (tmp_path / "flights.csv").write_text(
        "OPERA,TIPOVUELO,MES,delay\nIberia,I,3,1\nIberia,I,3,0\n"
    )
    with pytest.raises(TrainingDataError, match="has no flight with a time"):
        update(schedule_model, tmp_path / "flights.csv", tmp_path / "new.pkl")


@pytest.mark.parametrize("year", ["2071", "9999"])
def test_one_wrong_year_makes_no_form(year, schedule_model, last_weeks, tmp_path):
    rows = pd.read_csv(last_weeks).astype({"Fecha-I": str, "Fecha-O": str})
    for name in ("Fecha-I", "Fecha-O"):
        rows.loc[0, name] = f"{year}-{rows.loc[0, name][5:]}"
    rows.to_csv(tmp_path / "weeks.csv", index=False)
    with pytest.raises(TrainingDataError, match="has a flight on .*cannot have left"):
        update(schedule_model, tmp_path / "weeks.csv", tmp_path / "new.pkl")
    assert not (tmp_path / "new.pkl").exists()


def test_flights_that_the_model_knows_nothing_of_make_no_form(
    schedule_model, last_weeks, tmp_path
):
    rows = pd.read_csv(last_weeks).assign(OPERA="Concorde")
    rows.to_csv(tmp_path / "weeks.csv", index=False)
    with pytest.raises(TrainingDataError, match="has no flight of the last .* knows"):
        update(schedule_model, tmp_path / "weeks.csv", tmp_path / "new.pkl")


def test_files_and_requests_decide_alike_at_the_threshold(updated_model, tmp_path):
    """Where a probability and its single precision lie on two sides of it."""
    stored, _ = model_file.read(updated_model)
    loaded = DelayModel.load(updated_model)
    day = UNTIL + timedelta(days=1)
    flights = [
        SKY | {"SIGLADES": name, "Fecha-I": f"{day} 08:15:00"}
        for name in loaded.vocabulary[DESTINATION]
    ]
    found = loaded.predict_cells(list(map(loaded.encoder.cell, flights)))
    flight, probability = next(
        (flight, p)
        for flight, p in zip(flights, found, strict=True)
        if p > float(np.float32(p))
    )
    threshold = (probability + float(np.float32(probability))) / 2
    card = replace(stored.card, threshold=threshold, threshold_rule="given")
    model_file.write(tmp_path / "model.pkl", replace(stored, card=card))
    model = DelayModel.load(tmp_path / "model.pkl")
    rows = pd.DataFrame([flight])
    rows.to_csv(tmp_path / "in.csv", index=False)
    duckdb.sql("SELECT * FROM rows").write_parquet(str(tmp_path / "in.parquet"))
    assert model.decide([probability]) == [1] and len(rows) == 1
    for kind in ("csv", "parquet"):
        scored = predict_file(model, tmp_path / f"in.{kind}", tmp_path / f"out.{kind}")
        assert scored.delayed == 1
        assert count_delays(model, tmp_path / f"in.{kind}").delayed == 1


def test_the_flights_after_training_are_played_with_the_model_as_it_is(
    sample_flights, tmp_path, capsys
):
    before = sample_flights[sample_flights["Fecha-I"] < "2017-10-01"]
    before.to_csv(tmp_path / "before.csv", index=False)
    train(
        tmp_path / "before.csv", tmp_path / "model.pkl", Recipe("logistic-regression")
    )
    model = DelayModel.load(tmp_path / "model.pkl")
    sample_flights.to_csv(tmp_path / "all.csv", index=False)
    rolling = play_as_it_is(model, read_dataset(tmp_path / "all.csv"))
    assert list(rolling.months) == ["2017-10", "2017-11", "2017-12"]
    assert rolling.settings == model.card.form_settings
    assert rolling.with_form.brier.value < rolling.without.brier.value
    # None came after those that it was trained on.
    assert play_as_it_is(model, read_dataset(tmp_path / "before.csv")) is None


@pytest.mark.parametrize(
    ("days", "left"), [(0, 1.0), (14, 0.5), (28, 0.25), (-14, 0.5)]
)
def test_half_of_an_offset_is_left_after_the_half_life(days, left):
    assert weight(days, 14) == left


def test_offsets_of_values_that_the_model_lacks_do_nothing(before):
    form = RecentForm("2017-12-31", 1, {"Concorde": 3.0}, {"Atlantis": 3.0})
    how = FormSettings(7, 20, 14)
    recent = Recent(form, how, SCL_2017, before.grid)
    assert recent.offset(before.grid.cells - 1 + recent.step(UNTIL)) == 0


def test_the_gate_compares_models_as_they_answer_on_the_day(
    model, before, sample_flights, last_weeks, tmp_path
):
    rows = pd.read_csv(last_weeks)
    rows[rows["Fecha-I"] >= "2017-12-25"].to_csv(tmp_path / "week.csv", index=False)
    comparison = compare_as_they_are(model, before, read_dataset(tmp_path / "week.csv"))
    assert comparison.difference.low > 0.1


def test_an_updated_model_is_judged_as_it_answers(model, last_weeks):
    evaluation = evaluate(model, read_dataset(last_weeks))
    assert evaluation.may_have_seen
    quality = evaluation.as_it_is
    assert quality.mean_probability == pytest.approx(quality.delay_rate, abs=0.06)


def test_updating_and_playing_from_the_command_line(
    schedule_model, last_weeks, sample_csv, tmp_path, capsys
):
    output = tmp_path / "new.pkl"
    assert main(["update", str(schedule_model), str(last_weeks), str(output)]) == 0
    told = capsys.readouterr().out
    assert "airlines  Sky Airline +" in told and "until 2017-12-31" in told
    assert main(["model", "show", str(output)]) == 0
    assert "flights until 2017-12-31" in capsys.readouterr().out
    asked_for = ["update", str(output), str(last_weeks), str(output), "--json"]
    assert main(asked_for) == 0
    assert json.loads(capsys.readouterr().out)["card"]["recent_form"]["flights"] > 1000


def flights_of_a_year(folder, share_late):
    """Flights of two airlines, of which a share is late that the day tells."""
    rng = np.random.default_rng(0)
    rows = []
    for day in pd.date_range("2018-01-01", "2018-12-31"):
        for airline, destination in (("Grupo LATAM", "Lima"), ("Sky Airline", "Arica")):
            for hour in range(6, 22, 2):
                late = rng.random() < share_late(day.date())
                scheduled = day + pd.Timedelta(hours=hour)
                departed = scheduled + pd.Timedelta(minutes=60 if late else 2)
                rows.append((airline, "N", day.month, destination, scheduled, departed))
    names = ["OPERA", "TIPOVUELO", "MES", "SIGLADES", "Fecha-I", "Fecha-O"]
    pd.DataFrame(rows, columns=names).to_csv(folder / "flights.csv", index=False)
    return read_dataset(folder / "flights.csv")


def test_a_night_knows_the_flights_before_it_and_none_after(tmp_path):
    flights = flights_of_a_year(tmp_path, lambda day: 1.0 if day >= TURN else 0.2)
    split = forward_split(flights)
    result = evaluate_split(Recipe("logistic-regression", "all"), flights, split)
    nights = Nights(result.model, flights, flights.codes, *split, result.predictions)
    how = FormSettings(window_days=7, prior=5, half_life_days=56)
    days = flights.days[split.held_out]
    moved = nights.answers(how).probability - result.predictions.probability
    on_the_day, after = (moved[days == TURN + timedelta(days=d)] for d in (0, 3))
    assert np.abs(on_the_day).max() < 0.1
    assert after.min() > 0.2
    later = nights.answers(how, since=7).probability - result.predictions.probability
    assert np.abs(later[days == TURN + timedelta(days=6)]).max() < 0.1
    assert later[days == TURN + timedelta(days=9)].min() > 0.2


def test_playing_shows_what_form_is_worth(tmp_path, capsys):
    def share_late(day):
        return 0.6 if day.toordinal() // 14 % 2 else 0.1

    flights = flights_of_a_year(tmp_path, share_late)
    rolling = play(Recipe("logistic-regression", "all"), flights)
    assert rolling.with_form.roc_auc.low > rolling.without.roc_auc.high
    assert rolling.with_form.brier.high < rolling.without.brier.low
    assert rolling.settings.window_days <= 7
    assert list(rolling.months) == ["2018-09", "2018-10", "2018-11", "2018-12"]
    print_rolling(rolling)
    told = capsys.readouterr().out
    assert "2018-12" in told and "with form" in told
    assert rolling.to_dict()["with_form"]["flights"] == rolling.without.flights


def test_too_few_weeks_are_not_played(enough_flights, tmp_path, capsys):
    enough_flights.to_csv(tmp_path / "flights.csv", index=False)
    train(tmp_path / "flights.csv", tmp_path / "model.pkl")
    arguments = [str(tmp_path / "model.pkl"), str(tmp_path / "flights.csv")]
    assert main(["evaluate", *arguments, "--rolling"]) == 0
    assert "too few flights with a time" in capsys.readouterr().out
    assert main(["evaluate", *arguments, "--rolling", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rolling"] is None
