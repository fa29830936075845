"""Where files of flights are: a file, a folder or a pattern, local or remote.

Remote is any address that fsspec knows, like s3://bucket/flights/*.parquet; such files
are downloaded one at a time.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from challenge.errors import FlightsFileError
from challenge.files.faults import NO_FILES, NO_PACKAGE, UNREADABLE
from challenge.files.kinds import NAMES_OF_SUFFIXES

# What else is in a folder is seldom flights.
_OF_FOLDERS: Final = (
    *(".csv", ".csv.gz", ".tsv", ".tsv.gz", ".zip", ".xlsx", ".parquet"),
)
_SCHEME: Final = "://"
_WILDCARDS: Final = "*?["


def find_files(source: str | Path) -> list[str]:
    """The files of a source, in alphabetical order.

    Args:
        source: a file; a folder, for all such files in and below it; a pattern with * ? [ ], where ** stands for any folders.

    Raises:
        FlightsFileError: there is no such file.
    """
    text = str(source)
    if _SCHEME in text:
        with _remote_errors(text):
            filesystem, path = _filesystem(text)
            if filesystem.isdir(path):
                found = [
                    one
                    for one in filesystem.find(path)
                    if one.lower().endswith(_OF_FOLDERS)
                ]
            elif filesystem.isfile(path):
                found = [path]
            else:
                found = filesystem.glob(path) if _is_pattern(text) else []
            files = sorted(map(filesystem.unstrip_protocol, found))
    elif Path(text).is_dir():
        below = Path(text).rglob("*")
        files = sorted(
            str(one) for one in below if one.name.lower().endswith(_OF_FOLDERS)
        )
    elif _is_pattern(text) and not Path(text).exists():
        root = Path(text).anchor or "."
        pattern = Path(text).relative_to(Path(text).anchor)
        files = sorted(str(one) for one in Path(root).glob(str(pattern)))
    else:
        # If it is missing or of another format, reading it says so.
        return [text]
    if not files:
        raise NO_FILES.error(text, suffixes=NAMES_OF_SUFFIXES)
    return files


def file_name(file: str) -> str:
    """The last part of a file's path or address."""
    return PurePosixPath(file).name if _SCHEME in file else Path(file).name


@contextlib.contextmanager
def fetched(file: str) -> Iterator[Path]:
    """A local path of a file; a remote one is downloaded and removed again.

    Raises:
        FlightsFileError: it cannot be downloaded. An error of this type that the block
            raises about the local path is raised about the file's address.
    """
    if _SCHEME not in file:
        yield Path(file)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, file_name(file))
        with _remote_errors(file):
            filesystem, remote = _filesystem(file)
            filesystem.get_file(remote, str(path))
        try:
            yield path
        except FlightsFileError as error:
            if error.path != path:
                raise
            raise type(error)(file, error.problem, error.kind) from error


def _is_pattern(text: str) -> bool:
    return any(character in text for character in _WILDCARDS)


def _filesystem(address: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    found: tuple[Any, str] = url_to_fs(address)
    return found


@contextlib.contextmanager
def _remote_errors(address: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise NO_PACKAGE.error(address, reason=error) from error
    # Each file system of fsspec has errors of its own.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise UNREADABLE.error(address, reason=reason) from error
