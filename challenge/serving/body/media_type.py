"""Checks that a body is JSON by its media type."""

from __future__ import annotations

from typing import Final

from starlette.types import Scope

from challenge.flights.faults import shown
from challenge.serving.problems import RejectedRequest, request_fault

JSON: Final = b"application/json"


def check_media_type(scope: Scope) -> None:
    """Raise RejectedRequest if the media type is not JSON."""
    given = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            given = value
            break
    if given == JSON or given.partition(b";")[0].strip().lower() == JSON:
        return
    shown_type = shown(given.decode("latin-1"))
    message = f"the media type {shown_type} is not application/json"
    raise RejectedRequest(415, request_fault([], "media_type", message))
