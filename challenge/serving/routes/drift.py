"""GET /drift: whether the requested flights differ from the training data."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from challenge.serving.observability.counters import Counters
from challenge.serving.observability.drift import Slice, drift
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.predictions import evidence_of
from challenge.serving.state import ServiceState

router = APIRouter(tags=["monitoring"])


class FieldDrift(BaseModel):
    """How far a field of the requested flights is from the training data.

    `psi` is the population stability index, null until there are `flights_needed`;
    below 0.1 is stable, from 0.25 on a major change.
    """

    flights: int
    flights_needed: int
    psi: float | None
    verdict: str
    unknown_share: float


class Drift(BaseModel):
    """The flights of the last hours compared with the training data."""

    model: str
    window_hours: float
    flights: int
    predicted_delay_rate: float | None
    training_delay_rate: float
    fields: dict[str, FieldDrift]


@router.get("/drift", name="drift")
async def get_drift(state: State) -> Drift:
    """Return how far the requested flights are from the training data.

    A sample of them is counted. MES, the hour and the weekday follow the calendar:
    a day differs from a year without anything being wrong.
    """
    return Drift(**await drift_of(state, state.total()))


async def drift_of(state: ServiceState, total: Counters) -> dict[str, Any]:
    """The drift that all workers' counters show, for the model that is served."""
    model = state.watcher.model
    evidence = await evidence_of(model)
    counts = evidence.flights if evidence else []
    found = Slice()
    if total.window.model == model.fingerprint:
        found = total.window.sum(state.sampler.number())
    return drift(model, counts, found, state.settings.drift_hours)
