"""The service for servers: `challenge.api:app`, or `challenge.api:create_app`."""

from __future__ import annotations

import os
import sys
from typing import Any, Final

from fastapi import FastAPI

from challenge.errors import FlightProphetError
from challenge.serving import app as serving

# Packages whose commands import an application by its name.
_SERVERS: Final = frozenset({"uvicorn", "gunicorn", "fastapi_cli", "hypercorn"})
# Uvicorn and gunicorn start a worker that ends with this code no second time.
_CANNOT_START: Final = 3


def create_app(model_filepath: str | os.PathLike[str] | None = None) -> FastAPI:
    """The service that answers with the model of a file, ready to serve.

    Args:
        model_filepath: the model's file; by default the one that MODEL_FILEPATH names.

    Raises:
        ModelFileError: the model cannot be read; nothing is served without one.
        SettingsError: a setting in the environment has no valid value.
        SystemExit: the same, if a server's command asks: it prints one line instead of
            a traceback.
    """
    try:
        return serving.create_app(model_filepath)
    except FlightProphetError as error:
        if not _imported_by_a_server():
            raise
        print(f"flight-prophet: {error}", file=sys.stderr)
        sys.exit(_CANNOT_START)


def _imported_by_a_server() -> bool:
    """Whether the nearest caller outside of this package is a server."""
    frame = sys._getframe(1)
    package = __package__
    while package == __package__ and frame.f_back is not None:
        frame = frame.f_back
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
    return package in _SERVERS


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    service = globals()["app"] = create_app()
    return service


def __dir__() -> list[str]:
    # `fastapi run` looks for the application among these names.
    return [*globals(), "app"]
