"""The service: create_app puts it together; `challenge.api:app` is for uvicorn."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from challenge.errors import FlightProphetError
from challenge.model import DelayModel
from challenge.serving import files, health, predict
from challenge.serving.faults import RefusedRequest, refusal
from challenge.serving.service import Service
from challenge.serving.settings import Settings


def create_app(model_filepath: str | os.PathLike[str]) -> FastAPI:
    """The service that answers with the model of a file, ready to serve.

    Raises:
        ModelFileError: the model cannot be read; nothing is served without one.
    """
    model = DelayModel.load(Path(model_filepath))
    service = Service(
        title="flight-prophet",
        description="Will a flight leaving Santiago de Chile (SCL) be late?",
    )
    settings = Settings()
    endpoint = predict.PredictEndpoint(model, settings)
    service.state.model = model
    service.state.settings = settings
    service.state.predict = endpoint
    service.direct["POST", "/predict"] = endpoint
    service.include_router(health.router)
    service.include_router(predict.router)
    service.include_router(files.router)
    service.add_exception_handler(RefusedRequest, refusal)
    return service


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        service = create_app(Settings().model_filepath)
    except FlightProphetError as error:
        # A server that cannot start says why in one line, without a traceback.
        sys.exit(f"flight-prophet: {error}")
    globals()["app"] = service
    return service
