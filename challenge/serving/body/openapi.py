"""The OpenAPI descriptions of a flight, and of the bodies with flights."""

from __future__ import annotations

from typing import Any, Final

from challenge.flights.fields import (
    AIRLINE,
    FIELDS,
    FLIGHT_TYPE,
    MONTH,
    SCHEDULED,
    Field,
    Kind,
)
from challenge.flights.times import TIME_PATTERN
from challenge.serving.body.structs import DEFAULT_TOP, FLIGHTS_KEY, TOP_KEY

FLIGHT_COMPONENT: Final = "Flight"
_GIVEN_TIME: Final = {"type": "string", "pattern": f"^{TIME_PATTERN}$"}


def flight_schema() -> dict[str, Any]:
    """The shared component that describes a flight."""
    return {
        "type": "object",
        "additionalProperties": False,
        "required": _needed(),
        "anyOf": [
            {"required": [MONTH], "properties": {MONTH: {"type": "integer"}}},
            {"required": [SCHEDULED], "properties": {SCHEDULED: _GIVEN_TIME}},
        ],
        "properties": {field.name: field_schema(field) for field in FIELDS},
    }


def _needed() -> list[str]:
    """The fields that no other one can stand in for."""
    return [one.name for one in FIELDS if one.required and one.name != MONTH]


def field_schema(field: Field) -> dict[str, Any]:
    kind = "integer" if field.kind is Kind.MONTH else "string"
    schema: dict[str, Any] = {
        "type": kind if field.name in _needed() else [kind, "null"],
        "description": field.description,
    }
    if field.kind is Kind.MONTH:
        schema |= {"minimum": 1, "maximum": 12}
    elif field.kind is Kind.TIME:
        schema["pattern"] = f"^({TIME_PATTERN}|\\s*)$"
    elif field.choices:
        schema["enum"] = list(field.choices)
    elif field.required:
        schema["minLength"] = 1
    if field.max_length is not None:
        schema["maxLength"] = field.max_length
    return schema


def _described(properties: dict[str, Any], **examples: Any) -> dict[str, Any]:
    """The OpenAPI description of a body of flights with further properties."""
    flight = {"$ref": f"#/components/schemas/{FLIGHT_COMPONENT}"}
    listed = {"type": "array", "minItems": 1, "items": flight}
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": [FLIGHTS_KEY],
        "properties": {FLIGHTS_KEY: listed, **properties},
    }
    content = {"application/json": {"schema": schema, **examples}}
    return {"required": True, "content": content}


_LATAM: Final = {AIRLINE: "Grupo LATAM", FLIGHT_TYPE: "N", MONTH: 3}
_ALL_FIELDS: Final = {field.name: field.example for field in FIELDS}
BODY: Final = _described(
    {},
    examples={
        "three fields": {"value": {FLIGHTS_KEY: [_LATAM]}},
        "all fields": {"value": {FLIGHTS_KEY: [_ALL_FIELDS]}},
    },
)
RANKED_BODY: Final = _described(
    {
        TOP_KEY: {
            "type": "integer",
            "minimum": 1,
            "default": DEFAULT_TOP,
            "description": "How many flights to return",
        }
    },
    example={
        FLIGHTS_KEY: [_LATAM, _LATAM | {AIRLINE: "Sky Airline", MONTH: 12}],
        TOP_KEY: 1,
    },
)
