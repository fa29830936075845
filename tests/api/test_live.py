"""POST /flights tells what is known of the day, and all answers go by it."""

from __future__ import annotations

import csv
import hashlib
import io
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.model import DelayModel
from tests.conftest import TEST_MODEL
from tests.model.test_live_state import (
    CLOCKS,
    HOUR,
    MIDNIGHT,
    MINUTE,
    expected_answers,
    flights,
    key_of,
    local,
    messages_of,
    model,
)

__all__ = ["flights", "model"]
KEY, OTHER = "the key of the feed", "a key to read"


@pytest.fixture
def client_with(live_model, monkeypatch):
    started = []

    def make(**settings):
        for name, value in settings.items():
            monkeypatch.setenv(name, str(value))
        started.append(TestClient(create_app(live_model)))
        return started[-1].__enter__()

    yield make
    for client in started:
        client.__exit__(None, None, None)


@pytest.fixture
def client(client_with):
    return client_with()


def tell(client, at, *flights):
    answer = client.post("/flights", json={"at": local(at), "flights": flights})
    assert answer.status_code == 200, answer.text
    return answer.json()


def tell_day(client, messages, since, until):
    """What became known within a time, each moment in a message of its own."""
    for at, told in messages:
        if since < at <= until:
            assert tell(client, at, told)["rejected"] == 0
    tell(client, until)


def asked(flights):
    return [key_of(one) | {"TIPOVUELO": one["TIPOVUELO"]} for one in flights]


def probabilities(client, flights, query=""):
    body = {"flights": asked(flights)}
    answer = client.post(f"/predict?details=true{query}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["probability"]


def test_a_day_is_answered_as_a_file_of_it_and_later_as_it_was(client, model, flights):
    messages, since, told = messages_of(flights), 0, {}
    for clock in CLOCKS:
        tell_day(client, messages, since, clock)
        told[clock] = probabilities(client, flights)
        since = clock
        expected = expected_answers(model, flights, clock)
        assert told[clock] == pytest.approx(expected, abs=1e-6)
    for clock in CLOCKS:
        at = f"&at={local(clock)}"
        assert probabilities(client, flights, at) == told[clock]


def test_every_way_of_asking_answers_alike(client, flights):
    clock = CLOCKS[2]
    tell_day(client, messages_of(flights), 0, clock)
    to_come = [one for one in flights if one["Fecha-I"] > clock][:12]
    fields, found = asked(to_come), probabilities(client, to_come)
    assert len(set(found)) > 6
    ranked = client.post("/rank", json={"flights": fields, "top": 20}).json()
    assert sorted(ranked["probability"], reverse=True) == sorted(found, reverse=True)
    explained = client.post("/explain", json={"flights": fields}).json()
    why = [one["probability"] for one in explained["explanations"]]
    assert why == pytest.approx(found, abs=1e-6)
    names = list(dict.fromkeys(name for one in fields for name in one))
    rows = io.StringIO()
    writer = csv.DictWriter(rows, names)
    writer.writeheader()
    writer.writerows(fields)
    answer = client.post(
        "/predict/file",
        content=rows.getvalue().encode(),
        headers={"content-type": "text/csv"},
    )
    answered = list(csv.DictReader(io.StringIO(answer.text)))
    in_file = [float(one["probability"]) for one in answered]
    assert in_file == pytest.approx(found, abs=1e-6)
    tensors = [
        {
            "name": name,
            "shape": [len(fields)],
            "datatype": "BYTES",
            "data": [one.get(name, "") for one in fields],
        }
        for name in names
    ]
    months = {"name": "MES", "shape": [len(fields)], "datatype": "INT64"}
    body = {"inputs": [*tensors, months | {"data": [1] * len(fields)}]}
    outputs = client.post("/v2/models/delay/infer", json=body).json()["outputs"]
    [inferred] = [one["data"] for one in outputs if one["name"] == "probability"]
    assert inferred == pytest.approx(found, abs=1e-6)


def test_details_tell_how_far_ahead_and_what_the_schedule_says(client, flights):
    clock = CLOCKS[2]
    tell_day(client, messages_of(flights), 0, clock)
    ahead = next(one for one in flights if one["Fecha-I"] > clock + HOUR)
    body = {
        "flights": asked([ahead])
        + [{"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 1}]
    }
    answer = client.post("/predict?details=true", json=body).json()
    assert answer["distance"] == [(ahead["Fecha-I"] - clock) / MINUTE, None]
    table, alone = answer["schedule_probability"]
    assert answer["probability"][0] != table
    assert answer["probability"][1] == alone
    assert answer["stale_since"] is None


def test_a_flight_that_has_left_or_is_cancelled_is_answered_by_the_table(client):
    flight = {
        "OPERA": "Sky Airline",
        "TIPOVUELO": "N",
        "SIGLADES": "Calama",
        "Fecha-I": local(MIDNIGHT + 6 * HOUR),
        "Vlo-I": "7",
    }
    clock = MIDNIGHT + 6 * HOUR + 5 * MINUTE

    def details():
        asked = {"flights": [flight]}
        return client.post("/predict?details=true", json=asked).json()

    tell(client, clock, flight)
    assert details()["distance"] == [-5]
    tell(client, clock, flight | {"Fecha-O": local(clock)})
    assert "distance" not in details()
    tell(client, clock + 1, flight | {"Fecha-O": None})
    assert details()["distance"]
    tell(client, clock + 2, flight | {"CANCELADO": True})
    assert "distance" not in details()
    tell(client, clock + 3, flight | {"CANCELADO": False})
    assert details()["distance"]


# Messages.


FLIGHT = {
    "OPERA": "Sky Airline",
    "TIPOVUELO": "N",
    "Fecha-I": local(MIDNIGHT + 6 * HOUR),
    "Vlo-I": "7",
}


@pytest.mark.parametrize(
    ("change", "where", "kind"),
    [
        ({"OPERA": None}, "OPERA", "missing"),
        ({"OPERA": 7}, "OPERA", "string_type"),
        ({"Fecha-I": None}, "Fecha-I", "missing"),
        ({"Fecha-I": "tomorrow"}, "Fecha-I", "datetime_format"),
        ({"Fecha-I": "2018-03-01 10:00"}, "Fecha-I", "out_of_range"),
        ({"Fecha-I": "2017-11-01 10:00"}, "Fecha-I", "out_of_range"),
        ({"TIPOVUELO": "X"}, "TIPOVUELO", "unknown_value"),
        ({"Fecha-O": "late"}, "Fecha-O", "datetime_format"),
        ({"Fecha-O": "2018-01-02 10:00"}, "Fecha-O", "out_of_range"),
        ({"Llegada-O": "2018-01-02 10:00"}, "Llegada-O", "out_of_range"),
        ({"Llegada-E": 5}, "Llegada-E", "string_type"),
        ({"CANCELADO": "perhaps"}, "CANCELADO", "bool_type"),
        ({"MATRICULA": "CC" * 20}, "MATRICULA", "too_long"),
        ({"MES": 5}, "Fecha-I", "month_mismatch"),
        ({"gate": "B7"}, "gate", "extra_forbidden"),
        ({"SIGLADES": "x" * 5_000}, None, "too_long"),
    ],
)
def test_a_faulty_flight_is_told_with_its_place_and_the_others_are_taken(
    change, where, kind, client
):
    told = tell(client, MIDNIGHT, FLIGHT | {"Vlo-I": "1"}, FLIGHT | change)
    assert (told["accepted"], told["rejected"]) == (1, 1)
    [fault] = told["detail"]
    expected = ["flights", 1] + ([] if where is None else [where])
    assert (fault["loc"], fault["type"]) == (expected, kind), fault
    assert client.get("/model").json()["live"]["flights"] == 1


@pytest.mark.parametrize(
    ("body", "where", "kind"),
    [
        ([], [], "object_type"),
        ({"flights": 5}, ["flights"], "list_type"),
        ({"flights": [], "now": 1}, [], "object_type"),
        ({"at": 5}, ["at"], "string_type"),
        ({"at": "noon"}, ["at"], "datetime_format"),
        ({"at": "2999-01-01 00:00"}, ["at"], "out_of_range"),
        ({"at": "0001-01-01T00:00+23:59"}, ["at"], "out_of_range"),
    ],
)
def test_what_is_no_message_is_refused(body, where, kind, client):
    answer = client.post("/flights", json=body)
    [fault] = answer.json()["detail"]
    assert (answer.status_code, fault["loc"], fault["type"]) == (400, where, kind)
    assert client.get("/model").json()["live"]["heard"] is None


def test_the_clock_is_the_latest_moment_and_never_far_ahead(client):
    tell(client, MIDNIGHT + HOUR)
    assert tell(client, MIDNIGHT)["clock"] == "2018-01-02T04:00:00Z"
    too_old = client.post("/flights", json={"at": local(MIDNIGHT - 48 * HOUR)})
    assert too_old.status_code == 400
    soon = (datetime.now(UTC) + timedelta(minutes=4)).isoformat()
    assert client.post("/flights", json={"at": soon}).status_code == 200
    later = (datetime.now(UTC) + timedelta(minutes=6)).isoformat()
    assert client.post("/flights", json={"at": later}).status_code == 400
    # By default it is now.
    assert client.post("/flights", json={}).status_code == 200


def test_a_new_airline_does_not_stop_a_feed(client):
    told = tell(client, MIDNIGHT, FLIGHT, FLIGHT | {"OPERA": "Nueva", "Vlo-I": "8"})
    assert (told["accepted"], told["rejected"]) == (2, 0)
    [note] = told["notes"]
    assert note["loc"] == ["flights", 1, "OPERA"]
    board = client.get("/flights").json()
    assert [one["status"] for one in board["flights"]] == ["scheduled", "unknown"]
    assert board["flights"][1]["probability"] is None


def test_a_flight_is_used_once_all_of_it_was_told(client):
    half = {name: FLIGHT[name] for name in ("OPERA", "Fecha-I", "Vlo-I")}
    told = tell(client, MIDNIGHT, half | {"MATRICULA": "CC-A"})
    [note] = told["notes"]
    assert (note["loc"], note["type"]) == (["flights", 0], "incomplete")
    assert "TIPOVUELO" in note["msg"]
    told = tell(client, MIDNIGHT, half | {"TIPOVUELO": "N"})
    assert told["notes"] == []
    [flight] = client.get("/flights").json()["flights"]
    assert flight["status"] == "scheduled"
    assert flight["flight"] == FLIGHT | {"MATRICULA": "CC-A"}


def test_equals_without_a_number_stay_apart_and_faulty_ones_have_a_place(client):
    same = {name: FLIGHT[name] for name in FLIGHT if name != "Vlo-I"}
    same |= {"SIGLADES": "Calama"}
    tell(client, MIDNIGHT, same, same, same)
    faulty, due = same | {"CANCELADO": "perhaps"}, {"Llegada-I": local(MIDNIGHT)}
    tell(client, MIDNIGHT + 1, faulty, same | {"MATRICULA": "CC-2", **due}, same)
    board = client.get("/flights").json()["flights"]
    aircraft = sorted(one["flight"].get("MATRICULA", "") for one in board)
    assert aircraft == ["", "", "CC-2"]
    # The second flight of the request is the second that was told.
    body = {"flights": [same, same]}
    first, second = client.post("/predict?details=true", json=body).json()[
        "probability"
    ]
    assert first != second


def test_a_large_message_is_read_in_parts_and_has_a_limit(client_with):
    client = client_with(MAX_FLIGHTS=2_000)
    many = [FLIGHT | {"Vlo-I": str(number)} for number in range(2_000)]
    assert tell(client, MIDNIGHT, *many)["accepted"] == 2_000
    too_many = client.post("/flights", json={"flights": [*many, FLIGHT]})
    assert too_many.status_code == 413


def test_a_model_without_a_day_shows_flights_with_the_odds_of_their_schedules():
    with TestClient(create_app(TEST_MODEL)) as client:
        tell(client, MIDNIGHT, FLIGHT)
        [flight] = client.get("/flights").json()["flights"]
        asked = {name: FLIGHT[name] for name in ("OPERA", "TIPOVUELO", "Fecha-I")}
        answer = client.post("/predict?details=true", json={"flights": [asked]}).json()
        assert [flight["probability"]] == answer["probability"]


def test_a_flight_from_elsewhere_is_none_of_those_that_are_counted(client):
    """Systems of airports tell of arrivals, too."""
    told = tell(client, MIDNIGHT, FLIGHT, FLIGHT | {"SIGLAORI": "Lima"})
    assert told["accepted"] == 2
    assert [note["loc"] for note in told["notes"]] == [["flights", 1, "SIGLAORI"]]
    listed = client.get("/flights").json()["flights"]
    assert sorted(one["status"] for one in listed) == ["scheduled", "unknown"]
    # That with the known origin, or with none, is the same.
    tell(client, MIDNIGHT, FLIGHT | {"SIGLAORI": "Santiago"})
    assert client.get("/flights").json()["known"] == 2


def test_equals_are_told_apart_however_their_time_is_written(client):
    same = {name: FLIGHT[name] for name in FLIGHT if name != "Vlo-I"}
    due = {"Llegada-I": FLIGHT["Fecha-I"], "MATRICULA": "CC-2"}
    tell(client, MIDNIGHT, same, same | due)
    written = same | {"Fecha-I": same["Fecha-I"].replace(" ", "T"), "Vlo-I": " "}
    body = {"flights": [same, written]}
    first, second = client.post("/predict?details=true", json=body).json()[
        "probability"
    ]
    assert first != second


def test_all_may_be_asked_while_large_messages_are_noted(client):
    """Each state is whole: nothing fails, and in the end all is known."""
    failed, over = [], threading.Event()

    def ask():
        at = local(MIDNIGHT - HOUR)
        while not over.is_set():
            for path in (f"/predict?at={at}", "/predict?details=true"):
                answer = client.post(path, json={"flights": [FLIGHT]})
                if answer.status_code != 200:
                    failed.append(answer.text)
            answer = client.get("/flights?limit=5")
            if answer.status_code != 200:
                failed.append(answer.text)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for part in range(4):
        numbers = range(200 * part, 200 * (part + 1))
        tell(client, MIDNIGHT + part, *(FLIGHT | {"Vlo-I": f"L{n}"} for n in numbers))
    over.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert client.get("/flights?limit=0").json()["known"] == 800


def test_what_is_forgotten_while_a_model_is_adopted_stays_so(client, live_model):
    tell(client, MIDNIGHT, *(FLIGHT | {"Vlo-I": str(n)} for n in range(3_000)))
    assert client.get("/flights?hours=0.1").json()["known"] == 3_000
    live = client.app.state.service.live
    model = DelayModel.load(live_model)
    adopting = client.portal.start_task_soon(live.adopt, model)
    client.delete("/flights")
    adopting.result(60)
    assert client.get("/flights?hours=0.1").json()["known"] == 0
    tell(client, MIDNIGHT, FLIGHT)
    assert client.get("/flights?hours=0.1").json()["known"] == 1


# Who may tell.


def hashed(key):
    return hashlib.sha256(key.encode()).hexdigest()


def test_with_feed_keys_one_is_needed_to_tell_and_any_to_ask(client_with):
    client = client_with(
        FEED_KEYS=f"feed:{hashed(KEY)}", API_KEYS=f"tower:{hashed(OTHER)}"
    )
    for key, statuses in ((None, (401, 401)), (OTHER, (403, 200)), (KEY, (200, 200))):
        headers = {} if key is None else {"X-API-Key": key}
        told = client.post("/flights", json={}, headers=headers)
        board = client.get("/flights", headers=headers)
        assert (told.status_code, board.status_code) == statuses
        assert client.delete("/flights", headers=headers).status_code == statuses[0]


@pytest.mark.parametrize(
    ("address", "headers", "status"),
    [
        ("127.0.0.1", {}, 200),
        ("::1", {}, 200),
        ("192.0.2.7", {}, 403),
        ("127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}, 403),
        ("127.0.0.1", {"Forwarded": "for=127.0.0.1"}, 403),
        ("127.0.0.1", {"Origin": "http://localhost"}, 403),
    ],
)
def test_without_feed_keys_only_programs_of_this_machine_may_tell(
    address, headers, status, live_model
):
    with TestClient(create_app(live_model), client=(address, 1)) as client:
        told = client.post("/flights", json={}, headers=headers)
        assert told.status_code == status
        if status == 403:
            assert "FEED_KEYS" in told.json()["detail"][0]["msg"]


# GET /flights.


@pytest.fixture
def board(client, flights):
    """The board in the middle of the day."""
    clock = CLOCKS[2]
    tell_day(client, messages_of(flights), 0, clock)

    def ask(query=""):
        answer = client.get(f"/flights{query}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    return ask


def test_flights_to_come_have_their_odds_now_and_before(board, client, flights):
    told = board("?hours=24")
    assert told["clock"] == datetime.fromtimestamp(CLOCKS[2], UTC).strftime(
        "%Y-%m-%dT%H:%M:%SZ"
    )
    by_time = {one["flight"]["Fecha-I"]: one for one in told["flights"]}
    listed = [one for one in flights if local(one["Fecha-I"]) in by_time]
    assert len(listed) > 20
    for query, name, minutes in (
        ("", "probability", 0),
        (f"&at={local(CLOCKS[2] - HOUR)}", "hour_ago", 60),
        (f"&at={local(MIDNIGHT)}", "midnight", (CLOCKS[2] - MIDNIGHT) // MINUTE),
    ):
        expected = probabilities(client, listed, query)
        found = [by_time[local(one["Fecha-I"])] for one in listed]
        for one, value in zip(found, expected, strict=True):
            # It is late by then, whatever else is known.
            late = one["minutes"] + minutes < -15
            assert one[name] == (1.0 if late else value)
    total = sum(one["probability"] for one in told["flights"])
    assert told["expected_late"] == pytest.approx(total, abs=1e-6)
    assert all(len(one["reasons"]) <= 3 for one in told["flights"])
    assert any(
        "aircraft" in r["name"] for one in told["flights"] for r in one["reasons"]
    )
    spanish = board("?hours=24&language=es")["flights"]
    assert any("avión" in r["name"] for one in spanish for r in one["reasons"])


def test_flights_that_left_are_told_with_how_they_were_called(board, flights):
    clock, told = CLOCKS[2], board("?hours=24")
    left = {one["flight"]["Fecha-I"]: one for one in told["left"]}
    seen = 0
    for one in flights:
        row = left.get(local(one["Fecha-I"]))
        if one["CANCELADO"]:
            known = one["Fecha-I"] - HOUR <= clock
            assert (row is not None and row["status"] == "cancelled") == known
        elif one["Fecha-O"] <= clock:
            minutes = (one["Fecha-O"] - one["Fecha-I"]) // MINUTE
            assert (row["minutes_late"], row["late"]) == (minutes, int(minutes > 15))
            assert 0 < row["called"] < 1
            seen += 1
        else:
            assert row is None
    assert seen > 3


def test_the_board_is_sorted_filtered_and_cut(board):
    by_risk = board("?hours=24&sort=risk")["flights"]
    risks = [one["probability"] for one in by_risk]
    assert risks == sorted(risks, reverse=True)
    times = [one["flight"]["Fecha-I"] for one in board("?hours=24")["flights"]]
    assert times == sorted(times)
    only = board("?hours=24&airline=sky%20AIRLINE&type=n")["flights"]
    assert {(o["flight"]["OPERA"], o["flight"]["TIPOVUELO"]) for o in only} == {
        ("Sky Airline", "N")
    }
    assert len(board("?hours=24&limit=3")["flights"]) == 3
    near = board("?hours=1")["flights"]
    assert 0 < len(near) < len(times)
    assert max(one["minutes"] for one in near) <= 60


def test_the_board_has_a_tag_that_changes_with_it(client, flights):
    tell_day(client, messages_of(flights), 0, CLOCKS[0])
    first = client.get("/flights")
    known = {"If-None-Match": first.headers["etag"]}
    assert client.get("/flights", headers=known).status_code == 304
    assert client.get("/flights?sort=risk", headers=known).status_code == 200
    tell(client, CLOCKS[0] + MINUTE)
    assert client.get("/flights", headers=known).status_code == 200


def test_an_earlier_moment_than_all_that_is_kept_is_gone(client):
    tell(client, MIDNIGHT, FLIGHT)
    for hours, status in ((47, 200), (49, 410)):
        at = local(MIDNIGHT - hours * HOUR)
        answer = client.post(f"/predict?at={at}", json={"flights": [FLIGHT]})
        assert answer.status_code == status


def test_a_feed_that_fell_silent_is_told(client_with):
    client = client_with(LIVE_STALE_MINUTES=0.0001)
    tell(client, MIDNIGHT, FLIGHT)
    time.sleep(0.05)
    board = client.get("/flights").json()
    assert board["stale_since"] == board["heard"]
    answer = client.post("/predict?details=true", json={"flights": [FLIGHT]}).json()
    assert answer["stale_since"] == board["heard"]


def test_all_is_forgotten_where_that_is_asked(client, model):
    tell(client, MIDNIGHT, FLIGHT)
    state = client.get("/model").json()["live"]["state"]
    assert client.delete("/flights").json()["state"] != state
    live = client.get("/model").json()["live"]
    assert (live["flights"], live["heard"]) == (0, None)
    assert client.get("/flights").json()["flights"] == []


def test_metrics_tell_how_the_last_hour_was(client, flights):
    clock = CLOCKS[2]
    tell_day(client, messages_of(flights), 0, clock)
    text = client.get("/metrics").text
    found = {
        name.removeprefix("flight_prophet_"): float(value)
        for name, value in (
            line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#"
        )
    }
    assert found["live_flights"] == len(flights)
    assert found["live_clock_timestamp_seconds"] == clock
    known = [
        one
        for one in flights
        if not one["CANCELADO"]
        and clock - HOUR
        < min(one["Fecha-O"], one["Fecha-I"] + 16 * MINUTE if late(one) else 2**40)
        <= clock
    ]
    assert found["live_hour_flights"] == len(known) > 0
    assert found["live_hour_late"] == sum(map(late, known))
    assert 0 < found["live_hour_expected_late"] < len(known)
    assert found["live_store_up"] == 1
    assert found['flights_told_total{outcome="accepted"}'] > len(flights)


def late(flight):
    return flight["Fecha-O"] - flight["Fecha-I"] > 15 * MINUTE
