"""Who may ask, how often, and how much at a time."""

from __future__ import annotations

import hashlib

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from challenge.api import create_app
from challenge.errors import SettingsError
from challenge.serving.server.shared_memory import Clients
from tests.api.conftest import FLIGHT
from tests.conftest import TEST_MODEL

BODY = {"flights": [FLIGHT]}
KEY, OTHER = "a-long-random-key", "another-long-random-key"


def hashed(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def client_with(monkeypatch):
    def make(**settings: object) -> TestClient:
        for name, value in settings.items():
            monkeypatch.setenv(name, str(value))
        return TestClient(create_app(TEST_MODEL))

    return make


def test_a_server_with_keys_answers_those_who_have_one(client_with):
    client = client_with(API_KEYS=f"tower:{hashed(KEY)}, desk:{hashed(OTHER)}")
    for key in (KEY, OTHER):
        answer = client.post("/predict", json=BODY, headers={"X-API-Key": key})
        assert answer.json() == {"predict": [1]}
    for headers in ({}, {"X-API-Key": "wrong"}, {"X-API-Key": hashed(KEY)}):
        refused = client.post("/predict", json=BODY, headers=headers)
        assert refused.status_code == 401
        assert refused.json()["detail"][0]["type"] == "api_key"
        assert "www-authenticate" in refused.headers


def test_with_keys_health_metrics_and_docs_stay_open_until_closed(client_with):
    client = client_with(API_KEYS=f"tower:{hashed(KEY)}")
    for path in ("/health", "/health/ready", "/metrics", "/openapi.json"):
        assert client.get(path).status_code == 200
    for path in ("/model", "/drift"):
        assert client.get(path).status_code == 401


@pytest.mark.parametrize(
    ("access", "without", "with_key"), [("key", 401, 200), ("off", 404, 404)]
)
@pytest.mark.parametrize(
    ("setting", "path"),
    [("METRICS", "/metrics"), ("DOCS", "/openapi.json"), ("DOCS", "/docs")],
)
def test_metrics_and_docs_can_be_closed(
    access, without, with_key, setting, path, client_with
):
    client = client_with(**{setting: access, "API_KEYS": f"tower:{hashed(KEY)}"})
    assert client.get(path).status_code == without
    assert client.get(path, headers={"X-API-Key": KEY}).status_code == with_key


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("API_KEYS", "tower:abc"),
        ("API_KEYS", hashed(KEY)),
        ("API_KEYS", f"a:{hashed(KEY)},a:{hashed(OTHER)}"),
        ("MODEL_SHA256", "no"),
        ("MAX_FLIGHTS", "0"),
        ("METRICS", "maybe"),
    ],
)
def test_a_setting_without_a_valid_value_stops_the_server(name, value, client_with):
    with pytest.raises(SettingsError, match=f"the setting {name}"):
        client_with(**{name: value})


def test_who_asks_too_often_is_told_when_to_come_back(client_with):
    client = client_with(REQUESTS_PER_MINUTE=3)
    statuses = [client.post("/predict", json=BODY).status_code for _ in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    refused = client.post("/predict", json=BODY)
    assert 1 <= int(refused.headers["retry-after"]) <= 21
    assert client.get("/health/ready").status_code == 200


def test_each_key_has_a_rate_of_its_own(client_with):
    client = client_with(
        REQUESTS_PER_MINUTE=1, API_KEYS=f"a:{hashed(KEY)},b:{hashed(OTHER)}"
    )
    for key in (KEY, OTHER):
        headers = {"X-API-Key": key}
        found = [
            client.post("/predict", json=BODY, headers=headers).status_code
            for _ in range(2)
        ]
        assert found == [200, 429]


@given(
    st.integers(1, 1_000),
    st.lists(st.floats(0, 30, allow_nan=False), min_size=1, max_size=200),
)
def test_no_minute_holds_more_requests_than_twice_the_limit(limit, pauses):
    clients, now, admitted = Clients(), 1e6, []
    for pause in pauses:
        now += pause
        if not clients.wait(b"client", now, limit):
            admitted.append(now)
    for start in admitted:
        # What was saved up, and what came in meanwhile.
        assert sum(start <= t < start + 60 for t in admitted) <= 2 * limit


def test_a_client_that_waits_as_told_is_let_in():
    clients = Clients()
    assert [clients.wait(b"c", 100.0, 2) for _ in range(2)] == [0, 0]
    wait = clients.wait(b"c", 100.0, 2)
    assert wait == pytest.approx(30)
    assert clients.wait(b"c", 100.0 + wait, 2) == 0


def test_the_rate_is_that_of_all_workers_together(serve):
    import httpx

    server = serve(workers=2, REQUESTS_PER_MINUTE=10)
    statuses = [
        httpx.post(f"{server.url}/predict", json=BODY).status_code for _ in range(20)
    ]
    assert statuses.count(200) == 10
    assert statuses.count(429) == 10


def test_the_address_is_believed_from_trusted_proxies_alone(serve):
    import httpx

    def statuses(server):
        return [
            httpx.post(
                f"{server.url}/predict",
                json=BODY,
                headers={"X-Forwarded-For": f"10.0.0.{number}"},
            ).status_code
            for number in range(3)
        ]

    assert statuses(serve(workers=1, REQUESTS_PER_MINUTE=1)) == [200, 429, 429]
    behind_proxy = serve(workers=1, REQUESTS_PER_MINUTE=1, TRUSTED_PROXIES="127.0.0.1")
    assert statuses(behind_proxy) == [200, 200, 200]


def test_only_trusted_hosts_are_answered(client_with):
    client = client_with(TRUSTED_HOSTS="testserver,*.example.org")
    assert client.get("/health").status_code == 200
    found = client.post("/predict", json=BODY, headers={"Host": "evil.test"})
    assert found.status_code == 400


def test_pages_of_named_origins_may_ask(client_with):
    client = client_with(CORS_ORIGINS="https://airport.test")
    asked = {"Access-Control-Request-Method": "POST"}
    good = client.options(
        "/predict", headers=asked | {"Origin": "https://airport.test"}
    )
    assert good.headers["access-control-allow-origin"] == "https://airport.test"
    bad = client.options("/predict", headers=asked | {"Origin": "https://evil.test"})
    assert "access-control-allow-origin" not in bad.headers


def test_more_requests_at_a_time_than_allowed_are_refused_at_once(client_with):
    client = client_with(MAX_CONCURRENT_REQUESTS=5)
    client.app.state.service.counters.in_flight = 5
    refused = client.post("/predict", json=BODY)
    assert refused.status_code == 503
    assert refused.headers["retry-after"] == "1"
    assert client.get("/health").status_code == 200
    client.app.state.service.counters.in_flight = 0
    assert client.post("/predict", json=BODY).status_code == 200


def test_a_fault_of_the_service_itself_tells_clients_nothing(
    client_with, monkeypatch, caplog
):
    client = client_with()

    async def fail(scope, receive):
        raise ZeroDivisionError("a secret of the code")

    monkeypatch.setattr(client.app.state.predict, "answer", fail)
    answer = client.post("/predict", json=BODY, headers={"X-Request-ID": "broken-1"})
    assert answer.status_code == 500
    assert answer.json()["detail"][0]["type"] == "internal"
    assert "secret" not in answer.text
    assert "request broken-1 failed" in caplog.text
    assert "ZeroDivisionError" in caplog.text
