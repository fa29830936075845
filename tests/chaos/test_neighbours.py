"""What some clients do, or suffer, is not noticed by the others."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from challenge.serving.upload_folder import PREFIX
from tests.api.conftest import FLIGHT, PROGRAM, wait_for
from tests.conftest import TEST_MODEL

IN_FLIGHT = "flight_prophet_http_requests_in_flight"
CSV = {"Content-Type": "text/csv"}


def begin_file(server, size: int = 10**9) -> socket.socket:
    """A client that sends the start of a file."""
    client = server.connect()
    head = (
        "POST /predict/file HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        f"Content-Length: {size}\r\n\r\n"
    )
    client.sendall(head.encode() + b"OPERA,TIPOVUELO,MES\n")
    return client


@pytest.fixture(scope="module")
def large_csv(tmp_path_factory) -> bytes:
    """Flights that take some seconds: no two of them are alike."""
    rows = (
        f"Grupo LATAM,{'IN'[n % 2]},{n % 12 + 1},{n},{'x' * 40}"
        for n in range(1_500_000)
    )
    return b"OPERA,TIPOVUELO,MES,n,x\n" + "\n".join(rows).encode()


def send_file(server, content: bytes) -> socket.socket:
    """A client that has sent a whole file."""
    client = server.connect()
    head = (
        "POST /predict/file HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    client.sendall(head.encode())
    client.sendall(content)
    return client


def test_files_whose_clients_are_gone_hold_up_nobody(serve, large_csv):
    server = serve(workers=1)
    for _ in range(6):
        send_file(server, large_csv).close()
    slowest = 0.0
    for path in ("/metrics", "/model", "/drift", "/health/ready"):
        start = time.perf_counter()
        assert httpx.get(server.url + path, timeout=20).status_code == 200
        slowest = max(slowest, time.perf_counter() - start)
    start = time.perf_counter()
    asked = {"flights": [FLIGHT]}
    assert httpx.post(f"{server.url}/explain", json=asked, timeout=20).is_success
    slowest = max(slowest, time.perf_counter() - start)
    assert slowest < 2
    # Nobody waits for them, so they are not worked on.
    wait_for(lambda: server.metric(IN_FLIGHT) == 1, seconds=5)
    count = (
        'flight_prophet_http_request_duration_seconds_count{{route="{}",status="{}"}}'
    )
    assert server.metric(count.format("/predict/file", 499)) >= 1
    assert server.metric(count.format("/predict/file", 500)) == 0
    assert "Traceback" not in server.log


def test_more_files_than_may_wait_are_refused(serve, large_csv):
    server = serve(workers=1, MAX_FILES_AT_ONCE=1)
    answers: list[httpx.Response] = []

    def ask() -> None:
        url = f"{server.url}/predict/file"
        answers.append(httpx.post(url, content=large_csv, headers=CSV, timeout=60))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in answers} == {200, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert answer.json()["detail"][0]["type"] == "overloaded"
            assert int(answer.headers["retry-after"]) >= 1


def test_clients_that_drip_are_not_counted_as_work_and_are_cut_off(serve):
    """A thousand of them once took every place there is."""
    server = serve(
        workers=1,
        MAX_CONCURRENT_REQUESTS=50,
        MAX_UPLOADS_PER_CLIENT=0,
        IDLE_SECONDS=3,
    )
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(begin_file(server)) for _ in range(300)]
        wait_for(lambda: server.metric(IN_FLIGHT) > 300)
        until = time.monotonic() + 20
        while server.metric(IN_FLIGHT) > 1:
            assert server.predict() == [1]
            # Never silent for long, and never soon done.
            for client in clients:
                with contextlib.suppress(OSError):
                    client.send(b"x")
            assert time.monotonic() < until
            time.sleep(0.5)
        answer = clients[0].recv(65_536)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"took too long to arrive" in answer


def test_a_client_has_so_many_uploads_at_one_time(serve):
    server = serve(workers=1, MAX_UPLOADS_PER_CLIENT=10)
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(begin_file(server))
        wait_for(lambda: server.metric(IN_FLIGHT) == 11)
        refused = stack.enter_context(begin_file(server))
        answer = b""
        while b"10 requests of this client are still arriving" not in answer:
            answer += refused.recv(65_536)
        assert answer.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 1" in answer.lower()
        # The others go on, and what is sent at once is no upload.
        assert server.metric(IN_FLIGHT) == 11
        assert server.predict() == [1]
    wait_for(lambda: server.metric(IN_FLIGHT) == 1)
    rows = b"OPERA,TIPOVUELO,MES\nGrupo LATAM,I,7\n"
    assert httpx.post(
        f"{server.url}/predict/file", content=rows, headers=CSV
    ).is_success


@pytest.mark.parametrize("workers", [1, 2])
def test_a_log_whose_reader_stalls_holds_up_nothing(workers, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--port", str(port), "--workers", str(workers)]
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "serve", str(TEST_MODEL), *options],
        stderr=subprocess.PIPE,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        with httpx.Client(timeout=5) as client:

            def answers() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return client.get(f"{url}/health").is_success
                return False

            wait_for(answers)
            asked = {"flights": [FLIGHT]}
            # Several times what a pipe holds, and what waits for it.
            for _ in range(3_000):
                assert client.post(f"{url}/predict", json=asked).status_code == 200
            assert client.get(f"{url}/health/ready").status_code == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("seed", range(3))
def test_sigterm_while_many_workers_start_stops_all_of_them(seed, serve):
    server = serve(workers=24)
    # While some answer already, others are being started.
    time.sleep(random.Random(seed).random() * 0.05)
    workers = server.workers()
    assert server.stop(20) == 0
    assert not any(Path(f"/proc/{worker}").exists() for worker in workers)


def test_sigterm_does_not_wait_for_a_file_that_nobody_waits_for(serve, large_csv):
    server = serve(workers=1)
    client = send_file(server, large_csv)
    wait_for(lambda: server.metric(IN_FLIGHT) >= 2)
    client.close()
    start = time.monotonic()
    assert server.stop(40) == 0
    assert time.monotonic() - start < 5


def test_what_a_killed_server_left_is_removed_by_the_next(serve, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    killed = serve(workers=1, TMPDIR=temporary)
    living = serve(workers=1, TMPDIR=temporary)
    clients = [begin_file(killed), begin_file(living)]
    wait_for(lambda: len(list(temporary.glob(f"{PREFIX}*/received.csv"))) == 2)
    killed.process.kill()
    killed.process.wait()
    (temporary / "other").mkdir()
    serve(workers=1, TMPDIR=temporary)
    wait_for(lambda: len(list(temporary.glob(f"{PREFIX}*"))) == 1)
    # That of the living one, whose client goes on.
    clients[1].sendall(b"Grupo LATAM,I,7\n")
    assert living.predict() == [1]
    for client in clients:
        client.close()
    wait_for(lambda: [one.name for one in temporary.iterdir()] == ["other"])


def test_a_client_that_hangs_up_is_no_failure_of_the_server(serve):
    server = serve(workers=1)
    for path, kind in (
        ("/predict/file", "text/csv"),
        ("/v2/models/delay/infer", "application/json"),
        ("/predict", "application/json"),
        ("/rank", "application/json"),
        ("/explain", "application/json"),
    ):
        client = server.connect()
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\n"
        client.sendall(head.encode() + b"Content-Length: 5000\r\n\r\n{")
        time.sleep(0.1)
        client.close()
    wait_for(lambda: server.metric(IN_FLIGHT) == 1)
    statuses = [
        json.loads(line)["status"]
        for line in server.log.splitlines()
        if '"event":"request"' in line and '"POST"' in line
    ]
    assert statuses == [499] * 5
    assert "Traceback" not in server.log


def test_large_requests_that_are_allowed_are_logged_whole(serve, tmp_path):
    """More flights at one time than may wait for the disk."""
    server = serve(workers=1, PREDICTION_LOG=tmp_path / "log")
    statuses = []

    def ask() -> None:
        asked = {"flights": [FLIGHT] * 100_000}
        answer = httpx.post(f"{server.url}/predict", json=asked, timeout=60)
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 4
    written = "flight_prophet_flights_recorded_total"
    wait_for(lambda: server.metric(written) == 400_000, seconds=40)
    assert server.metric("flight_prophet_flights_unrecorded_total") == 0
