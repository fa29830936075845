"""Settings of the service, from environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Each field is read from the environment variable of its name in capitals.

    Attributes:
        model_filepath: the model to serve.
    """

    # The name is the environment's, not pydantic's own namespace.
    model_config = {"protected_namespaces": ()}

    model_filepath: Path = Path("./tmp/delay_model.pkl")
