"""GET /model: the model that is served, and the values that it knows."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec
from fastapi import APIRouter, Response
from pydantic import BaseModel

from challenge.explain.evidence import Evidence
from challenge.flights.fields import (
    DESTINATION,
    FIELDS,
    FLIGHT_TYPE,
    MONTHS,
    Kind,
    code_of,
)
from challenge.flights.vocabulary import Vocabulary
from challenge.serving.evidence import evidence_of
from challenge.serving.routes.dependencies import State

router = APIRouter(tags=["model"])

_FIELDS: Final = [
    {
        "name": field.name,
        "kind": field.kind.value,
        "required": field.required,
        "description": field.description,
    }
    for field in FIELDS
]


class PastFlights(BaseModel):
    """The number of training flights, and the share of late ones; null if unknown."""

    flights: int | None
    delay_rate: float | None


class PastFlightsTo(PastFlights):
    """Those to a destination, also by their type; null if unknown."""

    types: dict[str, int] | None


class DescribedField(BaseModel):
    """A field of a flight: its name, what its values are, and whether it is required."""

    name: str
    kind: Literal["category", "month", "time", "text", "moment"]
    required: bool
    description: str


class KnownFlights(BaseModel):
    """What is known of today's flights: see GET /flights.

    `durable` says whether it outlives the server, and `store` is `ok`, or why what POST
    /flights tells cannot be kept at this time.
    """

    clock: str | None
    heard: str | None
    stale_since: str | None
    state: str
    flights: int
    durable: bool
    store: str


class DescribedModel(BaseModel):
    """The model's card, the SHA-256 of its file, the fields of a flight, the values that
    it knows, the time zones of the origins, and what is known of today's flights.

    `workers` is the number of the server's processes that serve each model, by the start
    of its fingerprint. They may differ for some seconds after a model was replaced.
    """

    fingerprint: str
    workers: dict[str, int]
    card: dict[str, Any]
    fields: list[DescribedField]
    values: dict[str, dict[str, PastFlightsTo | PastFlights]]
    time_zones: dict[str, str]
    live: KnownFlights


@router.get("/model", name="model", response_model=DescribedModel)
async def get_model(state: State) -> Response:
    """Return the model's card, with its metrics and its data, and the values that each
    field may have, with the past flights that had them."""
    served = state.watcher.model
    evidence = await evidence_of(served)
    body = {
        "fingerprint": served.fingerprint,
        "workers": state.total().models,
        "card": served.card,
        "fields": _FIELDS,
        "values": _values(served.vocabulary, evidence),
        "time_zones": {
            name: zone.key for name, zone in served.encoder.rules.time_zones.items()
        },
        "live": {
            **state.told_times(),
            "state": state.live.name,
            "flights": len(state.live.state.flights),
            "durable": state.settings.live_store is not None,
            "store": state.live.problem or "ok",
        },
    }
    return Response(msgspec.json.encode(body), media_type="application/json")


def _values(
    vocabulary: Vocabulary, evidence: Evidence | None
) -> dict[str, dict[str, dict[str, Any]]]:
    described: dict[str, dict[str, dict[str, Any]]] = {}
    for field in FIELDS:
        if field.kind is Kind.CATEGORY:
            names = vocabulary[field.name]
        elif field.kind is Kind.MONTH:
            names = tuple(map(str, MONTHS))
        else:
            continue
        position = code_of(field)
        of_field = described[field.name] = {}
        for code, name in enumerate(names):
            flights = evidence.flights[position][code] if evidence else None
            late = evidence.late[position][code] if evidence else 0
            rate = late / flights if flights else None
            of_field[name] = {"flights": flights, "delay_rate": rate}
            if field.name == DESTINATION:
                of_field[name]["types"] = _types(vocabulary, evidence, code)
    return described


def _types(
    vocabulary: Vocabulary, evidence: Evidence | None, destination: int
) -> dict[str, int] | None:
    """How many past flights of each type went to a destination."""
    if evidence is None:
        return None
    counts = evidence.by_destination[destination]
    return dict(zip(vocabulary[FLIGHT_TYPE], counts, strict=True))
