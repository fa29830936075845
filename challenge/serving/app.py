"""Puts the service together: routes, middleware, and the model that answers."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import APIKeyHeader
from pydantic import ValidationError
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from challenge import __version__
from challenge.errors import SettingsError
from challenge.serving.middleware.direct_routes import Service
from challenge.serving.middleware.requests import Front
from challenge.serving.observability.log import event
from challenge.serving.problems import (
    RefusedRequest,
    invalid_parameters,
    refusal,
    refusals,
)
from challenge.serving.routes import explain, health, heatmap
from challenge.serving.routes import metrics as monitoring
from challenge.serving.routes import open_inference, predict
from challenge.serving.routes import predict_file as files
from challenge.serving.routes import rank
from challenge.serving.routes.page import add_pages
from challenge.serving.settings import Settings
from challenge.serving.state import Worker

_TAGS: Final = [
    {"name": "predict", "description": "Ask about flights"},
    {"name": "model", "description": "What is served"},
    {"name": "monitoring", "description": "How it does"},
    {
        "name": "open inference protocol",
        "description": "The same model for clients of MLServer, KServe and Triton",
    },
    {"name": "health", "description": "For load balancers"},
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
    worker = Worker(Path(model_filepath or settings.model_filepath), settings)
    endpoint = predict.PredictEndpoint(worker)
    service = Service(
        title="flight-prophet",
        openapi_tags=_TAGS,
        summary="Will a flight leaving Santiago de Chile (SCL) be late?",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        lifespan=_lifespan,
    )
    service.state.worker = worker
    service.state.predict = endpoint
    service.direct["POST", "/predict"] = endpoint
    service.include_router(health.router)
    service.include_router(open_inference.health)
    for router in (
        predict.router,
        rank.router,
        explain.router,
        heatmap.router,
        files.router,
        health.model,
        monitoring.router,
        open_inference.router,
    ):
        service.include_router(router, **_documented(bool(settings.api_keys)))
    service.include_router(monitoring.metrics, **_documented(settings.metrics == "key"))
    add_pages(service)
    service.add_exception_handler(RefusedRequest, refusal)
    service.add_exception_handler(RequestValidationError, invalid_parameters)
    if settings.cors_origins:
        service.add_middleware(
            CORSMiddleware,
            allow_origins=list(settings.cors_origins),
            allow_methods=["GET", "POST"],
            allow_headers=["Content-Type", "X-API-Key", "X-Request-ID"],
            expose_headers=["X-Request-ID", "Retry-After"],
        )
    if "*" not in settings.trusted_hosts:
        service.add_middleware(
            TrustedHostMiddleware, allowed_hosts=list(settings.trusted_hosts)
        )
    # The last one added is the outermost.
    routes = frozenset(path for _, path in service.direct)
    service.add_middleware(Front, worker=worker, routes=routes)
    return service


def _documented(needs_key: bool) -> dict[str, Any]:
    """What is decided before any route, for the documentation of the routes."""
    refused = (401, 429, 503) if needs_key else (429, 503)
    key = Security(APIKeyHeader(name="X-API-Key", auto_error=False))
    return {
        "dependencies": [key] if needs_key else [],
        "responses": refusals(*refused),
    }


@contextlib.asynccontextmanager
async def _lifespan(service: FastAPI) -> AsyncIterator[None]:
    worker: Worker = service.state.worker
    event(logging.INFO, "serving", model=worker.source.name)
    if worker.recorder is not None:
        worker.recorder.start()
    follower = asyncio.create_task(worker.source.follow(worker.tally, worker.post))
    yield
    follower.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await follower
    if worker.recorder is not None:
        await asyncio.to_thread(worker.recorder.close)
    worker.tick()
    event(logging.INFO, "served", requests=worker.tally.requests())


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(error.errors()) from None
