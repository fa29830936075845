"""The description of the API: as it is shipped, whole, and readable offline."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from tests.conftest import TEST_MODEL

SHIPPED = Path(__file__).parents[2] / "docs/openapi.json"


@pytest.fixture(scope="module")
def client():
    with TestClient(create_app(TEST_MODEL)) as client:
        yield client


@pytest.fixture(scope="module")
def described(client):
    return client.get("/openapi.json").json()


def operations(described):
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method} {path}", operation


def test_the_shipped_description_is_that_of_the_service(described):
    assert json.loads(SHIPPED.read_text()) == described, "run: make openapi"


def test_every_operation_and_answer_is_described(described):
    for name, operation in operations(described):
        assert operation.get("description"), name
        assert operation["tags"], name
        for status, answer in operation["responses"].items():
            assert answer["description"], f"{name} {status}"


def test_operation_ids_are_stable_and_distinct(described):
    ids = [operation["operationId"] for _, operation in operations(described)]
    assert len(set(ids)) == len(ids)
    assert {"predict", "explain", "predict_file", "model", "infer"} <= set(ids)
    assert all(re.fullmatch(r"[a-z_]+", name) for name in ids)


def test_the_examples_of_requests_are_answered(client, described):
    tried = 0
    for name, operation in operations(described):
        content = operation.get("requestBody", {}).get("content", {})
        body = content.get("application/json", {})
        examples = [example["value"] for example in body.get("examples", {}).values()]
        examples += [body["example"]] if "example" in body else []
        for example in examples:
            answer = client.post(name.removeprefix("post "), json=example)
            assert answer.status_code == 200, answer.text
            tried += 1
    assert tried == 12


def test_what_is_wrong_with_a_parameter_is_told_as_everything_is(client):
    flight = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}
    answer = client.post("/explain?language=fr", json={"flights": [flight]})
    assert answer.status_code == 400
    (fault,) = answer.json()["detail"]
    assert fault["loc"] == ["language"]
    assert fault["msg"] == "Input should be 'en' or 'es'"
    assert fault["input"] == "fr"


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_ask_nobody_else(path, client):
    page = client.get(path)
    assert page.status_code == 200
    assert re.findall(r"(?:src|href)=[\"'](?:https?:)?//", page.text) == []
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self'" in policy
    assert "unsafe-inline" not in policy.split("style-src")[0]
    for address in re.findall(r"(?:src|href)=\"([^\"#]+\.(?:js|css|svg))\"", page.text):
        assert client.get(address).status_code == 200, address


def test_what_a_page_needs_is_asked_for_again_only_when_it_changed(client):
    first = client.get("/static/page.js")
    assert first.headers["cache-control"] == "no-cache"
    known = {"If-None-Match": first.headers["etag"]}
    assert client.get("/static/page.js", headers=known).status_code == 304
