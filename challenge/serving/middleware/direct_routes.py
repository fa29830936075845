"""FastAPI with direct routes: some requests bypass its routing, for speed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from challenge.model import DelayModel
from challenge.serving.body.openapi import describe_model
from challenge.serving.middleware.requests import REJECTION
from challenge.serving.problems import send_rejection


class FastAPIWithDirectRoutes(FastAPI):
    """FastAPI, with some routes that ASGI applications answer directly.

    Such a route is also one of FastAPI's, with documentation and the same answers. All
    added middleware applies to it.

    Args:
        model: gives the model that is served, which the description speaks of.
        settings: those of FastAPI.

    Attributes:
        direct: the application that answers each (method, path).
    """

    def __init__(self, model: Callable[[], DelayModel], **settings: Any) -> None:
        super().__init__(**settings)
        self._model = model
        self._described = ""
        self.direct: dict[tuple[str, str], ASGIApp] = {}
        self._stack: ASGIApp | None = None

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI description, with what depends on the model, and without the
        status 422 that FastAPI adds to each route with parameters: here it is 400."""
        model = self._model()
        if self.openapi_schema is None or model.fingerprint != self._described:
            self.openapi_schema = None
            schema = super().openapi()
            for operations in schema["paths"].values():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
            for unused in ("HTTPValidationError", "ValidationError"):
                schema["components"]["schemas"].pop(unused, None)
            describe_model(schema, model)
            self._described = model.fingerprint
        return super().openapi()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._stack is None:
            self._stack = self._build_stack()
        await self._stack(scope, receive, send)

    def _build_stack(self) -> ASGIApp:
        """The added middleware around the direct routes and FastAPI's."""
        direct, routed = self.direct, super().__call__

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await routed(scope, receive, send)
            elif REJECTION in scope:
                await send_rejection(scope[REJECTION], scope, send)
            else:
                endpoint = direct.get((scope["method"], scope["path"]), routed)
                await endpoint(scope, receive, send)

        stack: ASGIApp = dispatch
        # FastAPI would apply it to its own routes only.
        added, self.user_middleware = self.user_middleware, []
        for middleware in reversed(added):
            stack = middleware.cls(stack, *middleware.args, **middleware.kwargs)
        return stack
