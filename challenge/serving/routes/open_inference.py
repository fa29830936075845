"""The Open Inference Protocol, version 2: the model for clients of MLServer, KServe and
Triton, with tensors in JSON or behind it in binary form.

The protocol is https://github.com/open-inference/open-inference-protocol, its binary
form the extension `binary_tensor_data` of Triton's.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from challenge import __version__
from challenge.flights.faults import shown
from challenge.flights.fields import (
    AIRLINE,
    DESTINATION,
    FLIGHT_NUMBER,
    FLIGHT_TYPE,
    MONTH,
    REQUIRED_FIELDS,
    SCHEDULED,
)
from challenge.serving.json_body import FlightsReader
from challenge.serving.problems import RefusedRequest, RequestFault, request_fault
from challenge.serving.routes.health import STOPPING
from challenge.serving.routes.predict import note_answered, predict_in_turn
from challenge.serving.state import Worker

router = APIRouter(prefix="/v2", tags=["open inference protocol"])
# Apart, for they are always answered.
health = APIRouter(prefix="/v2", tags=["open inference protocol"])

MODEL: Final = "delay"
INPUTS: Final = {
    AIRLINE: "BYTES",
    FLIGHT_TYPE: "BYTES",
    MONTH: "INT64",
    DESTINATION: "BYTES",
    SCHEDULED: "BYTES",
    FLIGHT_NUMBER: "BYTES",
}
OUTPUTS: Final = {"delay": "INT64", "probability": "FP64", FLIGHT_NUMBER: "BYTES"}
# Where the tensors begin that follow the JSON.
JSON_LENGTH: Final = "inference-header-content-length"
FAULTS_TOLD: Final = 20


_INTEGERS: Final = {
    **{"INT8": "b", "INT16": "h", "INT32": "i", "INT64": "q"},
    **{"UINT8": "B", "UINT16": "H", "UINT32": "I", "UINT64": "Q"},
}
_CODES: Final = {"INT64": "q", "FP64": "d"}


class Live(BaseModel):
    live: bool


class Ready(BaseModel):
    ready: bool


class ModelReady(BaseModel):
    name: str
    ready: bool


class ServerMetadata(BaseModel):
    name: str
    version: str
    extensions: list[str]


class TensorMetadata(BaseModel):
    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(BaseModel):
    """The version is the start of the fingerprint of the model's file."""

    name: str
    versions: list[str]
    platform: str
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ProtocolError(BaseModel):
    error: str


class OutputTensor(BaseModel):
    name: str
    datatype: str
    shape: list[int]
    data: list[float] | list[str] | None = None
    parameters: dict[str, Any] | None = None


class Inference(BaseModel):
    model_name: str
    model_version: str
    id: str | None = None
    outputs: list[OutputTensor]


class _Tensor(msgspec.Struct):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class _RequestedOutput(msgspec.Struct):
    name: str
    parameters: dict[str, Any] = {}


class _Request(msgspec.Struct):
    inputs: list[_Tensor]
    id: str | None = None
    outputs: list[_RequestedOutput] | None = None
    parameters: dict[str, Any] = {}


_EXAMPLE: Final = {
    "id": "1",
    "inputs": [
        {"name": AIRLINE, "shape": [1], "datatype": "BYTES", "data": ["Grupo LATAM"]},
        {"name": FLIGHT_TYPE, "shape": [1], "datatype": "BYTES", "data": ["I"]},
        {"name": MONTH, "shape": [1], "datatype": "INT64", "data": [7]},
    ],
}
_TENSOR_SCHEMA: Final = {
    "type": "object",
    "required": ["name", "shape", "datatype"],
    "properties": {
        "name": {"type": "string", "enum": list(INPUTS)},
        "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
        "datatype": {"type": "string"},
        "data": {"type": ["array", "null"], "items": {}},
        "parameters": {"type": "object"},
    },
}
_BODY: Final = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["inputs"],
                "properties": {
                    "id": {"type": ["string", "null"]},
                    "inputs": {"type": "array", "items": _TENSOR_SCHEMA},
                    "outputs": {
                        "type": ["array", "null"],
                        "items": {
                            "type": "object",
                            "required": ["name"],
                            "properties": {
                                "name": {"type": "string", "enum": list(OUTPUTS)},
                                "parameters": {"type": "object"},
                            },
                        },
                    },
                    "parameters": {"type": "object"},
                },
            },
            "example": _EXAMPLE,
        },
        "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
    },
}


@health.get("/health/live")
async def server_live() -> Live:
    """The process runs."""
    return Live(live=True)


@health.get("/health/ready", responses={503: {"model": Ready, "description": STOPPING}})
async def server_ready(request: Request, response: Response) -> Ready:
    """The process may get requests, as GET /health/ready tells."""
    ready = not _worker(request).draining
    response.status_code = 200 if ready else 503
    return Ready(ready=ready)


@router.get("")
async def server_metadata() -> ServerMetadata:
    """What serves."""
    return ServerMetadata(
        name="flight-prophet", version=__version__, extensions=["binary_tensor_data"]
    )


@router.get(f"/models/{MODEL}")
async def model_metadata(request: Request) -> ModelMetadata:
    """What the model takes and gives; SIGLADES, Fecha-I and Vlo-I may be left out, and
    Vlo-I is given back only if it was given."""
    return ModelMetadata(
        name=MODEL,
        versions=[_worker(request).source.name],
        platform="flight-prophet",
        inputs=[
            TensorMetadata(name=name, datatype=kind, shape=[-1])
            for name, kind in INPUTS.items()
        ],
        outputs=[
            TensorMetadata(name=name, datatype=kind, shape=[-1])
            for name, kind in OUTPUTS.items()
        ],
    )


@health.get(
    f"/models/{MODEL}/ready",
    responses={503: {"model": ModelReady, "description": STOPPING}},
)
async def model_ready(request: Request, response: Response) -> ModelReady:
    """The model may be asked."""
    ready = not _worker(request).draining
    response.status_code = 200 if ready else 503
    return ModelReady(name=MODEL, ready=ready)


@router.post(
    f"/models/{MODEL}/infer",
    response_model=Inference,
    responses={
        400: {"model": ProtocolError, "description": "What is wrong with the request"},
        413: {"model": ProtocolError, "description": "More than the server takes"},
    },
    openapi_extra={"requestBody": _BODY},
)
async def infer(request: Request) -> Response:
    """Answer flights: `delay`, 1 or 0, and its `probability`.

    Tensors have the shape [n] or [n, 1]. A flight without a destination or a time has
    an empty text there, or all go without the tensor.
    """
    worker = _worker(request)
    try:
        return await _answer(worker, request)
    except RefusedRequest as refused:
        worker.note_refused(refused.faults)
        told = [_as_text(fault) for fault in refused.faults[:FAULTS_TOLD]]
        if len(refused.faults) > FAULTS_TOLD:
            told.append(f"and {len(refused.faults) - FAULTS_TOLD} more")
        body = msgspec.json.encode({"error": "; ".join(told)})
        return Response(body, refused.status, media_type="application/json")


async def _answer(worker: Worker, request: Request) -> Response:
    model = worker.source.model
    asked, tensors = _parse(await _body(request, worker.settings.max_body_bytes))
    outputs = _requested(asked)
    columns = _columns(asked, tensors)
    reader = FlightsReader(
        model,
        worker.settings.max_flights,
        worker.settings.max_body_bytes,
        keep=worker.recorder is not None,
    )
    flights: list[object] = [
        dict(zip(columns, values, strict=True))
        for values in zip(*columns.values(), strict=True)
    ]
    cells = await reader.read_values(flights)
    probabilities = await predict_in_turn(model, cells)
    decisions = model.decide(probabilities)
    await note_answered(worker, request.scope, model, reader, probabilities, decisions)
    values: dict[str, Sequence[Any]] = {
        "delay": decisions,
        "probability": probabilities,
    }
    if FLIGHT_NUMBER in columns:
        values[FLIGHT_NUMBER] = columns[FLIGHT_NUMBER]
    described: list[dict[str, Any]] = []
    binary = b""
    for name, is_binary in outputs.items():
        if name not in values:
            continue
        output: dict[str, Any] = {
            "name": name,
            "datatype": OUTPUTS[name],
            "shape": [len(cells)],
        }
        if is_binary:
            packed = _packed(OUTPUTS[name], values[name])
            output["parameters"] = {"binary_data_size": len(packed)}
            binary += packed
        else:
            output["data"] = values[name]
        described.append(output)
    answer: dict[str, Any] = {
        "model_name": MODEL,
        "model_version": worker.source.name,
        "outputs": described,
    }
    if asked.id is not None:
        answer["id"] = asked.id
    body = msgspec.json.encode(answer)
    if not binary:
        return Response(body, media_type="application/json")
    headers = {JSON_LENGTH: str(len(body))}
    return Response(body + binary, 200, headers, "application/octet-stream")


def _worker(request: Request) -> Worker:
    worker: Worker = request.app.state.worker
    return worker


async def _body(request: Request, limit: int) -> tuple[bytes, bytes]:
    """The JSON of a request, and what follows it."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            message = f"the body is over {limit:,} bytes"
            raise RefusedRequest(413, request_fault([], "too_large", message))
    length = request.headers.get(JSON_LENGTH)
    if length is None:
        return bytes(body), b""
    if not length.isascii() or not length.isdigit() or int(length) > len(body):
        raise _refused([JSON_LENGTH], f"{shown(length)} is no length within the body")
    return bytes(body[: int(length)]), bytes(body[int(length) :])


def _parse(body: tuple[bytes, bytes]) -> tuple[_Request, bytes]:
    text, tensors = body
    try:
        return msgspec.json.decode(text, type=_Request), tensors
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _refused([], f"the body is no inference request: {error}") from None


def _requested(asked: _Request) -> dict[str, bool]:
    """The outputs that are wanted, and whether in binary form."""
    by_default = asked.parameters.get("binary_data_output") is True
    if not asked.outputs:
        return dict.fromkeys(OUTPUTS, by_default)
    for output in asked.outputs:
        if output.name not in OUTPUTS:
            known = " or ".join(OUTPUTS)
            raise _refused(["outputs"], f"{shown(output.name)} is not {known}")
    return {
        output.name: output.parameters.get("binary_data", by_default) is True
        for output in asked.outputs
    }


def _columns(asked: _Request, tensors: bytes) -> dict[str, list[Any]]:
    """The values of each field, all of one length."""
    columns: dict[str, list[Any]] = {}
    begin = 0
    for tensor in asked.inputs:
        if tensor.name not in INPUTS:
            known = ", ".join(INPUTS)
            raise _refused(["inputs"], f"{shown(tensor.name)} is not one of {known}")
        if tensor.name in columns:
            raise _refused([tensor.name], "is there twice")
        columns[tensor.name], begin = _values(tensor, tensors, begin)
    missing = [name for name in REQUIRED_FIELDS if name not in columns]
    if missing:
        raise RefusedRequest(
            400, *(request_fault([name], "missing", "is required") for name in missing)
        )
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        told = ", ".join(f"{name} {length}" for name, length in lengths.items())
        raise _refused(["inputs"], f"the tensors differ in length: {told}")
    if not next(iter(lengths.values())):
        raise _refused(["inputs"], "hold no flight; give at least one")
    return columns


def _values(tensor: _Tensor, tensors: bytes, begin: int) -> tuple[list[Any], int]:
    """The values of a tensor, and where the next binary one begins."""
    name = tensor.name
    wanted = "BYTES" if INPUTS[name] == "BYTES" else "INT64"
    is_integer = wanted == "INT64" and tensor.datatype in _INTEGERS
    if tensor.datatype != wanted and not is_integer:
        raise _refused([name], f"the datatype {shown(tensor.datatype)} is not {wanted}")
    shape = tensor.shape
    if len(shape) not in (1, 2) or shape[1:] not in ([], [1]) or shape[0] < 0:
        raise _refused([name], f"the shape {shown(shape)} is neither [n] nor [n, 1]")
    size = tensor.parameters.get("binary_data_size")
    if size is None:
        if tensor.data is None:
            raise _refused([name], "has no data")
        nested = tensor.data
        lists = [item if isinstance(item, list) else [item] for item in nested]
        values = list(chain.from_iterable(lists))
    else:
        if type(size) is not int or not 0 <= size <= len(tensors) - begin:
            raise _refused([name], f"{shown(size)} bytes are not there")
        data = tensors[begin : begin + size]
        begin += size
        try:
            if is_integer:
                code = _INTEGERS[tensor.datatype]
                values = [value for (value,) in struct.iter_unpack(f"<{code}", data)]
            else:
                values = list(_texts(data))
        except (struct.error, UnicodeDecodeError) as error:
            raise _refused([name], f"the binary data are damaged: {error}") from None
    if len(values) != shape[0]:
        raise _refused([name], f"{len(values)} values do not fill the shape {shape}")
    return values, begin


def _packed(datatype: str, values: Sequence[Any]) -> bytes:
    if datatype == "BYTES":
        texts = [(value or "").encode() for value in values]
        return b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return struct.pack(f"<{len(values)}{_CODES[datatype]}", *values)


def _texts(data: bytes) -> Iterator[str]:
    """Texts, each behind its length in bytes: four bytes, little-endian."""
    position = 0
    while position < len(data):
        (size,) = struct.unpack_from("<I", data, position)
        position += 4 + size
        if position > len(data):
            raise struct.error("a text reaches beyond the end")
        yield data[position - size : position].decode()


def _refused(loc: list[Any], message: str) -> RefusedRequest:
    return RefusedRequest(400, request_fault(loc, "invalid_inference", message))


def _as_text(fault: RequestFault) -> str:
    """`OPERA[3]: 'X' is not an airline …`: the tensor's name and the position in it."""
    match fault.loc:
        case [str(), int(position), str(field)]:
            return f"{field}[{position}]: {fault.msg}"
        case [str(field)]:
            return f"{field}: {fault.msg}"
    return fault.msg
