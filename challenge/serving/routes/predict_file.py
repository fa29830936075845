"""POST /predict/file: a file of flights in, the same file with answers out.

A file is kept on disk, not in memory: while it arrives, and while its answer leaves.
"""

from __future__ import annotations

import asyncio
import logging
import tempfile
from pathlib import Path
from typing import Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from challenge.errors import FlightsFileError, MissingColumnsError
from challenge.files import answering
from challenge.files.answering import answered_rows
from challenge.files.sql import engine
from challenge.flights.faults import shown
from challenge.model import DelayModel
from challenge.serving.json_body import AskedFlight
from challenge.serving.middleware.requests import FLIGHTS, ID
from challenge.serving.observability.log import event
from challenge.serving.observability.prediction_log_writer import Recorder
from challenge.serving.problems import RefusedRequest, refusals, request_fault
from challenge.serving.state import Worker

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
        **refusals(400, 408, 413, 415, 507),
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
    worker: Worker = request.app.state.worker
    try:
        folder = tempfile.TemporaryDirectory()
    except OSError as error:
        raise _no_room(error) from error
    source, output = (Path(folder.name, name + kind) for name in ("flights", "answers"))
    try:
        await _receive(request, source, worker.settings.max_file_bytes)
        model = worker.source.model
        scored = await asyncio.to_thread(
            answering.predict_file, model, source, output, invalid
        )
    except BaseException as error:
        folder.cleanup()
        if isinstance(error, FlightsFileError):
            message = f"the file {error.problem}"
            raise RefusedRequest(400, request_fault([], "file", message)) from None
        if isinstance(error, MissingColumnsError):
            raise RefusedRequest(400, request_fault([], "file", str(error))) from None
        if isinstance(error, OSError):
            raise _no_room(error) from error
        raise
    answered = scored.rows - scored.invalid
    request.scope[FLIGHTS] = answered
    worker.note(model, (), scored.delayed, answered)

    def finish() -> None:
        with folder:
            if worker.recorder is not None:
                request_id = request.scope[ID]
                record_file(
                    worker.recorder, request_id, model, output, invalid, answered
                )

    return FileResponse(
        output, media_type=media_type, background=BackgroundTask(finish)
    )


def record_file(
    recorder: Recorder,
    request_id: bytes,
    model: DelayModel,
    answers: Path,
    invalid: Literal["stop", "keep"],
    flights: int,
) -> None:
    """Record the flights of an answered file, of which there are so many, as fast as
    they can be written."""
    left = flights
    problem = "the disk is too slow"
    try:
        with engine(model) as connection:
            for rows in answered_rows(connection, answers, invalid):
                if not recorder.wait_for_room():
                    break
                for *asked, probability, decision in rows:
                    flight = AskedFlight(*asked)
                    recorder.add(request_id, model.name, flight, probability, decision)
                left -= len(rows)
    except FlightsFileError as error:
        problem = str(error)
    if left:
        recorder.lose(left, problem)


def _no_room(error: OSError) -> RefusedRequest:
    event(logging.ERROR, f"a file cannot be kept: {error}")
    message = f"the server has no room for the file: {error.strerror}"
    return RefusedRequest(507, request_fault([], "no_room", message))


async def _receive(request: Request, path: Path, limit: int) -> None:
    size = 0
    with path.open("wb") as stream:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                message = f"the file is over {limit:,} bytes"
                raise RefusedRequest(413, request_fault([], "too_large", message))
            await asyncio.to_thread(stream.write, chunk)
