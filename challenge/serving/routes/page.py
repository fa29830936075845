"""The page at / and the documentation at /docs, with all their assets: a browser needs no
other server."""

from __future__ import annotations

import base64
import hashlib
import re
from importlib.resources import files
from pathlib import Path
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import FileResponse
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles

router = APIRouter(include_in_schema=False)

FOLDER: Final = Path(__file__).parents[1] / "static"
STATIC: Final = "/static"
SWAGGER: Final = "/docs/static"
_POLICY: Final = {
    "default-src": "'none'",
    "connect-src": "'self'",
    "img-src": "'self' data:",
    "script-src": "'self'",
    "style-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}


class _Assets(StaticFiles):
    """Static files that a browser revalidates each time."""

    def file_response(self, *args: object, **options: object) -> Response:
        response = super().file_response(*args, **options)  # type: ignore[arg-type]
        response.headers["cache-control"] = "no-cache"
        return response


def add_pages(app: FastAPI) -> None:
    """Add / and /docs with their assets to an application."""
    app.include_router(router)
    app.mount(STATIC, GZipMiddleware(_Assets(directory=FOLDER)))
    swagger = files("fastapi_offline").joinpath("static")
    app.mount(SWAGGER, _Assets(directory=str(swagger)))


@router.get("/")
async def page() -> Response:
    """The page: the board of the day, one flight, the heat map, the model."""
    return FileResponse(
        FOLDER / "index.html",
        headers={"content-security-policy": _policy(), "cache-control": "no-cache"},
    )


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Swagger UI for the API."""
    root = request.scope.get("root_path", "")
    response = get_swagger_ui_html(
        openapi_url=f"{root}/openapi.json",
        title="flight-prophet API",
        swagger_js_url=f"{root}{SWAGGER}/swagger-ui-bundle.js",
        swagger_css_url=f"{root}{SWAGGER}/swagger-ui.css",
        swagger_favicon_url=f"{root}{STATIC}/icon.svg",
    )
    (script,) = re.findall(rb"<script>(.*?)</script>", bytes(response.body), re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    response.headers["content-security-policy"] = _policy(
        # Swagger UI sets inline styles.
        {
            "script-src": f"'self' 'sha256-{digest}'",
            "style-src": "'self' 'unsafe-inline'",
        }
    )
    return response


def _policy(other: dict[str, str] | None = None) -> str:
    return "; ".join(
        f"{name} {source}" for name, source in (_POLICY | (other or {})).items()
    )
