"""The service: create_app puts it together; `challenge.api:app` is for uvicorn."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Security
from fastapi.security import APIKeyHeader
from pydantic import ValidationError
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware

from challenge.errors import FlightProphetError, SettingsError
from challenge.serving import files, health, monitoring, predict
from challenge.serving.faults import DescribedFaults, RefusedRequest, refusal
from challenge.serving.front import Front
from challenge.serving.log import event
from challenge.serving.service import Service
from challenge.serving.settings import Settings
from challenge.serving.worker import Worker


def create_app(model_filepath: str | os.PathLike[str]) -> FastAPI:
    """The service that answers with the model of a file, ready to serve.

    Raises:
        ModelFileError: the model cannot be read; nothing is served without one.
        SettingsError: a setting in the environment has no valid value.
    """
    settings = _settings()
    worker = Worker(Path(model_filepath), settings)
    endpoint = predict.PredictEndpoint(worker)
    service = Service(
        title="flight-prophet",
        description="Will a flight leaving Santiago de Chile (SCL) be late?",
        lifespan=_lifespan,
    )
    service.state.worker = worker
    service.state.predict = endpoint
    service.direct["POST", "/predict"] = endpoint
    service.include_router(health.router)
    for router in (predict.router, files.router, health.model, monitoring.router):
        service.include_router(router, **_documented(bool(settings.api_keys)))
    service.include_router(monitoring.metrics, **_documented(settings.metrics == "key"))
    service.add_exception_handler(RefusedRequest, refusal)
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
        "responses": {status: {"model": DescribedFaults} for status in refused},
    }


@contextlib.asynccontextmanager
async def _lifespan(service: FastAPI) -> AsyncIterator[None]:
    worker: Worker = service.state.worker
    event(logging.INFO, "serving", model=worker.source.name)
    follower = asyncio.create_task(worker.source.follow(worker.tally))
    yield
    follower.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await follower
    worker.tick()
    event(logging.INFO, "served", requests=worker.tally.requests())


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(error.errors()) from None


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        service = create_app(_settings().model_filepath)
    except FlightProphetError as error:
        # A server that cannot start says why in one line, without a traceback.
        sys.exit(f"flight-prophet: {error}")
    globals()["app"] = service
    return service
