"""Reads a request's body as a whole, within limits."""

from __future__ import annotations

from fastapi import Request

from challenge.serving.body.budget import Held
from challenge.serving.problems import too_large


async def read_whole(request: Request, limit: int, held: Held) -> bytes:
    """The body of a request.

    Args:
        request: the request.
        limit: how many bytes it may have.
        held: of the bytes that all requests hold together.

    Raises:
        RejectedRequest: it is too large, or there is no room for it at this time.
    """
    if int(request.headers.get("content-length", 0)) > limit:
        raise too_large("body", limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise too_large("body", limit)
        held.hold(len(body))
    return bytes(body)
