"""What a caller may send at most, and what is said of more."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Server, capped_server

INFER = "/v2/models/delay/infer"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with capped_server(tmp_path_factory.mktemp("bounds") / "server.log") as server:
        yield server


def test_a_hundred_faults_are_told_and_how_many_more_there_are(server):
    for flights, told, more in ((33, 99, None), (34, 100, "and 2 more faults")):
        answer = httpx.post(f"{server.url}/predict", json={"flights": [{}] * flights})
        faults = answer.json()["detail"]
        assert [one["type"] for one in faults[:told]] == ["missing"] * told
        rest = [(one["type"], one["msg"]) for one in faults[told:]]
        assert rest == ([("more_faults", more)] if more else [])


@pytest.mark.parametrize("depth", [*range(930, 1_000, 7), 1_000, 5_000, 30_000])
@pytest.mark.parametrize(
    "pair", [(b"[", b"]"), (b'{"a":', b"}")], ids=["list", "object"]
)
def test_json_of_any_depth_is_told_to_be_wrong(depth, pair, server):
    opening, closing = pair
    value = opening * depth + b"1" + closing * depth
    for path, body in (
        ("/predict", value),
        ("/predict", b'{"flights":' + value + b"}"),
        ("/predict", b'{"flights":[{"OPERA":' + value + b"}]}"),
        ("/rank", b'{"flights":[],"top":' + value + b"}"),
        (INFER, b'{"inputs":[],"parameters":' + value + b"}"),
    ):
        answer = httpx.post(server.url + path, content=body, headers=JSON)
        assert answer.status_code == 400
        assert answer.json()["detail"]


def test_a_length_of_thousands_of_digits_is_no_length(server):
    headers = JSON | {"Inference-Header-Content-Length": "9" * 5_000}
    answer = httpx.post(server.url + INFER, content=b"{}", headers=headers)
    assert answer.status_code == 400
    assert "is not a length within the body" in answer.json()["error"]


def test_headers_within_the_limit_are_taken(server):
    answer = httpx.get(f"{server.url}/health", headers={"X-A": "x" * 60_000})
    assert answer.status_code == 200
    answer = httpx.get(f"{server.url}/health", headers={"X-A": "x" * 66_000})
    assert answer.status_code == 431
    assert answer.json()["detail"][0]["type"] == "headers_too_large"


@pytest.mark.parametrize("line", [b"GET / HTTP/9.9", b"\0\0\0", b"GET  /  HTTP", b"{}"])
def test_what_is_no_http_is_refused_in_the_form_of_all_errors(line, server):
    with server.connect() as client:
        client.sendall(line + b"\r\n\r\n")
        answer = client.recv(65_536)
    assert answer.split()[1] == b"400"
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["detail"]


header_values = st.text(
    st.characters(min_codepoint=32, max_codepoint=126), max_size=200
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=30,
)
bodies = st.binary(max_size=2_000) | json_values.map(
    lambda one: json.dumps(one).encode()
)
asked = st.fixed_dictionaries({"flights": json_values, "inputs": json_values})


@given(
    path=st.sampled_from(["/predict", "/rank", "/explain", INFER, "/predict/file"]),
    body=bodies | asked.map(lambda one: json.dumps(one).encode()),
    name=st.sampled_from(
        [
            *("Content-Type", "X-Request-ID", "Expect", "Upgrade", "Connection"),
            *("Inference-Header-Content-Length", "X-API-Key", "X-Forwarded-For"),
        ]
    ),
    value=header_values,
)
@settings(max_examples=40, deadline=None, suppress_health_check=[*HealthCheck])
def test_any_request_is_answered_with_a_status_and_a_reason(
    server, path, body, name, value
):
    headers = JSON | {name: value.strip()}
    try:
        answer = httpx.post(server.url + path, content=body, headers=headers)
    except (httpx.LocalProtocolError, httpx.RemoteProtocolError):
        return  # no client may send it, or the server may only close
    assert answer.status_code in (200, 400, 413, 415)
    if answer.status_code != 200:
        assert all(fault["msg"] for fault in answer.json()["detail"])
