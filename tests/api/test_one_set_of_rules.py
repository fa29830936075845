"""JSON, CSV, Parquet and the Open Inference Protocol refuse the same flights, in the
same words."""

from __future__ import annotations

import csv
import io

import duckdb
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app

FIELDS = ("OPERA", "TIPOVUELO", "MES", "SIGLADES", "Fecha-I")
VALID = {
    "OPERA": "Sky Airline",
    "TIPOVUELO": "N",
    "MES": 7,
    "SIGLADES": "Calama",
    "Fecha-I": "2017-07-14 18:30:00",
}
WRONG = {
    "an unknown airline": {"OPERA": "Sky Airlines"},
    "no airline": {"OPERA": ""},
    "a long airline": {"OPERA": "x" * 300},
    "quotes": {"OPERA": 'Sky "Air", Line\'s'},
    "no ASCII": {"OPERA": "Línea Aérea ✈"},
    "an unknown type": {"TIPOVUELO": "X"},
    "no type": {"TIPOVUELO": ""},
    "month 0": {"MES": 0},
    "month 13": {"MES": 13, "Fecha-I": None},
    "a negative month": {"MES": -1},
    "an unknown destination": {"SIGLADES": "Calamar"},
    "another day's form": {"Fecha-I": "14 July 2017 18:30"},
    "no minutes": {"Fecha-I": "2017-07-14 18"},
    "no such day": {"Fecha-I": "2017-02-30 10:00:00"},
    "no such year": {"MES": 12, "Fecha-I": "0000-12-31 10:00:00"},
    "no such hour": {"Fecha-I": "2017-07-14 25:00:00"},
    "a zone": {"Fecha-I": "2017-07-14T18:30:00 CLT"},
    "another month": {"Fecha-I": "2017-08-14 18:30:00"},
    "a wrong time and no month": {"MES": None, "Fecha-I": "yesterday"},
    "several faults": {"OPERA": "Nope", "TIPOVUELO": "?", "MES": 99, "SIGLADES": "No"},
}


@pytest.fixture(scope="module")
def client(schedule_model):
    with TestClient(create_app(schedule_model)) as client:
        yield client


def by_json(client, flight):
    answer = client.post("/predict", json={"flights": [flight]})
    assert answer.status_code == 400
    return [f"{fault['loc'][2]}: {fault['msg']}" for fault in answer.json()["detail"]]


def by_csv(client, flight):
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS)
    writer.writeheader()
    writer.writerow(flight)
    answer = client.post(
        "/predict/file?invalid=keep",
        content=text.getvalue().encode(),
        headers={"Content-Type": "text/csv"},
    )
    assert answer.status_code == 200, answer.text
    (row,) = csv.DictReader(io.StringIO(answer.content.decode(), newline=""))
    assert row["probability"] == row["delay"] == ""
    return row["fault"].split("; ")


def by_parquet(client, flight, tmp_path):
    path = tmp_path / "flights.parquet"
    # A column of nothing but gaps still has its type.
    typed = pd.DataFrame([flight | {"Fecha-I": flight["Fecha-I"] or ""}])
    duckdb.from_df(typed).write_parquet(str(path))
    answer = client.post(
        "/predict/file?invalid=keep",
        content=path.read_bytes(),
        headers={"Content-Type": "application/vnd.apache.parquet"},
    )
    assert answer.status_code == 200, answer.text
    path.write_bytes(answer.content)
    ((fault, probability),) = duckdb.sql(
        f"SELECT fault, probability FROM '{path}'"
    ).fetchall()
    assert probability is None
    return fault.split("; ")


def by_open_inference(client, flight):
    inputs = [
        {
            "name": name,
            "shape": [1],
            "datatype": "INT64" if name == "MES" else "BYTES",
            "data": [flight[name] if flight[name] is not None else ""],
        }
        for name in FIELDS
    ]
    answer = client.post("/v2/models/delay/infer", json={"inputs": inputs})
    assert answer.status_code == 400
    return answer.json()["error"].replace("[0]:", ":").split("; ")


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG)
def test_a_flight_is_refused_in_the_same_words_by_all_ways(changed, client, tmp_path):
    flight = VALID | changed
    told = "; ".join(by_json(client, flight)).split("; ")
    assert told
    assert by_csv(client, flight) == told
    assert by_parquet(client, flight, tmp_path) == told
    assert by_open_inference(client, flight) == told


@pytest.mark.parametrize("name", FIELDS)
def test_a_message_shows_no_more_than_a_hundred_characters_of_the_input(name, client):
    secret = "s" * 5_000
    for fault in by_json(client, VALID | {name: secret}):
        assert fault.count("s" * 90) == 1
        assert len(fault) < 300


@pytest.mark.parametrize(
    "changed",
    [
        {},
        {"OPERA": "sky AIRLINE ", "SIGLADES": "Cálama", "SIGLAORI": "SANTIAGO"},
        {"OPERA": "SKU", "SIGLADES": "SCCF", "SIGLAORI": "SCEL"},
        {"MES": None},
        {"MES": 7.0},
        {"Fecha-I": "2017-07-14 18:30"},
        {"Fecha-I": "2017-07-14T18:30:00"},
        {"Fecha-I": "2017-07-14T18:30"},
    ],
    ids=[
        *("as known", "in other letters", "by code", "without its month"),
        *("a month after a gap", "without seconds", "with a T", "both"),
    ],
)
def test_a_valid_flight_is_answered_alike_by_all_ways(changed, client, tmp_path):
    asked = {"flights": [VALID]}
    (expected,) = client.post("/predict?details=true", json=asked).json()["probability"]
    flight = {**VALID, "SIGLAORI": "", **changed}
    asked = {"flights": [flight]}
    found = client.post("/predict?details=true", json=asked).json()
    assert found["probability"] == [expected]
    text = ",".join(flight) + "\n"
    text += ",".join("" if one is None else str(one) for one in flight.values()) + "\n"
    sent = {"Content-Type": "text/csv"}
    answer = client.post("/predict/file", content=text.encode(), headers=sent)
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert float(row["probability"]) == expected
    inputs = [
        {
            "name": name,
            "shape": [1],
            "datatype": "INT64" if name == "MES" else "BYTES",
            "data": [value],
        }
        for name, value in flight.items()
        if value is not None
    ]
    answer = client.post("/v2/models/delay/infer", json={"inputs": inputs}).json()
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    assert outputs["probability"] == [pytest.approx(expected, abs=1e-6)]
    path = tmp_path / "flights.parquet"
    duckdb.from_df(pd.DataFrame([flight])).write_parquet(str(path))
    content, kind = path.read_bytes(), "application/vnd.apache.parquet"
    headers = {"Content-Type": kind}
    path.write_bytes(
        client.post("/predict/file", content=content, headers=headers).content
    )
    [(probability,)] = duckdb.sql(f"SELECT probability FROM '{path}'").fetchall()
    assert probability == pytest.approx(expected, abs=1e-6)
    forecast = client.app.state.service.watcher.model.forecast
    for flights in ([flight], pd.DataFrame([flight])):
        assert forecast(flights)["probability"][0] == pytest.approx(expected, abs=1e-6)
