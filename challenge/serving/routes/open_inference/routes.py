"""The Open Inference Protocol, version 2: the model for clients of MLServer, KServe and
Triton, with tensors in JSON or, after the JSON, in binary form.

The protocol is https://github.com/open-inference/open-inference-protocol, its binary
form the extension `binary_tensor_data` of Triton's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response

from challenge.flights.faults import shown
from challenge.flights.fields import FLIGHT_NUMBER
from challenge.serving.body.budget import Held
from challenge.serving.body.whole import read_whole
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.health import STOPPING
from challenge.serving.routes.open_inference.schema import (
    BODY,
    INPUTS,
    OUTPUTS,
    Inference,
    InferenceRequest,
    Live,
    ModelMetadata,
    ModelReady,
    ProtocolError,
    Ready,
    ServerMetadata,
    TensorMetadata,
)
from challenge.serving.routes.open_inference.tensors import (
    columns_of,
    decode_small,
    invalid_inference,
    pack,
)
from challenge.serving.routes.predictions import predict_and_log, reader_of

router = APIRouter(prefix="/v2", tags=["open inference protocol"])
# Separate, because health checks need no key.
health = APIRouter(prefix="/v2", tags=["open inference protocol"])

MODEL: Final = "delay"
# The header with the length of the JSON that binary data follow.
JSON_LENGTH: Final = "inference-header-content-length"
# A request has one for each tensor and its parameters.
MAX_OBJECTS: Final = 1_000


@health.get("/health/live")
async def server_live() -> Live:
    """The process is running."""
    return Live(live=True)


@health.get("/health/ready", responses={503: {"model": Ready, "description": STOPPING}})
async def server_ready(state: State, response: Response) -> Ready:
    """The process is ready for requests, as in GET /health/ready."""
    ready = not state.draining
    response.status_code = 200 if ready else 503
    return Ready(ready=ready)


@router.get("")
async def server_metadata() -> ServerMetadata:
    """The server's name, version and extensions."""
    return ServerMetadata(
        name="flight-prophet",
        version=version("flight-prophet"),
        extensions=["binary_tensor_data"],
    )


@router.get(f"/models/{MODEL}")
async def model_metadata(state: State) -> ModelMetadata:
    """The inputs and outputs of the model. SIGLADES, Fecha-I and Vlo-I are optional, and
    Vlo-I is returned only if it was sent."""
    return ModelMetadata(
        name=MODEL,
        versions=[state.watcher.name],
        platform="flight-prophet",
        inputs=[
            TensorMetadata(name=name, datatype=datatype, shape=[-1])
            for name, datatype in INPUTS.items()
        ],
        outputs=[
            TensorMetadata(name=name, datatype=datatype, shape=[-1])
            for name, datatype in OUTPUTS.items()
        ],
    )


@health.get(
    f"/models/{MODEL}/ready",
    responses={503: {"model": ModelReady, "description": STOPPING}},
)
async def model_ready(state: State, response: Response) -> ModelReady:
    """The model is ready for requests."""
    ready = not state.draining
    response.status_code = 200 if ready else 503
    return ModelReady(name=MODEL, ready=ready)


@router.post(
    f"/models/{MODEL}/infer",
    response_model=Inference,
    responses={
        400: {"model": ProtocolError, "description": "The request is not valid"},
        413: {"model": ProtocolError, "description": "More than the server accepts"},
    },
    openapi_extra={"requestBody": BODY},
)
async def infer(request: Request, state: State) -> Response:
    """Predict flights: `delay`, 1 or 0, and its `probability`.

    Tensors have the shape [n] or [n, 1]. A flight without a destination or a time has
    an empty text there; a tensor that no flight needs may be left out.
    """
    model, settings = state.model, state.settings
    with Held(state.body_budget) as held:
        text, tensors = await _body(request, settings.max_body_bytes, held)
        asked = _parse(text)
        outputs = _requested_outputs(asked)
        columns = columns_of(asked, tensors, settings.max_flights, model.vocabulary)
        reader = reader_of(state, model)
        await reader.read_values(
            dict(zip(columns, values, strict=True))
            for values in zip(*columns.values(), strict=True)
        )
    probabilities, decisions, _ = await predict_and_log(
        state, request.scope, model, reader
    )
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
            "shape": [len(decisions)],
        }
        if is_binary:
            packed = pack(OUTPUTS[name], values[name])
            output["parameters"] = {"binary_data_size": len(packed)}
            binary += packed
        else:
            output["data"] = values[name]
        described.append(output)
    answer: dict[str, Any] = {
        "model_name": MODEL,
        "model_version": model.name,
        "outputs": described,
    }
    if asked.id is not None:
        answer["id"] = asked.id
    body = msgspec.json.encode(answer)
    if not binary:
        return Response(body, media_type="application/json")
    headers = {JSON_LENGTH: str(len(body))}
    return Response(body + binary, 200, headers, "application/octet-stream")


async def _body(request: Request, limit: int, held: Held) -> tuple[bytes, bytes]:
    """The JSON of a request, and the binary data after it."""
    body = await read_whole(request, limit, held)
    length = request.headers.get(JSON_LENGTH)
    if length is None:
        return body, b""
    # No more digits than the longest body has.
    is_length = re.fullmatch("[0-9]{1,18}", length) is not None
    if not is_length or int(length) > len(body):
        raise invalid_inference(
            [JSON_LENGTH], f"{shown(length)} is not a length within the body"
        )
    return body[: int(length)], body[int(length) :]


def _parse(text: bytes) -> InferenceRequest:
    if text.count(b"{") > MAX_OBJECTS:
        raise invalid_inference([], f"the body has more than {MAX_OBJECTS:,} objects")
    try:
        return msgspec.json.decode(text, type=InferenceRequest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        message = f"the body is not an inference request: {error}"
        raise invalid_inference([], message) from None


def _requested_outputs(asked: InferenceRequest) -> dict[str, bool]:
    """The requested outputs, and whether in binary form."""
    parameters = decode_small(asked.parameters, dict[str, Any], ["parameters"])
    by_default = parameters.get("binary_data_output") is True
    if not asked.outputs:
        return dict.fromkeys(OUTPUTS, by_default)
    for output in asked.outputs:
        if output.name not in OUTPUTS:
            known = " or ".join(OUTPUTS)
            raise invalid_inference(["outputs"], f"{shown(output.name)} is not {known}")
    return {
        output.name: decode_small(
            output.parameters, dict[str, Any], ["outputs", output.name]
        ).get("binary_data", by_default)
        is True
        for output in asked.outputs
    }
