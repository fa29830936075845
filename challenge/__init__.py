"""flight-prophet: will a flight leave late?

`challenge.app`, also called `challenge.application`, is the service with the model that
MODEL_FILEPATH names, made on first access. The modules `api`, `model` and `classifier`
are imported on first access. Importing the package itself reads no file.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name in ("app", "application"):
        from challenge.api import app

        return app
    if name in ("api", "classifier", "model"):
        return import_module(f"challenge.{name}")
    if name == "__version__":
        from importlib.metadata import version

        return version("flight-prophet")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
