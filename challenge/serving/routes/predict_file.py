"""POST /predict/file: returns a file of flights with predictions added.

The file and its answer are kept on disk, not in memory.
"""

from __future__ import annotations

import functools
import logging
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
from challenge.serving.body.structs import AskedFlight, spell_as_known
from challenge.serving.middleware.requests import ANSWERED_FLIGHTS, REQUEST_ID
from challenge.serving.observability.log import event
from challenge.serving.observability.prediction_log_writer import PredictionLogWriter
from challenge.serving.problems import (
    RejectedRequest,
    problem_responses,
    rejection,
    too_large,
)
from challenge.serving.routes.dependencies import State
from challenge.serving.state import ServiceState
from challenge.serving.upload_folder import UploadFolder

router = APIRouter(tags=["predict"])

FILE_SUFFIXES: Final = {
    "text/csv": ".csv",
    "application/gzip": ".csv.gz",
    "application/vnd.apache.parquet": ".parquet",
}
_FILE: Final = {"schema": {"type": "string", "format": "binary"}}


@router.post(
    "/predict/file",
    response_class=FileResponse,
    responses={
        **problem_responses(400, 408, 413, 415, 507),
        200: {
            "description": "The file, with the columns `probability` and `delay` added",
            "content": {media_type: _FILE for media_type in FILE_SUFFIXES},
        },
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {media_type: _FILE for media_type in FILE_SUFFIXES},
        }
    },
)
async def predict_file(
    request: Request, state: State, invalid: Literal["stop", "keep"] = "stop"
) -> Response:
    """Predict the flights of a CSV (optionally gzipped) or Parquet file.

    The columns are those of POST /predict; others are kept. A file with invalid rows is
    rejected; with `invalid=keep` they get no prediction, and a column `fault` says why.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    suffix = FILE_SUFFIXES.get(media_type.lower())
    if suffix is None:
        message = f"the media type {shown(media_type)} is not one of {', '.join(FILE_SUFFIXES)}"
        raise rejection(415, "media_type", message)
    state.files.check_room()
    try:
        folder = UploadFolder()
    except OSError as error:
        raise _no_room(error.strerror) from error
    source, output = (folder.path / (name + suffix) for name in ("flights", "answers"))
    try:
        await _receive(request, state, source)
        model = state.watcher.model
        scored = await state.files.run(
            lambda cancellation: answering.predict_file(
                model, source, output, invalid, cancellation=cancellation
            ),
            request.receive,
        )
    except BaseException as error:
        folder.remove()
        if isinstance(error, FlightsFileError):
            if error.path == output:
                raise _no_room(error.problem) from error
            raise rejection(400, "file", f"the file {error.problem}") from None
        if isinstance(error, MissingColumnsError):
            raise rejection(400, "file", str(error)) from None
        if isinstance(error, OSError):
            raise _no_room(error.strerror) from error
        raise
    answered = scored.rows - scored.invalid
    request.scope[ANSWERED_FLIGHTS] = answered
    state.count_answered(model, (), scored.delayed, answered)

    # In a thread of Starlette's: it may wait for long, and uploads must not.
    def finish() -> None:
        with folder:
            if state.prediction_log is not None:
                request_id = request.scope[REQUEST_ID]
                log_file(
                    state.prediction_log, request_id, model, output, invalid, answered
                )

    return FileResponse(
        output, media_type=media_type, background=BackgroundTask(finish)
    )


def log_file(
    prediction_log: PredictionLogWriter,
    request_id: bytes,
    model: DelayModel,
    answers: Path,
    invalid: Literal["stop", "keep"],
    flights: int,
) -> None:
    """Add the flights of an answered file, so many of them, to the prediction log, as
    fast as they can be written."""
    left = flights
    problem = "the disk is too slow"
    # The names of a file are few.
    known_name = functools.cache(model.encoder.rules.known_name)
    try:
        with engine(model, answers) as connection:
            for rows in answered_rows(connection, model, answers, invalid):
                if not prediction_log.wait_for_room():
                    break
                for *asked, probability, decision in rows:
                    flight = AskedFlight(*asked)
                    spell_as_known(flight, known_name)
                    prediction_log.add(
                        request_id, model.name, flight, probability, decision
                    )
                left -= len(rows)
    except FlightsFileError as error:
        problem = str(error)
    if left:
        prediction_log.lose(left, problem)


def _no_room(reason: str | None) -> RejectedRequest:
    event(logging.ERROR, f"a file cannot be kept: {reason}")
    return rejection(507, "no_room", f"the server has no room for the file: {reason}")


async def _receive(request: Request, state: ServiceState, path: Path) -> None:
    limit = state.settings.max_file_bytes
    if int(request.headers.get("content-length", 0)) > limit:
        raise too_large("file", limit)
    size = 0
    with path.open("wb") as stream:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise too_large("file", limit)
            await state.files.on_disk(stream.write, chunk)
