"""The prediction log: every predicted flight, in complete files, delaying no answer."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import duckdb
import httpx
import msgspec
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.errors import SettingsError
from challenge.files.prediction_log import read_prediction_log
from challenge.live.known import Question
from challenge.model import DelayModel
from challenge.serving.body.structs import AskedFlight
from challenge.serving.file_work import MAX_TO_LOG
from challenge.serving.observability import prediction_log_writer as writer_module
from challenge.serving.observability.prediction_log_writer import PredictionLogWriter
from challenge.serving.upload import EXCEL
from tests.api.conftest import wait_for
from tests.conftest import TEST_MODEL
from tests.written_files import WAYS

LATE = {
    "OPERA": "Sky Airline",
    "TIPOVUELO": "N",
    "MES": 7,
    "SIGLADES": "Calama",
    "Fecha-I": "2017-07-14 18:30:00",
    "Vlo-I": "H2 123",
}
PLAIN = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 3}
ASKED = AskedFlight("Grupo LATAM", "I", 3)
NAME = r"\d{4}-\d\d-\d\dT\d\d-[0-9a-f]{12}\.jsonl\.gz"


def logged(folder):
    return [flight for some in read_prediction_log(folder) for flight in some]


def as_asked(flight):
    """The fields of a logged flight as a request names them."""
    values = {
        "OPERA": flight.airline,
        "TIPOVUELO": flight.flight_type,
        "MES": flight.month,
        "SIGLADES": flight.destination,
        "Fecha-I": flight.scheduled,
        "Vlo-I": flight.flight_number,
    }
    return {name: value for name, value in values.items() if value is not None}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("PREDICTION_LOG", str(tmp_path / "log"))
    return tmp_path / "log"


@pytest.fixture
def client(schedule_model, folder):
    with TestClient(create_app(schedule_model)) as client:
        yield client


def ask(client, path, flights, **more):
    headers = {"X-Request-ID": "the-request"}
    return client.post(path, json={"flights": flights, **more}, headers=headers)


@pytest.mark.parametrize("flights", [[PLAIN], [LATE], [LATE, PLAIN], [PLAIN] * 1_500])
@pytest.mark.parametrize("path", ["/predict", "/predict?details=true", "/rank"])
def test_what_was_asked_and_answered_is_logged(path, flights, client, folder):
    started = datetime.now(UTC)
    assert ask(client, path, flights).status_code == 200
    answer = ask(client, "/predict?details=true", flights).json()
    client.__exit__(None, None, None)
    written = logged(folder)[: len(flights)]
    assert [as_asked(flight) for flight in written] == flights
    assert [flight.probability for flight in written] == answer["probability"]
    assert [flight.delay for flight in written] == answer["predict"]
    model = DelayModel.load(client.app.state.service.watcher.path)
    assert {(one.id, one.model) for one in written} == {("the-request", model.name)}
    at = datetime.fromisoformat(written[0].time)
    assert started - timedelta(seconds=1) < at < datetime.now(UTC)


def test_flights_asked_about_as_tensors_are_logged(client, folder):
    inputs = [
        {
            "name": name,
            "shape": [2],
            "datatype": "INT64" if name == "MES" else "BYTES",
            "data": [flight.get(name, "") for flight in (LATE, PLAIN)],
        }
        for name in LATE
    ]
    assert client.post("/v2/models/delay/infer", json={"inputs": inputs}).is_success
    client.__exit__(None, None, None)
    assert [as_asked(flight) for flight in logged(folder)] == [LATE, PLAIN]


@pytest.mark.parametrize("way", ["json", "file"])
def test_names_are_logged_as_the_model_spells_them(way, client, folder):
    """By them a log is joined with the flights as they left."""
    asked = [PLAIN | {"OPERA": name} for name in ("GRUPO LATAM", "LAN", "Grupo LATAM")]
    if way == "json":
        assert client.post("/predict", json={"flights": asked}).is_success
    else:
        lines = pd.DataFrame(asked).to_csv(index=False)
        headers = {"Content-Type": "text/csv"}
        assert client.post("/predict/file", content=lines, headers=headers).is_success
    client.__exit__(None, None, None)
    assert [as_asked(flight) for flight in logged(folder)] == [PLAIN] * 3


@pytest.mark.parametrize(
    ("media_type", "kind", "accept"),
    [
        ("text/csv", "csv", "*/*"),
        ("text/csv", "csv", "application/json"),
        ("application/gzip", "csv.gz", "*/*"),
        ("application/vnd.apache.parquet", "parquet", "*/*"),
    ],
)
def test_files_are_logged_but_for_their_faults(
    media_type, kind, accept, client, folder, tmp_path
):
    rows = pd.DataFrame([LATE, PLAIN, PLAIN | {"OPERA": "Nope"}])
    path = tmp_path / f"flights.{kind}"
    if kind == "parquet":
        duckdb.sql("SELECT * FROM rows").write_parquet(str(path))
    else:
        rows.to_csv(path, index=False)
    answer = client.post(
        "/predict/file?invalid=keep",
        content=path.read_bytes(),
        headers={
            "Content-Type": media_type,
            "X-Request-ID": "file-1",
            "Accept": accept,
        },
    )
    assert answer.status_code == 200
    client.__exit__(None, None, None)
    written = logged(folder)
    assert [as_asked(flight) for flight in written] == [LATE, PLAIN]
    assert {flight.id for flight in written} == {"file-1"}
    model = DelayModel.load(client.app.state.service.watcher.path)
    cells = [model.encoder.cell(flight) for flight in (LATE, PLAIN)]
    expected = model.predict_cells(cells)
    assert [one.probability for one in written] == pytest.approx(expected, abs=1e-6)
    assert [one.delay for one in written] == model.decide(expected)


def test_rows_to_be_mended_are_not_logged(client, folder):
    lines = pd.DataFrame([LATE, PLAIN | {"OPERA": "Nope"}]).to_csv(index=False)
    headers = {"Content-Type": "text/csv"}
    asked = "/predict/file?invalid=only"
    answer = client.post(asked, content=lines, headers=headers)
    assert len(answer.text.splitlines()) == 2
    assert client.post("/predict", json={"flights": [PLAIN]}).is_success
    client.__exit__(None, None, None)
    assert [as_asked(flight) for flight in logged(folder)] == [PLAIN]


@pytest.mark.parametrize("way", WAYS)
def test_files_of_any_dialect_are_logged(way, client, folder, tmp_path):
    names = list(LATE)
    rows = [[str(one.get(name, "")) for name in names] for one in (LATE, PLAIN)]
    if WAYS[way].suffix == ".csv":
        rows.append(["Grupo LATAM", "", ""])
    path = tmp_path / "flights"
    WAYS[way].write(path, [names, *rows])
    headers = {"Content-Type": "application/octet-stream", "Accept": EXCEL}
    answer = client.post(
        "/predict/file?invalid=keep", content=path.read_bytes(), headers=headers
    )
    assert answer.status_code == 200
    client.__exit__(None, None, None)
    assert [as_asked(flight) for flight in logged(folder)] == [LATE, PLAIN]


def test_files_are_logged_as_requests_would_have_asked(client, folder, tmp_path):
    """Times with fractions, numbers as numbers, names in other capitals."""
    path = tmp_path / "flights.parquet"
    duckdb.sql(
        "SELECT 'Sky Airline' AS OPERA, 'N' AS TIPOVUELO, 7.0::DOUBLE AS MES, "
        "'Calama' AS SIGLADES, TIMESTAMP '2017-07-14 18:30:00.25' AS \"Fecha-I\", "
        "unnest([226.0, NULL, 123456789012345678]::DOUBLE[]) AS \"Vlo-I\", 'x' AS opera"
    ).write_parquet(str(path))
    content = path.read_bytes()
    headers = {"Content-Type": "application/vnd.apache.parquet"}
    assert client.post("/predict/file", content=content, headers=headers).is_success
    lines = f"OPERA,TIPOVUELO,MES,DELAY,Vlo-I\nGrupo LATAM,I,3,7,{'9' * 300}\n"
    headers = {"Content-Type": "text/csv"}
    assert client.post("/predict/file", content=lines, headers=headers).is_success
    client.__exit__(None, None, None)
    sky, unnumbered, long, plain = map(as_asked, logged(folder))
    assert sky == LATE | {"Vlo-I": "226"}
    assert "Vlo-I" not in unnumbered
    assert long["Vlo-I"].startswith("1234567890")
    assert plain == PLAIN | {"Vlo-I": "9" * 20}


def test_a_file_with_more_rows_than_may_wait_is_logged_whole(
    client, folder, monkeypatch
):
    monkeypatch.setattr(writer_module, "MAX_WAITING", 1_000)
    lines = ["OPERA,TIPOVUELO,MES", *["Grupo LATAM,I,3"] * 5_000]
    client.post(
        "/predict/file",
        content="\n".join(lines).encode(),
        headers={"Content-Type": "text/csv"},
    )
    client.__exit__(None, None, None)
    assert len(logged(folder)) == 5_000


def test_files_are_logged_one_after_the_other_and_few_may_wait(
    client, folder, monkeypatch
):
    """Each takes as much memory as answering one."""
    may_go_on, logging = threading.Event(), []

    def wait_for_room(log):
        logging.append(1)
        return may_go_on.wait(20)

    monkeypatch.setattr(PredictionLogWriter, "wait_for_room", wait_for_room)
    sent = {
        "content": b"OPERA,TIPOVUELO,MES\nGrupo LATAM,I,3\n",
        "headers": {"Content-Type": "text/csv"},
    }
    files = client.app.state.service.files
    answers = []
    # Each returns once its file is logged.
    with ThreadPoolExecutor(MAX_TO_LOG) as threads:
        for number in range(MAX_TO_LOG):
            answers.append(threads.submit(client.post, "/predict/file", **sent))
            wait_for(lambda: files._to_log > number)
        refused = client.post("/predict/file", **sent)
        assert refused.status_code == 503
        assert len(logging) == 1
        may_go_on.set()
    assert [one.result().status_code for one in answers] == [200] * MAX_TO_LOG
    assert client.post("/predict/file", **sent).is_success
    client.__exit__(None, None, None)
    assert len(logged(folder)) == MAX_TO_LOG + 1


def test_what_is_refused_explained_or_only_looked_at_is_not_logged(client, folder):
    assert ask(client, "/predict", [PLAIN, PLAIN | {"MES": 13}]).status_code == 400
    assert ask(client, "/explain", [PLAIN]).status_code == 200
    assert client.get("/heatmap?TIPOVUELO=N").status_code == 200
    client.__exit__(None, None, None)
    assert list(folder.iterdir()) == []


def test_nothing_is_logged_unless_it_is_wanted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with TestClient(create_app(TEST_MODEL)) as client:
        assert ask(client, "/predict", [PLAIN]).status_code == 200
        assert (
            "flight_prophet_flights_recorded_total 0.0" in client.get("/metrics").text
        )
    assert list(tmp_path.iterdir()) == []


def test_flight_numbers_are_given_back(client):
    numbers = ["H2 123", None]
    for path in ("/predict", "/predict?details=true", "/explain"):
        assert ask(client, path, [LATE, PLAIN]).json()["Vlo-I"] == numbers
        assert "Vlo-I" not in ask(client, path, [PLAIN]).json()
    ranked = ask(client, "/rank", [PLAIN, LATE]).json()
    assert ranked["Vlo-I"] == [(None, "H2 123")[place] for place in ranked["position"]]
    assert "Vlo-I" not in ask(client, "/rank", [PLAIN]).json()


def test_flight_numbers_change_no_answer(client):
    without = {name: value for name, value in LATE.items() if name != "Vlo-I"}
    answers = [
        ask(client, "/predict?details=true", [flight]).json()["probability"]
        for flight in (LATE, without)
    ]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [
        (123, "string_type", "123 is not a text"),
        (["LA1"], "string_type", "['LA1'] is not a text"),
        ("x" * 21, "too_long", f"'{'x' * 21}' is over 20 characters"),
    ],
)
def test_a_flight_number_is_a_short_text(number, kind, message, client):
    answer = ask(client, "/predict", [PLAIN | {"Vlo-I": number}])
    assert answer.status_code == 400
    (fault,) = answer.json()["detail"]
    assert fault["loc"] == ["flights", 0, "Vlo-I"]
    assert (fault["type"], fault["msg"]) == (kind, message)
    assert ask(client, "/predict", [PLAIN | {"Vlo-I": "x" * 20}]).status_code == 200


@pytest.mark.slow
def test_workers_write_to_files_of_their_own_and_are_counted_together(serve, tmp_path):
    server = serve(workers=2, PREDICTION_LOG=tmp_path / "log")
    for _ in range(200):
        server.predict(LATE)
    wait_for(lambda: server.metric("flight_prophet_flights_recorded_total") == 200)
    files = os.listdir(tmp_path / "log")
    assert files and all(re.fullmatch(NAME + r"(\.open)?", name) for name in files)
    assert server.stop() == 0
    names = os.listdir(tmp_path / "log")
    assert names and all(re.fullmatch(NAME, name) for name in names)
    assert len(logged(tmp_path / "log")) == 200


def test_closed_files_are_read_by_other_tools(client, folder):
    ask(client, "/predict", [LATE, PLAIN])
    client.__exit__(None, None, None)
    (path,) = folder.iterdir()
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert json.loads(lines[1])["OPERA"] == "Grupo LATAM"
    found = duckdb.sql(f"SELECT \"Vlo-I\" FROM '{path}'").fetchall()
    assert found == [("H2 123",), (None,)]


def test_a_killed_server_loses_the_last_second_at_most(serve, tmp_path):
    log = tmp_path / "log"
    server = serve(workers=2, PREDICTION_LOG=log)
    answered: list[tuple[float, str]] = []
    stopping = threading.Event()

    def load():
        with httpx.Client() as client:
            for number in range(100_000):
                asked = {"flights": [LATE | {"Vlo-I": str(number)}]}
                if stopping.is_set():
                    return
                try:
                    client.post(f"{server.url}/predict", json=asked).raise_for_status()
                except httpx.HTTPError:
                    return
                answered.append((time.monotonic(), str(number)))

    thread = threading.Thread(target=load)
    thread.start()
    wait_for(lambda: answered and answered[-1][0] - answered[0][0] > 2.5)
    for pid in [*server.workers(), server.process.pid]:
        os.kill(pid, signal.SIGKILL)
    killed = time.monotonic()
    stopping.set()
    thread.join()
    written = {flight.flight_number for flight in logged(log)}
    owed = {number for at, number in answered if at < killed - 1}
    assert len(owed) > 50
    assert owed <= written
    # The next server mends what was left open.
    again = serve(workers=1, PREDICTION_LOG=log)
    wait_for(lambda: all(re.fullmatch(NAME, name) for name in os.listdir(log)))
    assert again.stop() == 0
    whole = b"".join(gzip.decompress(path.read_bytes()) for path in log.iterdir())
    assert len(whole.splitlines()) == len(logged(log)) >= len(owed)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (95 * 60, {"distance": 95.0}),
        (-840, {"distance": -14.0}),
        (1, {"distance": 0.02}),
        (28 * 86_400 - 1, {"distance": 40_319.98}),
    ],
)
def test_the_state_that_was_asked_is_logged(seconds, told, tmp_path):
    at = 1_373_450_400  # 2013-07-10 10:00 UTC
    writer = PredictionLogWriter(tmp_path, 0)
    writer.start()
    question = Question(at, at + seconds, "N123")
    writer.add(b"a-1", "model", ASKED, 0.1234567, 0, question, 0.7654321)
    writer.add(b"a-2", "model", ASKED, 0.5, 1)
    writer.close()
    (path,) = tmp_path.iterdir()
    lines = gzip.decompress(path.read_bytes()).splitlines()
    of_state, of_table = (json.loads(line) for line in lines)
    without = set(of_table)
    assert {"id", "probability", "OPERA"} < without
    assert {n: v for n, v in of_state.items() if n not in without} == told | {
        "clock": "2013-07-10T10:00:00Z",
        "schedule_probability": 0.765432,
    }
    assert of_state["probability"] == 0.123457
    # Seconds are told apart.
    assert round(60 * of_state["distance"]) == seconds


def test_a_file_that_somebody_writes_to_is_not_mended(tmp_path):
    first, second = (PredictionLogWriter(tmp_path, 0) for _ in range(2))
    first.start()
    first.add(b"a-1", "model", ASKED, 0.5, 1)
    wait_for(lambda: os.listdir(tmp_path))
    second.start()
    second.add(b"b-1", "model", ASKED, 0.5, 1)
    wait_for(lambda: len(os.listdir(tmp_path)) == 2)
    assert all(name.endswith(".open") for name in os.listdir(tmp_path))
    first.add(b"a-2", "model", ASKED, 0.5, 1)
    first.close()
    second.close()
    assert sorted(one.id for one in logged(tmp_path)) == ["a-1", "a-2", "b-1"]


def test_each_hour_has_a_file_of_its_own(tmp_path, monkeypatch):
    hours = ["2026-11-25T14"]
    monkeypatch.setattr(writer_module, "_hour", lambda: hours[-1])
    writer = PredictionLogWriter(tmp_path, 0)
    writer.start()
    writer.add(b"a-1", "model", ASKED, 0.5, 1)
    wait_for(lambda: writer.take_counts() == (1, 0))
    hours.append("2026-11-25T15")
    # Closed whole although nothing more comes.
    wait_for(lambda: not any(n.endswith(".open") for n in os.listdir(tmp_path)))
    writer.add(b"a-2", "model", ASKED, 0.5, 1)
    writer.close()
    names = sorted(os.listdir(tmp_path))
    assert [name[:13] for name in names] == hours
    assert [one.id for one in logged(tmp_path)] == ["a-1", "a-2"]


def test_what_finds_no_room_is_counted_as_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_WAITING", 700)
    writer = PredictionLogWriter(tmp_path, 0)
    for _ in range(1_000):
        writer.add(b"a", "model", ASKED, 0.5, 1)
    assert writer.take_counts() == (0, 300)
    writer.start()
    writer.close()
    assert writer.take_counts() == (700, 0)
    assert len(logged(tmp_path)) == 700


def test_many_flights_are_written_so_many_at_a_time(tmp_path, monkeypatch):
    """Their lines would take as much memory as the flights."""
    monkeypatch.setattr(writer_module, "WRITTEN_AT_ONCE", 100)
    writer = PredictionLogWriter(tmp_path, 0)
    for _ in range(250):
        writer.add(b"a", "model", ASKED, 0.5, 1)
    members = []
    compress = writer_module.zlib.compress
    monkeypatch.setattr(
        writer_module.zlib,
        "compress",
        lambda lines, *how: members.append(lines.count(b"\n")) or compress(lines, *how),
    )
    writer.start()
    writer.close()
    assert members == [100, 100, 50]
    assert len(logged(tmp_path)) == 250


def test_a_disk_that_hangs_keeps_no_server_from_ending(tmp_path, monkeypatch):
    monkeypatch.setattr(writer_module, "MAX_WAITING", 10)
    monkeypatch.setattr(writer_module, "MAX_WAIT_SECONDS", 0.3)
    hanging = threading.Event()
    monkeypatch.setattr(writer_module.os, "pwrite", lambda *_: hanging.wait(20))
    writer = PredictionLogWriter(tmp_path, 0)
    writer.start()
    writer.add(b"a", "model", ASKED, 0.5, 1)
    wait_for(lambda: writer.is_behind and writer.has_room)
    for _ in range(10):
        writer.add(b"a", "model", ASKED, 0.5, 1)
    started = time.monotonic()
    assert not writer.wait_for_room()
    writer.close()
    assert time.monotonic() - started < 5
    hanging.set()


def test_a_new_file_is_never_taken_for_abandoned(tmp_path, monkeypatch):
    """Another server tidies up between its making and its lock."""
    flock = writer_module.fcntl.flock
    other = PredictionLogWriter(tmp_path, 0)

    def slow_flock(file, operation):
        if not operation & writer_module.fcntl.LOCK_NB:
            other._clean_up()
        flock(file, operation)

    monkeypatch.setattr(writer_module.fcntl, "flock", slow_flock)
    writer = PredictionLogWriter(tmp_path, 0)
    writer.start()
    writer.add(b"a", "model", ASKED, 0.5, 1)
    writer.close()
    assert len(logged(tmp_path)) == 1
    assert writer.take_counts() == (1, 0)


def test_a_file_that_cannot_be_locked_leaves_nothing_behind(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(writer_module.fcntl, "flock", no_locks)
    before = len(os.listdir("/proc/self/fd"))
    writer = PredictionLogWriter(tmp_path, 0)
    writer.start()
    writer.add(b"a", "model", ASKED, 0.5, 1)
    writer.close()
    assert writer.take_counts() == (0, 1)
    assert os.listdir(tmp_path) == []
    assert len(os.listdir("/proc/self/fd")) <= before


@pytest.mark.parametrize(("days", "left"), [(2, 3), (0, 4)])
def test_old_files_are_removed_and_no_others(days, left, tmp_path):
    now = datetime.now(UTC)
    for hours in (1, 47, 50):
        hour = (now - timedelta(hours=hours)).strftime("%Y-%m-%dT%H")
        (tmp_path / f"{hour}-0123456789ab.jsonl.gz").write_bytes(gzip.compress(b""))
    (tmp_path / "1999-01-01T00-mine.jsonl.gz").write_bytes(b"")
    writer = PredictionLogWriter(tmp_path, days)
    writer.start()
    writer.close()
    assert len(os.listdir(tmp_path)) == left


def test_a_folder_that_cannot_be_written_to_stops_the_start(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("PREDICTION_LOG", str(tmp_path / "file"))
    with pytest.raises(SettingsError, match="PREDICTION_LOG: .*cannot be written to"):
        create_app(TEST_MODEL)


def test_an_empty_setting_disables_the_log(monkeypatch):
    monkeypatch.setenv("PREDICTION_LOG", "")
    assert create_app(TEST_MODEL).state.service.prediction_log is None


def test_what_was_written_is_posted_to_the_others_though_nobody_asks_again(
    client, folder
):
    state = client.app.state.service
    ask(client, "/predict", [PLAIN])

    def posted():
        data = state.shared_memory.read(0)
        return data and msgspec.msgpack.decode(data)["logged"]

    wait_for(lambda: posted() == 1, 5)
