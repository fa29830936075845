"""POST /rank."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app

FLIGHTS = [
    {"OPERA": airline, "TIPOVUELO": "N", "MES": month}
    for month in range(1, 13)
    for airline in ("Sky Airline", "Grupo LATAM", "Sky Airline")
]


@pytest.fixture(scope="module")
def client(schedule_model):
    with TestClient(create_app(schedule_model)) as client:
        yield client


@pytest.mark.parametrize("top", [1, 5, 20, 36, 99])
def test_the_likeliest_come_first_with_their_positions(top, client):
    asked = {"flights": FLIGHTS}
    all_of_them = client.post("/predict?details=true", json=asked).json()["probability"]
    order = sorted(range(len(FLIGHTS)), key=lambda i: (-all_of_them[i], i))[:top]
    ranked = client.post("/rank", json={"flights": FLIGHTS, "top": top}).json()
    assert ranked["position"] == order
    assert ranked["probability"] == [all_of_them[i] for i in order]
    expected = sum(all_of_them[i] for i in order)
    assert ranked["expected_late"] == pytest.approx(expected, abs=1e-4)


def test_twenty_are_told_where_no_number_is_asked_for(client):
    ranked = client.post("/rank", json={"flights": FLIGHTS}).json()
    assert len(ranked["position"]) == 20


def test_top_may_stand_anywhere_in_a_body_of_any_size(client):
    many = FLIGHTS * 300
    for asked in ({"top": 3, "flights": many}, {"flights": many, "top": 3}):
        ranked = client.post("/rank", json=asked).json()
        assert len(ranked["position"]) == 3
        assert ranked["position"][1] == ranked["position"][0] + 2


@pytest.mark.parametrize(
    ("top", "kind"),
    [
        (0, "out_of_range"),
        (-1, "out_of_range"),
        (1.5, "int_type"),
        ("3", "int_type"),
        (True, "int_type"),
        (None, "int_type"),
    ],
)
def test_a_number_that_makes_no_sense_is_told_beside_other_faults(top, kind, client):
    asked = {"flights": [FLIGHTS[0] | {"MES": 13}], "top": top}
    answer = client.post("/rank", json=asked)
    assert answer.status_code == 400
    faults = {tuple(fault["loc"]): fault for fault in answer.json()["detail"]}
    assert set(faults) == {("top",), ("flights", 0, "MES")}
    assert faults["top",]["type"] == kind
    assert faults["top",]["msg"].endswith("is not a whole number of 1 or more")


def test_predict_knows_no_top(client):
    answer = client.post("/predict", json={"flights": FLIGHTS, "top": 3})
    assert answer.status_code == 400
    assert answer.json()["detail"][0]["loc"] == ["top"]
