"""The day moves the answers, whichever way they are asked for."""

from __future__ import annotations

import csv
import io
import math

import duckdb
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.compiled.log_odds import log_odds
from challenge.model import DelayModel

SKY = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 1, "SIGLADES": "Calama"}
TOMORROW = SKY | {"Fecha-I": "2018-01-01 18:30:00"}
# The same weekday and hour: the table answers both alike.
A_YEAR_LATER = SKY | {"Fecha-I": "2019-01-07 18:30:00"}
FLIGHTS = [TOMORROW, A_YEAR_LATER, SKY]


@pytest.fixture(scope="module")
def client(updated_model):
    with TestClient(create_app(updated_model)) as client:
        yield client


@pytest.fixture(scope="module")
def answers(updated_model):
    """One moved, two as the table has them."""
    model = DelayModel.load(updated_model)
    cells = list(map(model.encoder.cell, FLIGHTS))
    moved = model.predict_flights(cells, model.questions(FLIGHTS))
    in_table = model.predict_cells(cells)
    assert moved[1:] == in_table[1:] and moved[0] > in_table[0] + 0.2
    return moved


@pytest.fixture(scope="module")
def expected(answers):
    return pytest.approx(answers, abs=1e-6)


def table():
    return pd.DataFrame(FLIGHTS).assign(other=[1, 2, 3])


def test_predict(client, expected):
    answer = client.post("/predict?details=true", json={"flights": FLIGHTS}).json()
    assert answer["probability"] == expected
    assert answer["predict"][0] == 1


def test_predict_where_not_all_of_it_is_certainly_valid(client, expected):
    flights = [flight | {"OPERA": "sky airline"} for flight in FLIGHTS]
    answer = client.post("/predict?details=true", json={"flights": flights}).json()
    assert answer["probability"] == expected


@pytest.mark.parametrize("place", range(3))
def test_a_single_flight_is_decided_as_its_probability_says(place, client, answers):
    answer = client.post("/predict", json={"flights": [FLIGHTS[place]]}).json()
    threshold = client.get("/model").json()["card"]["threshold"]
    assert answer == {"predict": [int(answers[place] > threshold)]}


def test_many_flights_of_which_all_are_moved(client, answers):
    flights = [TOMORROW] * 3_000
    answer = client.post("/predict?details=true", json={"flights": flights}).json()
    assert set(answer["probability"]) == {round(answers[0], 6)}


def test_rank(client):
    answer = client.post("/rank", json={"flights": FLIGHTS[::-1], "top": 1}).json()
    assert answer["position"] == [2]


def test_a_csv_file(client, expected):
    answer = client.post(
        "/predict/file",
        content=table().to_csv(index=False).encode(),
        headers={"Content-Type": "text/csv"},
    )
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [float(row["probability"]) for row in rows] == expected


@pytest.mark.parametrize("kind", ["VARCHAR", "TIMESTAMP"])
def test_a_parquet_file(kind, client, expected, tmp_path):
    rows = table()
    chosen = f'SELECT * REPLACE ("Fecha-I"::{kind} AS "Fecha-I") FROM rows'
    duckdb.sql(f"COPY ({chosen}) TO '{tmp_path / 'in.parquet'}'")
    answer = client.post(
        "/predict/file",
        content=(tmp_path / "in.parquet").read_bytes(),
        headers={"Content-Type": "application/vnd.apache.parquet"},
    )
    (tmp_path / "out.parquet").write_bytes(answer.content)
    found = duckdb.sql(f"FROM '{tmp_path / 'out.parquet'}'").fetchnumpy()
    assert len(rows) == 3
    assert found["probability"].tolist() == expected


def test_the_open_inference_protocol(client, expected):
    inputs = [
        {
            "name": name,
            "shape": [3],
            "datatype": "INT64" if name == "MES" else "BYTES",
            "data": [flight.get(name, "") for flight in FLIGHTS],
        }
        for name in ("OPERA", "TIPOVUELO", "MES", "SIGLADES", "Fecha-I")
    ]
    outputs = client.post("/v2/models/delay/infer", json={"inputs": inputs}).json()
    (found,) = (o["data"] for o in outputs["outputs"] if o["name"] == "probability")
    assert found == expected


def explained(client, language, *flights):
    answer = client.post(
        f"/explain?language={language}", json={"flights": list(flights)}
    )
    return answer.json()["explanations"]


def test_an_explanation_adds_up_with_what_the_day_adds(client, answers):
    moved, in_table = explained(client, "en", TOMORROW, SKY)
    day = [term["log_odds"] for term in moved["day"]]
    total = moved["base_log_odds"] + sum(moved["contributions"].values()) + sum(day)
    assert moved["probability"] == pytest.approx(answers[0], abs=1e-6)
    assert total == pytest.approx(log_odds(moved["probability"]), abs=1e-6)
    assert [abs(one) for one in day] == sorted(map(abs, day), reverse=True)
    assert in_table["day"] == []
    assert math.isclose(in_table["probability"], answers[2], abs_tol=1e-6)


@pytest.mark.parametrize(
    ("language", "name", "sentence"),
    [
        ("en", "flights of the airline in the last 7 days", "the last days and weeks"),
        ("es", "los vuelos de la aerolínea en los últimos 7 días", "los últimos días"),
    ],
)
def test_an_explanation_names_it_in_both_languages(language, name, sentence, client):
    moved, in_table = explained(client, language, TOMORROW, SKY)
    assert name in [term["name"] for term in moved["day"]]
    assert sentence in moved["text"] and sentence not in in_table["text"]
    assert {term["group"] for term in moved["day"]} <= {
        sentence,
        f"{sentence} y semanas",
    }


# At another moment.

AS_OF = "2017-12-20 06:00"
THAT_DAY = SKY | {"MES": 12, "Fecha-I": "2017-12-20 18:30"}


def test_a_question_about_a_moment_before_is_answered_as_it_would_have_been(
    client, updated_model
):
    model = DelayModel.load(updated_model)
    then = model.with_day(model.day.asked(AS_OF))
    cell = model.encoder.cell(THAT_DAY)
    [expected] = then.predict_flights([cell], then.questions([THAT_DAY]))
    [now] = model.predict_flights([cell], model.questions([THAT_DAY]))
    assert expected > now + 0.1
    body = {"flights": [THAT_DAY]}
    for at in (AS_OF, "2017-12-20T09:00Z", "2017-12-20T06:00:00-03:00"):
        query = {"at": at, "details": "true"}
        answer = client.post("/predict", params=query, json=body).json()
        assert answer["probability"] == [pytest.approx(expected, abs=1e-6)]
    asked = {"at": AS_OF}
    [why] = client.post("/explain", params=asked, json=body).json()["explanations"]
    assert why["probability"] == pytest.approx(expected, abs=1e-9)
    ranked = client.post("/rank", params=asked, json=body).json()
    assert ranked["probability"] == [pytest.approx(expected, abs=1e-6)]
    file = pd.DataFrame([THAT_DAY]).to_csv(index=False).encode()
    headers = {"Content-Type": "text/csv"}
    answered = client.post("/predict/file", params=asked, content=file, headers=headers)
    assert float(answered.text.split(",")[-2]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("path", ["/predict", "/rank", "/explain", "/predict/file"])
@pytest.mark.parametrize(
    ("at", "status", "kind"),
    [
        ("noon", 400, "datetime_format"),
        ("2017-02-30 06:00", 400, "datetime_format"),
        ("0001-01-01T00:00+23:59", 410, "gone"),
        ("", 400, "datetime_format"),
        ("2017-11-01 06:00", 410, "gone"),
    ],
)
def test_what_is_no_moment_or_long_before_is_refused(at, status, kind, path, client):
    if path == "/predict/file":
        body = {"content": b"OPERA\n", "headers": {"Content-Type": "text/csv"}}
    else:
        body = {"json": {"flights": [SKY]}}
    answer = client.post(path, params={"at": at}, **body)
    assert answer.status_code == status, answer.text
    assert answer.json()["detail"][0]["type"] == kind


def test_a_model_that_has_learned_nothing_of_days_says_so(enough_flights, tmp_path):
    from tests.conftest import trained

    path = trained(enough_flights, tmp_path, rounds=5)
    flight = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 6}
    with TestClient(create_app(path)) as client:
        answer = client.post(f"/predict?at={AS_OF}", json={"flights": [flight]})
        assert answer.status_code == 400
        assert answer.json()["detail"][0]["type"] == "unknown_day"
        [why] = explained(client, "en", flight)
        assert why["day"] == []


def test_asking_at_another_moment_does_not_empty_the_drift_sample(client):
    before = client.get("/drift").json()["flights"]
    client.post("/predict", json={"flights": [SKY] * 50})
    client.post(f"/predict?at={AS_OF}", json={"flights": [SKY]})
    assert client.get("/drift").json()["flights"] == before + 51


# Where the aircraft is.


def test_when_the_aircraft_comes_may_be_told(client):
    told = TOMORROW | {
        "MATRICULA": "CC-ABC",
        "Llegada-I": "2018-01-01 17:30",
        "Llegada-E": "2018-01-01T17:55:00",
        "Llegada-O": "2018-01-01 17:50:00",
    }
    answer = client.post("/predict", json={"flights": [told]})
    assert answer.status_code == 200
    wrong = told | {"Llegada-E": "later"}
    answer = client.post("/predict", json={"flights": [wrong, wrong]})
    assert answer.status_code == 400
    assert [fault["loc"] for fault in answer.json()["detail"]] == [
        ["flights", 0, "Llegada-E"],
        ["flights", 1, "Llegada-E"],
    ]


def test_metrics_tell_until_when_it_knows(client):
    text = client.get("/metrics").text
    # 2018-01-01 02:47 UTC in seconds since 1970.
    assert "\nflight_prophet_known_until_timestamp_seconds 1.51477482e+09\n" in text


def test_the_model_tells_what_it_knows(client):
    live = client.get("/model").json()["card"]["live"]
    assert live["until"] == "2018-01-01T02:47:00Z"
    assert live["helps"]["1440"] == ["the last days and weeks"]
