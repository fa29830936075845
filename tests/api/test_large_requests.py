"""Bodies that arrive in parts: read in slices, within limits, beside other requests."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from challenge.api import create_app
from challenge.errors import SettingsError
from challenge.model import DelayModel
from challenge.serving.body import reader as body_module
from challenge.serving.body.budget import BodyBudget
from challenge.serving.body.reader import FlightsReader
from challenge.serving.problems import RejectedRequest
from challenge.serving.routes.predict import PredictEndpoint
from challenge.serving.settings import Settings
from challenge.serving.state import ServiceState
from tests.conftest import TEST_MODEL, probabilities

MODEL = DelayModel.load(TEST_MODEL)
LATE = {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7}
ON_TIME = {"OPERA": "Aerolineas Argentinas", "TIPOVUELO": "N", "MES": 3}
SCOPE = {"headers": [(b"content-type", b"application/json")], "query_string": b""}


def receiver(body: bytes, at_once: int = 65_536):
    chunks = [body[i : i + at_once] for i in range(0, len(body), at_once)] or [b""]

    async def receive():
        chunk = chunks.pop(0)
        return {"type": "http.request", "body": chunk, "more_body": bool(chunks)}

    return receive


def read(body: bytes, at_once: int = 65_536, **limits: int):
    """The cells of a body, or the status and faults of its refusal."""
    limits = {"max_flights": 10**6, "max_bytes": 10**9} | limits
    reader = FlightsReader(MODEL, budget=BodyBudget(10**9), **limits)
    try:
        return asyncio.run(reader.read(receiver(body, at_once)))
    except RejectedRequest as rejected:
        return rejected.status, rejected.faults


fields = st.sampled_from(
    [
        LATE,
        ON_TIME,
        LATE | {"MES": 13},
        LATE | {"SIGLADES": 'a "},{" b'},
        LATE | {"x": 1},
        7,
    ]
)


@given(
    st.lists(fields, min_size=1, max_size=60),
    st.integers(1, 400),
    st.sampled_from([None, 2]),
)
@settings(deadline=None)
def test_slices_give_what_the_whole_gives(flights, at_once, indent):
    body = json.dumps({"flights": flights}, indent=indent).encode()
    whole = read(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body_module, "SLICE_BYTES", 200)
        assert read(body, at_once) == whole


@pytest.mark.parametrize("broken", [b'{"flights":[', b"]", b"}", b'"', b",,"])
def test_json_that_breaks_in_a_later_slice_is_told_with_its_place(broken):
    flights = b",".join([json.dumps(LATE).encode()] * 3_000)
    body = b'{"flights":[' + flights + broken
    status, [fault] = read(body)
    assert (status, fault.type) == (400, "json_invalid")


def test_the_place_of_broken_json_counts_from_the_start_of_the_body():
    flights = b",".join([json.dumps(LATE).encode()] * 3_000)
    body = b'{"flights":[' + flights + b"] oops"
    _, [fault] = read(body)
    assert f"(byte {body.index(b'oops')})" in fault.msg


def test_positions_of_faults_count_through_all_slices():
    flights = [LATE] * 5_000
    flights[4_321] = LATE | {"MES": 0}
    status, [fault] = read(json.dumps({"flights": flights}).encode())
    assert (status, fault.loc) == (400, ("flights", 4_321, "MES"))


def test_fields_beside_the_flights_are_told_in_a_large_body_too():
    body = json.dumps({"flights": [LATE] * 5_000, "top": 3}).encode()
    status, [fault] = read(body)
    assert (status, fault.loc) == (400, ("top",))


@pytest.mark.parametrize(("flights", "status"), [(2_000, 200), (2_001, 413)])
def test_more_flights_than_allowed_are_413_while_they_arrive(flights, status):
    body = json.dumps({"flights": [LATE] * flights}).encode()
    outcome = read(body, max_flights=2_000)
    if status == 200:
        assert len(outcome) == flights
    else:
        assert outcome[0] == 413
        assert (
            outcome[1][0].msg == "holds more than 2,000 flights; send several requests"
        )


def test_a_body_that_is_too_large_is_not_read_to_its_end():
    asked = 0

    async def receive():
        nonlocal asked
        asked += 1
        return {"type": "http.request", "body": b" " * 1_000, "more_body": True}

    budget = BodyBudget(10_000)
    reader = FlightsReader(MODEL, max_flights=10, max_bytes=10_000, budget=budget)
    with pytest.raises(RejectedRequest) as refused:
        asyncio.run(reader.read(receive))
    assert refused.value.status == 413
    assert asked == 11
    assert budget.free == 10_000


def test_a_large_request_leaves_others_their_turn():
    body = json.dumps({"flights": [LATE, ON_TIME] * 25_000}).encode()
    endpoint = PredictEndpoint(ServiceState(TEST_MODEL, Settings()))

    async def both() -> tuple[bytes, int]:
        turns = 0

        async def other() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        task = asyncio.create_task(other())
        answer = await endpoint.answer(SCOPE, receiver(body))
        task.cancel()
        return answer, turns

    answer, turns = asyncio.run(both())
    assert json.loads(answer) == {"predict": [1, 0] * 25_000}
    # 2.7 MB in slices of 64 KB, and 50,000 answers in parts of 5,000.
    assert turns > 40


def test_limits_are_settings(monkeypatch):
    monkeypatch.setenv("MAX_FLIGHTS", "2")
    monkeypatch.setenv("MAX_BODY_BYTES", "500")
    client = TestClient(create_app(TEST_MODEL))
    for flights, status in (([LATE] * 2, 200), ([LATE] * 3, 413), ([LATE] * 20, 413)):
        response = client.post("/predict", json={"flights": flights})
        assert response.status_code == status
        if status == 413:
            assert response.json()["detail"][0]["type"] in ("too_long", "too_large")


@pytest.mark.parametrize("name", ["MAX_FLIGHTS", "MAX_BODY_BYTES"])
def test_a_limit_that_makes_no_sense_stops_the_start(name, monkeypatch):
    monkeypatch.setenv(name, "0")
    with pytest.raises(SettingsError, match=f"the setting {name}"):
        create_app(TEST_MODEL)


def test_details_add_the_probabilities():
    client = TestClient(create_app(TEST_MODEL))
    asked = {"flights": [LATE, ON_TIME]}
    answer = client.post("/predict?details=true", json=asked).json()
    flights = [MODEL.encoder.rules.read(flight) for flight in (LATE, ON_TIME)]
    expected = probabilities(MODEL, flights)
    assert answer["probability"] == pytest.approx(expected, abs=1e-6)
    assert answer["predict"] == [1, 0]
    assert client.post("/predict?details=false", json=asked).json().keys() == {
        "predict"
    }
    [fault] = client.post("/predict?details=1", json=asked).json()["detail"]
    assert fault["loc"] == ["details"]


def test_the_route_answers_below_a_prefix_as_well():
    """Behind a proxy that leaves its prefix, FastAPI's own routing finds the route."""
    app = create_app(TEST_MODEL)
    client = TestClient(app, root_path="/delays")
    response = client.post("/delays/predict", json={"flights": [LATE]})
    assert (response.status_code, response.json()) == (200, {"predict": [1]})


def test_middleware_that_is_added_applies_to_the_direct_route():
    app = create_app(TEST_MODEL)

    @app.middleware("http")
    async def mark(request, call_next):
        response = await call_next(request)
        response.headers["x-seen"] = request.url.path
        return response

    client = TestClient(app)
    for method, path in (("POST", "/predict"), ("GET", "/health")):
        response = client.request(method, path, json={"flights": [LATE]})
        assert response.status_code == 200
        assert response.headers["x-seen"] == path


@pytest.mark.parametrize(
    ("inside", "kind"),
    [
        (b"[" * 100_000, "json_invalid"),
        (b'"\xff"', "json_invalid"),
        (b'{"OPERA": "' + b"x" * 60_000 + b'"}', "unknown_value"),
        (b'{"OPERA": "' + b"x" * 500_000 + b'"}', "too_long"),
        (b" " * 500_000 + b"7", "object_type"),
    ],
    ids=["nested", "no UTF-8", "long", "too long", "wide"],
)
def test_what_no_slice_can_hold_is_told_like_the_rest(inside, kind):
    flights = b",".join([json.dumps(LATE).encode()] * 3_000)
    status, faults = read(b'{"flights":[' + flights + b"," + inside + b"]}")
    assert status == 400
    assert faults[0].type == kind
