"""DelayModel: its public interface, and what it learns."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import classification_report
from sklearn.model_selection import train_test_split

from challenge.classifier import LogisticRegressionClassifier, XGBoostClassifier
from challenge.errors import (
    InvalidFlightsError,
    MissingColumnsError,
    NotFittedError,
    TrainingDataError,
)
from challenge.features.counts import Counts
from challenge.features.feature_sets import TOP10_COLUMNS
from challenge.flights.fields import NOT_GIVEN, Flight
from challenge.flights.scl_2017 import SCL_2017
from challenge.model import DelayModel
from challenge.training.data.dataset import read_dataset
from tests.conftest import probabilities

CLASSIFIERS = [LogisticRegressionClassifier, XGBoostClassifier]
NEEDED = ["OPERA", "TIPOVUELO", "MES", "Fecha-I", "Fecha-O"]


def test_top10_features_are_the_ten_columns_of_the_notebook(sample_flights):
    features, target = DelayModel().preprocess(sample_flights, target_column="delay")
    assert list(features.columns) == list(TOP10_COLUMNS)
    assert list(target.columns) == ["delay"]
    assert len(features) == len(target) == 68_206
    latam_in_july = (sample_flights["OPERA"] == "Grupo LATAM") & (
        sample_flights["MES"] == 7
    )
    assert (features["OPERA_Grupo LATAM"] + features["MES_7"] == 2).equals(
        latam_in_july
    )


def test_preprocessing_needs_only_its_columns_and_changes_nothing(sample_flights):
    before = sample_flights.copy()
    whole = DelayModel().preprocess(sample_flights, "delay")
    narrow = DelayModel().preprocess(sample_flights[NEEDED], "delay")
    for one, other in zip(whole, narrow, strict=True):
        pd.testing.assert_frame_equal(one, other)
    pd.testing.assert_frame_equal(sample_flights, before)


def test_the_index_of_the_flights_is_kept(few_flights):
    few_flights.index = few_flights.index + 100
    features, target = DelayModel().preprocess(few_flights, "delay")
    assert features.index.equals(few_flights.index)
    assert target.index.equals(few_flights.index)


@pytest.mark.parametrize(
    ("departed", "delay"),
    [
        ("2017-06-01 08:30:00", 0),
        ("2017-06-01 08:30:01", 1),
        ("2017-06-01 08:31:00", 1),
        ("2017-06-01 08:05:00", 0),
        ("2017-05-31 23:50:00", 0),
        ("2017-06-03 09:00:00", 1),
    ],
    ids=["15 minutes", "15 min 1 s", "16 minutes", "early", "a day early", "two days"],
)
def test_a_flight_is_late_when_it_leaves_more_than_15_minutes_after_its_time(
    few_flights, departed, delay
):
    flight = few_flights.head(1).assign(**{"Fecha-O": departed})
    _, target = DelayModel().preprocess(flight, "delay")
    assert target["delay"].tolist() == [delay]


@pytest.mark.parametrize(
    ("scheduled", "departed", "delay"),
    [
        ("2017-08-12 23:55:00", "2017-08-13 00:05:00", 0),
        ("2017-08-13 00:30:00", "2017-08-13 01:30:00", 1),
        ("2017-05-13 23:30:00", "2017-05-13 23:45:00", 0),
        ("2016-02-29 08:00:00", "2016-02-29 08:16:00", 1),
    ],
    ids=["clocks go forward", "a skipped hour", "a repeated hour", "leap day"],
)
def test_times_are_those_on_the_wall(few_flights, scheduled, departed, delay):
    flight = few_flights.head(1).assign(
        **{"Fecha-I": scheduled, "Fecha-O": departed, "MES": int(scheduled[5:7])}
    )
    _, target = DelayModel().preprocess(flight, "delay")
    assert target["delay"].tolist() == [delay]


@pytest.mark.parametrize("year", ["0001", "1969", "9999"])
def test_a_year_far_away_is_a_time(few_flights, year):
    flight = few_flights.head(1).assign(
        **{"Fecha-I": f"{year}-06-01 08:00:00", "Fecha-O": f"{year}-06-01 08:16:00"}
    )
    _, target = DelayModel().preprocess(flight, "delay")
    assert target["delay"].tolist() == [1]


def test_labels_may_stand_in_the_table(few_flights):
    labelled = few_flights.drop(columns=["Fecha-I", "Fecha-O"]).assign(delay=1)
    _, target = DelayModel().preprocess(labelled, "delay")
    assert target["delay"].tolist() == [1] * len(few_flights)


@pytest.mark.parametrize(
    ("missing", "target"),
    [("OPERA", None), ("TIPOVUELO", None), ("Fecha-O", "delay")],
)
def test_a_missing_column_is_named(few_flights, missing, target):
    with pytest.raises(MissingColumnsError, match=f"missing columns: '{missing}'"):
        DelayModel().preprocess(few_flights.drop(columns=missing), target)


def test_the_month_may_be_left_out_where_the_scheduled_time_tells_it(few_flights):
    whole = DelayModel().preprocess(few_flights)
    without = few_flights.drop(columns="MES")
    pd.testing.assert_frame_equal(DelayModel().preprocess(without), whole)
    with pytest.raises(MissingColumnsError, match="missing columns: 'MES'"):
        DelayModel().preprocess(without.drop(columns="Fecha-I"))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("OPERA", "Argentinas", "row 5: OPERA: 'Argentinas' is not an airline"),
        ("OPERA", None, "row 5: OPERA: is required"),
        ("MES", 13, "row 5: MES: 13 is not a month"),
        ("SIGLADES", "Narnia", "row 5: SIGLADES: 'Narnia' is not a destination"),
        ("Fecha-I", "2017-02-29 08:00:00", "row 5: Fecha-I: .* is not a local time"),
        ("Fecha-I", "6 March", "row 5: Fecha-I: '6 March' is not a local time"),
        ("Fecha-O", "6 March", "row 5: Fecha-O: '6 March' is not a local time"),
        ("Fecha-O", None, "row 5: Fecha-O: is required"),
        ("Fecha-I", "2017-01-01 00:00:00", "row 5: Fecha-I: .* is not in month 6"),
    ],
)
def test_an_invalid_value_is_named_with_its_row(few_flights, column, value, message):
    few_flights[column] = few_flights[column].astype(object)
    few_flights.loc[5, column] = value
    with pytest.raises(InvalidFlightsError, match=message) as error:
        DelayModel().preprocess(few_flights, "delay")
    assert len(error.value.faults) == 1
    assert isinstance(error.value, ValueError)


def test_many_faults_are_counted_and_the_first_few_shown(few_flights):
    with pytest.raises(InvalidFlightsError, match="60 faults .*; and 55 more"):
        DelayModel().preprocess(few_flights.assign(OPERA="Nobody"))


def test_the_default_model_has_the_quality_of_the_notebook(sample_flights):
    model = DelayModel()
    features, target = model.preprocess(data=sample_flights, target_column="delay")
    _, held_out, _, expected = train_test_split(
        features, target, test_size=0.33, random_state=42
    )
    model.fit(features=features, target=target)
    report = classification_report(
        expected, model._model.predict(held_out), output_dict=True
    )
    assert report["0"]["recall"] < 0.60
    assert report["0"]["f1-score"] < 0.70
    assert report["1"]["recall"] > 0.60
    assert report["1"]["f1-score"] > 0.30


def test_the_default_model_has_the_coefficients_of_balanced_logistic_regression(
    sample_flights,
):
    model = DelayModel()
    features, target = model.preprocess(sample_flights, "delay")
    ours = model.fit(features, target)._model
    theirs = LogisticRegression(class_weight="balanced", max_iter=1000, tol=1e-8)
    theirs.fit(features, target["delay"])
    coefficients = [effects[0] for effects in ours.effects_]
    np.testing.assert_allclose(coefficients, theirs.coef_[0], atol=1e-3)
    assert ours.intercept_ == pytest.approx(theirs.intercept_[0], abs=1e-3)
    assert model.predict(features) == theirs.predict(features).tolist()


def test_predictions_are_plain_ints(sample_flights):
    model = DelayModel()
    features, target = model.preprocess(sample_flights, "delay")
    predicted = model.fit(features, target).predict(features=features)
    assert isinstance(predicted, list)
    assert {type(value) for value in predicted} == {int}
    assert set(predicted) == {0, 1}


def test_a_new_default_model_predicts_from_the_counts_of_2017(sample_flights):
    fitted = DelayModel()
    features, target = fitted.preprocess(sample_flights, "delay")
    fitted.fit(features, target)
    assert DelayModel().predict(features) == fitted.predict(features)


@pytest.mark.parametrize("make", CLASSIFIERS)
def test_any_other_model_must_be_fitted_first(make, few_flights, tmp_path):
    model = DelayModel(make(), features="schedule")
    features = model.preprocess(few_flights)
    for ask in (
        lambda: model.predict(features),
        lambda: model.predict_proba(features),
        lambda: model.threshold,
        lambda: probabilities(model, [Flight(0, 0, 0)]),
        lambda: model.save(tmp_path / "model.pkl"),
    ):
        with pytest.raises(NotFittedError, match="not fitted; call fit first"):
            ask()
    assert not (tmp_path / "model.pkl").exists()


@pytest.mark.parametrize("make", CLASSIFIERS)
@pytest.mark.parametrize("features", ["top10", "schedule"])
def test_counts_give_what_the_rows_give(make, features, few_flights):
    rows = DelayModel(make(), features)
    matrix, target = rows.preprocess(few_flights, "delay")
    rows.fit(matrix, target)

    codes = np.array(
        [rows.encoder.rules.read(flight) for flight in few_flights.to_dict("records")],
        dtype=np.int16,
    )
    delayed = target["delay"].to_numpy()
    counted = DelayModel(make(), features)
    counted.fit_counts(Counts.of_rows(codes, delayed, SCL_2017))
    np.testing.assert_array_equal(
        rows.predict_proba(matrix), counted.predict_proba(matrix)
    )


def test_no_flights_are_refused(few_flights):
    model = DelayModel()
    features, target = model.preprocess(few_flights, "delay")
    with pytest.raises(TrainingDataError, match="no flights to learn from"):
        model.fit(features.head(0), target.head(0))


def test_an_unknown_feature_set_is_refused_with_those_that_there_are():
    with pytest.raises(
        ValueError, match="'top11' is not a feature set; .*: top10, all, sch"
    ):
        DelayModel(features="top11")


@pytest.mark.parametrize("features", ["all", "top10"])
@pytest.mark.parametrize("make", CLASSIFIERS)
def test_a_month_without_flights_is_averaged_over(make, features, few_flights):
    july = few_flights.assign(
        MES=7, **{"Fecha-I": few_flights["Fecha-I"].str.replace("-06-", "-07-")}
    ).drop(columns="Fecha-O")
    both = pd.concat([few_flights, july]).drop(columns="Fecha-O")
    model = DelayModel(make(), features)
    codes = np.array(
        [model.encoder.rules.read(f) for f in both.to_dict("records")], np.int16
    )
    delayed = np.arange(len(codes)) % 3 == 0
    model.fit_counts(Counts.of_rows(codes, delayed.astype(np.int8), SCL_2017)).compile()
    june, july_, may = probabilities(model, [Flight(12, 0, m) for m in (5, 6, 4)])
    assert may == pytest.approx((june + july_) / 2, abs=1e-6)


@pytest.mark.parametrize("make", CLASSIFIERS)
def test_a_model_of_the_schedule_answers_for_months_that_it_has_not_seen(
    make, sample_csv
):
    dataset = read_dataset(sample_csv)
    unseen = dataset.codes[:, 2] >= 9
    model = DelayModel(make(), "schedule", dataset.vocabulary)
    model.fit_counts(dataset.counts(np.flatnonzero(~unseen)))
    probability = model.predict_codes(dataset.codes[unseen])
    assert probability.mean() == pytest.approx(model.threshold, abs=0.03)
    without_month = dataset.codes[unseen].copy()
    without_month[:, 2] = NOT_GIVEN
    np.testing.assert_array_equal(probability, model.predict_codes(without_month))


def test_a_model_that_is_fitted_again_forgets_what_it_was(few_flights, schedule_model):
    again = DelayModel.load(schedule_model)
    again.fit(*again.preprocess(few_flights, "delay"))
    assert again.table is again.counts is None
    assert again.fingerprint == "" and again.card.rows == 60 and not again.card.known
    assert again.threshold == pytest.approx(4 / 60)
    assert 0 < probabilities(again.compile(), [Flight(12, 0, 5)])[0] < 1


def test_a_model_keeps_the_counts_that_it_was_fitted_to(schedule_model, sample_csv):
    kept, dataset = DelayModel.load(schedule_model).counts, read_dataset(sample_csv)
    counted = dataset.counts()
    for name in ("codes", "flights", "delayed"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(counted, name))


@pytest.mark.parametrize(
    ("hours", "expected"),
    [({1, 2, 3, 4}, [1, 1, 1, 0, 0]), ({20, 21, 22, 23}, [0, 0, 0, 1, 1])],
)
def test_hours_are_learned_as_a_scale(hours, expected):
    codes = np.array([[0, 0, 0, 0, h, w] for h in (1, 2, 4, 20, 23) for w in range(7)])
    late = np.isin(codes[:, 4], list(hours)).astype(np.int64)
    counts = Counts(codes.astype(np.int16), np.full(35, 100), late * 100)
    model = DelayModel(XGBoostClassifier(), "schedule").fit_counts(counts)
    predicted = model.decide(
        probabilities(model.compile(), [Flight(*c) for c in codes])
    )
    assert predicted[::7] == expected


def test_the_table_equals_the_classifier_on_every_cell_of_a_small_grid(few_flights):
    model = DelayModel()
    features, target = model.preprocess(few_flights, "delay")
    model.fit(features, target).compile()
    codes = model.grid.codes(np.arange(model.grid.cells))
    np.testing.assert_allclose(
        model.table.probabilities, model.predict_codes(codes), atol=1e-6
    )


def test_the_table_equals_the_classifier_on_the_schedule_grid(schedule_model):
    model = DelayModel.load(schedule_model)
    cells = np.random.default_rng(0).integers(model.grid.cells, size=50_000)
    expected = model.predict_codes(model.grid.codes(cells))
    table = np.frombuffer(model.table.probabilities, dtype=np.float32)
    np.testing.assert_allclose(table[cells], expected, atol=1e-6)
    assert len(np.unique(expected)) > 1000


@given(cell=st.integers(0, 23 * 2 * 12 * 63 * 169 - 1))
@settings(deadline=None)
def test_every_cell_is_the_number_of_its_flight(cell):
    grid = DelayModel(features="schedule").grid
    [codes] = grid.codes(np.array([cell])).tolist()
    assert grid.cell(Flight(*codes)) == cell
