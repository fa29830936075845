"""GET /drift: whether the requested flights differ from the training data."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter
from pydantic import BaseModel

from challenge.serving.evidence import evidence_of
from challenge.serving.observability.counters import Counters
from challenge.serving.observability.drift import Slice, drift
from challenge.serving.routes.dependencies import State
from challenge.serving.state import ServiceState

router = APIRouter(tags=["monitoring"])

# All of these hand the flights that they answer to `ServiceState.count_answered`.
COUNTED: Final = ("POST /predict", "POST /rank", "POST /v2/models/delay/infer")
# A file is answered by its engine, which keeps no flights; the others tell more of flights
# that were asked about before, or of those that nobody asked about.
NOT_COUNTED: Final = (
    "POST /predict/file",
    "POST /explain",
    "GET /heatmap",
    "GET /flights",
)


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
    """The flights of the last hours compared with the training data.

    `flights` are those that the routes `counted` were asked about; what the routes
    `not_counted` were asked is not among them.
    """

    model: str
    window_hours: float
    flights: int
    counted: list[str]
    not_counted: list[str]
    predicted_delay_rate: float | None
    training_delay_rate: float
    fields: dict[str, FieldDrift]


@router.get("/drift", name="drift")
async def get_drift(state: State) -> Drift:
    """Return how far the requested flights are from the training data.

    A sample of those that the routes in `counted` were asked about is taken. MES, the
    hour and the weekday follow the calendar: a day differs from a year without anything
    being wrong.
    """
    found = await drift_of(state, state.total())
    return Drift(counted=list(COUNTED), not_counted=list(NOT_COUNTED), **found)


async def drift_of(state: ServiceState, total: Counters) -> dict[str, Any]:
    """The drift that all workers' counters show, for the model that is served."""
    model = state.watcher.model
    evidence = await evidence_of(model)
    counts = evidence.flights if evidence else []
    found = Slice()
    if total.window.model == model.fingerprint:
        found = total.window.sum(state.sampler.number())
    return drift(model, counts, found, state.settings.drift_hours)
