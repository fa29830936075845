"""POST /predict and GET /health, as the HTTP contract says."""

from __future__ import annotations

import json

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from challenge import app
from challenge.api import create_app
from challenge.model import DelayModel
from tests.conftest import TEST_MODEL

client = TestClient(app)

ARGENTINAS = {"OPERA": "Aerolineas Argentinas", "TIPOVUELO": "N", "MES": 3}
LATAM = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}


def ask(*flights):
    return client.post("/predict", json={"flights": list(flights)})


def test_health_is_ok():
    response = client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "OK"})


def test_the_known_flight_is_on_time():
    response = ask(ARGENTINAS)
    assert (response.status_code, response.json()) == (200, {"predict": [0]})


def test_answers_are_in_the_order_of_the_flights():
    assert ask(LATAM, ARGENTINAS, LATAM).json() == {"predict": [1, 0, 1]}


def test_destination_and_time_are_accepted_and_may_be_null():
    more = {"SIGLADES": "Lima", "Fecha-I": "2017-07-06 08:15:00"}
    assert ask(LATAM | more, LATAM | dict.fromkeys(more)).json() == {"predict": [1, 1]}


def test_the_service_answers_as_the_model(sample_flights):
    flights = sample_flights.drop_duplicates(["OPERA", "TIPOVUELO", "MES"])
    model = DelayModel.load(TEST_MODEL)
    expected = model.predict(model.preprocess(flights))
    asked = flights[["OPERA", "TIPOVUELO", "MES"]].to_dict("records")
    assert ask(*asked).json() == {"predict": expected}
    assert set(expected) == {0, 1}


def test_the_schedule_model_tells_flights_of_one_airline_and_month_apart(
    schedule_model, sample_flights
):
    latam = sample_flights.query("OPERA == 'Grupo LATAM' and MES == 7").head(500)
    model = DelayModel.load(schedule_model)
    expected = model.predict(model.preprocess(latam))
    fields = ["OPERA", "TIPOVUELO", "MES", "SIGLADES", "Fecha-I"]
    served = TestClient(create_app(schedule_model)).post(
        "/predict", json={"flights": latam[fields].to_dict("records")}
    )
    assert served.json() == {"predict": expected}
    assert set(expected) == {0, 1}


@pytest.mark.parametrize(
    ("flight", "loc", "kind", "given"),
    [
        (ARGENTINAS | {"MES": 13}, ["MES"], "out_of_range", 13),
        (ARGENTINAS | {"MES": "3"}, ["MES"], "int_type", "3"),
        (ARGENTINAS | {"MES": 3.5}, ["MES"], "int_type", 3.5),
        (ARGENTINAS | {"MES": None}, ["MES"], "missing", None),
        (ARGENTINAS | {"TIPOVUELO": "O"}, ["TIPOVUELO"], "unknown_value", "O"),
        (
            ARGENTINAS | {"OPERA": "Argentinas"},
            ["OPERA"],
            "unknown_value",
            "Argentinas",
        ),
        (ARGENTINAS | {"SIGLADES": "Narnia"}, ["SIGLADES"], "unknown_value", "Narnia"),
        (
            ARGENTINAS | {"Fecha-I": "2017-04-06 08:15:00"},
            ["Fecha-I"],
            "month_mismatch",
            "2017-04-06 08:15:00",
        ),
        (ARGENTINAS | {"VUELO": "LA1"}, ["VUELO"], "extra_forbidden", "LA1"),
        (ARGENTINAS | {"Fecha-O": ""}, ["Fecha-O"], "extra_forbidden", ""),
        ({"TIPOVUELO": "N", "MES": 3}, ["OPERA"], "missing", None),
        ({"OPERA": "Sky Airline", "MES": 3}, ["TIPOVUELO"], "missing", None),
        ({"OPERA": "Sky Airline", "TIPOVUELO": "N"}, ["MES"], "missing", None),
        ("Sky Airline", [], "object_type", "Sky Airline"),
        (None, [], "object_type", None),
    ],
)
def test_one_fault_of_a_flight_is_told_with_its_place_and_input(
    flight, loc, kind, given
):
    response = ask(ARGENTINAS, flight)
    assert response.status_code == 400
    [fault] = response.json()["detail"]
    assert fault["loc"] == ["flights", 1, *loc]
    assert (fault["type"], fault["input"]) == (kind, given)
    assert fault["msg"]


def test_every_fault_of_the_request_is_told():
    response = client.post(
        "/predict",
        json={
            "flights": [
                {"OPERA": "Argentinas", "TIPOVUELO": "O", "MES": 13, "x": 1},
                ARGENTINAS,
                {},
            ],
            "top": 3,
        },
    )
    assert response.status_code == 400
    assert [fault["loc"] for fault in response.json()["detail"]] == [
        ["top"],
        ["flights", 0, "OPERA"],
        ["flights", 0, "TIPOVUELO"],
        ["flights", 0, "MES"],
        ["flights", 0, "x"],
        ["flights", 2, "OPERA"],
        ["flights", 2, "TIPOVUELO"],
        ["flights", 2, "MES"],
    ]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "json_invalid"),
        (b'{"flights":', "json_invalid"),
        (b'{"flights": [NaN]}', "json_invalid"),
        (b"\xff\xfe", "json_invalid"),
        (b"[" * 60_000, "json_invalid"),
        (b"[" * 100_000, "object_type"),
        (b'"\\ud800"', "json_invalid"),
        (b"{}", "missing"),
        (b"[]", "object_type"),
        (b"null", "object_type"),
        (b'{"flights": {}}', "list_type"),
        (b'{"flights": null}', "list_type"),
        (b'{"flights": []}', "too_short"),
    ],
)
def test_a_body_that_is_no_request_is_told_as_such(body, kind):
    response = client.post(
        "/predict", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code == 400
    assert [fault["type"] for fault in response.json()["detail"]] == [kind]


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", ""])
def test_another_media_type_is_415(media_type):
    body = json.dumps({"flights": [ARGENTINAS]})
    response = client.post(
        "/predict", content=body, headers={"content-type": media_type}
    )
    assert response.status_code == 415
    assert response.json()["detail"][0]["type"] == "media_type"


def test_the_media_type_may_name_its_character_set():
    response = client.post(
        "/predict",
        content=json.dumps({"flights": [ARGENTINAS]}),
        headers={"content-type": "Application/JSON; charset=utf-8"},
    )
    assert response.status_code == 200


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
flight_like = st.dictionaries(
    st.sampled_from(["OPERA", "TIPOVUELO", "MES", "SIGLADES", "Fecha-I", "x"]),
    json_values
    | st.sampled_from(["Grupo LATAM", "N", 3, "Lima", "2017-03-06 08:15:00"]),
)


@given(body=json_values | st.fixed_dictionaries({"flights": st.lists(flight_like)}))
@settings(deadline=None)
def test_no_json_gets_anything_but_200_or_400(body):
    content = json.dumps(body).encode()
    response = client.post(
        "/predict", content=content, headers={"content-type": "application/json"}
    )
    assert response.status_code in (200, 400)
    assert response.json().keys() == (
        {"predict"} if response.status_code == 200 else {"detail"}
    )


@given(body=st.binary(max_size=200))
@settings(deadline=None)
def test_no_bytes_get_anything_but_200_or_400(body):
    response = client.post(
        "/predict", content=body, headers={"content-type": "application/json"}
    )
    assert response.status_code in (200, 400)


def test_predict_is_documented_with_its_schemas_and_examples():
    operation = client.get("/openapi.json").json()["paths"]["/predict"]["post"]
    body = operation["requestBody"]["content"]["application/json"]
    assert body["schema"]["required"] == ["flights"]
    assert {"200", "400", "415"} <= operation["responses"].keys()
    for example in body["examples"].values():
        assert client.post("/predict", json=example["value"]).status_code == 200
