"""POST /predict/file: returns a file of flights with predictions added.

The file and its answer are kept on disk, not in memory.
"""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask

from challenge.errors import (
    FileTooLargeError,
    FlightsFileError,
    MissingColumnsError,
)
from challenge.files import answering
from challenge.files.answers import PredictionCounts
from challenge.files.bounds import UPLOADS
from challenge.files.cancellation import Cancellation
from challenge.files.dialects import Dialect
from challenge.files.kinds import FileKind
from challenge.files.listing import list_flights
from challenge.files.rejected_rows import Invalid
from challenge.flights.faults import INPUT_SHOWN
from challenge.flights.fields import Language
from challenge.live.known import Question
from challenge.serving.evidence import evidence_of
from challenge.serving.file_flights import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    FlightsOfFile,
    encoded,
)
from challenge.serving.file_log import log_file
from challenge.serving.middleware.requests import ANSWERED_FLIGHTS, REQUEST_ID
from challenge.serving.observability.log import event
from challenge.serving.problems import (
    MAX_FAULTS,
    RejectedRequest,
    problem_responses,
    rejection,
)
from challenge.serving.reasons import reasons
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
_JSON: Final = "application/json"


class _Answer(NamedTuple):
    """The answer to a file.

    Attributes:
        scored: what became of its rows.
        file: the file with the answers; None if there is none.
        kind: of the file.
        flights: the flights as JSON; None if they were not asked for.
    """

    scored: PredictionCounts
    file: Path | None
    kind: FileKind
    flights: bytes | None


@router.post(
    "/predict/file",
    response_class=FileResponse,
    responses={
        **problem_responses(400, 408, 410, 413, 415, 507),
        200: {
            "model": FlightsOfFile,
            "description": "The file, with the columns `probability` and `delay` added; "
            "the flights as JSON where `Accept` asks for nothing else",
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
    invalid: Annotated[
        Invalid, Query(description="What becomes of a file with invalid rows")
    ] = "stop",
    unknown: Literal["reject", "average"] = "reject",
    at: AtTime = None,
    limit: Annotated[
        int,
        Query(
            ge=0, le=MAX_LIMIT, description="How many flights the JSON lists at most"
        ),
    ] = DEFAULT_LIMIT,
    language: Annotated[
        Language, Query(description="Of the JSON's reasons: English or Spanish")
    ] = "en",
) -> Response:
    """Predict the flights of a CSV, Excel (.xlsx) or Parquet file.

    The columns are those of POST /predict; others are kept. The content of the file
    tells what it is: a CSV may be separated by commas, semicolons, tabs or bars,
    compressed by gzip or in a ZIP file, in UTF-8, UTF-16 or Windows-1252, and have
    titles above its header. The answer is written in the same way. That to an Excel
    file is one where `Accept` asks for it, else a CSV; that to any file is one where
    `Accept` asks for nothing else. With `Accept: application/json` alone the answer is
    the flights one by one, those of faulty rows left out as with `invalid=keep`.

    A file with invalid rows is rejected; with `invalid=keep` they get no prediction, and
    a column `fault` says why. With `invalid=only` the answer is just the invalid rows, with
    a column `problem` that says what is wrong with each, and nothing is predicted: a file
    to be mended and sent again. With `unknown=average` a destination or an origin that the
    model does not know is taken as not given.
    """
    check_media_type(request)
    model = await asked_at(state, at)
    state.files.check_room()
    accepted = [
        one.partition(";")[0].strip().lower()
        for one in request.headers.get("accept", "").split(",")
    ]
    wants_json = accepted == [_JSON]
    if wants_json:
        invalid = "keep"
        # For the reasons.
        await evidence_of(model)
    try:
        folder = UploadFolder()
    except OSError as error:
        raise _no_room(error.strerror) from error
    received = folder.path / "received.csv"
    average = unknown == "average"

    # Flights repeat, and are at most as many as are listed.
    @functools.cache
    def why(cell: int, question: Question | None) -> list[dict[str, Any]]:
        found = reasons(model, cell, question, language)
        return [one.model_dump() for one in found]

    def answer(cancellation: Cancellation) -> _Answer:
        source = named_by_content(received)
        kind = next(one for one in SUFFIXES if source.name.endswith(SUFFIXES[one]))
        if accepted == [EXCEL]:
            kind = FileKind.EXCEL
        elif kind is FileKind.EXCEL and EXCEL not in accepted:
            kind = FileKind.TEXT
        output, flights = None, None
        if not wants_json or state.prediction_log is not None:
            output = folder.path / ("answers" + SUFFIXES[kind])
            scored = answering.predict_file(
                model,
                source,
                output,
                invalid,
                cancellation=cancellation,
                bounds=UPLOADS,
                average=average,
            )
        if wants_json:
            listed = list_flights(
                model, source, limit, MAX_FAULTS, why, cancellation, UPLOADS, average
            )
            scored, flights = listed.scored, encoded(listed)
        return _Answer(scored, output, kind, flights)

    try:
        await receive(request, state, received)
        answered = await state.files.run(answer, request.receive)
    except BaseException as error:
        folder.remove()
        raise _rejected(error) from error
    scored = answered.scored
    predicted = 0 if invalid == "only" else scored.rows - scored.invalid
    request.scope[ANSWERED_FLIGHTS] = predicted
    state.count_answered(model, (), scored.delayed, predicted)
    dialect = next(iter(scored.read_as.values()), None)

    async def finish() -> None:
        with folder:
            if predicted and answered.file and state.prediction_log:
                request_id = request.scope[REQUEST_ID]
                await state.files.log(
                    log_file,
                    state.prediction_log,
                    request_id,
                    model,
                    answered.file,
                    invalid,
                    predicted,
                    dialect is not None,
                )

    headers = {}
    if dialect is not None and (told := dialect.to_header()):
        headers[DIALECT_HEADER] = told
    if scored.averaged:
        counted = scored.averaged.items()
        headers[AVERAGED_HEADER] = ", ".join(f"{name}={n}" for name, n in counted)
    if answered.flights is not None:
        return Response(
            answered.flights,
            headers=headers,
            media_type=_JSON,
            background=BackgroundTask(finish),
        )
    assert answered.file is not None
    return FileResponse(
        answered.file,
        headers=headers,
        media_type=_media_type(answered.kind, dialect),
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
            message = f"the file {error.problem}"
            return rejection(413, error.kind, message, ctx=error.ctx)
        case FlightsFileError() if Path(error.path).name.startswith(_OF_CALLER):
            message = f"the file {error.problem}"
            return rejection(400, error.kind, message, ctx=error.ctx)
        case FlightsFileError():
            return _no_room(error.problem)
        case MissingColumnsError():
            found = [str(name)[:INPUT_SHOWN] for name in error.found[:MAX_FAULTS]]
            ctx = {"missing": error.columns, "found": found, **error.ctx}
            return rejection(400, "missing_columns", str(error), ctx=ctx)
        case OSError():
            return _no_room(error.strerror)
    return error


def _no_room(reason: str | None) -> RejectedRequest:
    event(logging.ERROR, f"a file cannot be kept: {reason}")
    message = f"the server has no room for the file: {reason}"
    return rejection(507, "no_room", message, ctx={"problem": reason})
