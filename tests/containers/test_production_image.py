"""The production image on a real engine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import httpx
import pytest

from tests.conftest import TEST_MODEL
from tests.containers.conftest import docker

MB = 1_000_000
BASE_IMAGE = "python:3.13-slim-bookworm"
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")
HARDENED += ("--security-opt", "no-new-privileges:true", "--user", "12345:12345")


def test_it_serves_by_itself(start):
    container = start()
    assert container.wait_until_healthy(30) < 5
    assert container.predict() == {"predict": [1]}
    assert container.predict(OPERA="Sky Airline", TIPOVUELO="N", MES=3) == {
        "predict": [0]
    }
    # A process for each CPU that it may use.
    cpus = len(os.sched_getaffinity(0))
    processes = container.inspect(".State.Pid")
    workers = Path(f"/proc/{processes}/task/{processes}/children").read_text().split()
    assert len(workers) == (cpus if cpus > 1 else 0)


def test_it_serves_read_only_without_rights_as_any_user(start):
    container = start(*HARDENED)
    container.wait_until_healthy(30)
    assert container.predict() == {"predict": [1]}
    answers = httpx.post(
        f"{container.url}/predict/file",
        content=b"OPERA,TIPOVUELO,MES\nGrupo LATAM,I,7\n",
        headers={"content-type": "text/csv"},
    )
    assert answers.text.startswith("OPERA,TIPOVUELO,MES,probability,delay\n")


def test_what_it_was_told_outlives_it(start):
    volume, key = f"flight-prophet-test-{os.getpid()}", "a key"
    options = [*HARDENED[:-2], "-v", f"{volume}:/live"]
    options += ["-e", "LIVE_STORE=/live/flights.sqlite"]
    digest = hashlib.sha256(key.encode()).hexdigest()
    options += ["-e", f"FEED_KEYS=feed:{digest}"]
    flight = {"OPERA": "Sky Airline", "TIPOVUELO": "N", "SIGLADES": "Calama"}
    flight |= {"Fecha-I": "2018-01-01 08:15", "Vlo-I": "101"}
    message = {"at": "2018-01-01 07:00", "flights": [flight]}
    try:
        first = start(*options)
        first.wait_until_healthy(30)
        url = f"{first.url}/flights"
        assert httpx.post(url, json=message).status_code == 401
        told = httpx.post(url, json=message, headers={"x-api-key": key})
        assert told.raise_for_status().json()["accepted"] == 1
        docker("rm", "--force", first.name)
        second = start(*options)
        second.wait_until_healthy(30)
        board = httpx.get(f"{second.url}/flights").json()
        assert [one["flight"] for one in board["flights"]] == [flight]
        assert board["state"] == told.json()["state"]
        docker("rm", "--force", second.name)
    finally:
        docker("volume", "rm", "--force", volume, check=False)


def test_its_user_is_not_root_and_has_a_fixed_number(start):
    container = start()
    assert container.inspect(".Config.User") == "10001:10001"
    assert docker("exec", container.name, "id", "-u") == "10001"


def test_a_mounted_model_is_served(start):
    container = start("-v", f"{TEST_MODEL}:/model/delay_model.pkl:ro")
    container.wait_until_healthy(30)
    served = httpx.get(f"{container.url}/model").json()
    assert served["card"]["classifier"] == "logistic-regression"


@pytest.mark.parametrize("content", [b"", b"no model", TEST_MODEL.read_bytes()[:-100]])
def test_a_broken_model_ends_it_with_one_line(content, image, tmp_path):
    model = tmp_path / "model.pkl"
    model.write_bytes(content)
    model.chmod(0o444)
    run = subprocess.run(
        ["docker", "run", "--rm", "-v", f"{model}:/model/delay_model.pkl:ro", image],
        capture_output=True,
        text=True,
    )
    assert run.returncode == 1
    lines = (run.stdout + run.stderr).splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("flight-prophet: model file '/model/delay_model.pkl' ")


def test_it_stops_within_two_seconds_and_loses_no_request(start):
    container = start()
    container.wait_until_healthy(30)
    url = f"{container.url}/predict"
    flights = {"flights": [{"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}] * 500}
    lost: list[str] = []
    answered: list[int] = []
    stopping = threading.Event()

    def ask() -> None:
        while True:
            try:
                answer = httpx.post(url, json=flights, timeout=10)
                assert answer.json()["predict"] == [1] * 500
                answered.append(answer.status_code)
            except httpx.ConnectError:
                return  # It was not accepted.
            except httpx.TransportError as error:
                # Docker's proxy accepts for a container that is gone already.
                if not stopping.is_set():
                    lost.append(repr(error))
                return

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    start_of_stop = time.monotonic()
    # The signal alone: what is in flight then must be answered.
    docker("kill", "--signal", "TERM", container.name)
    docker("wait", container.name)
    stopped = time.monotonic() - start_of_stop
    stopping.set()
    for thread in threads:
        thread.join(10)
    assert stopped < 2
    assert container.inspect(".State.ExitCode") == "0"
    assert len(answered) > 20
    assert not [error for error in lost if "ReadTimeout" in error]


def test_it_holds_what_serving_needs_and_no_more(image):
    size = int(docker("image", "inspect", "--format", "{{.Size}}", image))
    base = int(docker("image", "inspect", "--format", "{{.Size}}", BASE_IMAGE))
    assert (size - base) / MB < 140
    program = (
        "import importlib.util as u, shutil;"
        "print([m for m in ('pandas', 'numpy', 'sklearn', 'xgboost', 'pytest', 'tests')"
        " if u.find_spec(m)], shutil.which('gcc'))"
    )
    assert docker("run", "--rm", image, "python", "-c", program) == "[] None"
    listed = docker(
        "run", "--rm", image, "find", "/opt/venv", "/model", "-name", "*.csv"
    )
    assert listed == ""


def test_its_labels_say_where_it_comes_from(image):
    labels = json.loads(
        docker("image", "inspect", "--format", "{{json .Config.Labels}}", image)
    )
    prefix = "org.opencontainers.image."
    assert len(labels[f"{prefix}revision"]) == 40
    assert labels[f"{prefix}version"].count(".") == 2
    assert labels[f"{prefix}created"].startswith("20")
