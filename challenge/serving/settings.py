"""Settings of the service, from environment variables."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    """Each field is read from the environment variable of its name in capitals.

    Attributes:
        model_filepath: the model to serve.
        max_flights: how many flights a request may hold.
        max_body_bytes: how large the body of a request may be.
        max_file_bytes: how large a file to POST /predict/file may be.
    """

    # The name is the environment's, not pydantic's own namespace.
    model_config = {"protected_namespaces": ()}

    model_filepath: Path = Path("./tmp/delay_model.pkl")
    max_flights: int = Field(default=100_000, ge=1)
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1)
    max_file_bytes: int = Field(default=4 * 1024 * 1024 * 1024, ge=1)
