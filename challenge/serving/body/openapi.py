"""The OpenAPI descriptions of a flight, and of the bodies with flights.

What depends on the model, as examples of flights that it knows, is added once there is one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from challenge.flights.fields import (
    AIRCRAFT,
    AIRLINE,
    ARRIVED,
    CANCELLED,
    CATEGORIES,
    DEPARTED,
    DUE,
    EXPECTED,
    FIELD_OF,
    FIELDS,
    FLIGHT_NUMBER,
    FLIGHT_TYPE,
    MONTH,
    ORIGIN,
    SCHEDULED,
    Field,
    Kind,
)
from challenge.flights.times import OFFSET_PATTERN, TIME_PATTERN
from challenge.model import DelayModel
from challenge.serving.body.structs import DEFAULT_TOP, FLIGHTS_KEY, TOP_KEY

FLIGHT_COMPONENT: Final = "Flight"
INFER: Final = "/v2/models/delay/infer"
_ORIGINS_NAMED: Final = 3


def describe_model(schema: dict[str, Any], model: DelayModel) -> None:
    """Add what depends on a model to the OpenAPI description of the service."""
    schema["info"]["summary"] = _summary(model.vocabulary[ORIGIN])
    schema["components"]["schemas"][FLIGHT_COMPONENT] = flight_schema(model)
    schema["components"]["schemas"][MESSAGE_FLIGHT] = _message_flight_schema(model)
    flight = example_flight(model)
    needed = {name: flight[name] for name in (*_needed(model), MONTH)}
    for path in ("/predict", "/explain", "/rank"):
        _json_body(schema, path)["examples"] = {
            "required fields": {"value": {FLIGHTS_KEY: [needed]}},
            "all that the model looks at": {"value": {FLIGHTS_KEY: [flight]}},
        }
    _json_body(schema, "/flights")["examples"] = _messages(flight)
    for tensor in _json_body(schema, INFER)["example"]["inputs"]:
        tensor["data"] = [flight[tensor["name"]]]
    for parameter in _parameters(schema):
        if parameter["name"] == FLIGHT_TYPE:
            parameter["required"] = FLIGHT_TYPE in _needed(model)


def example_flight(model: DelayModel) -> dict[str, Any]:
    """A flight that the model knows, with all that it looks at."""
    flight: dict[str, Any] = {
        field.name: model.vocabulary[field.name][0]
        for field in CATEGORIES
        if model.vocabulary[field.name]
    }
    flight[MONTH] = 3
    if model.card.known:
        # One that was flown, rather than a combination of names.
        flight |= model.card.known[0].flight
    return flight


def flight_schema(model: DelayModel) -> dict[str, Any]:
    """The shared component that describes a flight."""
    time = TIME_PATTERN
    if model.encoder.rules.time_zones:
        time += f"{OFFSET_PATTERN}?"
    given_time = {"type": "string", "pattern": f"^{time}$"}
    needed = _needed(model)
    properties = {field.name: field_schema(field) for field in FIELDS}
    properties[SCHEDULED]["pattern"] = f"^({time}|\\s*)$"
    for name in needed:
        properties[name]["type"] = "string"
    return {
        "type": "object",
        "additionalProperties": False,
        "required": needed,
        "anyOf": [
            {"required": [MONTH], "properties": {MONTH: {"type": "integer"}}},
            {"required": [SCHEDULED], "properties": {SCHEDULED: given_time}},
        ],
        "properties": properties,
    }


def _message_flight_schema(model: DelayModel) -> dict[str, Any]:
    """The component that describes a flight as messages tell it."""
    properties = flight_schema(model)["properties"]
    needed = [AIRLINE, SCHEDULED]
    if len(model.vocabulary[ORIGIN]) > 1:
        needed.append(ORIGIN)
    for name, described in properties.items():
        described.pop("enum", None)
        if name not in needed:
            kind = "integer" if name == MONTH else "string"
            described["type"] = [kind, "null"]
    time = {"type": ["string", "null"], "pattern": f"^({TIME_PATTERN}|\\s*)$"}
    properties[DEPARTED] = time | {
        "description": "When it left, by the clock of the airport; once it has"
    }
    properties[CANCELLED] = {
        "type": ["boolean", "null"],
        "description": "Whether it was cancelled",
    }
    return {
        "type": "object",
        "additionalProperties": False,
        "required": needed,
        "properties": properties,
    }


def _messages(flight: dict[str, Any]) -> dict[str, Any]:
    """Examples of messages about a flight."""
    given = {name: value for name, value in flight.items() if name != MONTH}
    given |= {SCHEDULED: FIELD_OF[SCHEDULED].example, FLIGHT_NUMBER: "LA530"}
    key = {AIRLINE: given[AIRLINE], SCHEDULED: given[SCHEDULED], FLIGHT_NUMBER: "LA530"}
    if ORIGIN in given:
        key[ORIGIN] = given[ORIGIN]
    times = {one: FIELD_OF[one].example for one in (AIRCRAFT, DUE, EXPECTED)}
    messages = {
        "a flight of today": [given | times],
        "its aircraft has come": [key | {ARRIVED: FIELD_OF[ARRIVED].example}],
        "it has left": [key | {DEPARTED: "2017-03-06 08:41:00"}],
        "it is cancelled": [key | {CANCELLED: True}],
        "nothing is new": [],
    }
    return {
        name: {"value": {"at": "2017-03-06 08:45", FLIGHTS_KEY: flights}}
        for name, flights in messages.items()
    }


def field_schema(field: Field) -> dict[str, Any]:
    """A field of a flight, whatever the model."""
    kind = "integer" if field.kind is Kind.MONTH else "string"
    schema: dict[str, Any] = {
        "type": [kind, "null"] if field.may_be_left_out else kind,
        "description": field.description,
    }
    if field.kind is Kind.MONTH:
        schema |= {"minimum": 1, "maximum": 12}
    elif field.kind in (Kind.TIME, Kind.MOMENT):
        schema["pattern"] = f"^({TIME_PATTERN}|\\s*)$"
    elif field.choices:
        schema["enum"] = list(field.choices)
    elif field.required:
        schema["minLength"] = 1
    if field.max_length is not None:
        schema["maxLength"] = field.max_length
    return schema


def _json_body(schema: dict[str, Any], path: str) -> dict[str, Any]:
    body: dict[str, Any] = schema["paths"][path]["post"]["requestBody"]
    described: dict[str, Any] = body["content"]["application/json"]
    return described


def _needed(model: DelayModel) -> list[str]:
    """The fields that nothing can stand in for."""
    return [
        field.name
        for field in FIELDS
        if field.required
        and field.name != MONTH
        and not model.vocabulary.implies(field)
    ]


def _summary(origins: tuple[str, ...]) -> str:
    if not origins:
        return "Will a flight be late?"
    if len(origins) > _ORIGINS_NAMED:
        return f"Will a flight leaving one of {len(origins)} airports be late?"
    return f"Will a flight leaving {' or '.join(origins)} be late?"


def _parameters(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for operations in schema["paths"].values():
        for operation in operations.values():
            yield from operation.get("parameters", ())


def _described(properties: dict[str, Any]) -> dict[str, Any]:
    """The OpenAPI description of a body of flights with further properties."""
    flight = {"$ref": f"#/components/schemas/{FLIGHT_COMPONENT}"}
    listed = {"type": "array", "minItems": 1, "items": flight}
    schema = {
        "type": "object",
        "additionalProperties": False,
        "required": [FLIGHTS_KEY],
        "properties": {FLIGHTS_KEY: listed, **properties},
    }
    return {"required": True, "content": {"application/json": {"schema": schema}}}


BODY: Final = _described({})
MESSAGE_FLIGHT: Final = "FlightAsKnown"
MESSAGE_BODY: Final = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "at": {
                        "type": ["string", "null"],
                        "pattern": f"^{TIME_PATTERN}({OFFSET_PATTERN})?$",
                        "description": "The moment up to which the message knows, a "
                        "local time or one with an offset from UTC; now by default",
                    },
                    FLIGHTS_KEY: {
                        "type": ["array", "null"],
                        "items": {"$ref": f"#/components/schemas/{MESSAGE_FLIGHT}"},
                    },
                },
            }
        }
    },
}
RANKED_BODY: Final = _described(
    {
        TOP_KEY: {
            "type": "integer",
            "minimum": 1,
            "default": DEFAULT_TOP,
            "description": "How many flights to return",
        }
    }
)
