"""POST /explain and GET /heatmap."""

from __future__ import annotations

import math

import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from tests.conftest import TEST_MODEL

FLIGHT = {
    "OPERA": "Sky Airline",
    "TIPOVUELO": "N",
    "MES": 7,
    "SIGLADES": "Calama",
    "Fecha-I": "2017-07-14 18:30:00",
}
REQUIRED = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 7}


@pytest.fixture(scope="module")
def client(schedule_model):
    with TestClient(create_app(schedule_model)) as client:
        yield client


def explain(client, *flights, **query):
    answer = client.post("/explain", json={"flights": flights}, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["explanations"]


def test_each_flight_is_explained_in_its_order(client):
    flights = [FLIGHT, REQUIRED, FLIGHT | {"MES": 1, "Fecha-I": None}]
    details = client.post("/predict?details=true", json={"flights": flights}).json()
    card = client.get("/model").json()["card"]
    for why, delay, probability in zip(
        explain(client, *flights),
        details["predict"],
        details["probability"],
        strict=True,
    ):
        assert why["delay"] == delay
        assert why["probability"] == pytest.approx(probability, abs=1e-6)
        assert why["threshold"] == card["threshold"]
        assert why["base_rate"] == card["delay_rate"]
        total = why["base_log_odds"] + sum(why["contributions"].values())
        assert 1 / (1 + math.exp(-total)) == pytest.approx(why["probability"])


def test_a_changed_month_or_hour_is_what_it_says(client):
    (why,) = explain(client, FLIGHT)
    moved = [FLIGHT | {"Fecha-I": f"2017-07-14 {hour:02}:30:00"} for hour in range(24)]
    asked = {"flights": moved}
    found = client.post("/predict?details=true", json=asked).json()["probability"]
    assert why["by_hour"] == pytest.approx(found, abs=1e-6)
    months = [REQUIRED | {"MES": month} for month in range(1, 13)]
    asked = {"flights": months}
    found = client.post("/predict?details=true", json=asked).json()["probability"]
    (required,) = explain(client, REQUIRED)
    assert required["by_month"] == pytest.approx(found, abs=1e-6)
    assert required["by_hour"] is None


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            [
                "A delay of more than 15 minutes",
                "raised by",
                "July",
                "the time (Friday,",
            ]
            + ["18:00 to 18:59)", "above the threshold of 18.5%: expect a delay."],
        ),
        (
            "es",
            ["Un atraso de más de 15 minutos", "La aumenta julio", "(viernes,"]
            + ["por encima del umbral de 18,5\xa0%: cuente con un atraso."],
        ),
    ],
)
def test_the_words_name_what_moves_it_most(language, words, client):
    (why,) = explain(client, FLIGHT, language=language)
    for part in words:
        assert part in why["text"]


def test_a_flight_that_nothing_moves_has_words_too(client):
    airlines = client.get("/model").json()["values"]["OPERA"]
    flights = [
        {"OPERA": airline, "TIPOVUELO": "I", "MES": month}
        for airline in list(airlines)[:8]
        for month in range(1, 13)
    ]
    texts = [why["text"] for why in explain(client, *flights)]
    assert all(text.count(". ") == 3 for text in texts)
    assert len(set(texts)) > 80


def test_the_evidence_is_a_group_of_past_flights_that_the_words_name(client):
    (why,) = explain(client, FLIGHT)
    past = why["past"]
    assert past["alike"] == ["OPERA", "TIPOVUELO", "MES", "SIGLADES"]
    assert past["flights"] >= 30
    assert 0 <= past["low"] < past["late"] / past["flights"] < past["high"] <= 1
    said = f"Of {past['flights']} past flights of the same airline, type, month and "
    assert f"{said}destination, {past['late']} were late" in why["text"]
    (wider,) = explain(client, REQUIRED)
    assert wider["past"]["alike"] == ["OPERA", "TIPOVUELO", "MES"]
    assert wider["past"]["flights"] > past["flights"]


def test_details_tell_how_many_past_flights_had_the_same_values(client):
    asked = {"flights": [REQUIRED, FLIGHT, REQUIRED]}
    details = client.post("/predict?details=true", json=asked).json()
    values = client.get("/heatmap", params={"TIPOVUELO": "N"}).json()
    july = values["flights"][values["OPERA"].index("Sky Airline")][6]
    assert details["flights"][0] == details["flights"][2] == july
    assert 0 <= details["flights"][1] < july


def test_more_flights_than_a_person_reads_are_refused(client):
    asked = {"flights": [REQUIRED] * 101}
    answer = client.post("/explain", json=asked)
    assert answer.status_code == 413
    assert "more than 100 flights" in answer.json()["detail"][0]["msg"]


def test_faults_are_those_of_predict(client):
    asked = {"flights": [REQUIRED, {"OPERA": "Nope", "MES": 13, "x": 1}]}
    predicted = client.post("/predict", json=asked)
    explained = client.post("/explain", json=asked)
    assert explained.status_code == predicted.status_code == 400
    assert explained.json() == predicted.json()


def test_explanations_are_neither_predictions_nor_drift(client):
    before = client.get("/drift").json()["flights"]
    explain(client, FLIGHT)
    client.get("/heatmap", params={"TIPOVUELO": "N"})
    assert client.get("/drift").json()["flights"] == before


def test_the_heat_map_is_what_predict_answers(client):
    query = {name: FLIGHT[name] for name in ("TIPOVUELO", "SIGLADES", "Fecha-I")}
    found = client.get("/heatmap", params=query).json()
    flights = [FLIGHT | {"OPERA": airline} for airline in found["OPERA"]]
    asked = {"flights": flights}
    july = client.post("/predict?details=true", json=asked).json()["probability"]
    assert [row[6] for row in found["probability"]] == pytest.approx(july, abs=1e-6)
    assert {len(row) for row in found["probability"] + found["flights"]} == {12}


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"TIPOVUELO": "X"}, "TIPOVUELO"),
        ({}, "TIPOVUELO"),
        ({"TIPOVUELO": "I", "SIGLADES": "Nowhere"}, "SIGLADES"),
        ({"TIPOVUELO": "I", "Fecha-I": "yesterday"}, "Fecha-I"),
    ],
)
def test_the_heat_map_tells_what_is_wrong_with_its_query(query, field, client):
    answer = client.get("/heatmap", params=query)
    assert answer.status_code == 400
    assert [fault["loc"] for fault in answer.json()["detail"]] == [[field]]


def test_the_model_tells_its_values_with_their_past(client):
    values = client.get("/model").json()["values"]
    assert set(values) == {"OPERA", "TIPOVUELO", "MES", "SIGLAORI", "SIGLADES"}
    total = sum(past["flights"] for past in values["OPERA"].values())
    assert total == client.get("/model").json()["card"]["rows"]
    latam = values["OPERA"]["Grupo LATAM"]
    assert latam["flights"] > 30_000
    assert 0 < latam["delay_rate"] < 1


def test_a_model_without_time_explains_without_it():
    with TestClient(create_app(TEST_MODEL)) as client:
        (why,) = explain(client, FLIGHT)
        assert why["by_hour"] is None
        assert why["contributions"]["Fecha-I"] == 0
