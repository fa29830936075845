"""Many files of flights, answered one by one here or on a Dask cluster."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from challenge.errors import FlightsFileError, MissingColumnsError
from challenge.files.answering import ScoredFile, count_delays, score_file
from challenge.files.dask_cluster import mapping
from challenge.files.sources import fetched, find_parts, part_name
from challenge.model import DelayModel


def score_parts(
    model: str | Path,
    source: str | Path,
    output: Path | None,
    invalid: Literal["stop", "keep"] = "stop",
    scheduler: str | None = None,
    tell: Callable[[str], None] = lambda progress: None,
) -> ScoredFile:
    """Answer files, as `score_file` does, or count their delays.

    Args:
        model: the model's file.
        source: the files, as `find_parts` takes them.
        output: for one file the file to write, for several a folder, which workers of
            a cluster must share; None to write nothing. It appears when it is complete.
        invalid: what to do at rows with a fault, "stop" or "keep".
        scheduler: as `challenge.files.dask_cluster.mapping` takes it.
        tell: called with the progress, in words.

    Raises:
        ModelFileError: the model cannot be read.
        MissingColumnsError, FlightsFileError: as `score_file`; `output` is there
            already and holds something.
        ClusterError: the scheduler cannot be used.
    """
    loaded = DelayModel.load(model)
    parts = find_parts(source)
    if len(parts) == 1 and scheduler is None and not _is_folder(output):
        with fetched(parts[0]) as path:
            if output is None:
                return count_delays(loaded, path)
            return score_file(
                loaded, path, output, invalid, lambda rows: tell(f"{rows:,} rows")
            )
    content = Path(model).read_bytes()
    with contextlib.ExitStack() as stack:
        folder = None
        if output is not None:
            _check_names(parts)
            folder = stack.enter_context(_appearing(output))
        each = stack.enter_context(
            mapping(scheduler, lambda done, of: tell(f"{done:,} of {of:,} files"))
        )
        scored = ScoredFile()
        for part in each(_score, _Work(content, folder, invalid), parts):
            scored.add(part)
    return scored


class _Work(NamedTuple):
    """What to do with each part; the model as the bytes of its file, which a worker on
    another machine does not have."""

    model: bytes
    folder: Path | None
    invalid: Literal["stop", "keep"]


def _score(work: _Work, part: str) -> ScoredFile:
    loaded = _model(work.model)
    try:
        with fetched(part) as path:
            if work.folder is None:
                return count_delays(loaded, path)
            output = work.folder / part_name(part)
            return score_file(loaded, path, output, work.invalid)
    except MissingColumnsError as error:
        raise FlightsFileError(part, f"has {error}") from error


@functools.lru_cache(maxsize=1)
def _model(content: bytes) -> DelayModel:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pkl")
        path.write_bytes(content)
        return DelayModel.load(path)


def _is_folder(output: Path | None) -> bool:
    return output is not None and output.is_dir()


def _check_names(parts: list[str]) -> None:
    """Parts of different folders may not have one name: the output is one folder."""
    for name, count in Counter(map(part_name, parts)).items():
        if count > 1:
            raise FlightsFileError(name, f"is the name of {count} of the files")


@contextlib.contextmanager
def _appearing(output: Path) -> Iterator[Path]:
    """A folder to write to, that takes the name `output` once all went well."""
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FlightsFileError(output, "is there already; name a new folder")
    folder = output.with_name(f".{os.getpid()}.tmp.{output.name}").absolute()
    try:
        folder.mkdir(parents=True)
        yield folder
        with contextlib.suppress(FileNotFoundError):
            output.rmdir()
        folder.rename(output)
    except OSError as error:
        reason = error.strerror or error
        raise FlightsFileError(output, f"cannot be written: {reason}") from error
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    # Workers that were just told to stop may add a file while the folder is emptied.
    for _ in range(20):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.05)
