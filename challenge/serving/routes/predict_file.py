"""POST /predict/file: returns a file of flights with predictions added.

The file and its answer are kept on disk, not in memory.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final, Literal

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from challenge.errors import (
    FileTooLargeError,
    FlightsFileError,
    MissingColumnsError,
)
from challenge.files import answering
from challenge.files.answering import answered_rows
from challenge.files.answers import PredictionCounts
from challenge.files.bounds import UPLOADS, Bounds
from challenge.files.cancellation import Cancellation
from challenge.files.dialects import Dialect
from challenge.files.kinds import FileKind
from challenge.files.opening import plain_file
from challenge.files.sql import engine
from challenge.flights.fields import FIELDS
from challenge.live.known import Question
from challenge.live.questions import Places
from challenge.model import DelayModel
from challenge.serving.body.structs import (
    AskedFlight,
    question_of,
    spell_as_known,
    tell_as_known,
)
from challenge.serving.middleware.requests import ANSWERED_FLIGHTS, REQUEST_ID
from challenge.serving.observability.log import event
from challenge.serving.observability.prediction_log_writer import PredictionLogWriter
from challenge.serving.problems import RejectedRequest, problem_responses, rejection
from challenge.serving.routes.dependencies import State
from challenge.serving.routes.predictions import AtTime, asked_at
from challenge.serving.upload import (
    CSV,
    EXCEL,
    FORM,
    MEDIA_TYPES,
    SUFFIXES,
    TABS,
    check_media_type,
    named_by_content,
    receive,
)
from challenge.serving.upload_folder import UploadFolder

router = APIRouter(tags=["predict"])

DIALECT_HEADER: Final = "Content-Dialect"
AVERAGED_HEADER: Final = "Averaged"
_ANSWER_TYPES: Final = {
    FileKind.TEXT: CSV,
    FileKind.GZIP: "application/gzip",
    FileKind.ZIP: "application/zip",
    FileKind.EXCEL: EXCEL,
    FileKind.PARQUET: "application/vnd.apache.parquet",
}
_CHARSETS: Final = {
    "utf-16-le": "utf-16",
    "utf-16-be": "utf-16",
    "cp1252": "windows-1252",
}
_FILE: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "schema": {
        "type": "object",
        "properties": {"file": _FILE["schema"]},
        "required": ["file"],
    }
}
# All other files are written here.
_OF_CALLER: Final = ("received", "flights")
_OWN_ANSWERS: Final = Bounds(engine_memory=UPLOADS.engine_memory)


@router.post(
    "/predict/file",
    response_class=FileResponse,
    responses={
        **problem_responses(400, 408, 410, 413, 415, 507),
        200: {
            "description": "The file, with the columns `probability` and `delay` added",
            "content": {
                media_type: _FILE for media_type in (*_ANSWER_TYPES.values(), TABS)
            },
            "headers": {
                DIALECT_HEADER: {
                    "description": "How the file was read, where it is not UTF-8 "
                    "separated by commas below a header in its first line, or has "
                    "columns of another format: `format`, `delimiter`, `encoding`, "
                    "`header-row`, `decimal`, `sheet` and `file` (in a ZIP file), those "
                    "that apply; texts as in URLs",
                    "schema": {"type": "string"},
                    "example": 'delimiter=";", encoding="Windows-1252", header-row=3',
                },
                AVERAGED_HEADER: {
                    "description": "How many unknown names were taken as not given, by "
                    "their fields",
                    "schema": {"type": "string"},
                    "example": "SIGLADES=12",
                },
            },
        },
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                **{media_type: _FILE for media_type in MEDIA_TYPES},
                FORM: _FORM,
            },
        }
    },
)
async def predict_file(
    request: Request,
    state: State,
    invalid: Literal["stop", "keep"] = "stop",
    unknown: Literal["reject", "average"] = "reject",
    at: AtTime = None,
) -> Response:
    """Predict the flights of a CSV, Excel (.xlsx) or Parquet file.

    The columns are those of POST /predict; others are kept. The content of the file
    tells what it is: a CSV may be separated by commas, semicolons, tabs or bars,
    compressed by gzip or in a ZIP file, in UTF-8, UTF-16 or Windows-1252, and have
    titles above its header. The answer is written in the same way. That to an Excel
    file is one where `Accept` asks for it, else a CSV.

    A file with invalid rows is rejected; with `invalid=keep` they get no prediction, and
    a column `fault` says why. With `unknown=average` a destination or an origin that the
    model does not know is taken as not given.
    """
    check_media_type(request)
    model = await asked_at(state, at)
    state.files.check_room()
    try:
        folder = UploadFolder()
    except OSError as error:
        raise _no_room(error.strerror) from error
    received = folder.path / "received.csv"
    wants_excel = EXCEL in request.headers.get("accept", "")

    def answer(cancellation: Cancellation) -> tuple[PredictionCounts, Path, FileKind]:
        source = named_by_content(received)
        kind = next(one for one in SUFFIXES if source.name.endswith(SUFFIXES[one]))
        if kind is FileKind.EXCEL and not wants_excel:
            kind = FileKind.TEXT
        output = folder.path / ("answers" + SUFFIXES[kind])
        scored = answering.predict_file(
            model,
            source,
            output,
            invalid,
            cancellation=cancellation,
            bounds=UPLOADS,
            average=unknown == "average",
        )
        return scored, output, kind

    try:
        await receive(request, state, received)
        scored, output, kind = await state.files.run(answer, request.receive)
    except BaseException as error:
        folder.remove()
        raise _rejected(error) from error
    answered = scored.rows - scored.invalid
    request.scope[ANSWERED_FLIGHTS] = answered
    state.count_answered(model, (), scored.delayed, answered)
    dialect = next(iter(scored.read_as.values()), None)

    # In a thread of Starlette's: it may wait for long, and uploads must not.
    def finish() -> None:
        with folder:
            if state.prediction_log is not None:
                request_id = request.scope[REQUEST_ID]
                log_file(
                    state.prediction_log,
                    request_id,
                    model,
                    output,
                    invalid,
                    answered,
                    dialect is not None,
                )

    headers = {}
    if dialect is not None and (told := dialect.to_header()):
        headers[DIALECT_HEADER] = told
    if scored.averaged:
        counted = scored.averaged.items()
        headers[AVERAGED_HEADER] = ", ".join(f"{name}={n}" for name, n in counted)
    return FileResponse(
        output,
        headers=headers,
        media_type=_media_type(kind, dialect),
        background=BackgroundTask(finish),
    )


def _media_type(kind: FileKind, dialect: Dialect | None) -> str:
    if kind is not FileKind.TEXT or dialect is None:
        return _ANSWER_TYPES[kind]
    media_type = TABS if dialect.delimiter == "\t" else CSV
    return f"{media_type}; charset={_CHARSETS.get(dialect.encoding, 'utf-8')}"


def _rejected(error: BaseException) -> BaseException:
    """What a request that failed is answered with, if the file or the disk is to blame."""
    match error:
        case FileTooLargeError():
            return rejection(413, error.kind, f"the file {error.problem}")
        case FlightsFileError() if Path(error.path).name.startswith(_OF_CALLER):
            return rejection(400, error.kind, f"the file {error.problem}")
        case FlightsFileError():
            return _no_room(error.problem)
        case MissingColumnsError():
            return rejection(400, "missing_columns", str(error))
        case OSError():
            return _no_room(error.strerror)
    return error


def log_file(
    prediction_log: PredictionLogWriter,
    request_id: bytes,
    model: DelayModel,
    answers: Path,
    invalid: Literal["stop", "keep"],
    flights: int,
    rewrite: bool,
) -> None:
    """Add the flights of an answered file, so many of them, to the prediction log, as
    fast as they can be written; `rewrite` as for `plain_file`."""
    left = flights
    problem = "the disk is too slow"
    # The names of a file are few.
    rules, places = model.encoder.rules, Places()
    try:
        with (
            plain_file(answers, answers.parent, _OWN_ANSWERS, rewrite=rewrite) as file,
            engine(model, file) as connection,
        ):
            for rows in answered_rows(connection, model, file, invalid):
                if not prediction_log.wait_for_room():
                    break
                for *asked, probability, decision in rows:
                    flight = AskedFlight(*asked)
                    question, of_schedule = _by_day(model, flight, places)
                    spell_as_known(flight, rules)
                    prediction_log.add(
                        request_id,
                        model.name,
                        flight,
                        probability,
                        decision,
                        question,
                        of_schedule,
                    )
                left -= len(rows)
    except FlightsFileError as error:
        problem = str(error)
    if left:
        prediction_log.lose(left, problem)


def _by_day(
    model: DelayModel, flight: Any, places: Places
) -> tuple[Question | None, float | None]:
    """What was asked about a flight that was answered, which is completed by what was
    known of it, and the probability of its schedule; None if the day added nothing."""
    if model.day is None or not flight.scheduled:
        return None, None
    fields = {one.name: getattr(flight, one.attribute) for one in FIELDS}
    cell, _ = model.encoder.cell_averaged(fields, hints=False)
    if not isinstance(cell, int):
        return None, None
    question = question_of(model.day, flight, cell, places)
    if question is None:
        return None, None
    tell_as_known(flight, question, model.day)
    [of_schedule] = model.predict_cells([cell])
    return question, of_schedule


def _no_room(reason: str | None) -> RejectedRequest:
    event(logging.ERROR, f"a file cannot be kept: {reason}")
    return rejection(507, "no_room", f"the server has no room for the file: {reason}")
