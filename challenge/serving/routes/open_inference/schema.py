"""The messages of the Open Inference Protocol, and how OpenAPI describes them."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from pydantic import BaseModel

from challenge.flights.fields import (
    AIRLINE,
    FIELDS,
    FLIGHT_NUMBER,
    FLIGHT_TYPE,
    MONTH,
    Kind,
)

INPUTS: Final = {
    field.name: "INT64" if field.kind is Kind.MONTH else "BYTES" for field in FIELDS
}
OUTPUTS: Final = {"delay": "INT64", "probability": "FP64", FLIGHT_NUMBER: "BYTES"}


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


# What may be of any size is left as text, and decoded once its size is known.
_NOTHING: Final = msgspec.Raw(b"{}")


class InputTensor(msgspec.Struct):
    name: str
    shape: msgspec.Raw
    datatype: str
    data: msgspec.Raw = msgspec.Raw(b"null")
    parameters: msgspec.Raw = _NOTHING


class RequestedOutput(msgspec.Struct):
    name: str
    parameters: msgspec.Raw = _NOTHING


class InferenceRequest(msgspec.Struct):
    inputs: list[InputTensor]
    id: str | None = None
    outputs: list[RequestedOutput] | None = None
    parameters: msgspec.Raw = _NOTHING


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
BODY: Final = {
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
