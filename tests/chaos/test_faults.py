"""What must hold when something breaks, of real server processes on loopback.

No answer may be lost to a request that was accepted before the fault, but for those
that a killed worker was working on.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from challenge.files.prediction_log import read_prediction_log
from tests.api.conftest import FLIGHT, PROGRAM, Server, wait_for
from tests.conftest import TEST_MODEL

IN_FLIGHT = "flight_prophet_http_requests_in_flight"
HEAD = (
    "POST {} HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\n"
    "content-length: {}\r\n\r\n"
)


class Load:
    """Clients that ask in turn, and count answers and failures."""

    def __init__(self, server: Server, clients: int = 8) -> None:
        self.url = f"{server.url}/predict"
        self.answered = 0
        self.wrong: list[object] = []
        self.failed: list[str] = []
        self._done = threading.Event()
        self._threads = [threading.Thread(target=self._ask) for _ in range(clients)]

    def _ask(self) -> None:
        client = httpx.Client(timeout=20)
        while not self._done.is_set():
            try:
                answer = client.post(self.url, json={"flights": [FLIGHT]})
            except httpx.TransportError as error:
                self.failed.append(repr(error))
                client.close()
                client = httpx.Client(timeout=20)
                continue
            if answer.status_code == 200 and answer.json() == {"predict": [1]}:
                self.answered += 1
            else:
                self.wrong.append(answer.text)
        client.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        for thread in self._threads:
            thread.join()


def answer_to(connection: socket.socket) -> bytes:
    """Everything that comes until the server closes."""
    received = b""
    while chunk := connection.recv(65_536):
        received += chunk
    return received


def test_a_killed_worker_costs_its_own_connections_and_no_others(serve):
    server = serve(workers=2)
    with Load(server, clients=8) as load:
        before = server.workers()
        os.kill(min(before), signal.SIGKILL)
        wait_for(lambda: len(server.workers()) == 2 and server.workers() != before)
        answered = load.answered
        wait_for(lambda: load.answered > answered + 200)
    assert load.wrong == []
    # Each client had one connection, and at most one request on it.
    assert len(load.failed) <= 8
    assert server.stop() == 0


def test_sigterm_under_load_answers_what_was_accepted(serve):
    server = serve(workers=2)
    body = json.dumps({"flights": [FLIGHT] * 40_000}).encode()
    connections = [server.connect() for _ in range(6)]
    for connection in connections:
        connection.sendall(HEAD.format("/predict", len(body)).encode() + body)
    # All were accepted, which a number in flight tells; none needs to be finished.
    time.sleep(0.05)
    server.process.send_signal(signal.SIGTERM)
    for connection in connections:
        with connection:
            head, _, answer = answer_to(connection).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert answer.count(b"1") == 40_000
    assert server.process.wait(20) == 0


def test_a_truncated_body_costs_nothing(serve):
    server = serve(workers=1)
    for sent in (b"", b'{"flights":[{"OPE', b'{"flights":['):
        with server.connect() as connection:
            connection.sendall(HEAD.format("/predict", 1_000).encode() + sent)
    assert server.predict() == [1]
    # The one that asks is in flight itself.
    wait_for(lambda: server.metric(IN_FLIGHT) == 1)
    assert "Traceback" not in server.log


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"POST /predict HTT",
        b"POST /predict HTTP/1.1\r\nhost: test\r\n",
        HEAD.format("/predict", 1_000).encode(),
        HEAD.format("/predict/file", 1_000).replace("application/json", "text/csv"),
    ],
)
def test_a_client_that_falls_silent_is_cut_off(sent, serve):
    server = serve(workers=1, IDLE_SECONDS="1")
    with server.connect() as connection:
        connection.sendall(sent if isinstance(sent, bytes) else sent.encode())
        start = time.monotonic()
        answer = answer_to(connection)
        assert 0.5 < time.monotonic() - start < 5
    asked = b"content-length" in (sent if isinstance(sent, bytes) else sent.encode())
    assert answer.startswith(b"HTTP/1.1 408 ") if asked else answer == b""
    wait_for(lambda: server.metric(IN_FLIGHT) == 1)


def test_a_body_that_drips_is_cut_off_after_its_time(serve):
    server = serve(workers=1, IDLE_SECONDS="2", REQUEST_SECONDS="2")
    with server.connect() as connection:
        connection.sendall(HEAD.format("/predict", 1_000).encode())
        start = time.monotonic()
        with pytest.raises(OSError):
            while time.monotonic() < start + 20:
                connection.sendall(b" ")
                time.sleep(0.1)
        assert time.monotonic() - start < 6
    assert server.predict() == [1]


def test_an_oversized_body_is_refused_before_it_has_arrived(serve):
    server = serve(workers=1, MAX_BODY_BYTES="100000")
    with server.connect() as connection:
        connection.sendall(HEAD.format("/predict", 10**9).encode() + b" " * 200_000)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 413 ")
    assert server.predict() == [1]


def test_ten_thousand_connections_that_are_opened_and_left(serve):
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    number = min(10_000, most - 1_000)
    server = serve(workers=2, IDLE_SECONDS="3")
    left: list[socket.socket] = []
    try:
        for _ in range(number):
            left.append(server.connect())
        for _ in range(20):
            start = time.monotonic()
            assert server.predict() == [1]
            assert time.monotonic() - start < 2
        # They are closed from the server's side.
        left[0].settimeout(20)
        assert left[0].recv(1) == b""
        assert left[-1].recv(1) == b""
    finally:
        for connection in left:
            connection.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    assert server.predict() == [1]
    assert server.stop() == 0


def upload(server: Server) -> httpx.Response:
    rows = "Grupo LATAM,I,7\n" * 200_000
    return httpx.post(
        f"{server.url}/predict/file",
        content="OPERA,TIPOVUELO,MES\n" + rows,
        headers={"content-type": "text/csv"},
        timeout=60,
    )


@contextlib.contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize(
    "size", ["1m", "5m"], ids=["no room for the file", "none for its answers"]
)
def test_a_full_disk_refuses_files_and_nothing_else(size, serve, tmp_path):
    with small_disk(tmp_path / "full", f"size={size}") as full:
        server = serve(workers=1, TMPDIR=full)
        refused = upload(server)
        assert refused.status_code == 507
        assert refused.json()["detail"][0]["type"] == "no_room"
        assert server.predict() == [1]
        # What was written of the file is gone.
        assert list(full.iterdir()) == []


def test_a_disk_that_cannot_be_written_to_refuses_files_and_nothing_else(
    serve, tmp_path
):
    with small_disk(tmp_path / "read-only", "ro") as read_only:
        server = serve(workers=1, TMPDIR=read_only)
        # Python finds another folder for it, or there is none.
        assert upload(server).status_code in (200, 507)
        assert server.predict() == [1]


def test_a_full_disk_costs_records_and_no_answer(serve, tmp_path):
    lost = "flight_prophet_flights_unrecorded_total"
    written = "flight_prophet_flights_recorded_total"
    with small_disk(tmp_path / "full", "size=64k") as full:
        server = serve(workers=1, PREDICTION_LOG=full)
        server.predict()
        wait_for(lambda: server.metric(written) == 1)
        ballast = full / "ballast"
        ballast.write_bytes(bytes(60 * 1024 - 4096))
        # Texts that hardly compress.
        numbers = [{**FLIGHT, "Vlo-I": os.urandom(10).hex()} for _ in range(5_000)]
        assert server.predict(*numbers) == [1] * 5_000
        wait_for(lambda: server.metric(lost) == 5_000)
        assert server.predict(*numbers) == [1] * 5_000
        wait_for(lambda: server.metric(lost) == 10_000)
        assert server.log.count("predictions cannot be logged: No space left") == 1
        ballast.unlink()
        server.predict()
        wait_for(lambda: server.metric(written) == 2)
        assert server.log.count("predictions are logged again") == 1
        assert server.stop() == 0
        # What did not fit left nothing behind.
        assert sum(map(len, read_prediction_log(full))) == 2
        assert "Traceback" not in server.log


def test_a_full_disk_refuses_messages_until_there_is_room(serve, tmp_path):
    up, told = "flight_prophet_live_store_up", 0
    flight = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "Fecha-I": "2017-07-01 10:00"}

    def tell() -> httpx.Response:
        nonlocal told
        told += 1
        flights = [flight | {"Vlo-I": f"{told}-{number}"} for number in range(100)]
        body = {"at": "2017-07-01 08:00", "flights": flights}
        return httpx.post(f"{server.url}/flights", json=body, timeout=20)

    with small_disk(tmp_path / "full", "size=400k") as full:
        ballast = full / "ballast"
        ballast.write_bytes(bytes(64 * 1024))
        server = serve(workers=1, LIVE_STORE=full / "live.sqlite")
        kept = 0
        while (answer := tell()).status_code == 200:
            kept += 100
        assert kept >= 100
        assert answer.status_code == 503
        assert answer.json()["detail"][0]["type"] == "store_away"
        assert server.predict() == [1]
        # Nothing of the message is known, and what was before is.
        known = httpx.get(f"{server.url}/flights?limit=0&hours=24").json()["known"]
        assert known == kept
        assert server.metric("flight_prophet_live_store_errors_total") >= 1
        ballast.unlink()
        wait_for(lambda: server.metric(up) == 1)
        assert tell().status_code == 200
        assert server.stop() == 0
        again = serve(workers=1, LIVE_STORE=full / "live.sqlite")
        known = httpx.get(f"{again.url}/flights?limit=0").json()["known"]
        assert known == kept + 100
        assert again.stop() == 0


def test_a_record_that_cannot_be_kept_stops_the_start(tmp_path):
    with small_disk(tmp_path / "read-only", "ro") as read_only:
        started = subprocess.run(
            [sys.executable, "-c", PROGRAM, "serve", str(TEST_MODEL)],
            env=os.environ | {"PREDICTION_LOG": str(read_only / "log")},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert started.returncode == 1
    assert "the setting PREDICTION_LOG" in started.stderr
    assert "Read-only file system" in started.stderr


def test_a_log_that_cannot_be_written_costs_no_answer(serve):
    server = serve(workers=1, stderr=Path("/dev/full"))
    assert [server.predict() for _ in range(20)] == [[1]] * 20
    wait_for(lambda: server.metric("flight_prophet_log_lines_lost_total") >= 20)
    assert server.stop() == 0


def test_a_clock_that_jumps_changes_nothing(serve, tmp_path):
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if library is None:
        pytest.skip("needs libfaketime")
    clock = tmp_path / "clock"
    clock.write_text("+0")
    server = serve(
        workers=2,
        LD_PRELOAD=library,
        FAKETIME_TIMESTAMP_FILE=clock,
        FAKETIME_NO_CACHE="1",
        FAKETIME_DONT_FAKE_MONOTONIC="1",
        MODEL_RELOAD_SECONDS="0.2",
        REQUESTS_PER_MINUTE="100000",
    )
    with Load(server, clients=4) as load:
        for jump in ("+3650d", "-3650d", "+0"):
            clock.write_text(jump)
            time.sleep(1)
    assert load.wrong == load.failed == []
    assert load.answered > 100
    years = set(re.findall(r'"time":"(\d{4})', server.log))
    assert len(years) == 3
    assert server.stop() == 0


def test_a_parent_that_is_killed_leaves_no_worker_behind(serve):
    server = serve(workers=2)
    workers = server.workers()
    server.process.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in workers))
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url)


def test_a_model_that_turns_to_garbage_under_load_changes_nothing(serve, tmp_path):
    from tests.conftest import TEST_MODEL

    model = Path(shutil.copy(TEST_MODEL, tmp_path / "model.pkl"))
    server = serve(model, MODEL_RELOAD_SECONDS="0.05")
    with Load(server, clients=4) as load:
        for content in (b"", b"garbage", os.urandom(100_000)):
            # In place, as a careless copy would.
            model.write_bytes(content)
            time.sleep(0.3)
    assert load.wrong == load.failed == []
    assert "not reloaded" in server.log
    assert server.answers()
