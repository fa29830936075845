"""Access control: API keys, rate limits, and how many requests at one time."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import time
from collections.abc import Sequence
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
# What Starlette's test client is called; no address of a network is.
_IN_PROCESS: Final = "testclient"
# Headers of proxies and of browsers.
_OF_OTHERS: Final = (
    *(b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"),
    *(b"forwarded", b"via", b"x-real-ip", b"origin"),
)


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
        self._needed = "key" if settings.api_keys else "open"
        # Who may tell flights may ask for them, too.
        self._keys = _Keys((*settings.api_keys, *settings.feed_keys))
        self._closed = {"/metrics": settings.metrics} | dict.fromkeys(
            DOCS, settings.docs
        )
        self._checks_client = bool(
            settings.api_keys
            or settings.feed_keys
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
            path = route_path(scope)
            # A page without one of its files would be none.
            return None if is_health(path) or _is_page(path) else overloaded()
        if self._checks_client:
            return self._reject_client(scope)
        return None

    def _reject_client(self, scope: Scope) -> RejectedRequest | None:
        path = route_path(scope)
        if is_health(path):
            return None
        needed = "open" if _is_page(path) else self._needed
        access = self._closed.get(path, needed)
        if access == "off":
            ctx = {"reason": "disabled", "path": path}
            return rejection(404, "not_found", f"{path} is disabled", ctx=ctx)
        client = client_address(scope)
        if self._keys or access == "key":
            name = self._keys.name(scope)
            if name is not None:
                client = b"key " + name
            elif access == "key":
                return rejection(401, "api_key", "X-API-Key is missing or not valid")
        if self.settings.requests_per_minute:
            limit = self.settings.requests_per_minute
            wait = self.clients.wait(client, time.monotonic(), limit)
            if wait:
                message = f"more than {limit:,} requests a minute; try again later"
                return rejection(
                    429, "rate_limit", message, int(wait) + 1, {"most": limit}
                )
        return None


class FeedAccess:
    """Admits those who may tell the service about flights, which changes the answers to
    everybody.

    Args:
        keys: `name:SHA-256` of those who may; where there are none, clients of this
            machine may.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = _Keys(keys)

    def check(self, scope: Scope) -> None:
        """
        Raises:
            RejectedRequest: the client may not.
        """
        if self._keys:
            if not any(name == b"x-api-key" for name, _ in scope["headers"]):
                raise rejection(
                    401, "api_key", "X-API-Key is missing", ctx={"reason": "missing"}
                )
            if self._keys.name(scope) is None:
                message = (
                    "X-API-Key is none of FEED_KEYS, and may not write to /flights"
                )
                raise rejection(403, "feed_key", message, ctx={"reason": "other_key"})
        elif not _is_of_this_machine(scope):
            message = (
                "without FEED_KEYS only clients of the server's own machine may write "
                "to /flights; see `flight-prophet api-key`"
            )
            raise rejection(403, "feed_key", message, ctx={"reason": "no_keys"})


class _Keys:
    """API keys, of which only the SHA-256 is known."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [
            (name.encode(), bytes.fromhex(digest))
            for name, _, digest in (key.partition(":") for key in keys)
        ]

    def __bool__(self) -> bool:
        return bool(self._keys)

    def name(self, scope: Scope) -> bytes | None:
        """The name of the key of a request; None if it has none that is known."""
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


def _is_of_this_machine(scope: Scope) -> bool:
    """Whether a request comes from a program on this machine: neither through a proxy,
    which speaks for others, nor from a page in a browser, which may be anybody's."""
    if any(name in _OF_OTHERS for name, _ in scope["headers"]):
        return False
    host = (scope["client"] or ("",))[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return bool(host == _IN_PROCESS)


def client_address(scope: Scope) -> bytes:
    """The address of a client; of IPv6 the network, in which anybody has many."""
    host = (scope["client"] or ("",))[0]
    if ":" in host:
        try:
            host = str(ipaddress.IPv6Network((host.partition("%")[0], 64), False))
        except ValueError:
            pass  # not an address: a server on a socket file, or a test
    return str(host).encode()
