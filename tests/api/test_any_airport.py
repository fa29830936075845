"""A service of another airport than Santiago: nothing in it speaks of Santiago."""

from __future__ import annotations

import json

import duckdb
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.cli import main
from challenge.errors import ModelFileError
from challenge.files.prediction_log import read_prediction_log
from challenge.model import DelayModel
from challenge.training.data.counting import count_file

ZONES = {"EWR": "America/New_York", "ORD": "America/Chicago"}
FLIGHT = {"OPERA": "UA", "SIGLAORI": "EWR", "SIGLADES": "BOS", "MES": 7}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    """Domestic flights of two airports in two time zones, late from one of them."""
    folder = tmp_path_factory.mktemp("two airports")
    rows = ["OPERA,TIPOVUELO,MES,SIGLAORI,SIGLADES,Fecha-I,Fecha-O"]
    for day in range(1, 29):
        for origin, minute in (("EWR", 50), ("ORD", 5)):
            for airline, destination in (("UA", "BOS"), ("B6", "LAX")):
                time = f"2013-07-{day:02} 08:00:00,2013-07-{day:02} 08:{minute:02}:00"
                rows.append(f"{airline},N,7,{origin},{destination},{time}")
    flights = folder / "flights.csv"
    flights.write_text("\n".join(rows))
    counted = count_file(str(flights))
    path = folder / "model.pkl"
    model = DelayModel(features="schedule", vocabulary=counted.vocabulary)
    model.fit_counts(counted.counts).save(path, time_zones=ZONES)
    return path


@pytest.fixture(scope="module")
def client(model_file):
    with TestClient(create_app(model_file)) as client:
        yield client


def probability(client, path="/predict?details=true", **fields):
    answer = client.post(path, json={"flights": [FLIGHT | fields]})
    assert answer.status_code == 200, answer.text
    return answer.json()["probability"][0]


def only_fault(client, **fields):
    answer = client.post("/predict", json={"flights": [FLIGHT | fields]})
    assert answer.status_code == 400
    [fault] = answer.json()["detail"]
    return fault["msg"]


def test_the_description_names_the_airports_and_is_made_of_their_flights(client):
    described = client.get("/openapi.json").json()
    assert described["info"]["summary"] == "Will a flight leaving EWR or ORD be late?"
    bodies = [
        content
        for path in described["paths"].values()
        for operation in path.values()
        for content in operation.get("requestBody", {}).get("content", {}).values()
    ]
    examples = json.dumps([one.get("examples", one.get("example")) for one in bodies])
    assert "EWR" in examples
    assert not any(name in examples for name in ("Santiago", "LATAM", "Lima"))


def test_the_examples_of_its_description_are_answered(client):
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/predict", "/rank", "/explain"):
        body = paths[path]["post"]["requestBody"]["content"]["application/json"]
        assert len(body["examples"]) == 2
        for example in body["examples"].values():
            assert client.post(path, json=example["value"]).status_code == 200
    infer = paths["/v2/models/delay/infer"]["post"]["requestBody"]["content"]
    example = infer["application/json"]["example"]
    assert client.post("/v2/models/delay/infer", json=example).status_code == 200


def test_the_type_may_be_left_out_where_there_is_only_one(client):
    schema = client.get("/openapi.json").json()["components"]["schemas"]["Flight"]
    assert schema["required"] == ["OPERA"]
    assert probability(client) == probability(client, TIPOVUELO="N")
    columns = [
        {"name": name, "shape": [1], "datatype": kind, "data": [FLIGHT[name]]}
        for name, kind in (("OPERA", "BYTES"), ("MES", "INT64"))
    ]
    answer = client.post("/v2/models/delay/infer", json={"inputs": columns})
    assert answer.status_code == 200


def test_a_type_that_no_flight_has_is_refused(client):
    assert "known: 'N'" in only_fault(client, TIPOVUELO="I")
    assert only_fault(client, TIPOVUELO="Domestic").endswith("; write 'N'")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_file_needs_no_type_either(suffix, client, tmp_path):
    path = tmp_path / f"flights{suffix}"
    flights = duckdb.sql("SELECT 'UA' AS OPERA, 'EWR' AS SIGLAORI, 7 AS MES")
    duckdb.execute(f"COPY flights TO '{path}'")
    assert len(flights) == 1
    media_type = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
    answer = client.post(
        "/predict/file",
        content=path.read_bytes(),
        headers={"Content-Type": media_type[suffix]},
    )
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("origin", "utc", "local"),
    [
        ("EWR", "2013-07-05T12:00:00Z", "2013-07-05 08:00:00"),
        ("EWR", "2013-07-05 14:00+02:00", "2013-07-05 08:00:00"),
        ("ORD", "2013-07-05T13:00:00Z", "2013-07-05 08:00:00"),
        ("ord", "2013-07-05T13:00:00Z", "2013-07-05 08:00:00"),
        ("EWR", "2013-07-01T03:30:00Z", "2013-06-30 23:30:00"),
    ],
)
def test_a_time_with_an_offset_is_turned_into_that_of_the_airport(
    origin, utc, local, client
):
    """The month may be left out, and is that of the local time."""
    given = {"SIGLAORI": origin, "MES": None}
    found = probability(client, **given, **{"Fecha-I": utc})
    assert found == probability(client, **given, **{"Fecha-I": local})


def test_without_the_airport_a_time_with_an_offset_cannot_be_turned(client):
    message = only_fault(client, SIGLAORI=None, **{"Fecha-I": "2013-07-05T12:00:00Z"})
    assert "give the local time, without an offset" in message


def test_a_time_beyond_the_calendar_is_a_fault(client):
    message = only_fault(client, MES=1, **{"Fecha-I": "0001-01-01T00:00:00+01:00"})
    assert "is not a time of this calendar" in message


def test_an_unknown_destination_is_averaged_where_the_caller_says_so(client):
    path = "/predict?details=true&unknown=average"
    asked = {"flights": [FLIGHT, FLIGHT | {"SIGLADES": "Atlantis"}]}
    answer = client.post(path, json=asked).json()
    assert answer["probability"] == [
        probability(client),
        probability(client, SIGLADES=None),
    ]
    [note] = answer["notes"]
    assert note["loc"] == ["flights", 1, "SIGLADES"]
    assert note["input"] == "Atlantis"
    assert "the answer is that of a flight without one" in note["msg"]


def test_what_is_known_gets_no_note(client):
    answer = client.post("/predict?unknown=average", json={"flights": [FLIGHT]})
    assert answer.json().keys() == {"predict"}


def test_an_unknown_airline_is_never_averaged(client):
    flight = FLIGHT | {"OPERA": "Nope", "SIGLADES": "Atlantis"}
    answer = client.post("/predict?unknown=average", json={"flights": [flight]})
    assert answer.status_code == 400
    assert [one["loc"][2] for one in answer.json()["detail"]] == ["OPERA"]


def test_unknown_cities_of_a_file_are_averaged_where_the_caller_says_so(
    client, model_file, tmp_path, capsys
):
    path = tmp_path / "flights.csv"
    path.write_text("OPERA,MES,SIGLADES\nUA,7,Atlantis\nUA,7,BOS\nUA,7,\n")
    asked = {"content": path.read_bytes(), "headers": {"Content-Type": "text/csv"}}
    refused = client.post("/predict/file", **asked)
    assert "'Atlantis' is not a destination" in refused.json()["detail"][0]["msg"]
    answer = client.post("/predict/file?unknown=average", **asked)
    assert answer.headers["Averaged"] == "SIGLADES=1"
    _, unknown, _, not_given = answer.text.split()
    assert unknown.replace("Atlantis", "") == not_given
    output = tmp_path / "answers.csv"
    options = ["--model", str(model_file), "--unknown", "average"]
    assert main(["predict", str(path), str(output), *options]) == 0
    assert "1 SIGLADES" in capsys.readouterr().out
    assert output.read_text() == answer.text
    assert main(["predict", str(path), *options, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["averaged"] == {"SIGLADES": 1}
    assert main(["rank", str(path), *options, "--json"]) == 0
    ranked = json.loads(capsys.readouterr().out)
    assert (ranked["rows"], ranked["averaged"]) == (3, {"SIGLADES": 1})
    assert main(["rank", str(path), *options]) == 0
    assert "averaged: 1 SIGLADES" in capsys.readouterr().err


def test_no_more_than_a_hundred_notes_are_told(client):
    flights = [FLIGHT | {"SIGLADES": f"Atlantis {n}"} for n in range(150)]
    answer = client.post("/predict?unknown=average", json={"flights": flights}).json()
    assert len(answer["predict"]) == 150
    assert len(answer["notes"]) == 101
    assert answer["notes"][-1]["msg"] == "and 50 more faults"


def test_another_way_to_take_unknown_names_is_a_fault(client):
    answer = client.post("/predict?unknown=ignore", json={"flights": [FLIGHT]})
    assert answer.status_code == 400
    [fault] = answer.json()["detail"]
    assert fault["loc"] == ["unknown"]
    assert fault["msg"] == "'ignore' is neither 'average' nor 'reject'"


def test_the_log_has_the_local_time(model_file, tmp_path, monkeypatch):
    monkeypatch.setenv("PREDICTION_LOG", str(tmp_path))
    with TestClient(create_app(model_file)) as client:
        probability(client, MES=None, **{"Fecha-I": "2013-07-05T12:00:00Z"})
    assert "2013-07-05 08:00:00" in str(list(read_prediction_log(tmp_path)))


def test_a_zone_that_does_not_exist_is_no_model(model_file, tmp_path):
    path = tmp_path / "model.pkl"
    model = DelayModel.load(model_file)
    counts = model.counts
    other = DelayModel(features="schedule", vocabulary=model.vocabulary)
    other.fit_counts(counts).save(path, time_zones={"EWR": "Mars/Olympus"})
    with pytest.raises(ModelFileError, match="'Mars/Olympus' is not a time zone"):
        DelayModel.load(path)
