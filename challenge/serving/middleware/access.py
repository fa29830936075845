"""Access control: API keys, rate limits, and the number of concurrent requests."""

from __future__ import annotations

import hashlib
import hmac
import time
from typing import Final, NamedTuple

from starlette.types import Scope

from challenge.serving.server.shared_memory import Clients
from challenge.serving.settings import Settings

HEALTH: Final = ("/health", "/v2/health", "/v2/models/delay/ready")
DOCS: Final = ("/docs", "/openapi.json")
# A browser opens a page without a key; the requests of the page then need one.
PAGE: Final = "/"
STATIC: Final = ("/static/", "/docs/static/")


class Rejection(NamedTuple):
    """Why a request is rejected, and after how many seconds it may come again."""

    status: int
    type: str
    message: str
    retry_after: int | None = None


OVERLOADED: Final = Rejection(
    503, "overloaded", "the server is busy; try again later", retry_after=1
)


class Overloaded(Exception):
    """A request that was admitted has waited too long since."""


class AccessControl:
    """Admits or rejects each request before anything else reads it.

    Health checks are always admitted: probes have no key, and matter most when the
    server is busy.

    Args:
        settings: the limits and the keys.
        clients: how much of its rate limit each client has used.
    """

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self.settings = settings
        self.clients = clients
        self.max_wait = settings.max_wait
        self.max_requests = settings.max_concurrent_requests or float("inf")
        self._keys = [
            (name.encode(), bytes.fromhex(digest))
            for name, _, digest in (key.partition(":") for key in settings.api_keys)
        ]
        self._closed = {"/metrics": settings.metrics} | dict.fromkeys(
            DOCS, settings.docs
        )
        self._checks_client = bool(
            settings.api_keys
            or settings.requests_per_minute
            or "off" in self._closed.values()
            or "key" in self._closed.values()
        )

    def reject(self, scope: Scope, waited: float, in_flight: int) -> Rejection | None:
        """Why a request is rejected; None if it is admitted.

        Args:
            scope: the request's.
            waited: seconds since it arrived.
            in_flight: the number of requests in progress in this worker, with this one.
        """
        if waited > self.max_wait or in_flight > self.max_requests:
            return None if scope["path"].startswith(HEALTH) else OVERLOADED
        if self._checks_client:
            return self._reject_client(scope)
        return None

    def _reject_client(self, scope: Scope) -> Rejection | None:
        path = scope["path"]
        if path.startswith(HEALTH):
            return None
        needed = "key" if self._keys and not _is_page(path) else "open"
        access = self._closed.get(path, needed)
        if access == "off":
            return Rejection(404, "not_found", f"{path} is disabled")
        client = (scope["client"] or ("",))[0].encode()
        if self._keys or access == "key":
            name = self._name_of_key(scope)
            if name is not None:
                client = b"key " + name
            elif access == "key":
                message = "X-API-Key is missing or not valid"
                return Rejection(401, "api_key", message)
        if self.settings.requests_per_minute:
            limit = self.settings.requests_per_minute
            wait = self.clients.wait(client, time.monotonic(), limit)
            if wait:
                message = f"more than {limit:,} requests a minute; try again later"
                return Rejection(429, "rate_limit", message, int(wait) + 1)
        return None

    def _name_of_key(self, scope: Scope) -> bytes | None:
        given = b""
        for name, value in scope["headers"]:
            if name == b"x-api-key":
                given = value
        digest = hashlib.sha256(given).digest()
        found = None
        # All are compared, so that the time taken reveals nothing about them.
        for name, known in self._keys:
            if hmac.compare_digest(digest, known):
                found = name
        return found


def _is_page(path: str) -> bool:
    return path == PAGE or path.startswith(STATIC)
