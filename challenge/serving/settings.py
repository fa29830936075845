"""Settings of the service, from environment variables."""

from __future__ import annotations

from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints
from pydantic_settings import BaseSettings, NoDecode

SHA256 = r"[0-9a-f]{64}"


def _listed(value: Any) -> Any:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _none_if_empty(value: Any) -> Any:
    return None if value == "" else value


def _distinct_names(keys: tuple[str, ...]) -> tuple[str, ...]:
    names = [key.partition(":")[0] for key in keys]
    if len(set(names)) < len(names):
        raise ValueError("each key needs a name of its own")
    return keys


Listed = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_listed)]
ApiKey = Annotated[str, StringConstraints(pattern=rf"^[\w.-]+:{SHA256}$")]
ApiKeys = Annotated[
    tuple[ApiKey, ...],
    NoDecode,
    BeforeValidator(_listed),
    AfterValidator(_distinct_names),
]
Access = Literal["open", "key", "off"]


class Settings(BaseSettings):
    """Each field is read from the environment variable of its name in capitals.

    Lists are separated by commas.

    Attributes:
        model_filepath: the model to serve.
        model_sha256: the SHA-256 of the only file that may be served; None for any.
        model_reload_seconds: how often to look whether the file has changed; 0 for
            on SIGHUP alone.
        max_flights: how many flights a request may hold.
        max_body_bytes: how large the body of a request may be.
        max_file_bytes: how large a file to POST /predict/file may be.
        max_concurrent_requests: how many requests a worker works on at a time; 0 for
            any number.
        max_wait_ms: how long a request that has arrived may wait for its turn; one
            that has waited longer is refused at once. 0 for any time.
        idle_seconds: after how long a client that neither sends nor reads is cut off.
        request_seconds: how long a request may take to arrive, but a file.
        drain_seconds: how long to go on serving after SIGTERM, not ready.
        api_keys: `name:SHA-256` of each key that X-API-Key may hold; none for
            everybody.
        requests_per_minute: how many requests a client (its key, else its address)
            may make a minute, all of them at once if it likes; 0 for any number.
        cors_origins: the origins whose pages may ask, "*" for all.
        trusted_hosts: the Host headers to answer to, "*.example.org" for all under it.
        trusted_proxies: the addresses or networks whose X-Forwarded-For and
            X-Forwarded-Proto are believed.
        metrics, docs: whether GET /metrics, and the documentation of the API, are
            open, need a key, or are off.
        log_format: `json`, `text`, or `auto` for text on a terminal.
        log_requests: whether each request has a line in the log.
        drift_hours: how far back GET /drift looks.
        prediction_log: the folder of the record of answered flights; None for none.
        prediction_log_days: how long its files are kept; 0 for ever.
    """

    # The name is the environment's, not pydantic's own namespace.
    model_config = {"protected_namespaces": ()}

    model_filepath: Path = Path("./tmp/delay_model.pkl")
    model_sha256: str | None = Field(default=None, pattern=f"^{SHA256}$")
    model_reload_seconds: float = Field(default=5, ge=0)
    max_flights: int = Field(default=100_000, ge=1)
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1)
    max_file_bytes: int = Field(default=4 * 1024 * 1024 * 1024, ge=1)
    max_concurrent_requests: int = Field(default=1_000, ge=0)
    max_wait_ms: float = Field(default=500, ge=0)
    idle_seconds: float = Field(default=15, gt=0)
    request_seconds: float = Field(default=60, gt=0)
    drain_seconds: float = Field(default=0, ge=0)
    api_keys: ApiKeys = ()
    requests_per_minute: int = Field(default=0, ge=0)
    cors_origins: Listed = ()
    trusted_hosts: Listed = ("*",)
    trusted_proxies: Listed = ()
    metrics: Access = "open"
    docs: Access = "open"
    log_format: Literal["auto", "json", "text"] = "auto"
    log_requests: bool = True
    drift_hours: float = Field(default=24, gt=0)
    prediction_log: Annotated[Path | None, BeforeValidator(_none_if_empty)] = None
    prediction_log_days: float = Field(default=90, ge=0, le=36_500)

    @property
    def max_wait(self) -> float:
        """MAX_WAIT_MS in seconds."""
        return self.max_wait_ms / 1_000 or inf
