"""The OpenAPI descriptions of the bodies with flights."""

from __future__ import annotations

from typing import Any, Final

from challenge.flights.fields import FLIGHT_NUMBER_LENGTH, REQUIRED_FIELDS
from challenge.flights.times import TIME_PATTERN
from challenge.serving.body.structs import DEFAULT_TOP, FLIGHTS_KEY, TOP_KEY

_FLIGHT_SCHEMA: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": list(REQUIRED_FIELDS),
    "properties": {
        "OPERA": {
            "type": "string",
            "minLength": 1,
            "description": "The airline, as the model knows it",
        },
        "TIPOVUELO": {
            "type": "string",
            "enum": ["I", "N"],
            "description": "International or national",
        },
        "MES": {"type": "integer", "minimum": 1, "maximum": 12},
        "SIGLADES": {
            "type": ["string", "null"],
            "description": "The destination's city, as the model knows it",
        },
        "Fecha-I": {
            "type": ["string", "null"],
            "pattern": f"^({TIME_PATTERN})?$",
            "description": "Scheduled local time, in the month MES",
        },
        "Vlo-I": {
            "type": ["string", "null"],
            "maxLength": FLIGHT_NUMBER_LENGTH,
            "description": "The flight's number: returned with the answer, and logged",
        },
    },
}


def _described(properties: dict[str, Any], **examples: Any) -> dict[str, Any]:
    """The OpenAPI description of a body of flights with further properties."""
    listed = {"type": "array", "minItems": 1, "items": _FLIGHT_SCHEMA}
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": [FLIGHTS_KEY],
        "properties": {FLIGHTS_KEY: listed, **properties},
    }
    content = {"application/json": {"schema": schema, **examples}}
    return {"required": True, "content": content}


BODY: Final = _described(
    {},
    examples={
        "three fields": {
            "value": {
                FLIGHTS_KEY: [{"OPERA": "Grupo LATAM", "TIPOVUELO": "N", "MES": 3}]
            }
        },
        "all fields": {
            "value": {
                FLIGHTS_KEY: [
                    {
                        "OPERA": "Grupo LATAM",
                        "TIPOVUELO": "I",
                        "MES": 3,
                        "SIGLADES": "Lima",
                        "Fecha-I": "2017-03-06 08:15:00",
                        "Vlo-I": "LA530",
                    }
                ]
            }
        },
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
        FLIGHTS_KEY: [
            {"OPERA": "Grupo LATAM", "TIPOVUELO": "N", "MES": 3},
            {"OPERA": "Sky Airline", "TIPOVUELO": "N", "MES": 12},
        ],
        TOP_KEY: 1,
    },
)
