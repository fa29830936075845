"""The service as a process of its own: how it starts, what it imports."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

import challenge
from challenge.api import create_app
from challenge.errors import ModelFileError
from tests.conftest import TEST_MODEL

APPLICATIONS = {
    "app": ["challenge.api:app"],
    "package": ["challenge:application"],
    "factory": ["challenge.api:create_app", "--factory"],
    "workers": ["challenge.api:app", "--workers", "2"],
}


def start(model: Path | str, port: int, application: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "uvicorn", *APPLICATIONS[application]]
    return subprocess.Popen(
        [*command, "--port", str(port), "--log-level", "warning"],
        env=os.environ | {"MODEL_FILEPATH": str(model)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.mark.parametrize("application", APPLICATIONS)
def test_a_server_answers_and_stops_when_told(port, application):
    server = start(TEST_MODEL, port, application)
    try:
        for _ in range(100):
            try:
                assert httpx.get(f"http://127.0.0.1:{port}/health").is_success
                break
            except httpx.ConnectError:
                time.sleep(0.1)
        flight = {"OPERA": "Aerolineas Argentinas", "TIPOVUELO": "N", "MES": 3}
        response = httpx.post(
            f"http://127.0.0.1:{port}/predict", json={"flights": [flight]}
        )
        assert response.json() == {"predict": [0]}
    finally:
        server.terminate()
        server.communicate(timeout=10)


@pytest.mark.parametrize("application", ["app", "package", "factory"])
def test_a_missing_model_stops_the_server_with_one_line(tmp_path, port, application):
    server = start(tmp_path / "model.pkl", port, application)
    output, _ = server.communicate(timeout=30)
    assert server.returncode != 0
    [line] = output.splitlines()
    assert line.startswith("flight-prophet: model file ")
    assert str(tmp_path / "model.pkl") in line
    assert "make model-train" in line


def test_a_missing_model_stops_a_server_of_several_workers(tmp_path, port):
    server = start(tmp_path / "model.pkl", port, "workers")
    output, _ = server.communicate(timeout=30)
    assert f"flight-prophet: model file '{tmp_path / 'model.pkl'}'" in output
    assert "Traceback" not in output


def test_create_app_raises_what_is_wrong_with_the_model(tmp_path):
    with pytest.raises(ModelFileError, match="does not exist"):
        create_app(tmp_path / "model.pkl")


def test_the_default_model_is_the_one_that_training_makes(tmp_path):
    environment = {k: v for k, v in os.environ.items() if k != "MODEL_FILEPATH"}
    result = subprocess.run(
        [sys.executable, "-c", "from challenge import app"],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(Path(challenge.__file__).parents[1])},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert "'tmp/delay_model.pkl' does not exist" in result.stderr


def test_serving_a_prediction_imports_no_training_library():
    program = """
import asyncio, sys
from challenge.api import app

async def ask():
    body = b'{"flights":[{"OPERA":"Grupo LATAM","TIPOVUELO":"N","MES":3}]}'
    received = {"type": "http.request", "body": body, "more_body": False}
    scope = {
        "type": "http", "method": "POST", "path": "/predict", "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "raw_path": b"/predict",
        "scheme": "http", "server": ("localhost", 80), "http_version": "1.1",
    }
    sent = []

    async def receive():
        return received

    async def send(message):
        sent.append(message)

    await app(scope, receive, send)
    assert sent[0]["status"] == 200, sent

asyncio.run(ask())
heavy = {"numpy", "pandas", "sklearn", "scipy", "xgboost", "matplotlib", "duckdb"}
print(sorted(heavy & sys.modules.keys()))
"""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"MODEL_FILEPATH": str(TEST_MODEL)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.strip() == "[]"
