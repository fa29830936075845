"""The examples do what they say, against a real server."""

from __future__ import annotations

import csv
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading

import httpx
import pytest

from tests.conftest import ROOT


@pytest.fixture
def server(serve, schedule_model):
    return serve(schedule_model, workers=1)


def test_the_python_client(server, tmp_path):
    flights = tmp_path / "flights.csv"
    flights.write_text("OPERA,TIPOVUELO,MES\nGrupo LATAM,N,3\nCopa Air,I,12\n")
    program = ROOT / "examples/client.py"
    asked = [sys.executable, "-W", "error", program, server.url, flights]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    first, second, words, *faults, answers = shown.splitlines()
    assert first.split("%")[0] != second.split("%")[0]
    assert words.startswith("A delay of more than 15 minutes has a probability of")
    assert faults[0].startswith("flights 0 OPERA: 'LATAM' is not an airline")
    assert faults[1].startswith("flights 0 MES: 13 is not a month")
    with open(answers) as stream:
        rows = list(csv.DictReader(stream))
    assert [row["OPERA"] for row in rows] == ["Grupo LATAM", "Copa Air"]
    assert all(0 < float(row["probability"]) < 1 for row in rows)


def test_the_python_client_with_a_key(serve, schedule_model):
    digest = hashlib.sha256(b"secret").hexdigest()
    server = serve(schedule_model, workers=1, API_KEYS=f"me:{digest}")
    asked = [sys.executable, ROOT / "examples/client.py", server.url]
    for key, code in (("secret", 0), ("wrong", 1)):
        environment = os.environ | {"API_KEY": key}
        told = subprocess.run(asked, env=environment, capture_output=True, text=True)
        assert told.returncode == code
    assert "X-API-Key is missing or not valid" in told.stderr


def test_the_python_client_waits_and_asks_again_when_the_service_is_busy(
    serve, schedule_model
):
    server = serve(schedule_model, workers=1, REQUESTS_PER_MINUTE=60)
    for _ in range(61):
        if httpx.post(f"{server.url}/predict", json={}).status_code == 429:
            break
    asked = [sys.executable, ROOT / "examples/client.py", server.url]
    told = subprocess.run(asked, capture_output=True, text=True, timeout=60)
    assert told.returncode == 0
    assert told.stdout.splitlines()[0].endswith("'MES': 3}")


class Proxy(http.server.BaseHTTPRequestHandler):
    """One whose errors are no JSON."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(502)
        self.end_headers()
        self.wfile.write(b"<h1>Bad Gateway</h1>")

    def log_message(self, *_: object) -> None:
        pass


def test_the_python_client_tells_the_error_of_a_proxy():
    with http.server.HTTPServer(("127.0.0.1", 0), Proxy) as proxy:
        threading.Thread(target=proxy.serve_forever).start()
        url = f"http://127.0.0.1:{proxy.server_port}"
        asked = [sys.executable, ROOT / "examples/client.py", url]
        told = subprocess.run(asked, capture_output=True, text=True, timeout=60)
        proxy.shutdown()
    assert told.returncode == 1
    assert "Invalid: status 502: <h1>Bad Gateway</h1>" in told.stderr


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_the_requests_by_curl(server):
    asked = ["sh", ROOT / "examples/requests.sh", server.url]
    shown = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    answers = [line for line in shown.splitlines() if line and line[0] not in "# "]
    assert answers[0].startswith('{"predict":[')
    assert '"probability":[' in answers[1]
    assert "Un atraso de más de 15 minutos" in answers[2]
    assert answers[3] == "OPERA,TIPOVUELO,MES,probability,delay"
    assert answers[6].startswith('{"model_name":"delay"')
    assert answers[7].startswith('{"OPERA":["Aerolineas Argentinas"')
    assert answers[8].startswith('{"fingerprint":"')
