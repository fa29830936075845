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
        model_reload_seconds: the seconds between checks of the file for changes; 0 to
            reload on SIGHUP only.
        max_flights: the number of flights a request may have.
        max_body_bytes: the size of the body of a request.
        max_file_bytes: the size of a file sent to POST /predict/file.
        max_concurrent_requests: the number of requests in progress in a worker that
            have arrived as a whole; 0 for no limit.
        max_uploads_per_client: the number of requests of one client whose bodies have
            been arriving for over a second, in a worker; 0 for no limit.
        max_buffered_bytes: the size of all bodies together that a worker holds while
            they arrive.
        max_files_at_once: the number of files that a worker answers at one time; twice
            as many may wait.
        max_wait_ms: how long a request may wait before it is processed; one that has
            waited longer is rejected. 0 for no limit.
        idle_seconds: a client that neither sends nor reads for so long is disconnected.
        keep_alive_seconds: how long a connection stays open between requests; load
            balancers keep theirs for 60.
        min_bytes_per_second: a client whose body arrives slower, on average since it
            began, is disconnected; 0 for no limit.
        request_seconds: how long a request may take to arrive, except a file.
        drain_seconds: how long to go on serving after SIGTERM, reported as not ready.
        api_keys: `name:SHA-256` of each valid X-API-Key; none to require no key.
        requests_per_minute: the number of requests a client (its key, else its
            address) may make a minute, also all at once; 0 for no limit.
        cors_origins: the origins whose pages may send requests, "*" for all.
        trusted_hosts: the accepted Host headers, "*.example.org" for all subdomains.
        trusted_proxies: the addresses or networks whose X-Forwarded-For and
            X-Forwarded-Proto are trusted.
        metrics, docs: whether GET /metrics, and the documentation of the API, are
            open, require a key, or are off.
        log_format: `json`, `text`, or `auto` for text on a terminal.
        log_requests: whether to log each request.
        drift_hours: the window of GET /drift.
        feed_keys: `name:SHA-256` of each X-API-Key that may write to /flights; without
            any, clients of this machine may.
        live_store: the file that keeps what POST /flights tells; None to keep it until
            the server ends.
        live_stale_minutes: a feed is reported as silent after so long without a message.
        max_event_streams: the number of clients of GET /flights/events, in a worker.
        prediction_log: the folder of the prediction log; None for none.
        prediction_log_days: how long to keep its files; 0 for ever.
    """

    # The name is the environment's, not pydantic's own namespace. A setting that is
    # empty is one that is not set.
    model_config = {"protected_namespaces": (), "env_ignore_empty": True}

    model_filepath: Path = Path("./tmp/delay_model.pkl")
    model_sha256: str | None = Field(default=None, pattern=f"^{SHA256}$")
    model_reload_seconds: float = Field(default=5, ge=0)
    max_flights: int = Field(default=100_000, ge=1)
    max_body_bytes: int = Field(default=32 * 1024 * 1024, ge=1)
    max_buffered_bytes: int = Field(default=64 * 1024 * 1024, ge=1)
    max_file_bytes: int = Field(default=4 * 1024 * 1024 * 1024, ge=1)
    max_files_at_once: int = Field(default=2, ge=1)
    max_concurrent_requests: int = Field(default=1_000, ge=0)
    max_uploads_per_client: int = Field(default=100, ge=0)
    max_wait_ms: float = Field(default=500, ge=0)
    idle_seconds: float = Field(default=15, gt=0)
    keep_alive_seconds: int = Field(default=75, ge=1)
    min_bytes_per_second: int = Field(default=1_000, ge=0)
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
    feed_keys: ApiKeys = ()
    live_store: Path | None = None
    live_stale_minutes: float = Field(default=15, gt=0)
    max_event_streams: int = Field(default=200, ge=0)
    prediction_log: Path | None = None
    prediction_log_days: float = Field(default=90, ge=0, le=36_500)

    @property
    def max_wait(self) -> float:
        """MAX_WAIT_MS in seconds."""
        return self.max_wait_ms / 1_000 or inf
