"""The day of operations: what other flights and the aircraft say moves the answers."""

from __future__ import annotations

import json
import math
import pickle
from datetime import UTC, datetime

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    roc_auc_score,
)

from challenge.artifact import model_file
from challenge.cli import main
from challenge.compiled.log_odds import log_odds
from challenge.errors import (
    FlightsFileError,
    InvalidFlightsError,
    MissingColumnsError,
    ModelFileError,
    MomentError,
    TrainingDataError,
    UnknownDayError,
)
from challenge.files.answering import count_delays, predict_file
from challenge.files.history import on_day, read_history, update
from challenge.files.ranking import rank_file
from challenge.flights.fields import (
    AIRCRAFT,
    ARRIVED,
    DEPARTED,
    DESTINATION,
    DUE,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.rules import FlightRules
from challenge.live.adjustment import DISTANCES_MINUTES, Adjustment
from challenge.live.clock import EPOCH
from challenge.live.day import Day
from challenge.live.frames import history_of
from challenge.live.history import KEPT_DAYS, History, PastFlight
from challenge.live.known import NOT_LEFT
from challenge.live.questions import registration
from challenge.live.terms import (
    AIRCRAFT_TERMS,
    INBOUND_TERMS,
    TERMS,
    WINDOW_TERMS,
    Group,
    term_text,
)
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from challenge.training.data.past import _legs, read_past
from challenge.training.live.adjustment import FittedAdjustment
from challenge.training.live.regression import sigmoid
from challenge.training.recipe import Recipe
from challenge.training.train import train
from tests.conftest import ROOT, TEST_MODEL
from tests.model.test_live_known import MINUTE, START, ZONES, grid_of, pasts, replayed

AIRTRAN = ROOT.parent / "shared/data/bts_2008_airtran.csv.gz"
SKY = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 1, "SIGLADES": "Calama"}
IBERIA = {"OPERA": "Iberia", "TIPOVUELO": "I", "MES": 1, "SIGLADES": "Madrid"}
TOMORROW = {"Fecha-I": "2018-01-01 08:15:00"}
# The same weekday and hour.
A_YEAR_LATER = {"Fecha-I": "2019-01-07 08:15:00"}
SANTIAGO = {"Santiago": "America/Santiago"}


@pytest.fixture(scope="module")
def model(updated_model):
    return DelayModel.load(updated_model)


@pytest.fixture(scope="module")
def before(schedule_model):
    return DelayModel.load(schedule_model)


def answer(model, flight):
    cell = model.encoder.cell(flight)
    assert isinstance(cell, int), cell
    return model.predict_flights([cell], model.questions([flight]))[0]


def in_table(model, flight):
    return model.predict_cells([model.encoder.cell(flight)])[0]


def test_an_airline_that_was_late_is_expected_to_be_late_again(model):
    moved = answer(model, SKY | TOMORROW)
    assert moved > in_table(model, SKY | TOMORROW) + 0.2
    others = answer(model, IBERIA | TOMORROW) - in_table(model, IBERIA | TOMORROW)
    assert abs(others) < 0.2


@pytest.mark.parametrize("time", [{}, A_YEAR_LATER, {"Fecha-I": "2017-01-02 08:15:00"}])
def test_what_is_out_of_reach_is_answered_by_the_table(time, model):
    assert model.questions([SKY | time]) == {}
    assert answer(model, SKY | time) == in_table(model, SKY | time)


def test_what_the_day_adds_fades_until_four_weeks_ahead(model):
    clock = model.day.clock

    def added(days):
        time = EPOCH + pd.Timedelta(seconds=clock, days=days).to_pytimedelta()
        flight = SKY | {"MES": time.month, "Fecha-I": f"{time:%Y-%m-%d %H:%M:%S}"}
        return log_odds(answer(model, flight)) - log_odds(in_table(model, flight))

    at_the_end = [added(days) for days in (14, 21, 27.5, 28)]
    assert at_the_end[0] > at_the_end[1] > at_the_end[2] > 0.0
    assert at_the_end[2] < at_the_end[0] / 10
    assert at_the_end[3] == 0


@pytest.mark.parametrize(
    ("minutes", "is_moved"), [(-16, False), (-15, True), (0, True), (10, True)]
)
def test_a_flight_behind_the_clock_is_moved_until_15_minutes_overdue(
    minutes, is_moved, model
):
    """With the coefficients of 15 minutes."""
    moment = model.day.clock + 60 * minutes
    local = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None)
    local -= pd.Timedelta(hours=3)  # of Santiago in summer
    flight = SKY | {"MES": local.month, "Fecha-I": f"{local:%Y-%m-%d %H:%M:%S}"}
    questions = model.questions([flight])
    assert bool(questions) == is_moved
    if is_moved:
        cell = model.encoder.cell(flight)
        ahead = questions[0]._replace(scheduled=model.day.clock + 60 * 15)
        moved = model.day.moved(0.2, cell, questions[0])
        assert moved == pytest.approx(model.day.moved(0.2, cell, ahead), abs=1e-12)


def test_the_terms_of_a_flight_add_up_and_have_names(model):
    cell = model.encoder.cell(SKY | TOMORROW)
    question = model.questions([SKY | TOMORROW])[0]
    terms = model.day.terms(cell, question)
    moved = log_odds(model.day.moved(0.3, cell, question))
    assert moved - log_odds(0.3) == pytest.approx(sum(terms.values()), abs=1e-9)
    assert all(terms.values())
    for language in ("en", "es"):
        names = {term_text(term, language) for term in TERMS.values()}
        assert len(names) == len(TERMS)


def test_hours_that_the_sample_does_not_have_stay_zero_to_the_bit(before):
    """Its flights have months and weeks, and no aircraft."""
    groups = {TERMS[name].group for name in before.day.adjustment.coefficients}
    assert groups == {Group.LONG}
    assert set(sum(before.card.live.helps.values(), [])) == {str(Group.LONG)}


def coefficients_of(terms, random):
    return {
        term.name: random.normal(size=len(DISTANCES_MINUTES)).tolist() for term in terms
    }


def as_history(past, expected, grid):
    flights = past.flights
    departed = np.where(
        np.isnat(flights.departed), NOT_LEFT, flights.departed.astype(np.int64)
    )
    names = [*past.registrations, ""]
    return History.of(
        PastFlight(cell, scheduled, left, names[aircraft], probability)
        for cell, scheduled, left, aircraft, probability in zip(
            grid.numbers(past.codes).tolist(),
            flights.scheduled.astype(np.int64).tolist(),
            departed.tolist(),
            flights.aircraft.tolist(),
            expected.tolist(),
            strict=True,
        )
    )


def fields_of(past, place):
    """A flight as a request tells it."""

    def local(moment):
        if np.isnat(moment):
            return None
        zone = ZONES[past.codes[place, -1]]
        there = pd.Timestamp(moment, tz="UTC").tz_convert(zone).tz_localize(None)
        return str(there)

    flights = past.flights
    names = past.registrations
    return {
        SCHEDULED: local(flights.scheduled[place]),
        ORIGIN: past.vocabulary[ORIGIN][past.codes[place, -1]],
        AIRCRAFT: (
            names[flights.aircraft[place]] if flights.aircraft[place] >= 0 else ""
        ),
        DUE: local(flights.due[place]),
        ARRIVED: local(flights.arrived[place]),
    }


@given(pasts(), st.integers(1, 14 * 60), st.integers(0, 2**32 - 1))
@settings(max_examples=40, deadline=None)
def test_what_serving_adds_is_what_training_learned_to_add(past, minutes, seed):
    """Of any flights, with any coefficients, over zones, midnight and a change of the
    clock."""
    assume(len(np.unique(past.flights.departed)) == len(past))
    random = np.random.default_rng(seed)
    grid, vocabulary = grid_of(past), past.vocabulary
    past = replace_legs(past)
    odds = random.normal(-1, 1, size=len(past))
    replay = replayed(past, odds)
    coefficients = coefficients_of(replay.terms, random)
    matrix = np.array(list(coefficients.values())).T
    fitted = FittedAdjustment(replay.terms, 7.0, 1.0, matrix)
    at = START + minutes * MINUTE
    state = replay.state(np.arange(len(past)), np.full(len(past), at))
    scheduled = past.flights.scheduled[state.asked]
    near = scheduled >= at - 15 * MINUTE
    expected = fitted.contributions(state, scheduled)
    rules = FlightRules(vocabulary, dict(zip(vocabulary[ORIGIN], ZONES, strict=True)))
    history = as_history(past, sigmoid(odds), grid)
    day = Day(fitted.stored(), history, rules, grid)
    day = day.asked(at=f"{at}+00:00")
    cells = grid.numbers(past.codes).tolist()
    for place, values, is_near in zip(state.asked, expected, near, strict=True):
        flight = fields_of(past, place)
        question = day.question(
            flight[SCHEDULED],
            flight[ORIGIN],
            flight[AIRCRAFT],
            flight[DUE],
            None,
            flight[ARRIVED],
        )
        assert (question is not None) == is_near
        if question is not None:
            found = day.terms(cells[place], question)
            for term, value in zip(replay.terms, values, strict=True):
                assert found.get(term, 0.0) == pytest.approx(value, abs=1e-9), term


def replace_legs(past):
    legs = _legs(past.flights, past.codes, past.vocabulary)
    flights = past.flights._replace(leg=legs)
    return type(past)(
        flights, past.codes, past.local, past.vocabulary, past.registrations
    )


@pytest.mark.slow
@pytest.mark.skipif(not AIRTRAN.exists(), reason=f"no real flights beside {ROOT}")
def test_on_a_real_month_serving_adds_what_training_learned_to_add():
    dataset = read_dataset(AIRTRAN)
    past = read_past(AIRTRAN, dataset)
    model = Recipe(parameters={"rounds": 5}).fit(dataset.counts(), past.vocabulary)
    random = np.random.default_rng(0)
    odds = random.normal(-1, 1, size=len(past))
    replay = replayed(past, odds)
    coefficients = coefficients_of(replay.terms, random)
    matrix = np.array(list(coefficients.values())).T
    fitted = FittedAdjustment(replay.terms, 20.0, 1.0, matrix)
    zones = dataset.counted.time_zones
    history = as_history(past, sigmoid(odds), model.grid)
    day = Day(fitted.stored(), history, FlightRules(past.vocabulary, zones), model.grid)
    # Of one airline, which is all flights.
    assert len(replay.terms) == len(WINDOW_TERMS) - 12 + len(AIRCRAFT_TERMS)
    cells = model.grid.numbers(past.codes).tolist()
    for lead in (30, 240, 1_440):
        asked = np.sort(random.choice(len(past), 300, replace=False))
        at = past.flights.scheduled[asked] - lead * MINUTE
        state = replay.state(asked, at)
        expected = fitted.contributions(state, past.flights.scheduled[state.asked])
        of_lead = day.asked(lead=lead)
        for place, values in zip(state.asked.tolist(), expected, strict=True):
            flight = airtran_fields(past, place)
            question = of_lead.question(*flight, as_shown=False)
            found = of_lead.terms(cells[place], question)
            assert sum(found.values()) == pytest.approx(values.sum(), abs=1e-9)


def airtran_fields(past, place):
    """Times as far from the schedule as they really were."""
    flights = past.flights
    ahead = past.local[place] - flights.scheduled[place]

    def local(moment):
        return None if np.isnat(moment) else str(moment + ahead)

    return [
        str(past.local[place]),
        past.vocabulary[ORIGIN][past.codes[place, -1]],
        past.registrations[flights.aircraft[place]],
        local(flights.due[place]),
        None,
        local(flights.arrived[place]),
    ]


# A state of one aircraft, and questions about its next flight.

AIRPORTS = ("Arica", "Santiago")


@pytest.fixture(scope="module")
def aircraft_day(two_origins_model):
    """CC-ABC left Arica at 10:00 for Santiago, twenty minutes late."""
    model = DelayModel.load(two_origins_model)
    vocabulary = model.vocabulary
    coefficients = {term.name: [1.0] * 8 for term in INBOUND_TERMS}
    adjustment = Adjustment(10.0, coefficients)
    there = next(name for name in vocabulary[ORIGIN] if name != "Santiago")
    flight = SKY | {"SIGLAORI": there, "SIGLADES": "Santiago", "MES": 3}
    cell = model.grid.cell(
        model.encoder.rules.read(SKY | {"SIGLAORI": there, "MES": 3})
    )
    assert flight["SIGLADES"] == "Santiago"
    scheduled = 1_488_880_800
    history = History.of(
        [PastFlight(cell, scheduled, scheduled + 1_200, "CC-ABC", 0.2)]
    )
    return Day(adjustment, history, model.encoder.rules, model.grid)


def test_what_is_expected_by_now_takes_the_place_of_what_the_schedule_says(
    aircraft_day,
):
    due = "2017-03-07 12:00:00"
    asked = aircraft_day.asked(at="2017-03-07 11:00")
    cell = 0
    on_time = asked.question("2017-03-07 12:45:00", None, "CC-ABC", due)
    late = asked.question(
        "2017-03-07 12:45:00", None, "CC-ABC", due, "2017-03-07 12:50:00"
    )
    slack = TERMS["aircraft_slack_0min"]
    assert asked.terms(cell, on_time).get(slack, 0.0) == 0
    assert asked.terms(cell, late)[slack] == pytest.approx(5 / 15)
    alone = asked.question("2017-03-07 12:45:00", expected="2017-03-07 12:50:00")
    assert asked.terms(cell, alone)[slack] == pytest.approx(5 / 15)
    # Nothing says when that was expected.
    before = aircraft_day.asked(lead=105)
    question = before.question(
        "2017-03-07 12:45:00", None, "CC-ABC", due, "2017-03-07 12:50:00"
    )
    assert slack not in before.terms(cell, question)


@pytest.mark.parametrize(
    ("arrived", "landed"), [("2017-03-07 10:59", True), ("2017-03-07 11:01", False)]
)
def test_an_arrival_is_known_once_it_was(arrived, landed, aircraft_day):
    asked = aircraft_day.asked(at="2017-03-07 11:00")
    question = asked.question(
        "2017-03-07 12:45", None, "cc-abc ", "2017-03-07 12:00", None, arrived
    )
    assert (TERMS["aircraft_landed"] in asked.terms(0, question)) == landed


# History.


def test_the_clock_is_the_last_departure_of_a_flight_that_was_not_late():
    """One straggler that leaves at five does not put the next day behind the clock."""
    flights = [
        PastFlight(0, 1_000_000, 1_000_300, "", 0.2),
        PastFlight(0, 1_001_000, 1_030_000, "", 0.2),
        PastFlight(0, 1_040_000, NOT_LEFT, "", 0.2),
    ]
    assert History.of(flights).clock == 1_000_300
    assert History.of(flights[1:]).clock == 1_030_000
    assert History.of(flights[2:]).clock is None
    assert History().clock is None


@given(
    st.lists(
        st.tuples(
            st.integers(0, 9),
            st.integers(-(10**10), 10**10),
            st.one_of(st.just(NOT_LEFT), st.integers(-(10**10), 10**10)),
            st.sampled_from(["", "CC-ABC", "N1"]),
            st.floats(0, 1),
        )
    )
)
def test_a_history_in_a_file_is_the_same_history(flights):
    history = History.of(PastFlight(*one) for one in flights)
    again = History.from_bytes(history.to_bytes(), cells=10)
    assert list(again.flights()) == list(history.flights())
    assert sorted(history.flights()) == sorted(PastFlight(*one) for one in flights)


@pytest.mark.parametrize(
    ("minutes", "counts"),
    [
        pytest.param(15, False, id="not late yet"),
        pytest.param(16, True, id="overdue"),
        pytest.param(24 * 60 - 1, True, id="for almost a day"),
        pytest.param(24 * 60, False, id="cancelled, as it seems"),
    ],
)
@pytest.mark.parametrize("later", [False, True], ids=["then", "seen from later"])
def test_a_flight_that_has_not_left_is_late_for_a_day(minutes, counts, later, model):
    """Whatever became known after the question."""
    hour, scheduled = 3_600, 1_512_993_600  # 2017-12-11 12:00 UTC
    cell = model.encoder.cell(SKY | {"MES": 12, "Fecha-I": "2017-12-11 09:00"})
    flights = [
        PastFlight(cell, scheduled - one * hour, scheduled - one * hour, "", 0.2)
        for one in range(2, 50)
    ]
    if later:
        end = scheduled + 100 * hour
        flights.append(PastFlight(cell, end, end, "", 0.2))
    without, waiting = (
        model.day.with_history(History.of([*flights, *more]))
        for more in ([], [PastFlight(cell, scheduled, NOT_LEFT, "", 0.2)])
    )
    at = EPOCH + pd.Timedelta(seconds=scheduled, minutes=minutes).to_pytimedelta()
    ahead = "2017-12-13 09:00"
    moved = [
        day.asked(f"{at}+00:00").moved(
            0.2, cell, day.asked(f"{at}+00:00").question(ahead)
        )
        for day in (without, waiting)
    ]
    assert (moved[1] > moved[0]) == counts


def test_the_last_days_are_those_before_the_clock_and_all_after():
    day = 86_400
    flights = [PastFlight(0, d * day, d * day, "", 0.2) for d in (1, 5, 20, 34)]
    flights.append(PastFlight(0, 40 * day, NOT_LEFT, "", 0.2))
    kept = History.of(flights).last_days()
    assert [one.scheduled // day for one in kept.flights()] == [5, 20, 34, 40]
    assert KEPT_DAYS == 30


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-9],
        lambda data: b"",
        lambda data: History.of([PastFlight(99, 0, 0, "", 0.2)]).to_bytes(),
        lambda data: History.of([PastFlight(0, 0, 0, "", 1.5)]).to_bytes(),
        lambda data: History.of([PastFlight(0, 0, 0, "", math.nan)]).to_bytes(),
        lambda data: model_file.compress(
            b"\x96\xc4\x01x\xc4\x00\xc4\x00\xc4\x00\xc4\x00\x90"
        ),
    ],
)
def test_damaged_flights_are_no_history(damage):
    data = History.of([PastFlight(0, 0, 0, "CC-ABC", 0.2)]).to_bytes()
    with pytest.raises(ValueError, match="flights are damaged"):
        History.from_bytes(damage(data), cells=10)


# In a model's file.


def test_the_card_tells_what_the_model_knows(model, last_weeks):
    live = model.card.live
    rows = pd.read_csv(last_weeks)
    assert live.until == "2018-01-01T02:47:00Z"
    since = pd.Timestamp("2018-01-01 02:47") - pd.Timedelta(days=30, hours=3)
    assert live.flights == (pd.to_datetime(rows["Fecha-I"]) > since).sum()
    assert live.helps["1440"] == ["the last days and weeks"]


def test_what_the_model_expected_of_the_flights_it_keeps_is_from_tables_before_them(
    before,
):
    """Of its own table, which has seen them, less would be left to say."""
    history = before.day.history
    own = before.predict_cells(history.cells.tolist())
    assert np.mean(np.abs(np.array(own) - history.expected)) > 0.005
    assert len(history) == before.card.live.flights


def test_an_update_replaces_the_flights_and_nothing_else(model, before):
    assert model.table.to_bytes() == before.table.to_bytes()
    assert model.card.created == before.card.created
    assert model.threshold == before.threshold
    assert model.day.adjustment == before.day.adjustment
    assert model.day.history != before.day.history


def test_updating_again_replaces_the_flights(updated_model, last_weeks, tmp_path):
    again = tmp_path / "again.pkl"
    update(updated_model, last_weeks, again)
    assert again.read_bytes() == updated_model.read_bytes()


def test_flights_that_the_model_cannot_know_are_left_out(
    updated_model, last_weeks, tmp_path
):
    rows = pd.read_csv(last_weeks)
    last = rows.index[rows["Fecha-I"] >= "2017-12-20"]
    rows.loc[last[:3], "OPERA"] = "Concorde"
    rows.loc[last[3:9], "SIGLADES"] = "Atlantis"
    rows.to_csv(tmp_path / "weeks.csv", index=False)
    updated = update(updated_model, tmp_path / "weeks.csv", tmp_path / "new.pkl")
    known = DelayModel.load(updated_model).card.live.flights
    assert (updated.left_out, len(updated.history)) == (3, known - 3)
    assert updated.flights == len(rows)


def test_a_model_over_fewer_fields_is_moved_by_airline(last_weeks, tmp_path):
    update(TEST_MODEL, last_weeks, tmp_path / "new.pkl")
    model = DelayModel.load(tmp_path / "new.pkl").verify()
    keys = {TERMS[name].key for name in model.day.adjustment.coefficients}
    assert keys == {"all", "airline"}
    assert answer(model, SKY | TOMORROW) > in_table(model, SKY | TOMORROW) + 0.2


def test_known_flights_of_the_card_are_on_days_that_are_moved(model, updated_model):
    known = [one for one in model.card.known if "Fecha-I" in one.flight]
    assert len(known) == 5
    assert {one.flight["Fecha-I"][:10] for one in known} == {"2018-01-02"}
    assert len(model.questions([one.flight for one in known])) == 5
    assert main(["check", str(updated_model)]) == 0


def test_a_model_with_other_flights_than_its_card_says_is_found_out(
    updated_model, tmp_path
):
    stored, _ = model_file.read(updated_model)
    history = History.from_bytes(stored.history, 10**9)
    on_time = History.of(
        one._replace(departed=one.scheduled) for one in history.flights()
    )
    other = replace(stored, history=on_time.to_bytes())
    model_file.write(tmp_path / "other.pkl", other)
    with pytest.raises(ModelFileError, match="its card says 0[.]"):
        DelayModel.load(tmp_path / "other.pkl").verify()


@pytest.mark.parametrize(
    "adjustment",
    [
        {"prior": 0.0, "coefficients": {}},
        {"prior": math.nan, "coefficients": {}},
        {"prior": 10.0, "coefficients": {"all_1h": [1.0]}},
        {"prior": 10.0, "coefficients": {"all_1h": [math.inf] * 8}},
        {"prior": 10.0, "coefficients": {"the_moon": [1.0] * 8}},
        {"prior": 10.0},
    ],
)
def test_an_adjustment_that_makes_no_sense_is_no_model(
    adjustment, updated_model, tmp_path
):
    stored, _ = model_file.read(updated_model)
    model_file.write(tmp_path / "other.pkl", replace(stored, adjustment=adjustment))
    with pytest.raises(ModelFileError, match="is not a whole model"):
        DelayModel.load(tmp_path / "other.pkl")


def test_flights_that_are_damaged_are_no_model(updated_model, tmp_path):
    stored, _ = model_file.read(updated_model)
    model_file.write(tmp_path / "other.pkl", replace(stored, history=b"x"))
    with pytest.raises(ModelFileError, match="is not a whole model: its flights"):
        DelayModel.load(tmp_path / "other.pkl")


def test_a_model_with_a_day_can_be_pickled(model):
    asked = model.with_day(model.day.asked(lead=60))
    copied = pickle.loads(pickle.dumps(asked))
    assert answer(copied, SKY | TOMORROW) == answer(asked, SKY | TOMORROW)
    assert copied.day.span == asked.day.span


@pytest.fixture(scope="module")
def few_weeks_model(tmp_path_factory):
    """Of too few flights to learn what the day adds."""
    folder = tmp_path_factory.mktemp("few")
    rows = [
        f"Iberia,I,6,2017-06-{day:02} 08:15,2017-06-{day:02} {8 + day % 2}:20\n"
        for day in range(1, 31)
    ]
    text = "OPERA,TIPOVUELO,MES,Fecha-I,Fecha-O\n" + "".join(rows).replace(
        " 8:", " 08:"
    )
    (folder / "flights.csv").write_text(text.replace(" 9:", " 09:"))
    train(folder / "flights.csv", folder / "model.pkl")
    return folder


def test_a_model_of_too_few_flights_cannot_be_updated(few_weeks_model, tmp_path):
    path = few_weeks_model / "model.pkl"
    model = DelayModel.load(path)
    assert model.card.live is None
    with pytest.raises(UnknownDayError, match="has not learned"):
        update(path, few_weeks_model / "flights.csv", tmp_path / "new.pkl")
    assert not (tmp_path / "new.pkl").exists()
    flight = [{"OPERA": "Iberia", "MES": 6}]
    with pytest.raises(UnknownDayError):
        model.forecast(flight, at="2017-06-30 10:00")
    command = ["predict", str(few_weeks_model / "flights.csv"), "--model", str(path)]
    assert main([*command, "--lead", "60"]) == 1


def test_flights_that_tell_no_departure_are_no_history(schedule_model, tmp_path):
    (tmp_path / "flights.csv").write_text(
        "OPERA,TIPOVUELO,MES,delay\nIberia,I,3,1\nIberia,I,3,0\n"
    )
    with pytest.raises(MissingColumnsError, match="'Fecha-I', 'Fecha-O'"):
        update(schedule_model, tmp_path / "flights.csv", tmp_path / "new.pkl")


@pytest.mark.parametrize("year", ["2071", "9999"])
def test_one_wrong_year_leaves_no_flight_alone(
    year, schedule_model, last_weeks, tmp_path
):
    rows = pd.read_csv(last_weeks).astype({"Fecha-I": str, "Fecha-O": str})
    for name in ("Fecha-I", "Fecha-O"):
        rows.loc[0, name] = f"{year}-12-12 08:15:00"
    rows.to_csv(tmp_path / "weeks.csv", index=False)
    with pytest.raises(TrainingDataError, match="has a flight that left on .* cannot"):
        update(schedule_model, tmp_path / "weeks.csv", tmp_path / "new.pkl")
    assert not (tmp_path / "new.pkl").exists()


def test_flights_of_which_none_is_known_are_no_update(
    schedule_model, last_weeks, tmp_path
):
    rows = pd.read_csv(last_weeks).assign(OPERA="Concorde")
    rows.to_csv(tmp_path / "weeks.csv", index=False)
    with pytest.raises(TrainingDataError, match="has no flight that has left"):
        update(schedule_model, tmp_path / "weeks.csv", tmp_path / "new.pkl")


def test_rows_with_a_fault_stop_an_update_or_are_left_out(
    schedule_model, last_weeks, tmp_path
):
    rows = pd.read_csv(last_weeks).astype({"Fecha-O": str})
    rows.loc[5, "Fecha-O"] = "soon"
    rows.to_csv(tmp_path / "weeks.csv", index=False)
    command = ["update", str(schedule_model), str(tmp_path / "weeks.csv")]
    with pytest.raises(FlightsFileError, match="row 7: Fecha-O: 'soon'"):
        read_history(DelayModel.load(schedule_model), tmp_path / "weeks.csv")
    assert main([*command, str(tmp_path / "new.pkl"), "--skip-invalid"]) == 0


def test_an_update_on_the_command_line(
    schedule_model, last_weeks, sample_csv, tmp_path, capsys
):
    output = tmp_path / "new.pkl"
    assert main(["update", str(schedule_model), str(last_weeks), str(output)]) == 0
    told = capsys.readouterr().out
    assert "of the last 30 days until 2018-01-01 02:47 UTC" in told
    assert main(["model", "show", str(output)]) == 0
    told = capsys.readouterr().out
    assert "flights until 2018-01-01T02:47:00Z" in told
    assert "1 h: the last days and weeks" in told
    asked_for = ["update", str(output), str(last_weeks), str(output), "--json"]
    assert main(asked_for) == 0
    assert json.loads(capsys.readouterr().out)["card"]["live"]["flights"] > 1000


def test_one_wrong_year_in_training_leaves_no_flight_alone(tmp_path):
    data = np.arange(6_000)
    scheduled = pd.Timestamp("2017-03-01") + pd.to_timedelta(20 * data, unit="m")
    departed = scheduled + pd.to_timedelta(np.where(data % 5, 3, 40), unit="m")
    rows = pd.DataFrame(
        {
            "OPERA": np.where(data % 2, "Sky Airline", "Grupo LATAM"),
            "TIPOVUELO": "N",
            "MES": scheduled.month,
            "Fecha-I": scheduled.astype(str),
            "Fecha-O": departed.astype(str),
        }
    )
    rows.loc[0, ["MES", "Fecha-I", "Fecha-O"]] = (
        3,
        "2071-03-01 00:00:00",
        "2071-03-01 00:03:00",
    )
    rows.to_csv(tmp_path / "flights.csv", index=False)
    recipe = Recipe("logistic-regression", "all")
    train(tmp_path / "flights.csv", tmp_path / "model.pkl", recipe)
    live = DelayModel.load(tmp_path / "model.pkl").card.live
    assert live.until.startswith("2017-05-23") and live.flights > 2_000


# With other flights, and at other moments.


@pytest.fixture(scope="module")
def day_file(tmp_path_factory, sample_flights):
    """Two days of flights, and the three weeks before with half of the first of them:
    what has not left has an empty Fecha-O."""
    folder = tmp_path_factory.mktemp("day")
    rows = sample_flights[sample_flights["Fecha-I"] >= "2017-11-20"]
    rows = rows[rows["Fecha-I"] < "2017-12-13"].astype({"Fecha-O": str})
    is_today = rows["Fecha-I"] >= "2017-12-11"
    rows[is_today].drop(columns="Fecha-O").to_csv(folder / "today.csv", index=False)
    known = rows["Fecha-O"].where(rows["Fecha-O"] < "2017-12-11 12:00:00", "")
    rows.assign(**{"Fecha-O": known}).to_csv(folder / "history.csv", index=False)
    return folder


def probabilities_of(path):
    return pd.read_csv(path)["probability"].tolist()


@pytest.mark.parametrize(
    "how",
    [
        {},
        {"lead": 60},
        {"lead": 7 * 24 * 60},
        {"at": "2017-12-11 06:00"},
        {"at": "2017-12-11T06:00:00-03:00"},
    ],
    ids=str,
)
def test_command_and_library_answer_alike(how, schedule_model, day_file, tmp_path):
    options = [f"--{name}={value}" for name, value in how.items()]
    history, today = day_file / "history.csv", day_file / "today.csv"
    output = tmp_path / "out.csv"
    command = ["predict", str(today), str(output), "--model", str(schedule_model)]
    assert main([*command, f"--history={history}", *options]) == 0
    model = DelayModel.load(schedule_model)
    found = model.forecast(pd.read_csv(today), history=pd.read_csv(history), **how)
    assert probabilities_of(output) == pytest.approx(
        found["probability"].tolist(), abs=1e-6
    )
    assert found["delay"].sum() == pd.read_csv(output)["delay"].sum()
    in_table = model.forecast(pd.read_csv(today))["probability"]
    assert (found["probability"] - in_table).abs().max() > 0.01
    by_path = model.forecast(today, history=history, **how)
    pd.testing.assert_frame_equal(by_path, found)


def test_all_kinds_of_files_are_answered_alike(schedule_model, day_file, tmp_path):
    today = pd.read_csv(day_file / "today.csv", dtype={"MES": int})
    model = on_day(
        DelayModel.load(schedule_model), day_file / "history.csv", None, None
    )
    flights = today[[*SKY, SCHEDULED]].to_dict("records")
    expected = model.predict_flights(
        list(map(model.encoder.cell, flights)), model.questions(flights)
    )
    duckdb.sql("SELECT * FROM today").write_parquet(str(tmp_path / "in.parquet"))
    today.to_csv(tmp_path / "in.csv", index=False)
    spelled = today.assign(OPERA=today["OPERA"].str.upper())
    spelled.to_csv(tmp_path / "upper.csv", index=False)
    today.to_csv(tmp_path / "semicolons.csv", index=False, sep=";", encoding="utf-16")
    scored = []
    for name in ("in.csv", "in.parquet", "upper.csv", "semicolons.csv"):
        output = tmp_path / f"out-{name}"
        counted = predict_file(model, tmp_path / name, output)
        assert count_delays(model, tmp_path / name).delayed == counted.delayed
        if name == "in.parquet":
            found = duckdb.sql(f"FROM '{output}'").df()["probability"].tolist()
        elif name == "semicolons.csv":
            read = pd.read_csv(output, sep=";", encoding="utf-16")
            found = read["probability"].tolist()
        else:
            found = probabilities_of(output)
        assert found == pytest.approx(expected, abs=1e-6)
        scored.append(counted.delayed)
    assert len(set(scored)) == 1
    ranked, _ = rank_file(model, tmp_path / "in.csv", top=1)
    assert ranked[0].probability == pytest.approx(max(expected))


def test_a_model_is_evaluated_with_what_was_known(
    schedule_model, day_file, sample_flights, tmp_path, capsys
):
    """On the flights that had not left by then."""
    rows = sample_flights[sample_flights["Fecha-I"] >= "2017-12-11"]
    rows = rows[rows["Fecha-I"] < "2017-12-13"]
    rows.to_csv(tmp_path / "left.csv", index=False)
    command = ["evaluate", str(schedule_model), str(tmp_path / "left.csv"), "--json"]
    options = [f"--history={day_file / 'history.csv'}", "--at=2017-12-12 00:00"]
    assert main([*command, *options]) == 0
    found = json.loads(capsys.readouterr().out)
    asked, as_it_is = found["asked"], found["as_it_is"]
    assert asked["flights"] == (rows["Fecha-O"] > "2017-12-12 00:00").sum()
    assert asked["flights"] < as_it_is["flights"] == len(rows)
    assert asked["mean_probability"] != pytest.approx(as_it_is["mean_probability"])
    assert main(command[:-1] + ["--lead=60"]) == 0
    assert "with what was known" in capsys.readouterr().out


def test_several_files_and_a_cluster_answer_alike(schedule_model, day_file, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("one.csv", "two.csv"):
        (folder / name).write_bytes((day_file / "today.csv").read_bytes())
    command = ["predict", "--model", str(schedule_model), "--lead=60"]
    command.append(f"--history={day_file / 'history.csv'}")
    assert main([*command, str(folder), str(tmp_path / "out")]) == 0
    assert main([*command, str(day_file / "today.csv"), str(tmp_path / "1.csv")]) == 0
    expected = (tmp_path / "1.csv").read_bytes()
    assert (tmp_path / "out/one.csv").read_bytes() == expected
    assert (tmp_path / "out/two.csv").read_bytes() == expected


def test_a_moment_and_a_lead_exclude_each_other(schedule_model, day_file, capsys):
    command = ["rank", str(day_file / "today.csv"), "--model", str(schedule_model)]
    assert main([*command, "--at=2017-12-11 06:00", "--lead=60"]) == 2
    assert "--at and --lead exclude each other" in capsys.readouterr().err
    with pytest.raises(ValueError, match="not both"):
        DelayModel.load(schedule_model).day.asked("2017-12-11 06:00", 60)


@pytest.mark.parametrize("at", ["noon", "2017-13-01 00:00", "06/03/2017 08:15"])
def test_what_is_no_moment_is_refused(at, schedule_model, day_file, capsys):
    command = ["rank", str(day_file / "today.csv"), "--model", str(schedule_model)]
    assert main([*command, f"--at={at}"]) == 1
    assert "is not a time like '2017-03-06 08:15'" in capsys.readouterr().err


def test_a_moment_may_be_a_datetime_and_a_lead_not_behind(model):
    now = datetime(2017, 12, 20, 6, 0, 0, 123_456)
    assert model.day.asked(now).clock == model.day.asked("2017-12-20 06:00").clock
    with pytest.raises(MomentError, match="after the flight"):
        model.day.asked(lead=-10)


@pytest.mark.parametrize("time", ["9999-12-31 23:30", "0001-01-01 00:30"])
def test_the_ends_of_the_calendar_are_times_like_others(time, model):
    flight = SKY | {"MES": int(time[5:7]), "Fecha-I": time}
    assert answer(model, flight) == in_table(model, flight)
    assert not model.day.asked(time).question("2018-01-01 08:15")
    arrival = SKY | TOMORROW | {DUE: time, ARRIVED: time}
    assert 0 < answer(model, arrival) < 1


def test_one_old_or_wrong_flight_in_a_history_does_not_hide_the_others(
    schedule_model, day_file, tmp_path
):
    rows = pd.read_csv(day_file / "history.csv", dtype=str)
    old = rows.iloc[[0]].assign(
        **{
            "MES": "1",
            "Fecha-I": "1970-01-01 08:15:00",
            "Fecha-O": "1970-01-01 08:20:00",
        }
    )
    pd.concat([old, rows]).to_csv(tmp_path / "old.csv", index=False)
    command = ["predict", str(day_file / "today.csv"), "--model", str(schedule_model)]
    for name in (day_file / "history.csv", tmp_path / "old.csv"):
        output = tmp_path / f"out-{name.name}"
        assert (
            main([*command, str(output), f"--history={name}", "--lead=60"]) == 0
        ), name
    found = [probabilities_of(tmp_path / f"out-{n}.csv") for n in ("history", "old")]
    assert found[0] == found[1]
    wrong = old.assign(
        **{"Fecha-I": "2071-01-01 08:15:00", "Fecha-O": "2071-01-01 08:20:00"}
    )
    pd.concat([wrong, rows]).to_csv(tmp_path / "wrong.csv", index=False)
    assert main([*command, f"--history={tmp_path / 'wrong.csv'}"]) == 1


def test_a_history_that_turns_out_not_to_be_plain_is_counted_once(
    schedule_model, day_file, tmp_path
):
    text = (day_file / "history.csv").read_text()
    header, *lines = text.splitlines()
    many = "\n".join([header, *lines * 8, lines[0].rsplit(",", 1)[0]])
    (tmp_path / "many.csv").write_text(many + "\n")
    model = DelayModel.load(schedule_model)
    read = read_history(model, tmp_path / "many.csv", skip_invalid=True)
    assert len(read.flights) + read.left_out + read.rejected.rows == 8 * len(lines) + 1


def test_registrations_may_be_numbers(schedule_model):
    past = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "Fecha-I": "2017-12-11 06:00"}
    rows = pd.DataFrame([past | {DEPARTED: "2017-12-11 06:05"}] * 2)
    model = DelayModel.load(schedule_model)
    for numbers in ([123.0, None], [123, 124], ["123", " 123 "]):
        history = history_of(
            rows.assign(MATRICULA=numbers),
            model.encoder.rules,
            model.grid,
            model.predict_cells,
        )
        assert history.registrations[0] == "123"
    assert registration(123.0) == registration("123") == "123"


def test_a_moment_of_airports_in_several_zones_needs_an_offset(two_origins_model):
    model = DelayModel.load(two_origins_model)
    names = model.vocabulary[ORIGIN]
    zones = dict(zip(names, ("America/Santiago", "Europe/Berlin"), strict=True))
    rules = FlightRules(model.vocabulary, zones)
    day = Day(Adjustment(1.0, {"all_1h": [1.0] * 8}), History(), rules, model.grid)
    assert day.asked("2017-03-06T08:15-03:00").clock == 1_488_798_900
    with pytest.raises(ValueError, match="several time zones"):
        day.asked("2017-03-06 08:15")


def test_a_history_in_dicts_may_tell_departures_and_nothing_unknown(schedule_model):
    model = DelayModel.load(schedule_model)
    past = SKY | {"MES": 12, "Fecha-I": "2017-12-11 06:00"}
    late = [past | {DEPARTED: "2017-12-11 09:00"}, past | {DEPARTED: ""}]
    asked = [SKY | {"MES": 12, "Fecha-I": "2017-12-11 11:00"}]
    moved = model.forecast(asked, history=late, at="2017-12-11 10:00")
    on_time = model.forecast(
        asked, history=[past | {DEPARTED: "2017-12-11 06:00"}], at="2017-12-11 10:00"
    )
    assert moved["probability"][0] > on_time["probability"][0]
    with pytest.raises(InvalidFlightsError, match="is not a field"):
        model.forecast(asked, history=[past | {"Fecha-X": ""}])
    with pytest.raises(MissingColumnsError, match="Fecha-O"):
        model.forecast(asked, history=[past])
    with pytest.raises(InvalidFlightsError, match="'X' is not a flight type"):
        model.forecast(asked, history=[late[0] | {"TIPOVUELO": "X"}])
    others = [late[0] | {"SIGLADES": "Atlantis"}, late[0] | {"OPERA": "Concorde"}]
    assert len(model.forecast(asked, history=[*late, *others])) == 1


def test_a_request_may_tell_when_the_aircraft_comes(model):
    flight = SKY | TOMORROW | {AIRCRAFT: "CC-ABC", DUE: "2018-01-01 07:20"}
    assert model.questions([flight])[0].due is not None
    for wrong in ("soon", "2018-01-01", "2018-02-30 08:15"):
        faults = model.encoder.cell(flight | {ARRIVED: wrong})
        assert [fault.field for fault in faults] == [ARRIVED]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_arrival_in_a_file_that_is_no_time_is_a_fault_of_its_row(
    kind, updated_model, tmp_path
):
    model = DelayModel.load(updated_model)
    rows = pd.DataFrame(
        [
            SKY | TOMORROW | {AIRCRAFT: "CC-ABC", DUE: due}
            for due in ("2018-01-01 07:20", "", "2018-01-01T07:20:00", "soon")
        ]
    )
    path, output = tmp_path / f"in.{kind}", tmp_path / f"out.{kind}"
    if kind == "csv":
        rows.to_csv(path, index=False)
    else:
        duckdb.sql("SELECT * FROM rows").write_parquet(str(path))
    with pytest.raises(FlightsFileError, match="Llegada-I: 'soon' is not a local time"):
        predict_file(model, path, output)
    assert predict_file(model, path, output, "keep").invalid == 1
    lists = f'SELECT * REPLACE ([1] AS "{DUE}") FROM rows'
    duckdb.sql(f"COPY ({lists}) TO '{tmp_path / 'lists.parquet'}'")
    with pytest.raises(FlightsFileError, match="4 invalid rows"):
        predict_file(model, tmp_path / "lists.parquet", tmp_path / "o.parquet")


def test_files_and_requests_decide_alike_at_the_threshold(updated_model, tmp_path):
    """Where a probability and its single precision lie on two sides of it."""
    stored, _ = model_file.read(updated_model)
    loaded = DelayModel.load(updated_model)
    flights = [SKY | TOMORROW | {"SIGLADES": n} for n in loaded.vocabulary[DESTINATION]]
    flight, probability = next(
        (flight, p)
        for flight, p in ((one, answer(loaded, one)) for one in flights)
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


@pytest.mark.slow
@pytest.mark.skipif(not AIRTRAN.exists(), reason=f"no real flights beside {ROOT}")
def test_on_real_flights_of_another_format_an_hour_ahead_is_worth_it(tmp_path):
    """Learned from the first 19 days of a month, asked about the others."""
    data = pd.read_csv(AIRTRAN, dtype=str)
    is_first = data["FlightDate"].str[-2:].astype(int) <= 19
    data[is_first].to_csv(tmp_path / "first.csv", index=False)
    data[~is_first].to_csv(tmp_path / "rest.csv", index=False)
    recipe = Recipe(parameters={"rounds": 15})
    train(tmp_path / "first.csv", tmp_path / "model.pkl", recipe)
    command = ["predict", str(tmp_path / "rest.csv"), str(tmp_path / "out.csv")]
    command += ["--model", str(tmp_path / "model.pkl"), "--lead=60"]
    assert main([*command, f"--history={AIRTRAN}", "--unknown=average"]) == 0
    answered = pd.read_csv(tmp_path / "out.csv")
    left = answered[answered["DepDelay"].notna()]
    late = (left["DepDelay"] > 15).astype(int)
    assert roc_auc_score(late, left["probability"]) > 0.845
    assert average_precision_score(late, left["probability"]) > 0.67
    assert brier_score_loss(late, left["probability"]) < 0.077
