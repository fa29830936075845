"""The FastAPI application, with a way around its routing where that would cost most."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send


class Service(FastAPI):
    """FastAPI, with some routes answered below its own machinery.

    Such a route is FastAPI's all the same, documented and with the same answers. All
    middleware that is added to the service applies to it.

    Attributes:
        direct: the application that answers each (method, path).
    """

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.direct: dict[tuple[str, str], ASGIApp] = {}
        self._front: ASGIApp | None = None

    def openapi(self) -> dict[str, Any]:
        """The description of the API, without the status that FastAPI adds to each
        route with parameters: they are refused with 400, as everything invalid is."""
        if self.openapi_schema is None:
            schema = super().openapi()
            for operations in schema["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
            for unused in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(unused, None)
        return super().openapi()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._front is None:
            self._front = self._build_front()
        await self._front(scope, receive, send)

    def _build_front(self) -> ASGIApp:
        """The added middleware around the choice between direct and FastAPI's routes."""
        direct, routed = self.direct, super().__call__

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "http":
                endpoint = direct.get((scope["method"], scope["path"]), routed)
                await endpoint(scope, receive, send)
            else:
                await routed(scope, receive, send)

        front: ASGIApp = dispatch
        # FastAPI would put them around its own routes only.
        added, self.user_middleware = self.user_middleware, []
        for middleware in reversed(added):
            front = middleware.cls(front, *middleware.args, **middleware.kwargs)
        return front
