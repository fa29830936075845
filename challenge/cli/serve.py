"""Commands of a server: `serve` and `api-key`."""

from __future__ import annotations

import gc
import hashlib
import re
import secrets
from typing import Annotated

import typer

from challenge.cli.options import DEFAULT_MODEL, ModelArgument


def serve(
    model: ModelArgument = DEFAULT_MODEL,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port to listen on.")
    ] = 8000,
    workers: Annotated[
        int,
        typer.Option(
            min=0,
            envvar="WORKERS",
            help="Number of worker processes; 0 for one per available CPU.",
        ),
    ] = 1,
) -> None:
    """Serve predictions over HTTP until SIGTERM or Ctrl+C.

    All other settings are environment variables; docs/operations.md lists them.

    Examples:

        flight-prophet serve model.pkl --port 9000

        API_KEYS=tower:… flight-prophet serve model.pkl --host 0.0.0.0 --workers 0
    """
    # Nothing imported and loaded for serving becomes garbage; looking for it takes a
    # tenth of the start.
    gc.disable()
    from challenge.api import create_app
    from challenge.serving.server.prefork import available_cpus
    from challenge.serving.server.prefork import run as run_workers

    count = workers or available_cpus()
    raise typer.Exit(run_workers(create_app(model), host, port, count))


def api_key(
    name: Annotated[
        str, typer.Argument(help="Name of the client: letters, digits, _.-")
    ],
) -> None:
    """Create an API key for a client.

    Prints the key, for the header `X-API-Key`, and then its entry for the server's
    setting `API_KEYS`. The key is not stored anywhere.

    Example:

        flight-prophet api-key tower
    """
    if re.fullmatch(r"[\w.-]+", name) is None:
        raise typer.BadParameter(
            f"{name!r} has other characters than letters, digits, _.-"
        )
    key = secrets.token_urlsafe(32)
    print(key)
    print(f"{name}:{hashlib.sha256(key.encode()).hexdigest()}")
