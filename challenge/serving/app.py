"""Composes the service: its state, routes and middleware."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect

from challenge.errors import SettingsError
from challenge.serving.event_stream import ended_by_signals
from challenge.serving.middleware.direct_routes import FastAPIWithDirectRoutes
from challenge.serving.middleware.requests import RequestMiddleware
from challenge.serving.middleware.trusted_hosts import TrustedHosts
from challenge.serving.observability.log import event
from challenge.serving.problems import (
    RejectedRequest,
    client_gone,
    http_error,
    internal_error,
    invalid_parameters,
    problem_responses,
    rejection_response,
)
from challenge.serving.routes import (
    drift,
    explain,
    flights,
    health,
    heatmap,
    metrics,
    model,
    predict,
    predict_file,
    rank,
)
from challenge.serving.routes.open_inference import routes as open_inference
from challenge.serving.routes.page import add_pages
from challenge.serving.routes.predict_file import AVERAGED_HEADER, DIALECT_HEADER
from challenge.serving.settings import Settings
from challenge.serving.state import ServiceState

_TAGS: Final = [
    {"name": "predict", "description": "Predictions for flights"},
    {"name": "live", "description": "Today's flights, as they are known now"},
    {"name": "model", "description": "The model that is served"},
    {"name": "monitoring", "description": "Metrics and data drift"},
    {
        "name": "open inference protocol",
        "description": "The same model for clients of MLServer, KServe and Triton",
    },
    {"name": "health", "description": "Health checks for load balancers and probes"},
]


def create_app(model_filepath: str | os.PathLike[str] | None = None) -> FastAPI:
    """The service that answers with the model of a file, ready to serve.

    Args:
        model_filepath: the model's file; by default the one that MODEL_FILEPATH names.

    Raises:
        ModelFileError: the model cannot be read; nothing is served without one.
        SettingsError: a setting in the environment has no valid value.
    """
    settings = _settings()
    state = ServiceState(Path(model_filepath or settings.model_filepath), settings)
    endpoint = predict.PredictEndpoint(state)
    app = FastAPIWithDirectRoutes(
        lambda: state.watcher.model,
        title="flight-prophet",
        openapi_tags=_TAGS,
        version=version("flight-prophet"),
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=_lifespan,
    )
    app.state.service = state
    app.state.predict = endpoint
    app.direct["POST", "/predict"] = endpoint
    app.include_router(health.router)
    app.include_router(open_inference.health)
    for router in (
        predict.router,
        rank.router,
        explain.router,
        heatmap.router,
        predict_file.router,
        flights.router,
        model.router,
        drift.router,
        open_inference.router,
    ):
        app.include_router(router, **_documented(bool(settings.api_keys)))
    app.include_router(metrics.router, **_documented(settings.metrics == "key"))
    add_pages(app)
    app.add_exception_handler(RejectedRequest, rejection_response)
    app.add_exception_handler(RequestValidationError, invalid_parameters)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(ClientDisconnect, client_gone)
    app.add_exception_handler(Exception, internal_error)
    if settings.cors_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=[
                *("Content-Type", "X-API-Key", "X-Request-ID", "If-None-Match"),
            ],
            expose_headers=[
                *("X-Request-ID", "Retry-After", "ETag"),
                *(DIALECT_HEADER, AVERAGED_HEADER),
            ],
        )
    if "*" not in settings.trusted_hosts:
        app.add_middleware(TrustedHosts, allowed=settings.trusted_hosts)
    # The last one added is the outermost.
    routes = frozenset(path for _, path in app.direct)
    app.add_middleware(RequestMiddleware, state=state, routes=routes)
    return app


def _documented(needs_key: bool) -> dict[str, Any]:
    """How OpenAPI describes the middleware's part in routes."""
    statuses = (401, 429, 503) if needs_key else (429, 503)
    key = Security(APIKeyHeader(name="X-API-Key", auto_error=False))
    return {
        "dependencies": [key] if needs_key else [],
        "responses": problem_responses(*statuses),
    }


@contextlib.asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    state: ServiceState = app.state.service
    event(logging.INFO, "serving", model=state.watcher.name)
    await state.files.start()
    if state.prediction_log is not None:
        state.prediction_log.start()
    live = state.live
    # Before anything is answered.
    await live.try_to_follow()
    watching = [
        asyncio.create_task(
            state.watcher.watch(state.counters, live.adopt, state.post)
        ),
        asyncio.create_task(live.run(prunes=state.number == 0)),
    ]
    try:
        with ended_by_signals(state.events.end):
            yield
    finally:
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        await live.close()
        state.files.close()
        if state.prediction_log is not None:
            await asyncio.to_thread(state.prediction_log.close)
        state.tick()
        event(logging.INFO, "served", requests=state.counters.requests())
        state.log.close()


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(error.errors()) from None
