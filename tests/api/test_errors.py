"""Every error of every route has one form."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from tests.conftest import TEST_MODEL

ASKED = {"flights": [{"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}]}
TENSORS = {
    "inputs": [
        {"name": name, "shape": [1], "datatype": kind, "data": [value]}
        for (name, value), kind in zip(
            ASKED["flights"][0].items(), ("BYTES", "BYTES", "INT64"), strict=True
        )
    ]
}
INFER = "/v2/models/delay/infer"


@pytest.fixture
def client():
    return TestClient(create_app(TEST_MODEL), raise_server_exceptions=False)


def only_fault(answer):
    assert answer.headers["content-type"] == "application/json"
    [fault] = answer.json()["detail"]
    assert set(fault) - {"ctx"} == {"loc", "type", "msg", "input"}
    return fault["type"]


@pytest.mark.parametrize(
    ("method", "path", "status", "kind"),
    [
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/static/nothing.js", 404, "not_found"),
        ("GET", "/v2/nothing", 404, "not_found"),
        ("GET", "/predict", 405, "method_not_allowed"),
        ("DELETE", "/health", 405, "method_not_allowed"),
        ("GET", INFER, 405, "method_not_allowed"),
        ("POST", "/predict", 415, "media_type"),
        ("POST", "/predict/file", 415, "media_type"),
        ("POST", INFER, 400, "invalid_inference"),
        ("GET", "/heatmap", 400, "missing"),
        ("POST", "/predict/file?invalid=maybe", 400, "literal_error"),
    ],
)
def test_an_error_has_the_form_of_all_errors(method, path, status, kind, client):
    answer = client.request(method, path)
    assert (answer.status_code, only_fault(answer)) == (status, kind)
    if status == 405:
        assert answer.headers["allow"]
    # What clients of the Open Inference Protocol read.
    assert ("error" in answer.json()) == path.startswith("/v2")


@pytest.mark.parametrize("path", ["/predict", "/rank", "/explain", INFER])
def test_a_failure_has_it_too_and_is_logged_with_its_id(path, client, caplog):
    client.app.state.service.live.model = None
    headers = {"X-Request-ID": "failing-1"}
    answer = client.post(
        path, json=TENSORS if path == INFER else ASKED, headers=headers
    )
    assert (answer.status_code, only_fault(answer)) == (500, "internal")
    assert answer.headers["x-request-id"] == "failing-1"
    assert "request failing-1 failed" in caplog.text
    assert "AttributeError" in caplog.text
    assert "AttributeError" not in answer.text


def test_a_key_that_is_missing_is_told_to_clients_of_v2(monkeypatch):
    monkeypatch.setenv("API_KEYS", f"tower:{'0' * 64}")
    client = TestClient(create_app(TEST_MODEL))
    answer = client.post(INFER, json={})
    assert (answer.status_code, only_fault(answer)) == (401, "api_key")
    assert answer.json()["error"] == "X-API-Key is missing or not valid"
    assert answer.headers["www-authenticate"]


LATAM = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I"}


@pytest.mark.parametrize(
    ("flight", "ctx"),
    [
        ({"OPERA": "Argentinas"}, {"nearest": ["Aerolineas Argentinas"]}),
        ({"OPERA": "@@@@"}, {"names": 23}),
        ({"TIPOVUELO": "internacional"}, {"write": "I"}),
        ({"TIPOVUELO": "O"}, {"known": ["I", "N"]}),
        ({"MES": 13}, {"low": 1, "high": 12}),
        ({"MES": "x"}, {}),
        ({"Fecha-I": "x"}, {"reason": "time"}),
        ({"Fecha-I": "2017-08-03 08:15"}, {"month": 7}),
        ({"Vlo-I": "9" * 21}, {"most": 20}),
    ],
)
def test_what_a_sentence_names_is_told_so_that_others_can_say_it(flight, ctx, client):
    asked = {"flights": [LATAM | {"MES": 7} | flight]}
    [fault] = client.post("/predict", json=asked).json()["detail"]
    assert fault.get("ctx", {}) == ctx and ("ctx" in fault) == bool(ctx)


def test_a_limit_is_told_with_the_sentence_about_it(client):
    [fault] = client.get("/flights?hours=1000").json()["detail"]
    assert (fault["type"], fault["ctx"]) == ("less_than_equal", {"le": 72.0})
    [fault] = client.post("/predict", content=b"{}").json()["detail"]
    assert fault["ctx"] == {"given": "", "wanted": "application/json"}
