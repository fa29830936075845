"""GET /metrics: the counters of all workers, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Response

from challenge.serving.observability.counters import BUCKETS, SUM, Counters
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.drift import drift_of
from challenge.serving.state import ServiceState

if TYPE_CHECKING:
    from prometheus_client import Metric

# METRICS, a setting of its own, decides who may read them.
router = APIRouter(tags=["monitoring"])

PREFIX: Final = "flight_prophet_"


@router.get(
    "/metrics",
    name="metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
)
async def get_metrics(state: State) -> Response:
    """Return the counters of all workers in Prometheus's text format."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry
    from prometheus_client.exposition import generate_latest

    total = state.total()
    drifted = await drift_of(state, total)

    class Collector:
        def collect(self) -> Iterator[Metric]:
            yield from _metrics(state, total, drifted)

    registry = CollectorRegistry()
    registry.register(Collector())
    return Response(
        generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST}
    )


def _metrics(
    state: ServiceState, total: Counters, drifted: dict[str, Any]
) -> Iterator[Metric]:
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
        "Flights predicted, by prediction",
        "outcome",
        total.flights,
    )
    yield counter(
        "requests_refused",
        "Requests rejected, by type of fault; one may have several",
        "reason",
        total.rejected,
    )
    yield counter(
        "model_reloads",
        "Reloads of the model by each worker",
        "outcome",
        total.reloads,
    )
    yield CounterMetricFamily(
        PREFIX + "worker_starts", "Processes that started to serve", total.starts
    )
    yield CounterMetricFamily(
        PREFIX + "log_lines_lost",
        "Log lines that could not be written",
        total.lines_lost,
    )
    yield CounterMetricFamily(
        PREFIX + "flights_recorded",
        "Flights written to the prediction log",
        total.logged,
    )
    yield CounterMetricFamily(
        PREFIX + "flights_unrecorded",
        "Flights missing in the prediction log: the disk was full or too slow",
        total.unlogged,
    )
    yield GaugeMetricFamily(
        PREFIX + "http_requests_in_flight", "Requests in progress", total.in_flight
    )
    model = state.watcher.model
    card = model.card
    yield InfoMetricFamily(
        PREFIX + "model",
        "The model that is served",
        {
            "sha256": model.fingerprint,
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
        state.watcher.loaded_at,
    )
    if card.live is not None and card.live.until is not None:
        yield GaugeMetricFamily(
            PREFIX + "known_until_timestamp_seconds",
            "The moment up to which the model knows how flights left",
            datetime.fromisoformat(card.live.until).timestamp(),
        )
    yield counter(
        "flights_told", "Flights of messages, by outcome", "outcome", total.told
    )
    yield from _live_metrics(state, total)
    yield from _drift_metrics(drifted)


def _live_metrics(state: ServiceState, total: Counters) -> Iterator[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

    live = state.live.state
    yield CounterMetricFamily(
        PREFIX + "live_store_errors",
        "Times that the store of messages about flights could not be used",
        total.store_errors,
    )
    gauges: dict[str, tuple[str, float]] = {
        "live_store_up": ("Whether that store can be used", not state.live.problem),
        "live_flights": ("Flights that messages told of", len(live.flights)),
    }
    if live.clock is not None:
        gauges["live_heard_timestamp_seconds"] = (
            "When the last message about flights came",
            live.heard,
        )
        gauges["live_clock_timestamp_seconds"] = (
            "The moment up to which messages know the flights",
            live.clock,
        )
    if state.model.day is not None and live.moment is not None:
        last_hour = state.model.day.last_hour()
        gauges["live_hour_flights"] = (
            "Flights of which it became known in the last hour whether they are late",
            last_hour.flights,
        )
        gauges["live_hour_late"] = ("Those that were late", last_hour.late)
        gauges["live_hour_expected_late"] = (
            "Those that were expected to be, by their schedules",
            last_hour.expected,
        )
    for name, (text, value) in gauges.items():
        yield GaugeMetricFamily(PREFIX + name, text, value)


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
        "Population stability index of a field, once there are enough flights",
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
