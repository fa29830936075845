"""The Open Inference Protocol, as tritonclient and clients of MLServer and KServe speak
it, against a real server."""

from __future__ import annotations

import struct

import httpx
import numpy as np
import pytest
from tritonclient import http as triton
from tritonclient.utils import InferenceServerException

from tests.api.conftest import Server

FLIGHTS = [
    {"OPERA": "Grupo LATAM", "TIPOVUELO": "I", "MES": 7},
    {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 12, "SIGLADES": "Calama"},
    {
        "OPERA": "Copa Air",
        "TIPOVUELO": "I",
        "MES": 3,
        "SIGLADES": "Ciudad de Panama",
        "Fecha-I": "2017-03-06 08:15:00",
    },
]
KINDS = {
    "OPERA": "BYTES",
    "TIPOVUELO": "BYTES",
    "MES": "INT64",
    "SIGLAORI": "BYTES",
    "SIGLADES": "BYTES",
    "Fecha-I": "BYTES",
}


@pytest.fixture(scope="module")
def server(schedule_model, tmp_path_factory):
    log = tmp_path_factory.mktemp("open_inference") / "server.log"
    server = Server(schedule_model, 1, log, {})
    yield server
    server.end()
    assert "Traceback" not in server.log


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client


@pytest.fixture(scope="module")
def expected(server):
    asked = {"flights": FLIGHTS}
    return httpx.post(f"{server.url}/predict?details=true", json=asked).json()


def tensors(binary=True, column=False):
    made = []
    for name, kind in KINDS.items():
        values = [flight.get(name, "") for flight in FLIGHTS]
        array = np.array(values, dtype=np.int64 if kind == "INT64" else np.object_)
        array = array.reshape(-1, 1) if column else array
        tensor = triton.InferInput(name, array.shape, kind)
        tensor.set_data_from_numpy(array, binary_data=binary)
        made.append(tensor)
    return made


def as_json(**changed):
    """A request with the required fields, in JSON."""
    inputs = [
        {
            "name": name,
            "shape": [len(FLIGHTS)],
            "datatype": KINDS[name],
            "data": [flight[name] for flight in FLIGHTS],
        }
        | changed.get(name, {})
        for name in ("OPERA", "TIPOVUELO", "MES")
    ]
    return {"inputs": inputs}


def test_a_client_finds_the_server_and_its_model(client, server):
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("delay")
    assert client.get_server_metadata()["name"] == "flight-prophet"
    metadata = client.get_model_metadata("delay")
    assert {tensor["name"]: tensor["datatype"] for tensor in metadata["inputs"]} == (
        KINDS
        | {"Vlo-I": "BYTES", "MATRICULA": "BYTES"}
        | dict.fromkeys(("Llegada-I", "Llegada-E", "Llegada-O"), "BYTES")
    )
    fingerprint = httpx.get(f"{server.url}/model").json()["fingerprint"]
    assert metadata["versions"] == [fingerprint[:12]]


@pytest.mark.parametrize("binary", [False, True], ids=["JSON", "binary"])
def test_flight_numbers_are_given_back(binary, client):
    numbers = np.array(["LA530", "", "CM112 ✈"], dtype=np.object_)
    tensor = triton.InferInput("Vlo-I", numbers.shape, "BYTES")
    tensor.set_data_from_numpy(numbers, binary_data=binary)
    output = triton.InferRequestedOutput("Vlo-I", binary_data=binary)
    answer = client.infer("delay", [*tensors(binary), tensor], outputs=[output])
    given_back = answer.as_numpy("Vlo-I").tolist()
    # In JSON they are texts, in binary form bytes.
    texts = [one.decode() if isinstance(one, bytes) else one for one in given_back]
    assert texts == numbers.tolist()


@pytest.mark.parametrize("column", [False, True], ids=["[n]", "[n, 1]"])
@pytest.mark.parametrize("binary_in", [False, True], ids=["JSON", "binary"])
@pytest.mark.parametrize("binary_out", [False, True], ids=["JSON", "binary"])
def test_it_answers_as_predict_does(column, binary_in, binary_out, client, expected):
    outputs = [
        triton.InferRequestedOutput(name, binary_data=binary_out)
        for name in ("probability", "delay")
    ]
    answer = client.infer(
        "delay", tensors(binary_in, column), outputs=outputs, request_id="seven"
    )
    assert answer.get_response()["id"] == "seven"
    assert answer.as_numpy("delay").tolist() == expected["predict"]
    assert answer.as_numpy("probability") == pytest.approx(
        expected["probability"], abs=1e-6
    )
    assert len(set(expected["probability"])) == len(FLIGHTS)


def test_without_a_choice_both_outputs_come_as_the_client_likes_them(client, expected):
    answer = client.infer("delay", tensors())
    assert answer.as_numpy("delay").tolist() == expected["predict"]
    assert answer.as_numpy("probability").shape == (len(FLIGHTS),)


def test_nothing_but_json_is_needed(server, expected):
    answer = httpx.post(f"{server.url}/v2/models/delay/infer", json=as_json())
    outputs = {output["name"]: output for output in answer.json()["outputs"]}
    assert outputs["delay"]["datatype"] == "INT64"
    assert outputs["delay"]["data"][0] == expected["predict"][0]
    assert outputs["probability"]["shape"] == [len(FLIGHTS)]


def test_faults_are_those_of_predict_with_the_tensor_and_the_position(client):
    wrong = triton.InferInput("OPERA", [3], "BYTES")
    wrong.set_data_from_numpy(np.array(["Latam", "Copa Air", ""], dtype=np.object_))
    _, *others = tensors()
    with pytest.raises(InferenceServerException) as refused:
        client.infer("delay", [wrong, *others])
    message = refused.value.message()
    assert "OPERA[0]: 'Latam' is not an airline that the model knows" in message
    assert "OPERA[2]: is required" in message


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"OPERA": {"datatype": "FP32"}}, "OPERA: the datatype 'FP32' is not BYTES"),
        ({"MES": {"datatype": "FP32"}}, "MES: the datatype 'FP32' is not INT64"),
        ({"MES": {"shape": [2]}}, "MES: 3 values do not fill the shape [2]"),
        ({"MES": {"shape": [1, 3]}}, "MES: the shape [1, 3] is neither [n] nor [n, 1]"),
        ({"MES": {"data": None}}, "MES: has no data"),
        ({"MES": {"name": "MONTH"}}, "'MONTH' is not one of OPERA, TIPOVUELO, MES"),
        ({"MES": {"name": "OPERA", "datatype": "BYTES"}}, "OPERA: is given twice"),
        ({"MES": {"name": "SIGLADES", "datatype": "BYTES"}}, "MES: is required"),
        ({"MES": {"shape": [1], "data": [7]}}, "the tensors differ in length"),
        ({"MES": {"data": [7, 7, 7.5]}}, "MES[2]: 7.5 is not a whole number"),
        ({"MES": {"data": [7, True, 7]}}, "MES[1]: True is not a whole number"),
        (
            {
                name: {"shape": [0], "data": []}
                for name in ("OPERA", "TIPOVUELO", "MES")
            },
            "hold no flight",
        ),
        (
            {"MES": {"data": None, "parameters": {"binary_data_size": 24}}},
            "MES: 24 bytes are not in the body",
        ),
    ],
)
def test_what_is_no_inference_of_flights_is_told(changed, message, server):
    answer = httpx.post(f"{server.url}/v2/models/delay/infer", json=as_json(**changed))
    assert answer.status_code == 400
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    ("body", "headers", "message"),
    [
        (b"", {}, "the body is not an inference request"),
        (b"[]", {}, "the body is not an inference request"),
        (b'{"inputs":[]}', {}, "OPERA: is required"),
        (b"{}", {"Inference-Header-Content-Length": "9"}, "'9' is not a length within"),
        (
            b"{}",
            {"Inference-Header-Content-Length": "-1"},
            "'-1' is not a length within",
        ),
    ],
)
def test_a_body_that_is_no_request_is_refused(body, headers, message, server):
    address = f"{server.url}/v2/models/delay/infer"
    answer = httpx.post(address, content=body, headers=headers)
    assert answer.status_code == 400
    assert message in answer.json()["error"]


@pytest.mark.parametrize(
    "data",
    [struct.pack("<I", 9) + b"Sky", b"\x01", struct.pack("<I", 1) + b"\xff"],
    ids=["cut", "no length", "no UTF-8"],
)
def test_damaged_binary_tensors_are_refused(data, server):
    tensor = {"name": "OPERA", "shape": [1], "datatype": "BYTES"}
    tensor["parameters"] = {"binary_data_size": len(data)}
    text = httpx.Request("POST", "http://x", json={"inputs": [tensor]}).content
    answer = httpx.post(
        f"{server.url}/v2/models/delay/infer",
        content=text + data,
        headers={"Inference-Header-Content-Length": str(len(text))},
    )
    assert answer.status_code == 400
    assert "OPERA: the binary data is damaged" in answer.json()["error"]


def test_an_unknown_output_is_refused(server):
    asked = as_json() | {"outputs": [{"name": "minutes"}]}
    answer = httpx.post(f"{server.url}/v2/models/delay/infer", json=asked)
    assert answer.status_code == 400
    assert "'minutes' is not delay or probability" in answer.json()["error"]


def test_too_many_flights_are_refused(serve, schedule_model):
    server = serve(schedule_model, workers=1, MAX_FLIGHTS="2")
    answer = httpx.post(f"{server.url}/v2/models/delay/infer", json=as_json())
    assert answer.status_code == 413
    assert "more than 2 flights" in answer.json()["error"]


def test_flights_are_counted_as_those_of_predict(serve, schedule_model):
    server = serve(schedule_model, workers=1)
    httpx.post(f"{server.url}/v2/models/delay/infer", json=as_json())
    late = server.metric('flight_prophet_flights_predicted_total{outcome="late"}')
    early = server.metric('flight_prophet_flights_predicted_total{outcome="on_time"}')
    assert late + early == len(FLIGHTS)


def test_health_needs_no_key(serve, schedule_model):
    server = serve(schedule_model, workers=1, API_KEYS="a:" + 64 * "0")
    for path in ("health/live", "health/ready", "models/delay/ready"):
        assert httpx.get(f"{server.url}/v2/{path}").status_code == 200
    assert httpx.get(f"{server.url}/v2/models/delay").status_code == 401
