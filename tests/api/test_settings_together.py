"""Settings that are set together: each holds, and none breaks another."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from itertools import combinations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.artifact.model_file import fingerprint
from challenge.errors import SettingsError
from challenge.training.train import train
from tests.conftest import ROOT, TEST_MODEL

KEY = "open sesame"
WITH_KEY = {"X-API-Key": KEY}
ORIGIN = "https://tower.example.org"
SETTINGS = {
    "API_KEYS": f"tower:{hashlib.sha256(KEY.encode()).hexdigest()}",
    "CORS_ORIGINS": ORIGIN,
    "TRUSTED_HOSTS": "delays.example.org,*.tower.example.org",
    "TRUSTED_PROXIES": "127.0.0.1",
    "REQUESTS_PER_MINUTE": "20",
    "METRICS": "off",
    "DOCS": "key",
    "MODEL_SHA256": fingerprint(TEST_MODEL.read_bytes()),
    "MAX_CONCURRENT_REQUESTS": "1",
    "MAX_WAIT_MS": "0",
    "MAX_UPLOADS_PER_CLIENT": "1",
    "MAX_BODY_BYTES": "200",
    "MAX_FLIGHTS": "1",
    "MAX_BUFFERED_BYTES": "1",
    "LOG_REQUESTS": "false",
    "LOG_FORMAT": "text",
    "DRAIN_SECONDS": "1",
    "PREDICTION_LOG": "log",
}
ASKED = {"flights": [{"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}]}


@pytest.fixture
def client(monkeypatch, tmp_path):
    """Makes clients of a service with settings."""
    monkeypatch.chdir(tmp_path)

    def make(prefix: str = "", host: str = "delays.example.org", **settings: str):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        app = create_app(TEST_MODEL)
        for name in settings:
            monkeypatch.delenv(name)
        return TestClient(app, base_url=f"http://{host}", root_path=prefix)

    return make


# Those that decide who may ask for what, in pairs; the others each with one of them.
DECIDING, OTHERS = [*SETTINGS][:7], [*SETTINGS][7:]
PAIRS = [*combinations(DECIDING, 2), *zip(DECIDING * 2, OTHERS)]


@pytest.mark.parametrize("pair", PAIRS, ids="-".join)
def test_two_settings_hold_together(pair, client):
    asked = client(**{name: SETTINGS[name] for name in pair})
    # Probes have neither a key nor a name of the host.
    probe = asked.get("/health/ready", headers={"Host": "10.0.0.7:8000"})
    assert (probe.status_code, probe.json()) == (200, {"status": "OK"})
    headers = WITH_KEY | {"Origin": ORIGIN}
    answer = asked.post("/predict", json=ASKED, headers=headers)
    assert (answer.status_code, answer.json()) == (200, {"predict": [1]})
    without_key = asked.post("/predict", json=ASKED, headers={"Origin": ORIGIN})
    assert without_key.status_code == (401 if "API_KEYS" in pair else 200)
    allowed = ORIGIN if "CORS_ORIGINS" in pair else None
    for one in (answer, without_key):
        assert one.headers.get("access-control-allow-origin") == allowed
    metrics = 404 if "METRICS" in pair else 200
    assert asked.get("/metrics", headers=WITH_KEY).status_code == metrics
    # Without API_KEYS nobody has a key.
    docs = 401 if "DOCS" in pair and "API_KEYS" not in pair else 200
    assert asked.get("/docs", headers=WITH_KEY).status_code == docs
    other = asked.post(
        "/predict", json=ASKED, headers=WITH_KEY | {"Host": "evil.example.org"}
    )
    assert other.status_code == (400 if "TRUSTED_HOSTS" in pair else 200)
    large = asked.post(
        "/predict", json={"flights": ASKED["flights"] * 2}, headers=WITH_KEY
    )
    assert large.status_code == (413 if "MAX_FLIGHTS" in pair else 200)


def test_a_preflight_needs_no_key(client):
    asked = client(**{name: SETTINGS[name] for name in ("API_KEYS", "CORS_ORIGINS")})
    preflight = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "X-API-Key",
    }
    answer = asked.options("/predict", headers=preflight)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert "X-API-Key" in answer.headers["access-control-allow-headers"]
    other = asked.options(
        "/predict", headers=preflight | {"Origin": "https://evil.org"}
    )
    assert other.status_code == 400


def test_too_many_requests_are_told_to_pages_of_other_origins(client):
    asked = client(CORS_ORIGINS=ORIGIN, REQUESTS_PER_MINUTE="1")
    statuses = [
        asked.post("/predict", json=ASKED, headers={"Origin": ORIGIN}) for _ in range(2)
    ]
    assert [one.status_code for one in statuses] == [200, 429]
    assert statuses[1].headers["access-control-allow-origin"] == ORIGIN
    assert "Retry-After" in statuses[1].headers["access-control-expose-headers"]


@pytest.mark.parametrize("mounted", [False, True])
@pytest.mark.parametrize(("name", "path"), [("METRICS", "/metrics"), ("DOCS", "/docs")])
def test_what_is_off_is_off_below_a_prefix(name, path, mounted, client):
    service = client(prefix="" if mounted else "/api", **{name: "off"})
    if mounted:
        outer = FastAPI()
        outer.mount("/api", service.app)
        service = TestClient(outer, base_url="http://delays.example.org")
    assert service.get(f"/api{path}").status_code == 404
    assert service.get("/api/health").status_code == 200
    answer = service.post("/api/predict", json=ASKED)
    assert (answer.status_code, answer.json()) == (200, {"predict": [1]})


@pytest.mark.parametrize("name", [*SETTINGS, "MODEL_RELOAD_SECONDS", "DRIFT_HOURS"])
def test_an_empty_setting_is_not_set(name, client):
    assert client(**{name: ""}).post("/predict", json=ASKED).status_code == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("delays.example.org", 200),
        ("DELAYS.example.org:8000", 200),
        ("a.tower.example.org", 200),
        ("tower.example.org", 400),
        ("delays.example.org.evil.org", 400),
        ("[::1]:8000", 400),
        ("[", 400),
        ("", 400),
    ],
)
def test_hosts_are_compared_by_name(host, status, client):
    asked = client(TRUSTED_HOSTS=SETTINGS["TRUSTED_HOSTS"])
    answer = asked.post("/predict", json=ASKED, headers={"Host": host})
    assert answer.status_code == status
    if status == 400:
        assert answer.json()["detail"][0]["type"] == "host"


def test_addresses_of_one_ipv6_network_are_one_client(client):
    settings = {"REQUESTS_PER_MINUTE": "1"}
    asked = client(**settings).app
    statuses = []
    for address in ("2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "fe80::1%eth0"):
        one = TestClient(asked, client=(address, 50_000))
        statuses.append(one.post("/predict", json=ASKED).status_code)
    assert statuses == [200, 429, 200, 200]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
@pytest.mark.parametrize("name", ["API_KEYS", "TRUSTED_HOSTS", "DOCS", "MAX_FLIGHTS"])
def test_deployment_sees_that_a_server_answers_whatever_is_set(name, serve):
    server = serve(workers=1, **{name: SETTINGS[name]})
    check = ["bash", ROOT / "deploy/ec2/host.sh", "answers", str(server.port)]
    assert subprocess.run(check).returncode == 0
    server.stop()
    assert subprocess.run(check).returncode != 0


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl")
def test_deployment_needs_no_airline_that_a_model_may_not_know(serve, tmp_path):
    flights = [f"JetBlue,N,{n % 12 + 1},{int(n % 5 == 0)}" for n in range(400)]
    (tmp_path / "flights.csv").write_text(
        "\n".join(["OPERA,TIPOVUELO,MES,delay", *flights])
    )
    train(tmp_path / "flights.csv", tmp_path / "model.pkl")
    server = serve(tmp_path / "model.pkl", workers=1)
    check = ["bash", ROOT / "deploy/ec2/host.sh", "answers", str(server.port)]
    assert subprocess.run(check).returncode == 0


def test_a_setting_that_makes_no_sense_stops_the_start(client):
    with pytest.raises(SettingsError, match="the setting MAX_FILES_AT_ONCE"):
        client(MAX_FILES_AT_ONCE="0")
