"""Replicas behind nginx are replaced one by one, under load, and no request fails."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from challenge.training.recipe import Recipe
from challenge.training.threshold import Given
from challenge.training.train import train
from tests.api.conftest import PROGRAM, wait_for
from tests.conftest import ROOT, TEST_MODEL

REQUESTS = 100_000
FLIGHT = '{"flights":[{"OPERA":"Grupo LATAM","TIPOVUELO":"I","MES":7}]}'
LUA = f"""
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{FLIGHT}'
function done(summary)
  print("requests " .. summary.requests)
  local e = summary.errors
  print("errors " .. (e.connect + e.read + e.write + e.status + e.timeout))
end
"""

pytestmark = pytest.mark.skipif(
    shutil.which("nginx") is None or shutil.which("wrk") is None,
    reason="nginx and wrk are not installed",
)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Replica:
    """A server that can be replaced by another at the same port."""

    def __init__(self, port: int, log: Path, settings: dict[str, str]) -> None:
        self.port, self.log, self.settings = port, log, settings

    def start(self, model: Path) -> None:
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-c", PROGRAM, "serve", str(model)),
                    *("--port", str(self.port)),
                ],
                env=os.environ | self.settings,
                stderr=stream,
            )
        wait_for(self._is_ready)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def _is_ready(self) -> bool:
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}/health/ready").is_success
        except httpx.TransportError:
            return False


@pytest.fixture(scope="module")
def never_late(sample_csv, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "never_late.pkl"
    train(str(sample_csv), path, Recipe("logistic-regression", "top10"), Given(1.0))
    return path


@pytest.fixture
def replicas(request, tmp_path) -> Iterator[list[Replica]]:
    settings = {"DRAIN_SECONDS": "0.5", "LOG_REQUESTS": "false"}
    settings |= getattr(request, "param", {})
    started = [Replica(free_port(), tmp_path / f"{n}.log", settings) for n in range(4)]
    for replica in started:
        replica.start(TEST_MODEL)
    yield started
    for replica in started:
        replica.process.kill()
        replica.process.wait()


@pytest.fixture
def balanced(replicas, tmp_path) -> Iterator[str]:
    """nginx before the replicas, by the shipped configuration at other ports."""
    port = free_port()
    text = (ROOT / "deploy/nginx/nginx.conf").read_text()
    shipped = re.findall(r"server 127\.0\.0\.1:(\d+)", text)
    assert len(shipped) == len(replicas)
    for number, replica in zip(shipped, replicas, strict=True):
        text = text.replace(f"127.0.0.1:{number}", f"127.0.0.1:{replica.port}")
    text = text.replace("listen 8000", f"listen 127.0.0.1:{port}")
    config = tmp_path / "nginx.conf"
    config.write_text(text)
    errors = tmp_path / "nginx.log"
    process = subprocess.Popen(
        [
            *("nginx", "-c", config, "-p", tmp_path, "-e", errors),
            *("-g", f"daemon off; pid {tmp_path}/nginx.pid; error_log {errors} warn;"),
        ]
    )
    url = f"http://127.0.0.1:{port}"
    try:
        wait_for(lambda: _answers(url))
        yield url
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health").is_success
    except httpx.TransportError:
        return False


def predict(url: str) -> int:
    headers = {"Content-Type": "application/json"}
    answer = httpx.post(f"{url}/predict", content=FLIGHT, headers=headers)
    (found,) = answer.json()["predict"]
    return found


def test_a_new_model_comes_to_four_replicas_without_a_failed_request(
    balanced, replicas, never_late, tmp_path
):
    assert {predict(balanced) for _ in range(20)} == {1}
    script = tmp_path / "load.lua"
    script.write_text(LUA)
    answered, updates = 0, 0
    while answered < REQUESTS:
        # For longer than any update takes: it is told to end after it.
        with subprocess.Popen(
            ["wrk", "-t1", "-c32", "-d300s", "-s", script, f"{balanced}/predict"],
            stdout=subprocess.PIPE,
            text=True,
        ) as load:
            try:
                time.sleep(1)
                model = never_late if updates % 2 == 0 else TEST_MODEL
                for replica in replicas:
                    assert replica.stop() == 0
                    replica.start(model)
                updates += 1
                time.sleep(1)
                assert load.poll() is None, "the load ended before the update did"
            finally:
                load.send_signal(signal.SIGINT)
            told, _ = load.communicate()
        (requests,) = re.findall(r"^requests (\d+)$", told, re.MULTILINE)
        assert re.findall(r"^errors (\d+)$", told, re.MULTILINE) == ["0"], told
        answered += int(requests)
        expected = {0} if model is never_late else {1}
        assert {predict(balanced) for _ in range(20)} == expected
    print(f"{answered:,} requests, {updates} updates of {len(replicas)} replicas")
    for replica in replicas:
        assert "Traceback" not in replica.log.read_text()


def test_a_replica_that_is_killed_costs_no_answer(balanced, replicas):
    with httpx.Client() as client:
        for number in range(200):
            if number == 50:
                replicas[2].process.kill()
            answer = client.post(
                f"{balanced}/predict",
                content=FLIGHT,
                headers={"Content-Type": "application/json"},
            )
            assert answer.json() == {"predict": [1]}


@pytest.mark.parametrize(
    "replicas",
    [{"REQUESTS_PER_MINUTE": "3", "TRUSTED_PROXIES": "127.0.0.1"}],
    indirect=True,
)
def test_a_forged_address_passes_no_limit(balanced):
    """Each replica lets a client ask three times, in any way."""
    rows = "OPERA,TIPOVUELO,MES\nGrupo LATAM,I,7\n"
    # Not the address of the proxy, which is trusted.
    client = httpx.Client(transport=httpx.HTTPTransport(local_address="127.0.0.2"))
    for path, content, kind in (
        ("/predict/file", rows, "text/csv"),
        ("/predict", FLIGHT, "application/json"),
    ):
        statuses = []
        for number in range(16):
            headers = {"X-Forwarded-For": f"10.0.0.{number}", "Content-Type": kind}
            answer = client.post(balanced + path, content=content, headers=headers)
            statuses.append(answer.status_code)
        assert statuses[-1] == 429
        assert set(statuses) <= {200, 429}
    client.close()
