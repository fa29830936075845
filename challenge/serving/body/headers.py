"""Checks a request's headers before its body is read: its media type and its size."""

from __future__ import annotations

from starlette.types import Scope

from challenge.flights.faults import INPUT_SHOWN, shown
from challenge.serving.problems import JSON, rejection, too_large


def check_headers(scope: Scope, max_bytes: int) -> None:
    """Reject a body that is not JSON, or says that it is too large.

    Raises:
        RejectedRequest: its media type is not JSON, or its length over a limit in bytes.
    """
    media_type = b""
    for name, value in scope["headers"]:
        if name == b"content-type":
            media_type = value
        elif name == b"content-length" and int(value) > max_bytes:
            raise too_large("body", max_bytes)
    if media_type == JSON or media_type.partition(b";")[0].strip().lower() == JSON:
        return
    given = media_type.decode("latin-1")
    raise rejection(
        415,
        "media_type",
        f"the media type {shown(given)} is not application/json",
        ctx={"given": given[:INPUT_SHOWN], "wanted": JSON.decode()},
    )
