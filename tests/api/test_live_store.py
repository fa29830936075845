"""What POST /flights has acknowledged outlives workers and servers, with real ones."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import httpx
import pytest

from challenge.errors import LiveStoreError
from challenge.live.messages import Report
from challenge.live.state import Pruned
from challenge.live.store import NewReport, Position, SQLiteStore
from challenge.model import DelayModel
from challenge.serving import event_stream
from tests.api.conftest import wait_for
from tests.api.test_live import FLIGHT, asked, local
from tests.model.test_live_state import (
    CLOCKS,
    MIDNIGHT,
    expected_answers,
    flights,
    messages_of,
    model,
)

STORE_ERRORS = "flight_prophet_live_store_errors_total"
STORE_UP = "flight_prophet_live_store_up"
__all__ = ["flights", "model"]
START = Position("", 0)


@pytest.fixture
def server(serve, live_model, tmp_path):
    """Starts a server with a store of its own."""

    def start(workers=2, **settings):
        store = tmp_path / "live" / "flights.sqlite"
        return serve(live_model, workers, LIVE_STORE=store, **settings)

    return start


def tell(server, at, *flights, timeout=20):
    body = {"at": local(at), "flights": flights}
    answer = httpx.post(f"{server.url}/flights", json=body, timeout=timeout)
    answer.raise_for_status()
    assert answer.json()["rejected"] == 0
    return answer.json()


def probabilities(server, flights):
    url, body = f"{server.url}/predict?details=true", {"flights": asked(flights)}
    return httpx.post(url, json=body, timeout=20).json()["probability"]


def kill(server):
    """Without a chance to write anything more."""
    workers = server.workers()
    os.kill(server.process.pid, signal.SIGKILL)
    for pid in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    server.process.wait()


@pytest.mark.parametrize("end", [kill, lambda server: server.stop()])
def test_a_server_that_starts_again_answers_as_before(end, server, model, flights):
    clock = CLOCKS[2]
    messages = [one for one in messages_of(flights) if one[0] <= clock]
    random.Random(3).shuffle(messages)
    first = server()
    with httpx.Client(timeout=20) as client:
        for at, told in messages:
            body = {"at": local(at), "flights": [told]}
            client.post(f"{first.url}/flights", json=body).raise_for_status()
    tell(first, clock)
    end(first)
    again = server()
    expected = expected_answers(model, flights, clock)
    # Each worker.
    for _ in range(6):
        assert probabilities(again, flights) == pytest.approx(expected, abs=1e-6)
    assert "Traceback" not in first.log + again.log


def test_every_worker_answers_with_a_message_within_a_second(server):
    running = server(workers=3)
    tell(running, MIDNIGHT, FLIGHT)
    time.sleep(1)
    # Each request on a connection of its own comes to any of them.
    for _ in range(12):
        board = httpx.get(f"{running.url}/flights").json()
        assert [one["flight"] for one in board["flights"]] == [FLIGHT]
    httpx.delete(f"{running.url}/flights").raise_for_status()
    time.sleep(1)
    for _ in range(12):
        assert httpx.get(f"{running.url}/flights").json()["flights"] == []


def test_workers_share_what_is_known_without_a_file_and_forget_it_at_the_end(
    serve, live_model
):
    running = serve(live_model, 2)
    tell(running, MIDNIGHT, FLIGHT)
    time.sleep(1)
    for _ in range(8):
        live = httpx.get(f"{running.url}/model").json()["live"]
        assert (live["flights"], live["durable"]) == (1, False)
    running.stop()
    again = serve(live_model, 2)
    assert httpx.get(f"{again.url}/model").json()["live"]["flights"] == 0


def test_a_killed_worker_loses_nothing_that_was_acknowledged(server):
    """Under messages and load; no request fails but its own."""
    running, over = server(), threading.Event()
    acknowledged: list[int] = []
    failed: list[str] = []

    def send(place):
        number = place
        with httpx.Client(timeout=20) as client:
            while not over.is_set():
                number += 4
                body = {
                    "at": local(MIDNIGHT),
                    "flights": [FLIGHT | {"Vlo-I": str(number)}],
                }
                with contextlib.suppress(httpx.TransportError):
                    told = client.post(f"{running.url}/flights", json=body)
                    assert told.status_code == 200
                    acknowledged.append(number)

    def ask():
        with httpx.Client(timeout=20) as client:
            while not over.is_set():
                try:
                    body = {"flights": [FLIGHT]}
                    answer = client.post(f"{running.url}/predict", json=body)
                    if answer.status_code != 200:
                        failed.append(answer.text)
                except httpx.TransportError as error:
                    failed.append(type(error).__name__)

    threads = [threading.Thread(target=send, args=(place,)) for place in range(2)]
    threads += [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    before = running.workers()
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: len(running.workers() - before) == 1)
    time.sleep(1)
    over.set()
    for thread in threads:
        thread.join()
    assert len(acknowledged) > 50
    # Each of the two that asked may have been on the worker that was killed.
    assert len(failed) <= 2, failed
    time.sleep(1)
    board = httpx.get(f"{running.url}/flights?hours=24&limit=10000", timeout=60).json()
    known = {int(one["flight"]["Vlo-I"]) for one in board["flights"]}
    assert known >= set(acknowledged)


def test_a_store_that_is_away_is_said_and_answers_go_on(server, tmp_path, flights):
    running = server(workers=1)
    tell(running, MIDNIGHT, FLIGHT)
    path, away = tmp_path / "live", tmp_path / "away"
    before = probabilities(running, flights)
    path.rename(away)
    answer = httpx.post(f"{running.url}/flights", json={"flights": []})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    [fault] = answer.json()["detail"]
    assert fault["type"] == "store_away"
    assert probabilities(running, flights) == before
    assert running.metric(STORE_UP) == 0
    assert running.metric(STORE_ERRORS) >= 1
    assert httpx.get(f"{running.url}/health/ready").status_code == 200
    store = httpx.get(f"{running.url}/model").json()["live"]["store"]
    assert store.startswith("No such file")
    # Nothing is written to a file that nobody will find again.
    assert not path.exists()
    away.rename(path)
    wait_for(lambda: running.metric(STORE_UP) == 1)
    tell(running, MIDNIGHT + 1, FLIGHT | {"Vlo-I": "8"})
    assert httpx.get(f"{running.url}/model").json()["live"]["flights"] == 2
    assert running.log.count("cannot be used") == 1
    assert "can be used again" in running.log


@pytest.mark.parametrize("content", [b"no database" * 1_000, None])
def test_a_file_that_is_no_store_is_left_as_it_is(content, server, tmp_path):
    path = tmp_path / "live" / "flights.sqlite"
    path.parent.mkdir()
    if content is None:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE others (name TEXT)")
        content = path.read_bytes()
    else:
        path.write_bytes(content)
    running = server(workers=1)
    assert running.predict() in ([0], [1])
    answer = httpx.post(f"{running.url}/flights", json={"flights": []})
    assert answer.status_code == 503
    assert running.metric(STORE_UP) == 0
    assert running.stop() == 0
    assert path.read_bytes() == content


def test_a_new_model_goes_on_with_the_flights(serve, live_model, tmp_path, flights):
    """They are coded anew."""
    clock = CLOCKS[1]
    path = tmp_path / "model.pkl"
    path.write_bytes(live_model.read_bytes())
    store = tmp_path / "live" / "flights.sqlite"
    running = serve(path, 1, LIVE_STORE=store, MODEL_RELOAD_SECONDS=0)
    for at, told in messages_of(flights):
        if at <= clock:
            tell(running, at, told)
    before = probabilities(running, flights)
    model = DelayModel.load(path)
    history = model.known_day.history.last_days(20)
    model.save_with_history(history, tmp_path / "next.pkl")
    os.replace(tmp_path / "next.pkl", path)
    os.kill(running.process.pid, signal.SIGHUP)
    swapped = 'flight_prophet_model_reloads_total{outcome="swapped"}'
    wait_for(lambda: running.metric(swapped) == 1)
    model = DelayModel.load(path)
    # Its own flights are others now, and those of the day the same.
    after = probabilities(running, flights)
    assert after != before
    assert httpx.get(f"{running.url}/model").json()["live"]["flights"] == len(flights)


# Server-sent events.


def events(response):
    """The lines of a stream."""
    for line in response.iter_lines():
        if line:
            yield line


def test_events_tell_of_changes_and_end_with_the_server(server):
    running = server(workers=1)
    with httpx.stream("GET", f"{running.url}/flights/events", timeout=20) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        lines = events(stream)
        assert next(lines).startswith("id:")
        assert next(lines) == "event: flights"
        next(lines)
        tell(running, MIDNIGHT, FLIGHT)
        while not (line := next(lines)).startswith("data:"):
            pass
        assert json.loads(line.removeprefix("data: ")) == {
            "clock": "2018-01-02T03:00:00Z"
        }
        # It is no request in work.
        assert running.metric("flight_prophet_http_requests_in_flight") == 1
        running.process.send_signal(signal.SIGTERM)
        assert list(lines) == []
    assert running.process.wait(10) == 0


def test_a_stream_ends_with_a_server_of_another_kind(live_model, tmp_path):
    """uvicorn waits for all requests before it tells that it stops."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = ["uvicorn", "challenge.api:create_app", "--factory", f"--port={port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        env=os.environ | {"MODEL_FILEPATH": str(live_model)},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        wait_for(lambda: _is_up(url))
        with httpx.stream("GET", f"{url}/flights/events", timeout=20) as stream:
            lines = events(stream)
            assert next(lines).startswith("id:")
            process.send_signal(signal.SIGTERM)
            list(lines)
        process.wait(10)
    finally:
        process.kill()
        process.wait()


def _is_up(url):
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False


def test_a_stream_that_has_nothing_to_tell_is_kept_alive(monkeypatch):
    assert event_stream.HEARTBEAT_SECONDS == 10
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.05)
    monkeypatch.setattr(event_stream, "BETWEEN_EVENTS_SECONDS", 0.01)
    counts = []
    feed = SimpleNamespace(version=1)
    streams = event_stream.EventStreams(feed, 1, lambda: None, counts.append)

    async def told():
        stream = streams.stream()
        found = [await anext(stream) for _ in range(3)]
        feed.version = 2
        found.append(await anext(stream))
        streams.end()
        return found, [rest async for rest in stream]

    found, rest = asyncio.run(told())
    kinds = [one.partition(b":")[0] for one in found]
    assert (kinds, rest) == ([b"id", b"", b"", b"id"], [])
    assert counts == [1, -1]


def test_streams_have_a_limit_of_their_own(server):
    running = server(workers=1, MAX_EVENT_STREAMS=2, MAX_CONCURRENT_REQUESTS=1)
    url = f"{running.url}/flights/events"
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(2):
            stream = stack.enter_context(httpx.stream("GET", url, timeout=20))
            # Without a name it would end, and with it the stream.
            opened.append(events(stream))
            assert next(opened[-1])
        assert httpx.get(url).status_code == 503
        assert running.predict() in ([0], [1])
    # Their places are free again once the clients have left.
    wait_for(lambda: _opens(url))


def _opens(url):
    with httpx.stream("GET", url, timeout=20) as stream:
        return stream.status_code == 200


# The store by itself.


@pytest.fixture
def store(tmp_path):
    made = SQLiteStore(tmp_path / "store.sqlite", is_durable=True)
    yield made
    made.close()


def test_a_store_gives_back_what_came_after_a_position(store, tmp_path):
    store.append([NewReport(10, 0, b"{}"), NewReport(20, 1, b"{}")], 1.5)
    read = store.read(START)
    assert read.is_new
    assert read.reports == [Report(10, 1, 0, b"{}"), Report(20, 2, 1, b"{}")]
    assert read.heard == 1.5
    assert store.read(read.position).reports == []
    other = SQLiteStore(tmp_path / "store.sqlite", is_durable=True)
    other.append([NewReport(30, 0, b"{}")], 2.5)
    after = store.read(read.position)
    assert (after.is_new, [one.at for one in after.reports]) == (False, [30])
    other.prune(Pruned({2: b'{"a":1}'}, {1}))
    other.close()
    whole = store.read(START).reports
    assert [(one.number, one.told) for one in whole] == [(2, b'{"a":1}'), (3, b"{}")]
    store.reset()
    empty = store.read(after.position)
    assert (empty.is_new, empty.reports) == (True, [])
    # Numbers are never used again.
    store.append([NewReport(40, 0, b"{}")], 3.5)
    assert [one.number for one in store.read(empty.position).reports] == [4]


def test_a_copy_that_is_restored_is_read_from_its_start(store, tmp_path):
    store.append([NewReport(10, 0, b"{}")] * 3, 1.0)
    with contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy:
        with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as source:
            source.backup(copy)
        store.append([NewReport(20, 0, b"{}")] * 3, 2.0)
        position = store.read(START).position
        with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as target:
            copy.backup(target)
    store.append([NewReport(30, 0, b"{}")], 3.0)
    read = store.read(position)
    assert (read.is_new, [one.at for one in read.reports]) == (True, [10, 10, 10, 30])


def test_a_store_of_a_later_version_is_not_touched(store, tmp_path):
    store.append([NewReport(10, 0, b"{}")], 1.0)
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "store.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(LiveStoreError, match="version 99"):
        store.read(START)


def test_a_full_store_keeps_nothing_of_a_message(store):
    store.append([NewReport(10, 0, b"{}")], 1.0)
    store._connection.execute("PRAGMA max_page_count = 6")
    many = [NewReport(20, 0, b"x" * 4_000)] * 20
    with pytest.raises(LiveStoreError, match="full"):
        store.append(many, 2.0)
    assert len(store.read(START).reports) == 1
