"""POST /predict/file: a file of flights in, the same file with answers out.

A file is kept on disk, not in memory: while it arrives, and while its answer leaves.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from challenge.errors import FlightsFileError, MissingColumnsError
from challenge.files import score_file
from challenge.flights import shown
from challenge.serving.faults import DescribedFaults, RefusedRequest, request_fault

router = APIRouter(tags=["predict"])

KINDS: Final = {
    "text/csv": ".csv",
    "application/gzip": ".csv.gz",
    "application/vnd.apache.parquet": ".parquet",
}
_FILE: Final = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/predict/file",
    response_class=FileResponse,
    responses={
        **{status: {"model": DescribedFaults} for status in (400, 413, 415)},
        200: {
            "description": "The file with its rows and columns, and `probability` and "
            "`delay` behind them",
            "content": {media_type: _FILE for media_type in KINDS},
        },
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {media_type: _FILE for media_type in KINDS},
        }
    },
)
async def predict_file(
    request: Request, invalid: Literal["stop", "keep"] = "stop"
) -> Response:
    """Answer a CSV (also compressed by gzip) or Parquet file of flights.

    The columns are those of POST /predict; others are kept. Rows with a fault stop it;
    with `invalid=keep` they get empty answers and a column `fault` tells what is wrong.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    kind = KINDS.get(media_type.lower())
    if kind is None:
        message = f"the media type {shown(media_type)} is not one of {', '.join(KINDS)}"
        raise RefusedRequest(415, request_fault([], "media_type", message))
    folder = tempfile.TemporaryDirectory()
    source, output = (Path(folder.name, name + kind) for name in ("flights", "answers"))
    try:
        await _receive(request, source, request.app.state.settings.max_file_bytes)
        model = request.app.state.model
        await asyncio.to_thread(score_file, model, source, output, invalid)
    except BaseException as error:
        folder.cleanup()
        if isinstance(error, FlightsFileError):
            message = f"the file {error.problem}"
            raise RefusedRequest(400, request_fault([], "file", message)) from None
        if isinstance(error, MissingColumnsError):
            raise RefusedRequest(400, request_fault([], "file", str(error))) from None
        raise
    return FileResponse(
        output, media_type=media_type, background=BackgroundTask(folder.cleanup)
    )


async def _receive(request: Request, path: Path, limit: int) -> None:
    size = 0
    with path.open("wb") as stream:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                message = f"the file is over {limit:,} bytes"
                raise RefusedRequest(413, request_fault([], "too_large", message))
            await asyncio.to_thread(stream.write, chunk)
