"""GET /metrics for Prometheus, and GET /drift: of all workers, whichever answers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from challenge.serving.observability.counters import BUCKETS, SUM, Tally
from challenge.serving.observability.drift import Part, drift
from challenge.serving.state import Worker

if TYPE_CHECKING:
    from prometheus_client import Metric

router = APIRouter(tags=["monitoring"])
# Apart, for it has a setting of its own for who may ask.
metrics = APIRouter(tags=["monitoring"])

PREFIX: Final = "flight_prophet_"


class FieldDrift(BaseModel):
    """How far a field of the flights that were asked about is from the training data.

    `psi` is the population stability index, null until there are `flights_needed`;
    below 0.1 is stable, from 0.25 on a major change.
    """

    flights: int
    flights_needed: int
    psi: float | None
    verdict: str
    unknown_share: float


class Drift(BaseModel):
    """The flights of the last hours beside those that the model learned from."""

    model: str
    window_hours: float
    flights: int
    predicted_delay_rate: float | None
    training_delay_rate: float
    fields: dict[str, FieldDrift]


@router.get("/drift", name="drift")
async def get_drift(request: Request) -> Drift:
    """Tell whether the flights asked about are still like those learned from.

    A sample of them is counted. MES, the hour and the weekday follow the calendar:
    a day differs from a year without anything being wrong.
    """
    worker: Worker = request.app.state.worker
    found = _window(worker, worker.total())
    return Drift(**await _drift(worker, found))


@metrics.get(
    "/metrics",
    name="metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(request: Request) -> Response:
    """The counts of all workers, in Prometheus's text format."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
    from prometheus_client.exposition import generate_latest

    worker: Worker = request.app.state.worker
    total = worker.total()
    drifted = await _drift(worker, _window(worker, total))

    class Collector:
        def collect(self) -> Iterator[Metric]:
            yield from _metrics(worker, total, drifted)

    registry = CollectorRegistry()
    registry.register(Collector())
    return Response(
        generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST}
    )


def _window(worker: Worker, total: Tally) -> Part:
    if total.window.model != worker.source.model.fingerprint:
        return Part()
    return total.window.sum(worker.sampler.number())


async def _drift(worker: Worker, found: Part) -> dict[str, Any]:
    model = worker.source.model
    evidence = await asyncio.to_thread(lambda: model.evidence)
    counts = evidence.flights if evidence else []
    return drift(model, counts, found, worker.settings.drift_hours)


def _metrics(worker: Worker, total: Tally, drifted: dict[str, Any]) -> Iterator[Metric]:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
        InfoMetricFamily,
    )

    durations = HistogramMetricFamily(
        PREFIX + "http_request_duration_seconds",
        "From a request's arrival to the end of its answer",
        labels=["route", "status"],
    )
    limits = [*map(repr, BUCKETS), "+Inf"]
    for route, statuses in sorted(total.durations.items()):
        for status, counts in sorted(statuses.items()):
            reached, buckets = 0.0, []
            for limit, count in zip(limits, counts[:SUM], strict=True):
                reached += count
                buckets.append((limit, reached))
            durations.add_metric([route, str(status)], buckets, counts[SUM])
    yield durations

    def counter(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
        family = CounterMetricFamily(PREFIX + name, text, labels=[label])
        for value, count in sorted(counts.items()):
            family.add_metric([value], count)
        return family

    yield counter(
        "flights_predicted",
        "Flights answered, by answer",
        "outcome",
        total.flights,
    )
    yield counter(
        "requests_refused",
        "Requests refused, by what was wrong; one may have several",
        "reason",
        total.refused,
    )
    yield counter(
        "model_reloads",
        "Reloads of the model by each worker",
        "outcome",
        total.reloads,
    )
    yield CounterMetricFamily(
        PREFIX + "worker_starts", "Processes that began to serve", total.starts
    )
    yield CounterMetricFamily(
        PREFIX + "log_lines_lost", "Lines that could not be written", total.lines_lost
    )
    yield CounterMetricFamily(
        PREFIX + "flights_recorded", "Answers written to the record", total.recorded
    )
    yield CounterMetricFamily(
        PREFIX + "flights_unrecorded",
        "Answers that the record lacks: the disk was full or too slow",
        total.unrecorded,
    )
    yield GaugeMetricFamily(
        PREFIX + "http_requests_in_flight", "Requests being worked on", total.in_flight
    )
    source = worker.source
    card = source.model.card
    assert card is not None
    yield InfoMetricFamily(
        PREFIX + "model",
        "The model that is served",
        {
            "sha256": source.model.fingerprint or "",
            "classifier": card.classifier,
            "features": card.features,
        },
    )
    yield GaugeMetricFamily(
        PREFIX + "model_created_timestamp_seconds",
        "When the model was trained",
        datetime.fromisoformat(card.created).timestamp(),
    )
    yield GaugeMetricFamily(
        PREFIX + "model_loaded_timestamp_seconds",
        "When the model was loaded",
        source.loaded_at,
    )
    if card.recent_form is not None:
        yield GaugeMetricFamily(
            PREFIX + "recent_form_timestamp_seconds",
            "The last day whose flights the recent form is made of",
            datetime.fromisoformat(f"{card.recent_form.until}T00:00Z").timestamp(),
        )
    yield from _drift_metrics(drifted)


def _drift_metrics(drifted: dict[str, Any]) -> Iterator[Metric]:
    from prometheus_client.core import GaugeMetricFamily

    yield GaugeMetricFamily(
        PREFIX + "drift_flights", "Sampled flights in the window", drifted["flights"]
    )
    for name, text in (
        ("predicted_delay_rate", "Share of them predicted to be late"),
        ("training_delay_rate", "Share of the training flights that were late"),
    ):
        if drifted[name] is not None:
            yield GaugeMetricFamily(PREFIX + name, text, drifted[name])
    index = GaugeMetricFamily(
        PREFIX + "drift_psi",
        "Population stability index of a field, once there are flights enough",
        labels=["field"],
    )
    unknown = GaugeMetricFamily(
        PREFIX + "unknown_values_share",
        "Share of a field's values that the model does not know",
        labels=["field"],
    )
    for field, found in drifted["fields"].items():
        if found["psi"] is not None:
            index.add_metric([field], found["psi"])
        unknown.add_metric([field], found["unknown_share"])
    yield index
    yield unknown
