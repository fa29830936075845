"""What each field adds to an answer: Shapley values, checked by their definition."""

from __future__ import annotations

import math
from itertools import permutations
from statistics import fmean

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from challenge.compiled.log_odds import log_odds
from challenge.errors import UnknownPastError
from challenge.explain.evidence import ENOUGH, SAMPLED, Evidence, wilson
from challenge.explain.shapley import Explainer
from challenge.flights.fields import FLIGHT_FIELDS as FIELDS
from challenge.flights.fields import Flight
from challenge.model import DelayModel
from challenge.training.recipe import Recipe
from challenge.training.report import charts as figures
from challenge.training.train import train
from tests.conftest import TEST_MODEL, probabilities

pytestmark = pytest.mark.slow

# The codes of a Flight that each of FIELDS is about.
GROUPS = ((0,), (1,), (2,), (6,), (3,), (4, 5))


@pytest.fixture(scope="module")
def model(schedule_model):
    return DelayModel.load(schedule_model)


@st.composite
def any_flight(draw):
    """A flight of the public dataset's vocabulary, with or without what is optional."""
    time = draw(st.just((-1, -1)) | st.tuples(st.integers(0, 23), st.integers(0, 6)))
    return Flight(
        draw(st.integers(0, 22)),
        draw(st.integers(0, 1)),
        draw(st.integers(0, 11)),
        draw(st.integers(-1, 61)),
        *time,
    )


@settings(deadline=None, max_examples=25)
@given(any_flight())
def test_base_and_contributions_add_up_to_the_probability(model, flight):
    (why,) = model.explain([model.grid.cell(flight)])
    total = why.base_log_odds + sum(why.contributions.values())
    assert 1 / (1 + math.exp(-total)) == pytest.approx(why.probability, abs=1e-12)
    assert why.probability == probabilities(model, [flight])[0]


@settings(deadline=None, max_examples=25)
@given(any_flight())
def test_what_is_not_given_adds_nothing(model, flight):
    (why,) = model.explain([model.grid.cell(flight)])
    if flight.destination == -1:
        assert why.contributions["SIGLADES"] == 0
    if flight.hour == -1:
        assert why.contributions["Fecha-I"] == 0
        assert why.by_hour is None


@settings(deadline=None, max_examples=10)
@given(any_flight())
def test_they_are_the_mean_over_all_orders_in_which_fields_become_known(model, flight):
    """Brute force over few past flights, by the definition of a Shapley value."""
    past = model.evidence.sample[::40]
    known_groups = [group for group in GROUPS if flight[group[0]] != -1]

    def worth(known):
        mixed = []
        for other in past:
            codes = [-1] * len(Flight._fields)
            for group in known_groups:
                source = flight if group in known else other
                for field in group:
                    codes[field] = source[field]
            mixed.append(Flight(*codes))
        return fmean(map(log_odds, probabilities(model, mixed)))

    gains = {group: [] for group in known_groups}
    for order in permutations(known_groups):
        for place, group in enumerate(order):
            gains[group].append(worth(order[: place + 1]) - worth(order[:place]))
    why = Explainer(model.grid, model.predict_cells, past).explain(
        model.grid.cell(flight)
    )
    for group, of_group in gains.items():
        name = FIELDS[GROUPS.index(group)]
        assert why.contributions[name] == pytest.approx(fmean(of_group), abs=1e-9)


@settings(deadline=None, max_examples=20)
@given(any_flight())
def test_each_alone_is_the_difference_to_past_flights_in_that_field(model, flight):
    found = model.each_alone(model.grid.cell(flight))
    given = [group for group in GROUPS if flight[group[0]] != -1]
    assert set(found) == {FIELDS[GROUPS.index(group)] for group in given}
    [own] = probabilities(model, [flight])
    for group in given:
        others = []
        for past in model.evidence.sample:
            codes = list(flight)
            for field in group:
                codes[field] = past[field]
            others.append(Flight(*codes))
        mean = fmean(map(log_odds, probabilities(model, others)))
        expected = log_odds(own) - mean
        assert found[FIELDS[GROUPS.index(group)]] == pytest.approx(expected, abs=1e-9)


def test_what_was_compared_once_is_known_on_every_day(model):
    cell = model.grid.cell(Flight(12, 0, 6, 28, 8, 0))
    found = model.with_day(None).each_alone(cell)
    assert model.each_alone(cell) is found
    assert model.with_day(model.known_day.at_moment(0)).each_alone(cell) is found


def test_fields_that_play_the_same_part_get_the_same(monkeypatch):
    """Symmetry: a model whose log-odds grow alike with airline and month."""
    model = DelayModel.load(TEST_MODEL)
    by_cell = [
        1 / (1 + math.exp(-0.1 * (cell_of.airline + cell_of.month)))
        for cell_of in map(model.grid.flight, range(model.grid.cells))
    ]
    monkeypatch.setattr(
        model, "predict_cells", lambda cells: [by_cell[c] for c in cells]
    )
    past = [Flight(2, 0, 2), Flight(8, 1, 8)]
    why = Explainer(model.grid, model.predict_cells, past).explain(
        model.grid.cell(Flight(5, 1, 5))
    )
    assert why.contributions["OPERA"] == pytest.approx(why.contributions["MES"])
    assert why.contributions["TIPOVUELO"] == pytest.approx(0)


def test_a_field_that_the_model_does_not_look_at_adds_nothing():
    model = DelayModel.load(TEST_MODEL)
    flight = model.encoder.rules.read(
        {
            "OPERA": "Grupo LATAM",
            "TIPOVUELO": "I",
            "MES": 3,
            "SIGLADES": "Lima",
            "Fecha-I": "2017-03-06 08:15:00",
        }
    )
    (why,) = model.explain([model.grid.cell(flight)])
    assert why.contributions["SIGLADES"] == why.contributions["Fecha-I"] == 0


def test_other_months_and_hours_are_answered_as_if_they_were_asked_for(model):
    flight = Flight(12, 0, 6, 28, 8, 0)
    (why,) = model.explain([model.grid.cell(flight)])
    months = [flight._replace(month=month) for month in range(12)]
    assert why.by_month == probabilities(model, months)
    hours = [flight._replace(hour=hour) for hour in range(24)]
    assert why.by_hour == probabilities(model, hours)
    assert why.by_month[6] == why.by_hour[8] == why.probability


@pytest.mark.parametrize("features", ["top10", "all"])
def test_a_model_just_trained_explains_as_its_file_does(features, sample_csv, tmp_path):
    path = tmp_path / "model.pkl"
    train(str(sample_csv), str(path), Recipe("logistic-regression", features))
    loaded = DelayModel.load(path)
    fresh = DelayModel(features=features, vocabulary=loaded.vocabulary).fit_counts(
        loaded.counts
    )
    flight = Flight(3, 1, 6)
    theirs, ours = (
        loaded.explain([loaded.grid.cell(flight)])[0],
        fresh.explain([fresh.grid.cell(flight)])[0],
    )
    assert ours.contributions == pytest.approx(theirs.contributions, abs=1e-5)


def test_without_counted_flights_there_is_nothing_to_compare_with(few_flights):
    model = DelayModel()
    features, target = model.preprocess(few_flights, "delay")
    model.fit(pd.concat([features] * 2), pd.concat([target] * 2))
    with pytest.raises(UnknownPastError, match="keeps no counts"):
        model.explain([model.grid.cell(Flight(0, 0, 0))])


def test_the_sample_of_the_past_has_each_month_and_airline_by_its_share(model):
    past = model.evidence
    assert len(past.sample) == SAMPLED
    flights = sum(past.flights[0])
    for field in (0, 1):
        for code, count in enumerate(past.flights[field]):
            sampled = sum(flight[field] == code for flight in past.sample)
            assert sampled == pytest.approx(SAMPLED * count / flights, abs=2)


def test_the_past_counts_as_the_model_does(model):
    counts = model.counts
    for field in range(len(Flight._fields)):
        for code, flights in enumerate(model.evidence.flights[field]):
            of_code = counts.codes[:, field] == code
            assert flights == counts.flights[of_code].sum()
            assert model.evidence.late[field][code] == counts.delayed[of_code].sum()


@settings(deadline=None, max_examples=25)
@given(any_flight())
def test_support_is_the_number_of_past_flights_with_the_same_values(model, flight):
    counts = model.counts
    alike = np.ones(len(counts.codes), dtype=bool)
    for field, code in enumerate(flight):
        if code != -1:
            alike &= counts.codes[:, field] == code
    assert model.evidence.support(flight) == counts.flights[alike].sum()


@settings(deadline=None, max_examples=25)
@given(any_flight())
def test_a_flight_was_flown_if_its_airline_flew_its_type_on_its_route(model, flight):
    counts = model.counts
    alike = np.ones(len(counts.codes), dtype=bool)
    for field in ("airline", "flight_type", "origin", "destination"):
        if getattr(flight, field) != -1:
            column = Flight._fields.index(field)
            alike &= counts.codes[:, column] == getattr(flight, field)
    assert model.evidence.was_flown(flight) == alike.any()


@settings(deadline=None, max_examples=25)
@given(any_flight())
def test_evidence_is_the_narrowest_group_with_enough_flights(model, flight):
    counts = model.counts
    alike = np.ones(len(counts.codes), dtype=bool)
    expected = ((), counts.total, counts.delayed.sum())
    names = ()
    for name, fields in zip(FIELDS, GROUPS, strict=True):
        if flight[fields[0]] == -1:
            continue
        names = (*names, name)
        for field in fields:
            alike &= counts.codes[:, field] == flight[field]
        flights = counts.flights[alike].sum()
        if flights >= ENOUGH:
            expected = (names, flights, counts.delayed[alike].sum())
    assert model.evidence.similar(flight) == expected


@pytest.mark.parametrize(("late", "flights"), [(0, 5), (5, 5), (3, 30), (200, 812)])
def test_the_interval_is_wilsons_here_and_in_the_report(late, flights):
    expected = binomtest(late, flights).proportion_ci(method="wilson")
    assert wilson(late, flights) == pytest.approx(tuple(expected), abs=1e-3)
    _, low, high = figures.wilson(np.array([late]), np.array([flights]))
    assert (low[0], high[0]) == pytest.approx(tuple(expected), abs=1e-3)


def test_nothing_is_known_of_no_flights():
    assert wilson(0, 0) == (0, 1)


@pytest.mark.parametrize("data", [b"x", b"\x7f" * 20], ids=["cut", "unknown code"])
def test_damaged_counts_are_refused(data, model):
    with pytest.raises(ValueError, match="the counts are damaged"):
        Evidence.from_bytes(data, model.vocabulary)
