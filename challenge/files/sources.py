"""Where flights come from: a file, a folder, or a pattern, here or elsewhere.

Elsewhere is any address that fsspec knows, like s3://bucket/flights/*.parquet; such
files are fetched one at a time.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from challenge.errors import FlightsFileError
from challenge.files.scanning import SUFFIXES

_ELSEWHERE: Final = "://"
_WILD: Final = "*?["


def find_parts(source: str | Path) -> list[str]:
    """The files that a source names, in alphabetical order.

    Args:
        source: a .csv, .csv.gz or .parquet file; a folder, for all such files in and
            below it; a pattern with * ? [ ], where ** stands for any folders.

    Raises:
        FlightsFileError: it names no file.
    """
    text = str(source)
    if _ELSEWHERE in text:
        with _elsewhere(text):
            filesystem, path = _filesystem(text)
            if filesystem.isdir(path):
                found = [one for one in filesystem.find(path) if one.endswith(SUFFIXES)]
            elif filesystem.isfile(path):
                found = [path]
            else:
                found = filesystem.glob(path) if _is_pattern(text) else []
            parts = sorted(map(filesystem.unstrip_protocol, found))
    elif Path(text).is_dir():
        below = Path(text).rglob("*")
        parts = sorted(str(one) for one in below if one.name.endswith(SUFFIXES))
    elif _is_pattern(text) and not Path(text).exists():
        root = Path(text).anchor or "."
        pattern = Path(text).relative_to(Path(text).anchor)
        parts = sorted(str(one) for one in Path(root).glob(str(pattern)))
    else:
        # That it is missing or of another kind is told when it is read.
        return [text]
    if not parts:
        raise FlightsFileError(text, f"names no {' or '.join(SUFFIXES)} file")
    return parts


def part_name(part: str) -> str:
    """The name of a part's file."""
    return PurePosixPath(part).name if _ELSEWHERE in part else Path(part).name


@contextlib.contextmanager
def fetched(part: str) -> Iterator[Path]:
    """A part as a file of this machine.

    Raises:
        FlightsFileError: it cannot be fetched, or what goes wrong with it meanwhile,
            under its own name.
    """
    if _ELSEWHERE not in part:
        yield Path(part)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, part_name(part))
        with _elsewhere(part):
            filesystem, remote = _filesystem(part)
            filesystem.get_file(remote, str(path))
        try:
            yield path
        except FlightsFileError as error:
            if error.path != path:
                raise
            raise FlightsFileError(part, error.problem) from error


def _is_pattern(text: str) -> bool:
    return any(character in text for character in _WILD)


def _filesystem(address: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    found: tuple[Any, str] = url_to_fs(address)
    return found


@contextlib.contextmanager
def _elsewhere(address: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise FlightsFileError(address, f"needs a package: {error}") from error
    # Each kind of storage has errors of its own.
    except Exception as error:
        reason = str(error) or type(error).__name__
        raise FlightsFileError(address, f"cannot be read: {reason}") from error
