"""Access control: API keys, rate limits, and how many requests at one time."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from typing import Final

from starlette.types import Scope

from challenge.serving.problems import RejectedRequest, overloaded, rejection
from challenge.serving.server.shared_memory import Clients
from challenge.serving.settings import Settings

HEALTH: Final = ("/health", "/v2/health", "/v2/models/delay/ready")
DOCS: Final = ("/docs", "/openapi.json")
# A browser opens a page without a key; the requests of the page then need one.
PAGE: Final = "/"
STATIC: Final = ("/static/", "/docs/static/")


class AccessControl:
    """Admits or rejects each request before anything else reads it.

    Health checks are always admitted: probes have no key, and matter most when the
    server is busy.

    Args:
        settings: the limits and the keys.
        clients: how much of its rate limit each client has used.

    Attributes:
        arriving: how many requests in progress have bodies that are still arriving.
    """

    def __init__(self, settings: Settings, clients: Clients) -> None:
        self.settings = settings
        self.clients = clients
        self.arriving = 0
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

    def reject(
        self, scope: Scope, waited: float, working: int
    ) -> RejectedRequest | None:
        """Why a request is rejected; None if it is admitted.

        Args:
            scope: the request's.
            waited: seconds since it arrived.
            working: the number of requests in progress in this worker that have
                arrived as a whole, with this one.
        """
        if waited > self.max_wait or working > self.max_requests:
            return None if is_health(route_path(scope)) else overloaded()
        if self._checks_client:
            return self._reject_client(scope)
        return None

    def _reject_client(self, scope: Scope) -> RejectedRequest | None:
        path = route_path(scope)
        if is_health(path):
            return None
        needed = "key" if self._keys and not _is_page(path) else "open"
        access = self._closed.get(path, needed)
        if access == "off":
            return rejection(404, "not_found", f"{path} is disabled")
        client = client_address(scope)
        if self._keys or access == "key":
            name = self._name_of_key(scope)
            if name is not None:
                client = b"key " + name
            elif access == "key":
                return rejection(401, "api_key", "X-API-Key is missing or not valid")
        if self.settings.requests_per_minute:
            limit = self.settings.requests_per_minute
            wait = self.clients.wait(client, time.monotonic(), limit)
            if wait:
                message = f"more than {limit:,} requests a minute; try again later"
                return rejection(429, "rate_limit", message, int(wait) + 1)
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


def route_path(scope: Scope) -> str:
    """The path of a request below the prefix that a proxy or a mount adds."""
    path: str = scope["path"]
    prefix: str = scope.get("root_path", "")
    return path.removeprefix(prefix) if prefix else path


def is_health(path: str) -> bool:
    """Whether a path is that of a health check."""
    return path.startswith(HEALTH)


def _is_page(path: str) -> bool:
    return path == PAGE or path.startswith(STATIC)


def client_address(scope: Scope) -> bytes:
    """The address of a client; of IPv6 the network, in which anybody has many."""
    host = (scope["client"] or ("",))[0]
    if ":" in host:
        try:
            host = str(ipaddress.IPv6Network((host.partition("%")[0], 64), False))
        except ValueError:
            pass  # not an address: a server on a socket file, or a test
    return str(host).encode()
