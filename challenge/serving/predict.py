"""POST /predict: flights in, decisions out.

A request without a fault is decoded in one pass. One with a fault is read again value
by value, to list every fault that it has.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from challenge.flights import (
    INPUT_SHOWN,
    OPTIONAL_FIELDS,
    REQUIRED_FIELDS,
    Fault,
    Flight,
    FlightReader,
    shown,
)

router = APIRouter(tags=["predict"])

FLIGHTS: Final = "flights"
FLIGHT_FIELDS: Final = frozenset(REQUIRED_FIELDS + OPTIONAL_FIELDS)


class PredictedFlights(BaseModel):
    """1 for a flight that will be late, else 0, in the order of the flights."""

    predict: list[int]

    model_config = {"json_schema_extra": {"examples": [{"predict": [0]}]}}


class RequestFault(BaseModel):
    """One thing that is wrong with a request: where, what, and what would be right."""

    loc: list[str | int]
    type: str
    msg: str
    input: Any = None


class RequestFaults(BaseModel):
    """Everything that is wrong with a request."""

    detail: list[RequestFault]


_FLIGHT_SCHEMA: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": list(REQUIRED_FIELDS),
    "properties": {
        "OPERA": {
            "type": "string",
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
            "description": "Scheduled local time, in the month that MES says",
        },
    },
}
_BODY: Final = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "additionalProperties": False,
                "required": [FLIGHTS],
                "properties": {
                    FLIGHTS: {"type": "array", "minItems": 1, "items": _FLIGHT_SCHEMA}
                },
            },
            "examples": {
                "three fields": {
                    "value": {
                        FLIGHTS: [{"OPERA": "Grupo LATAM", "TIPOVUELO": "N", "MES": 3}]
                    }
                },
                "all fields": {
                    "value": {
                        FLIGHTS: [
                            {
                                "OPERA": "Grupo LATAM",
                                "TIPOVUELO": "I",
                                "MES": 3,
                                "SIGLADES": "Lima",
                                "Fecha-I": "2017-03-06 08:15:00",
                            }
                        ]
                    }
                },
            },
        }
    },
}


@router.post(
    "/predict",
    openapi_extra={"requestBody": _BODY},
    response_model=PredictedFlights,
    responses={400: {"model": RequestFaults}, 415: {"model": RequestFaults}},
)
async def predict(request: Request) -> Response:
    """Tell for each flight whether it will leave more than 15 minutes late."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if media_type.lower() != "application/json":
        message = f"the media type {shown(media_type)} is not application/json"
        return _refusal([_fault([], "media_type", message)], status=415)
    model = request.app.state.model
    flights, faults = read_request(await request.body(), model.reader)
    if faults:
        return _refusal(faults, status=400)
    decisions = model.decide(model.probabilities(flights))
    return _json({"predict": decisions}, status=200)


def read_request(
    body: bytes, reader: FlightReader
) -> tuple[list[Flight], list[RequestFault]]:
    """The flights of a request, or everything that is wrong with it."""
    try:
        request = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return [], [_fault([], "json_invalid", f"the body is not JSON: {error}")]
    except RecursionError:
        return [], [_fault([], "json_invalid", "the body is nested too deeply")]
    if not isinstance(request, dict):
        message = f'{shown(request)} is not an object like {{"flights": [...]}}'
        return [], [_fault([], "object_type", message, request)]
    faults = [
        _fault([name], "extra_forbidden", "is not a field of a request", value)
        for name, value in request.items()
        if name != FLIGHTS
    ]
    if FLIGHTS not in request:
        return [], [*faults, _fault([FLIGHTS], "missing", "is required")]
    listed = request[FLIGHTS]
    if not isinstance(listed, list):
        message = f"{shown(listed)} is not a list of flights"
        return [], [*faults, _fault([FLIGHTS], "list_type", message, listed)]
    if not listed:
        message = "holds no flight; give at least one"
        return [], [*faults, _fault([FLIGHTS], "too_short", message, listed)]
    flights = []
    for position, item in enumerate(listed):
        outcome = _read_flight(item, reader)
        if isinstance(outcome, Flight):
            flights.append(outcome)
        else:
            faults += [_located(position, fault) for fault in outcome]
    return flights, faults


def _read_flight(item: object, reader: FlightReader) -> Flight | list[Fault]:
    if not isinstance(item, dict):
        return [Fault("", "object_type", f"{shown(item)} is not a flight", item)]
    extra = [
        Fault(name, "extra_forbidden", "is not a field of a flight", value)
        for name, value in item.items()
        if name not in FLIGHT_FIELDS
    ]
    if not extra:
        return reader.read(item)
    known = {name: value for name, value in item.items() if name in FLIGHT_FIELDS}
    outcome = reader.read(known)
    return extra if isinstance(outcome, Flight) else outcome + extra


def _located(position: int, fault: Fault) -> RequestFault:
    field = [fault.field] if fault.field else []
    loc = [FLIGHTS, position, *field]
    return _fault(loc, fault.type, fault.message, fault.input)


def _fault(
    loc: list[Any], kind: str, message: str, given: object = None
) -> RequestFault:
    loc = [name[:INPUT_SHOWN] if isinstance(name, str) else name for name in loc]
    if isinstance(given, str):
        given = given[:INPUT_SHOWN]
    elif isinstance(given, dict | list) or len(repr(given)) > INPUT_SHOWN:
        given = shown(given)
    return RequestFault(loc=loc, type=kind, msg=message, input=given)


def _refusal(faults: list[RequestFault], status: int) -> Response:
    detail = [fault.model_dump() for fault in faults]
    return _json({"detail": detail}, status)


def _json(answer: object, status: int) -> Response:
    return Response(msgspec.json.encode(answer), status, media_type="application/json")
