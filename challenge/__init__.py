"""flight-prophet: will a flight leaving Santiago de Chile be late?

`challenge.app` is the service with the model that MODEL_FILEPATH names, made on first
access; importing the package reads no file.
"""

from typing import Any


def __getattr__(name: str) -> Any:
    if name == "app":
        from challenge.api import app

        return app
    if name == "__version__":
        from importlib.metadata import version

        return version("flight-prophet")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
