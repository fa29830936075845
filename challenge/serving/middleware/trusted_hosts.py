"""Rejects requests to hosts that are not this server's, health checks excepted: probes
and load balancers send the machine's address as the host."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from challenge.flights.faults import INPUT_SHOWN, shown
from challenge.serving.middleware.access import is_health, route_path
from challenge.serving.problems import rejection, send_rejection


class TrustedHosts:
    """Starlette's TrustedHostMiddleware, but for health checks and the form of errors.

    Args:
        app: the application to wrap.
        allowed: names and addresses, or "*.example.org" for all subdomains.
    """

    def __init__(self, app: ASGIApp, allowed: Sequence[str]) -> None:
        self.app = app
        self._names = frozenset(name.lower() for name in allowed)
        self._suffixes = tuple(one[1:] for one in self._names if one.startswith("*."))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_health(route_path(scope)):
            await self.app(scope, receive, send)
            return
        given = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        try:
            host = urlsplit(f"//{given}").hostname or ""
        except ValueError:
            host = ""
        if host in self._names or host.endswith(self._suffixes):
            await self.app(scope, receive, send)
        else:
            message = f"{shown(given)} is not a host that this server answers for"
            rejected = rejection(
                400, "host", message, ctx={"host": given[:INPUT_SHOWN]}
            )
            await send_rejection(rejected, scope, send)
