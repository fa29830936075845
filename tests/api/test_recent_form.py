"""Recent form moves the answers to flights on a day, whichever way they are asked about."""

from __future__ import annotations

import csv
import io

import duckdb
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.model import DelayModel

SKY = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 1, "SIGLADES": "Calama"}
TOMORROW = SKY | {"Fecha-I": "2018-01-01 18:30:00"}
# The same weekday and hour: the table answers both alike.
A_YEAR_LATER = SKY | {"Fecha-I": "2019-01-07 18:30:00"}
WITHOUT_A_TIME = SKY
FLIGHTS = [TOMORROW, A_YEAR_LATER, WITHOUT_A_TIME]


@pytest.fixture(scope="module")
def client(updated_model):
    with TestClient(create_app(updated_model)) as client:
        yield client


@pytest.fixture(scope="module")
def expected(updated_model, schedule_model):
    """One moved, two as the table has them."""
    updated, before = map(DelayModel.load, (updated_model, schedule_model))
    moved = updated.predict_cells(list(map(updated.encoder.cell, FLIGHTS)))
    in_table = before.predict_cells(list(map(before.encoder.cell, FLIGHTS)))
    assert moved[1:] == in_table[1:] and moved[0] > in_table[0] + 0.2
    return pytest.approx(moved, abs=1e-6)


def table():
    return pd.DataFrame(FLIGHTS).assign(other=[1, 2, 3])


def test_predict(client, expected):
    answer = client.post("/predict?details=true", json={"flights": FLIGHTS}).json()
    assert answer["probability"] == expected
    assert answer["predict"][0] == 1


@pytest.mark.parametrize("place", range(3))
def test_a_single_flight_is_decided_as_its_probability_says(place, client, expected):
    answer = client.post("/predict", json={"flights": [FLIGHTS[place]]}).json()
    threshold = client.get("/model").json()["card"]["threshold"]
    assert answer == {"predict": [int(expected.expected[place] > threshold)]}


def test_rank(client, expected):
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


def test_an_explanation_names_it(client):
    def explained(language):
        answer = client.post(
            f"/explain?language={language}", json={"flights": [TOMORROW, SKY]}
        )
        return answer.json()["explanations"]

    moved, in_table = explained("en")
    assert moved["recent_form"] > 1 and in_table["recent_form"] == 0
    assert "raised by how the last days' flights left" in moved["text"]
    assert "last days" not in in_table["text"]
    assert "aumenta cómo salieron los vuelos" in explained("es")[0]["text"]


def test_metrics_tell_how_old_it_is(client):
    text = client.get("/metrics").text
    # 2017-12-31 in seconds since 1970.
    assert "\nflight_prophet_recent_form_timestamp_seconds 1.5146784e+09\n" in text
