"""Receives an uploaded file, as a request's body or in a form, straight to the disk."""

from __future__ import annotations

from pathlib import Path
from typing import IO, Any, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import (
    MultipartParser,
    parse_options_header,
)
from starlette.requests import Request

from challenge.files.kinds import FileKind, kind_of, reading
from challenge.flights.faults import INPUT_SHOWN, shown
from challenge.serving.problems import rejection, too_large
from challenge.serving.state import ServiceState

CSV: Final = "text/csv"
TABS: Final = "text/tab-separated-values"
EXCEL: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
FORM: Final = "multipart/form-data"
# What programs call such files. What one is, its content tells.
MEDIA_TYPES: Final = (
    *(CSV, TABS, "text/plain", "application/csv", "application/vnd.ms-excel"),
    *("application/octet-stream", "application/gzip", "application/x-gzip"),
    *("application/zip", "application/x-zip-compressed", EXCEL),
    *("application/vnd.apache.parquet", "application/x-parquet"),
)
SUFFIXES: Final = {
    FileKind.TEXT: ".csv",
    FileKind.GZIP: ".csv.gz",
    FileKind.ZIP: ".zip",
    FileKind.EXCEL: ".xlsx",
    FileKind.PARQUET: ".parquet",
}
# Beside a file, a form has its boundaries and the headers of its parts.
_FORM_BYTES: Final = 65_536


def check_media_type(request: Request) -> None:
    """Refuse what is no file and no form.

    Raises:
        RejectedRequest: the media type is another.
    """
    given = request.headers.get("content-type", "").partition(";")[0].strip()
    if given.lower() not in (*MEDIA_TYPES, FORM):
        message = f"the media type {shown(given)} is not that of a file; send {CSV}"
        ctx = {"given": given[:INPUT_SHOWN], "wanted": CSV}
        raise rejection(415, "media_type", message, ctx=ctx)


async def receive(request: Request, state: ServiceState, path: Path) -> None:
    """Write the file of a request, whose media type was checked, to the disk.

    Raises:
        RejectedRequest: it is too large, or a form has not exactly one file.
        OSError: it cannot be written.
    """
    media_type, options = parse_options_header(request.headers["content-type"])
    limit = state.settings.max_file_bytes
    with path.open("wb") as stream:
        if media_type == FORM.encode():
            form = _Form(options.get(b"boundary", b""), stream)
            await _write(request, state, form.write, limit, _FORM_BYTES)
            form.finish()
            if stream.tell() > limit:
                raise too_large("file", limit)
        else:
            await _write(request, state, stream.write, limit)


def named_by_content(received: Path) -> Path:
    """Name a file by what it is.

    Raises:
        FlightsFileError: it cannot be read.
    """
    with reading(received):
        suffix = SUFFIXES[kind_of(received)]
        return received.rename(received.with_name("flights" + suffix))


async def _write(
    request: Request, state: ServiceState, write: Any, limit: int, beside: int = 0
) -> None:
    if int(request.headers.get("content-length", 0)) > limit + beside:
        raise too_large("file", limit)
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit + beside:
            raise too_large("file", limit)
        await state.files.on_disk(write, chunk)


class _Form:
    """Takes the only file out of a form; its other fields are of no interest.

    Raises:
        RejectedRequest: the form cannot be read, or has no file or several.
    """

    def __init__(self, boundary: bytes, stream: IO[bytes]) -> None:
        self._stream = stream
        self._files = 0
        self._is_file = self._is_whole = False
        self._name, self._value = b"", b""
        callbacks: Any = {
            "on_part_begin": self._begin,
            "on_header_begin": self._begin_header,
            "on_header_field": self._add_name,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_part_data": self._add_data,
            "on_end": self._end,
        }
        try:
            if not boundary:
                raise FormParserError("it has no boundary")
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as error:
            raise _no_form(str(error)) from error

    def write(self, chunk: bytes) -> None:
        """Parse a piece of the form."""
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise _no_form(str(error)) from error

    def finish(self) -> None:
        """Check that the form was whole."""
        if not self._is_whole:
            raise _no_form("it has no end")
        if self._files != 1:
            message = f"the form has {self._files} files; send one, as 'file'"
            raise rejection(400, "form", message, ctx={"files": self._files})

    def _begin(self) -> None:
        self._is_file = False

    def _begin_header(self) -> None:
        self._name, self._value = b"", b""

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._name.lower() == b"content-disposition":
            _, options = parse_options_header(self._value)
            if b"filename" in options:
                self._is_file = True
                self._files += 1

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        if self._is_file and self._files == 1:
            self._stream.write(data[start:end])

    def _end(self) -> None:
        self._is_whole = True


def _no_form(reason: str) -> Exception:
    message = f"the form cannot be read: {reason}"
    return rejection(400, "form", message, ctx={"problem": reason})
