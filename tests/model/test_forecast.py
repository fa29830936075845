"""The package as a library: forecasts are the service's answers."""

from __future__ import annotations

import pickle

import duckdb
import numpy as np
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.classifier import XGBoostClassifier
from challenge.errors import (
    FeatureNamesError,
    FlightsFileError,
    InvalidFlightsError,
    MissingColumnsError,
    ModelFileError,
    NotFittedError,
    UnknownPastError,
)
from challenge.flights.faults import Fault
from challenge.flights.fields import ORIGIN
from challenge.flights.frames import code_flights
from challenge.flights.rules import FlightRules
from challenge.flights.scl_2017 import SCL_2017
from challenge.flights.vocabulary import Vocabulary
from challenge.model import DelayModel
from tests.conftest import TEST_MODEL

FIELDS = ["OPERA", "TIPOVUELO", "MES", "SIGLADES", "Fecha-I"]


@pytest.fixture(scope="module")
def flights(sample_flights):
    """Flights of the two weeks after those that the model keeps."""
    last = sample_flights[sample_flights["Fecha-I"] >= "2017-12-20"]
    last = last.sample(400, random_state=0)[FIELDS]
    later = pd.to_datetime(last["Fecha-I"]) + pd.Timedelta(days=14)
    return last.assign(**{"MES": later.dt.month, "Fecha-I": later.astype(str)})


@pytest.fixture(scope="module")
def answered(updated_model, flights):
    with TestClient(create_app(updated_model)) as client:
        asked = {"flights": flights.to_dict("records")}
        return client.post("/predict?details=true", json=asked).json()


def as_frame(flights, folder):
    return flights


def as_dicts(flights, folder):
    return flights.to_dict("records")


def as_csv(flights, folder):
    path = folder / "flights.csv"
    flights.to_csv(path, index=False)
    return path


def as_parquet(flights, folder):
    path = folder / "flights.parquet"
    duckdb.from_df(flights).write_parquet(str(path))
    return str(path)


@pytest.mark.parametrize("given", [as_frame, as_dicts, as_csv, as_parquet])
def test_a_forecast_is_what_the_service_answers(
    given, updated_model, flights, answered, tmp_path
):
    found = DelayModel.load(updated_model).forecast(given(flights, tmp_path))
    assert list(found.columns) == ["probability", "delay", "support"]
    np.testing.assert_allclose(found["probability"], answered["probability"], atol=1e-6)
    assert found["delay"].tolist() == answered["predict"]
    assert found["support"].tolist() == answered["flights"]


@pytest.mark.parametrize("zone", ["UTC", "America/Santiago", "Asia/Tokyo"])
def test_times_with_a_zone_are_turned_into_the_airports(zone, schedule_model, flights):
    model = DelayModel.load(schedule_model)
    local = pd.to_datetime(flights["Fecha-I"]).dt.tz_localize("America/Santiago")
    found = model.forecast(flights.assign(**{"Fecha-I": local.dt.tz_convert(zone)}))
    pd.testing.assert_frame_equal(found, model.forecast(flights))


def test_a_forecast_has_the_index_of_the_frame(schedule_model, flights):
    found = DelayModel.load(schedule_model).forecast(flights)
    assert found.index.equals(flights.index)


def test_support_is_missing_where_flights_were_not_counted(few_flights):
    model = DelayModel(XGBoostClassifier(), "schedule")
    model.fit(*model.preprocess(few_flights, "delay"))
    assert model.forecast(few_flights)["support"].isna().all()


def test_invalid_flights_are_an_error(schedule_model, flights):
    model = DelayModel.load(schedule_model)
    with pytest.raises(InvalidFlightsError, match="row 1: OPERA: 'Nobody' is not"):
        model.forecast([flights.iloc[0].to_dict(), {"OPERA": "Nobody"}])
    with pytest.raises(MissingColumnsError, match="'OPERA'"):
        model.forecast(flights.drop(columns="OPERA"))
    with pytest.raises(NotFittedError):
        DelayModel(features="schedule").forecast(flights)


def test_a_key_that_is_no_field_is_refused_as_in_a_request(schedule_model):
    model = DelayModel.load(schedule_model)
    flight = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 7}
    with pytest.raises(InvalidFlightsError, match="row 1: SIGLADEZ: is not a field"):
        model.forecast([flight, flight | {"SIGLADEZ": "Lima"}])


@pytest.mark.parametrize("name", ["none.csv", "broken.parquet"])
def test_a_file_that_cannot_be_read_is_an_error(name, schedule_model, tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"no Parquet")
    with pytest.raises(FlightsFileError, match="cannot be read: "):
        DelayModel.load(schedule_model).forecast(tmp_path / name)


@pytest.mark.parametrize(
    "error",
    [
        InvalidFlightsError([(3, Fault(("MES",), "missing", "is required"))]),
        FeatureNamesError(["a"], ["b"], hint="c"),
        ModelFileError("model.pkl", "is damaged"),
        UnknownPastError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_can_be_pickled(error):
    copied = pickle.loads(pickle.dumps(error))
    assert (type(copied), str(copied)) == (type(error), str(error))
    assert pickle.loads(pickle.dumps(copied)).args == error.args


def test_raw_flights_are_not_taken_for_features(schedule_model, flights, few_flights):
    model = DelayModel.load(schedule_model)
    with pytest.raises(FeatureNamesError, match="call forecast"):
        model.predict(flights)
    with pytest.raises(FeatureNamesError, match="expected 'OPERA', .* found 'other'"):
        model.predict_proba(pd.DataFrame({"other": [1]}))
    with pytest.raises(FeatureNamesError):
        model.predict_proba(np.zeros((3, 2)))
    everything = DelayModel(features="all")
    everything.fit(*everything.preprocess(few_flights, "delay"))
    with pytest.raises(FeatureNamesError, match="call forecast"):
        everything.predict(flights)


def test_columns_in_another_order_are_the_same_features(schedule_model, flights):
    model = DelayModel.load(schedule_model)
    features = model.preprocess(flights)
    turned = features[features.columns[::-1]]
    np.testing.assert_array_equal(
        model.predict_proba(turned), model.predict_proba(features)
    )


@pytest.mark.parametrize("which", ["new", "fitted", "loaded", "updated"])
def test_a_model_can_be_pickled(which, few_flights, updated_model):
    model = DelayModel() if which == "new" else DelayModel(XGBoostClassifier())
    if which == "fitted":
        model.fit(*model.preprocess(few_flights, "delay")).compile()
    if which in ("loaded", "updated"):
        model = DelayModel.load(TEST_MODEL if which == "loaded" else updated_model)
    copied = pickle.loads(pickle.dumps(model))
    if which == "new":
        copied.predict(copied.preprocess(few_flights))
    elif which != "updated":
        pd.testing.assert_frame_equal(
            copied.forecast(few_flights), model.forecast(few_flights)
        )
    assert copied.vocabulary == model.vocabulary


def test_where_flights_leave_from_is_learned_if_there_are_several(
    flights_of_two_origins, two_origins_model
):
    data = flights_of_two_origins
    model = DelayModel.load(two_origins_model).verify()
    assert model.vocabulary[ORIGIN] == ("Concepción", "Santiago")
    [flight] = (
        data.loc[data["OPERA"] == "Grupo LATAM", FIELDS].head(1).to_dict("records")
    )
    asked = [flight | {"SIGLAORI": one} for one in ("CONCEPCION", "Santiago", None)]
    found = model.forecast(asked)["probability"]
    assert found[0] > 0.8 > found[2] > 0.2 > found[1]
    with TestClient(create_app(two_origins_model)) as client:
        answer = client.post("/predict?details=true", json={"flights": asked}).json()
        np.testing.assert_allclose(answer["probability"], found, atol=1e-6)
        columns = [*FIELDS, "SIGLAORI"]
        sent = pd.DataFrame(asked)[columns].to_csv(index=False)
        kind = {"Content-Type": "text/csv"}
        filed = client.post("/predict/file", content=sent.encode(), headers=kind)
        assert [line.split(",")[-1] for line in filed.text.splitlines()[1:]] == [
            str(one) for one in answer["predict"]
        ]
        (why,) = client.post("/explain", json={"flights": asked[:1]}).json()[
            "explanations"
        ]
        assert why["contributions"]["SIGLAORI"] > 1
        assert "SIGLAORI" in why["past"]["alike"]
        query = {name: asked[0][name] for name in (*FIELDS[1:2], *FIELDS[3:])}
        maps = [
            client.get("/heatmap", params=query | {"SIGLAORI": one}).json()
            for one in ("concepcion", "Santiago")
        ]
        place = maps[0]["OPERA"].index(flight["OPERA"]), flight["MES"] - 1
        drawn = [one["probability"][place[0]][place[1]] for one in maps]
        np.testing.assert_allclose(drawn, found[:2], atol=1e-6)


ZONED = pd.to_datetime(["2017-03-06 08:15", "2017-08-14 23:30"])


@pytest.mark.parametrize(
    ("zone", "known"),
    [
        ("America/Santiago", {}),
        ("America/Santiago", {"Santiago": "America/Santiago"}),
        ("UTC", {"Santiago": "America/Santiago"}),
        ("Europe/Madrid", {"Santiago": "America/Santiago"}),
    ],
)
def test_times_of_a_frame_may_have_a_zone(zone, known):
    rules = FlightRules(SCL_2017, known)
    plain = pd.DataFrame(
        {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": [3, 8], "Fecha-I": ZONED}
    )
    zoned = plain.assign(
        **{"Fecha-I": ZONED.tz_localize("America/Santiago").tz_convert(zone)}
    )
    expected, found = code_flights(plain, rules), code_flights(zoned, rules)
    assert not found.faults
    assert (found.codes == expected.codes).all()
    assert (found.scheduled == expected.scheduled).all()


def test_utc_is_no_local_time_where_the_zone_of_the_airport_is_not_known():
    flights = pd.DataFrame(
        {"OPERA": "Sky Airline", "TIPOVUELO": "N", "Fecha-I": ZONED.tz_localize("UTC")}
    )
    faults = code_flights(flights, FlightRules(SCL_2017)).faults
    assert [(row, fault.field) for row, fault in faults] == [
        (0, "Fecha-I"),
        (1, "Fecha-I"),
    ]
    assert "does not know the time zone" in faults[0][1].msg


def test_each_flight_of_several_airports_has_its_own_zone():
    rules = FlightRules(
        Vocabulary(SCL_2017.names | {"SIGLAORI": ("EWR", "ORD")}),
        {"EWR": "America/New_York", "ORD": "America/Chicago"},
    )
    flights = pd.DataFrame(
        {
            "OPERA": "Sky Airline",
            "TIPOVUELO": "N",
            "SIGLAORI": ["EWR", "ORD"],
            "Fecha-I": pd.to_datetime(["2013-07-05 12:00", "2013-07-05 13:00"]),
        }
    )
    flights["Fecha-I"] = flights["Fecha-I"].dt.tz_localize("UTC")
    coded = code_flights(flights, rules)
    assert not coded.faults
    assert [str(time)[11:16] for time in coded.scheduled] == ["08:00", "08:00"]
