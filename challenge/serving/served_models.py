"""Asks running servers which models they serve."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable

from challenge.errors import ServerError

TIMEOUT_SECONDS = 10


def served_models(urls: Iterable[str], key: str | None) -> dict[str, dict[str, int]]:
    """The number of workers that serve each model, by server and short fingerprint.

    Args:
        urls: addresses of servers, like http://host:8000.
        key: the X-API-Key to send; None for none.

    Raises:
        ServerError: a server cannot be reached, or is another service.
    """
    served: dict[str, dict[str, int]] = {}
    for url in urls:
        if not url.startswith(("http://", "https://")):
            raise ServerError(url, "is no address like http://host:8000")
        request = urllib.request.Request(f"{url.rstrip('/')}/model")
        if key is not None:
            request.add_header("X-API-Key", key)
        try:
            # Other schemes were rejected above.
            with urllib.request.urlopen(  # nosec B310
                request, timeout=TIMEOUT_SECONDS
            ) as answer:
                served[url] = json.load(answer)["workers"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ServerError(url, f"cannot be asked: {error}") from error
    return served
