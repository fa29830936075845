"""The kinds of files that hold flights, told by what is in them."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import IO, Any, Final, cast

from challenge.files.bounds import Bounds
from challenge.files.faults import (
    NO_FILE,
    OLD_EXCEL,
    SEVERAL_FILES,
    UNKNOWN_KIND,
    UNREADABLE,
    ZIPPED_NO_TEXT,
)

SUFFIXES: Final = (".csv", ".txt", ".tsv", ".gz", ".zip", ".xlsx", ".parquet")
NAMES_OF_SUFFIXES: Final = f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}"
_EXCEL_PART: Final = "xl/workbook.xml"
# Old Excel files, and new ones with a password.
_COMPOUND_FILE: Final = b"\xd0\xcf\x11\xe0"
# With files, and without.
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")
# What macOS puts beside the files of an archive.
_NO_FILES: Final = ("__MACOSX/", ".DS_Store")
_BUFFER: Final = 1 << 18


class FileKind(Enum):
    """What a file is, whatever its name says."""

    TEXT = "text"
    GZIP = "gzip"
    ZIP = "zip"
    EXCEL = "Excel"
    PARQUET = "Parquet"


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """What goes wrong in here is told as a fault of the file.

    Raises:
        FlightsFileError: the file is of another kind, missing, or cannot be read.
    """
    import duckdb

    if not path.name.lower().endswith(SUFFIXES):
        raise UNKNOWN_KIND.error(path, suffixes=NAMES_OF_SUFFIXES)
    if not path.is_file():
        raise NO_FILE.error(path)
    try:
        yield
    except (
        duckdb.Error,
        OSError,
        EOFError,
        UnicodeDecodeError,
        csv.Error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        # A caller's file has a name of ours.
        reason = str(error).replace(str(path), path.name).strip().splitlines()[0]
        raise UNREADABLE.error(path, reason=reason) from error


def kind_of(path: Path) -> FileKind:
    """What a file is by its first bytes.

    Raises:
        FlightsFileError: it is an Excel file of the old kind or with a password.
    """
    with path.open("rb") as stream:
        start = stream.read(4)
    if start == b"PAR1":
        return FileKind.PARQUET
    if start[:2] == b"\x1f\x8b":
        return FileKind.GZIP
    if start == _COMPOUND_FILE:
        raise OLD_EXCEL.error(path)
    if start in _ZIP:
        with zipfile.ZipFile(path) as archive:
            is_excel = _EXCEL_PART in archive.namelist()
        return FileKind.EXCEL if is_excel else FileKind.ZIP
    return FileKind.TEXT


def zipped_name(path: Path) -> str:
    """The name of the only file in a ZIP file.

    Raises:
        FlightsFileError: there are several, or none.
    """
    with zipfile.ZipFile(path) as archive:
        names = [
            one.filename
            for one in archive.infolist()
            if not one.is_dir()
            and not one.filename.startswith(_NO_FILES)
            and not one.filename.endswith(_NO_FILES)
        ]
    if len(names) == 1:
        return names[0]
    found = ", ".join(map(repr, names[:5])) or "nothing"
    more = f" and {len(names) - 5:,} more" if len(names) > 5 else ""
    raise SEVERAL_FILES.error(path, found=found + more)


def open_text(path: Path, kind: FileKind, bounds: Bounds) -> IO[bytes]:
    """Open the bytes of a text file that may be compressed.

    Raises:
        FlightsFileError: as `zipped_name`; also what is read later may raise it.
        FileTooLargeError: more was read than the bounds allow.
    """
    if kind is FileKind.TEXT:
        return path.open("rb", buffering=_BUFFER)
    if kind is FileKind.GZIP:
        stream = cast(IO[bytes], gzip.open(path, "rb"))
    else:
        stream = _open_zipped(path, bounds)
    return io.BufferedReader(_Bounded(stream, path, bounds), _BUFFER)


def _open_zipped(path: Path, bounds: Bounds) -> IO[bytes]:
    name = zipped_name(path)
    archive = zipfile.ZipFile(path)
    # No more than that is read of it.
    bounds.check_unpacked(path, archive.getinfo(name).file_size)
    try:
        stream = archive.open(name)
    # With a password, or compressed in a way that is not known here.
    except (RuntimeError, NotImplementedError) as error:
        raise UNREADABLE.error(path, reason=error) from error
    start = stream.read(4)
    if start in (b"PAR1", *_ZIP) or start[:2] == b"\x1f\x8b":
        raise ZIPPED_NO_TEXT.error(path, name=name)
    stream.seek(0)
    return stream


class _Bounded(io.RawIOBase):
    """Counts what is unpacked."""

    def __init__(self, stream: IO[bytes], path: Path, bounds: Bounds) -> None:
        self._stream = stream
        self._path = path
        self._bounds = bounds
        self._size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        chunk = self._stream.read(len(buffer))
        self._size += len(chunk)
        self._bounds.check_unpacked(self._path, self._size)
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        self._stream.close()
        super().close()
