"""What the service tells of itself: ids, log lines, metrics, health, drift."""

from __future__ import annotations

import json
import os
import re
import signal

import httpx
import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import strategies as st

from challenge.api import create_app
from challenge.flights.fields import AIRLINE, FLIGHT_TYPE
from challenge.model import DelayModel
from challenge.serving.observability import drift
from challenge.serving.observability.counters import SUM, Counters
from challenge.serving.server.shared_memory import MAX_POST_BYTES, SharedMemory
from tests.api.conftest import FLIGHT, wait_for
from tests.conftest import TEST_MODEL

ON_TIME = {"OPERA": "Aerolineas Argentinas", "TIPOVUELO": "N", "MES": 3}
DURATIONS = "flight_prophet_http_request_duration_seconds"


@pytest.fixture
def client():
    with TestClient(create_app(TEST_MODEL)) as client:
        yield client


def metrics(client: TestClient) -> dict[str, float]:
    lines = client.get("/metrics").text.splitlines()
    pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in pairs}


def test_an_answer_has_the_id_of_its_request(client):
    given_id = client.get("/health", headers={"X-Request-ID": "trace-7:a.b"})
    assert given_id.headers["x-request-id"] == "trace-7:a.b"
    ids = {
        client.post("/predict", json={"flights": [FLIGHT]}).headers["x-request-id"]
        for _ in range(20)
    }
    assert len(ids) == 20


@pytest.mark.parametrize("value", ["", "a b", "x" * 129, 'a","level":"error'])
def test_an_id_that_could_forge_a_log_line_is_replaced(value, client):
    answer = client.get("/health", headers={"X-Request-ID": value})
    assert re.fullmatch(r"[0-9a-f]{12}-[0-9a-f]+", answer.headers["x-request-id"])


@pytest.mark.parametrize(
    ("status", "path", "body"),
    [(200, "/predict", {"flights": [FLIGHT]}), (400, "/predict", {}), (404, "/no", {})],
)
def test_every_answer_forbids_to_guess_its_type(status, path, body, client):
    answer = client.post(path, json=body)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_each_request_is_a_line_of_the_log_and_says_nothing_of_who_and_what(serve):
    server = serve(workers=1)
    server.predict(FLIGHT, ON_TIME)
    httpx.get(f"{server.url}/nothing?secret=1")
    assert server.stop() == 0
    lines = [json.loads(line) for line in server.log.splitlines()]
    requests = [line for line in lines if line["event"] == "request"]
    [asked] = [line for line in requests if line["route"] == "/predict"]
    fingerprint = DelayModel.load(TEST_MODEL).fingerprint
    assert asked["flights"] == 2
    assert (asked["method"], asked["status"], asked["level"]) == ("POST", 200, "info")
    assert asked["model"] == fingerprint[:12]
    assert 0 < asked["ms"] < 10_000
    assert any((r["route"], r["status"]) == ("other", 404) for r in requests)
    for word in ("LATAM", "127.0.0.1", "secret", "nothing"):
        assert word not in json.dumps(requests)
    events = [line["event"] for line in lines]
    assert events[0].startswith("Uvicorn running on http://127.0.0.1:")
    assert [e for e in events if e in ("serving", "draining", "served")] == [
        *("serving", "draining", "served")
    ]


def test_a_log_for_people_is_text(serve):
    server = serve(workers=1, LOG_FORMAT="text")
    server.predict()
    server.stop()
    assert re.search(
        r"^\d\d:\d\d:\d\d REQUEST  POST /predict 200 \S+ ms 1 flights \S+$",
        server.log,
        re.MULTILINE,
    )


def test_the_log_can_do_without_requests(serve):
    server = serve(workers=1, LOG_REQUESTS="false")
    server.predict()
    server.stop()
    assert '"serving"' in server.log
    assert "/predict" not in server.log


def test_metrics_count_requests_flights_and_faults(client):
    client.post("/predict", json={"flights": [FLIGHT, FLIGHT, ON_TIME]})
    client.post("/predict", json={"flights": [FLIGHT | {"OPERA": "Nobody"}]})
    client.post("/predict", content=b"{", headers={"content-type": "application/json"})
    client.get("/wp-login.php")
    found = metrics(client)
    assert found['flight_prophet_flights_predicted_total{outcome="late"}'] == 2
    assert found['flight_prophet_flights_predicted_total{outcome="on_time"}'] == 1
    assert found['flight_prophet_requests_refused_total{reason="unknown_value"}'] == 1
    assert found['flight_prophet_requests_refused_total{reason="json_invalid"}'] == 1
    assert found[DURATIONS + '_count{route="/predict",status="200"}'] == 1
    assert found[DURATIONS + '_count{route="/predict",status="400"}'] == 2
    assert found[DURATIONS + '_count{route="other",status="404"}'] == 1
    assert found["flight_prophet_http_requests_in_flight"] == 1
    fingerprint = DelayModel.load(TEST_MODEL).fingerprint
    assert any(name.startswith("flight_prophet_model_info") for name in found)
    assert any(fingerprint in name for name in found)


def test_a_file_counts_as_its_flights(client):
    text = "OPERA,TIPOVUELO,MES\nGrupo LATAM,I,7\nAerolineas Argentinas,N,3\n"
    answer = client.post(
        "/predict/file", content=text, headers={"content-type": "text/csv"}
    )
    assert answer.status_code == 200
    found = metrics(client)
    assert found['flight_prophet_flights_predicted_total{outcome="late"}'] == 1
    assert found['flight_prophet_flights_predicted_total{outcome="on_time"}'] == 1


def test_metrics_are_those_of_all_workers_also_after_one_died(serve):
    server = serve(workers=2)
    name = DURATIONS + '_count{route="/predict",status="200"}'
    for _ in range(40):
        server.predict()
    wait_for(lambda: server.metric(name) == 40)
    before = server.workers()
    assert server.metric("flight_prophet_worker_starts_total") == 2
    os.kill(min(before), signal.SIGKILL)
    wait_for(lambda: len(server.workers()) == 2 and server.workers() != before)
    wait_for(lambda: server.metric("flight_prophet_worker_starts_total") == 3)
    # Whoever answers, none of the forty is forgotten.
    assert {server.metric(name) for _ in range(10)} == {40}


def test_prometheus_itself_parses_the_metrics(client):
    from prometheus_client.parser import text_string_to_metric_families

    client.post("/predict", json={"flights": [FLIGHT]})
    families = {
        f.name: f for f in text_string_to_metric_families(client.get("/metrics").text)
    }
    samples = families[DURATIONS].samples
    buckets = [
        s.value
        for s in samples
        if s.name.endswith("_bucket") and s.labels["route"] == "/predict"
    ]
    assert buckets == sorted(buckets)
    assert buckets[-1] == 1


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/health/startup"])
def test_health_is_told_to_probes(path, client):
    assert client.get(path).json() == {"status": "OK"}


def test_a_server_that_drains_is_alive_and_not_ready(client):
    client.app.state.service.draining = True
    assert client.get("/health/live").status_code == 200
    refused = client.get("/health/ready")
    assert refused.status_code == 503
    assert refused.json()["detail"][0]["type"] == "draining"


def test_a_server_goes_on_for_the_drain_time(serve):
    server = serve(workers=2, DRAIN_SECONDS="1.5")
    server.process.send_signal(signal.SIGTERM)
    ready = f"{server.url}/health/ready"
    wait_for(lambda: httpx.get(ready).status_code == 503)
    assert server.predict() == [1]
    assert server.process.wait(20) == 0


def test_drift_says_nothing_of_few_flights(client):
    client.post("/predict", json={"flights": [FLIGHT] * 3})
    found = client.get("/drift").json()
    assert found["flights"] == 3
    assert found["predicted_delay_rate"] == 1
    assert found["fields"]["OPERA"]["psi"] is None
    assert found["fields"]["OPERA"]["verdict"] == "too few flights"


def test_drift_tells_which_ways_of_asking_it_counts(client):
    """Each is asked about one flight; together they are all routes that answer flights."""
    body = {"flights": [FLIGHT]}
    tensors = [
        {
            "name": name,
            "shape": [1],
            "datatype": "INT64" if name == "MES" else "BYTES",
            "data": [value],
        }
        for name, value in FLIGHT.items()
    ]
    csv = ",".join(FLIGHT) + "\n" + ",".join(map(str, FLIGHT.values())) + "\n"
    query = {"TIPOVUELO": FLIGHT["TIPOVUELO"]}
    ask = {
        "POST /predict": lambda: client.post("/predict", json=body),
        "POST /rank": lambda: client.post("/rank", json=body),
        "POST /v2/models/delay/infer": lambda: client.post(
            "/v2/models/delay/infer", json={"inputs": tensors}
        ),
        "POST /predict/file": lambda: client.post(
            "/predict/file", content=csv, headers={"content-type": "text/csv"}
        ),
        "POST /explain": lambda: client.post("/explain", json=body),
        "GET /heatmap": lambda: client.get("/heatmap", params=query),
        "GET /flights": lambda: client.get("/flights"),
    }
    found = client.get("/drift").json()
    assert {*found["counted"], *found["not_counted"]} == ask.keys()
    for route, asked in ask.items():
        before = client.get("/drift").json()["flights"]
        assert asked().status_code == 200
        after = client.get("/drift").json()["flights"]
        assert after - before == (route in found["counted"]), route


def training_like_flights(model: DelayModel, count: int) -> list[dict[str, object]]:
    """Flights spread as those that the model learned from."""
    counts = model.counts
    kinds = list(zip(counts.codes.tolist(), counts.flights.tolist(), strict=True))
    kinds.sort(key=lambda kind: hash((*kind[0], kind[1])))
    total = counts.total
    vocabulary, flights, reached = model.vocabulary, [], 0.0
    for (airline, flight_type, month, *_), n in kinds:
        reached += n * count / total
        while len(flights) < reached:
            flights.append(
                {
                    "OPERA": vocabulary[AIRLINE][airline],
                    "TIPOVUELO": vocabulary[FLIGHT_TYPE][flight_type],
                    "MES": month + 1,
                }
            )
    return flights[:count]


def test_flights_like_those_learned_from_are_stable_and_others_are_not(monkeypatch):
    model = DelayModel.load(TEST_MODEL)
    like = training_like_flights(model, 1_000)
    with TestClient(create_app(TEST_MODEL)) as client:
        client.post("/predict", json={"flights": like})
        fields = client.get("/drift").json()["fields"]
        assert fields["OPERA"]["verdict"] == "stable"
        assert fields["TIPOVUELO"]["verdict"] == "stable"
        for _ in range(3):
            client.post("/predict", json={"flights": [FLIGHT] * 1_000})
            fields = client.get("/drift").json()["fields"]
        assert fields["MES"]["verdict"] == "major"
        assert fields["TIPOVUELO"]["psi"] > 0.1
        for _ in range(5):
            client.post("/predict", json={"flights": [FLIGHT | {"OPERA": "Nobody"}]})
        found = client.get("/drift").json()["fields"]["OPERA"]["unknown_share"]
        assert found == pytest.approx(5 / 4_005)


def test_drift_takes_no_more_memory_however_many_flights_there_are(client):
    state = client.app.state.service
    for _ in range(20):
        client.post("/predict", json={"flights": [FLIGHT] * 10_000})
        assert len(state.sampler._sampled) <= drift.SAMPLE_SIZE
    state.tick()
    # One, but at the turn of a slice.
    slices = list(state.counters.window.slices.values())
    assert 1 <= len(slices) <= 2
    for one in slices:
        assert one.flights <= 20 * drift.SAMPLE_SIZE
        assert list(map(len, one.codes)) == [1] * len(drift.DRIFT_FIELDS)


def test_the_oldest_slice_leaves_the_window():
    window = drift.Window()
    for number in range(100):
        window.at(number, "model").flights += 1
    assert len(window.slices) == drift.SLICES
    assert window.sum(99).flights == drift.SLICES
    assert window.sum(99 + drift.SLICES - 1).flights == 1
    assert window.at(100, "another").flights == 0
    assert len(window.slices) == 1


@given(st.lists(st.integers(0, 1_000), min_size=2, max_size=30))
def test_the_index_of_equal_shares_is_nothing_and_never_negative(counts):
    index = drift.population_stability_index
    assert index(counts, counts) == pytest.approx(0)
    assert index(counts, counts[::-1]) >= 0
    assert index(counts, counts[::-1]) == pytest.approx(index(counts[::-1], counts))


def test_the_index_is_that_of_the_textbook():
    # 0.1 ln(0.6 / 0.5) - 0.1 ln(0.4 / 0.5), but for the half cases.
    found = drift.population_stability_index([50_000, 50_000], [60_000, 40_000])
    assert found == pytest.approx(0.040547, abs=1e-5)


def test_chance_alone_rarely_gives_an_index_of_moderate_drift():
    import numpy as np

    generator = np.random.default_rng(0)
    shares = generator.dirichlet(np.ones(23) * 5)
    needed = drift.flights_needed(23, 60_000)
    training = generator.multinomial(60_000, shares)
    found = [
        drift.population_stability_index(
            training.tolist(), generator.multinomial(needed, shares).tolist()
        )
        for _ in range(400)
    ]
    assert 0.005 < np.mean(np.array(found) > drift.MODERATE) < 0.1


@given(st.lists(st.binary(max_size=2_000), max_size=8))
def test_the_shared_memory_holds_what_was_posted_last(posts):
    memory = SharedMemory(2)
    for data in posts:
        memory.post(1, data)
        assert memory.read(1) == data
    assert memory.read(0) is None


def test_the_shared_memory_holds_the_post_before_one_that_was_cut_short():
    memory = SharedMemory(1)
    memory.post(0, b"first")
    memory.post(0, b"second")
    start = memory._start(0, memory._header(0, 0)[0] < memory._header(0, 1)[0])
    memory._posts[start + 16 : start + 18] = b"XX"
    assert memory.read(0) == b"first"
    with pytest.raises(ValueError, match="do not fit"):
        memory.post(0, bytes(MAX_POST_BYTES + 1))


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 100)), max_size=50))
def test_the_sum_of_counters_counts_all(requests):
    one, other, both = Counters(), Counters(), Counters()
    for number, (route, seconds) in enumerate(requests):
        (one if number % 2 else other).add_request(route, 200, seconds)
        both.add_request(route, 200, seconds)
    one.add(other)
    assert one.requests() == both.requests() == len(requests)
    for route, statuses in both.durations.items():
        assert one.durations[route][200] == pytest.approx(statuses[200])
        assert len(statuses[200]) == SUM + 1


def test_counters_of_very_many_names_are_posted_without_their_drift():
    memory = SharedMemory(1)
    counters = Counters()
    counters.flights["late"] = 7
    few = {code: 1 for code in range(4_000)}
    for number in range(24):
        counters.window.at(number, "model").codes[3] = dict(few)
    counters.post(memory, 0)
    posted = Counters().total(memory, 1)
    assert (posted.flights["late"], len(posted.window.slices)) == (7, 24)
    for number in range(24):
        counters.window.at(number, "model").codes[3] = {
            code: 1 for code in range(100_000)
        }
    counters.post(memory, 0)
    posted = Counters().total(memory, 1)
    assert (posted.flights["late"], posted.window.slices) == (7, {})


def test_a_worker_resumes_the_counters_of_the_one_before():
    memory = SharedMemory(1)
    before = Counters(starts=1, in_flight=3)
    before.add_request("/predict", 200, 0.1)
    before.post(memory, 0)
    after = Counters.resume(memory, 0)
    assert (after.starts, after.in_flight, after.requests()) == (2, 0, 1)
