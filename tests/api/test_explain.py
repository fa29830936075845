"""POST /explain and GET /heatmap."""

from __future__ import annotations

import math

import pytest
from fastapi.testclient import TestClient
from msgspec.structs import replace

from challenge.api import create_app
from challenge.artifact import model_file
from challenge.artifact.card import Levels
from tests.conftest import TEST_MODEL

FLIGHT = {
    "OPERA": "Sky Airline",
    "TIPOVUELO": "N",
    "MES": 7,
    "SIGLADES": "Calama",
    "Fecha-I": "2017-07-14 18:30:00",
}
REQUIRED = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 7}
USUAL = FLIGHT | {"MES": 3, "Fecha-I": "2017-03-14 08:30:00"}
HIGH = {"OPERA": "Air Canada", "TIPOVUELO": "I", "MES": 12}
NEVER_FLOWN = FLIGHT | {"OPERA": "K.L.M.", "SIGLADES": "Isla de Pascua"}


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
                "driven up by",
                "July",
                "the time (Friday,",
                "18:00 to 18:59)",
            ],
        ),
        (
            "es",
            ["Un atraso de más de 15 minutos", "Aumenta por julio", "(viernes,"],
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
    texts = [why["text"] for why in explain(client, *flights) if why["flown"]]
    assert all(text.count(". ") == 3 for text in texts)
    assert len(set(texts)) > 80


def test_the_evidence_is_a_group_of_past_flights_that_the_words_name(client):
    (why,) = explain(client, FLIGHT)
    past = why["past"]
    assert past["alike"] == ["OPERA", "TIPOVUELO", "MES", "SIGLADES"]
    assert past["flights"] >= 30
    assert 0 <= past["low"] < past["late"] / past["flights"] < past["high"] <= 1
    said = f"Of {past['flights']} past flights of the same airline, type, month and "
    assert f"{said}destination, " in why["text"]
    assert f" were late ({past['late']})." in why["text"]
    (wider,) = explain(client, REQUIRED)
    assert wider["past"]["alike"] == ["OPERA", "TIPOVUELO", "MES"]
    assert wider["past"]["flights"] > past["flights"]


@pytest.mark.parametrize(
    ("flight", "level", "words"),
    [
        (
            USUAL,
            "usual",
            {
                "en": "is usual: not above 18.5%, the average of past flights.",
                "es": "lo habitual: no supera el 18,5\xa0%, el promedio de los vuelos pas",
            },
        ),
        (
            FLIGHT,
            "raised",
            {
                "en": "is raised: above 18.5%, the average of past flights.",
                "es": "Está sobre lo habitual: supera el 18,5\xa0%, el promedio de los v",
            },
        ),
        (
            HIGH,
            "high",
            {
                "en": "is high: above 37.0%, twice the average of past flights.",
                "es": "Es alta: supera el 37,0\xa0%, el doble del promedio de los vuelos",
            },
        ),
    ],
    ids=["usual", "raised", "high"],
)
def test_the_probability_has_a_level_that_the_words_name(flight, level, words, client):
    bounds = client.get("/model").json()["card"]["levels"]
    for language, said in words.items():
        (why,) = explain(client, flight, language=language)
        assert why["level"] == level
        assert (why["probability"] > bounds["raised"]) == (level != "usual")
        assert (why["probability"] > bounds["high"]) == (level == "high")
        assert said in why["text"]


def explained_with(model, path, flight, **about):
    """The explanation by the same model with something else in its card."""
    stored, _ = model_file.read(model)
    model_file.write(path, replace(stored, card=replace(stored.card, **about)))
    with TestClient(create_app(path)) as client:
        (why,) = explain(client, flight)
    return why


def test_words_claim_nothing_of_a_threshold_that_was_chosen(schedule_model, tmp_path):
    """One of 5 % tells nearly all flights to be late: `delay` says so, words do not."""
    chosen = {"threshold": 0.05, "threshold_rule": "given", "known": []}
    why = explained_with(schedule_model, tmp_path / "model.pkl", USUAL, **chosen)
    assert (why["delay"], why["threshold"], why["level"]) == (1, 0.05, "usual")
    assert "5.0%" not in why["text"]
    assert "expect" not in why["text"]


def test_where_high_is_not_twice_the_average_words_do_not_say_so(
    schedule_model, tmp_path
):
    levels = Levels.of_delay_rate(0.36)
    why = explained_with(schedule_model, tmp_path / "model.pkl", HIGH, levels=levels)
    assert why["level"] == "high"
    said = "That is high: above 68.0%; the average of past flights is 36.0%."
    assert said in why["text"]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "No past flight of K.L.M. was national to Isla de Pascua; what follows"),
        (
            "es",
            "Ningún vuelo pasado de K.L.M. fue nacional con destino a Isla de Pascua; lo",
        ),
    ],
)
def test_what_nobody_ever_flew_is_said_before_any_number(language, words, client):
    (why,) = explain(client, NEVER_FLOWN, language=language)
    assert why["text"].startswith(words)
    assert (why["flown"], why["flights"]) == (False, 0)


def test_a_route_that_was_flown_at_other_times_was_flown(client):
    asked = [FLIGHT | {"Fecha-I": None}, FLIGHT | {"Fecha-I": "2017-07-14 03:30:00"}]
    often, never_then = explain(client, *asked)
    details = client.post("/predict?details=true", json={"flights": asked}).json()
    assert [often["flights"], never_then["flights"]] == details["flights"]
    assert never_then["flights"] == 0 < often["flights"]
    assert often["flown"] and never_then["flown"]
    assert never_then["text"].startswith("A delay of")


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


def test_a_destination_tells_how_many_flights_of_each_type_went_there(client):
    values = client.get("/model").json()["values"]
    for past in values["SIGLADES"].values():
        assert sum(past["types"].values()) == past["flights"]
    assert values["SIGLADES"]["Calama"]["types"]["I"] == 0
    assert values["SIGLADES"]["Lima"]["types"]["N"] == 0
    assert all(
        "types" not in past
        for name, known in values.items()
        for past in known.values()
        if name != "SIGLADES"
    )


def test_a_model_without_time_explains_without_it():
    with TestClient(create_app(TEST_MODEL)) as client:
        (why,) = explain(client, FLIGHT)
        assert why["by_hour"] is None
        assert why["contributions"]["Fecha-I"] == 0
