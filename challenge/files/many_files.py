"""Predict many files of flights, one by one or on a Dask cluster."""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from challenge.artifact.atomic import replacing
from challenge.errors import FlightsFileError, MissingColumnsError
from challenge.files.answering import count_delays, predict_file
from challenge.files.answers import PredictionCounts
from challenge.files.dask_cluster import parallel_map
from challenge.files.faults import UNWRITABLE
from challenge.files.formats import ReadOptions
from challenge.files.history import on_day
from challenge.files.rejected_rows import Invalid
from challenge.files.sources import fetched, file_name, find_files
from challenge.model import DelayModel


def predict_files(
    model: str | Path,
    source: str | Path,
    output: Path | None,
    invalid: Invalid = "stop",
    options: ReadOptions = ReadOptions(),
    scheduler: str | None = None,
    progress: Callable[[str], None] = lambda text: None,
    average: bool = False,
    history: str | None = None,
    at: str | None = None,
    lead: int | None = None,
) -> PredictionCounts:
    """Predict files as `predict_file` does, or only count their delays.

    Args:
        model: the model's file.
        source: the files, as for `find_files`.
        output: for one file the file to write; for several a folder, which the workers
            of a cluster must share; None to write nothing. It appears when complete.
        invalid: what to do with rows that have a fault, as for `predict_file`.
        options: how the files are to be read.
        scheduler: as for `challenge.files.dask_cluster.parallel_map`.
        progress: called with how far it is, as text.
        average: as for `predict_file`.
        history, at, lead: as for `on_day`.

    Raises:
        ModelFileError: the model cannot be read.
        UnknownDayError, MomentError: as from `on_day`.
        MissingColumnsError, FlightsFileError: as by `predict_file`; or `output` exists
            and is not an empty folder.
        ClusterError: the scheduler cannot be used.
    """
    loaded = on_day(DelayModel.load(model), history, at, lead, options)
    files = find_files(source)
    if len(files) == 1 and scheduler is None and not (output and output.is_dir()):
        with fetched(files[0]) as path:
            if output is None:
                return count_delays(loaded, path, options, average)
            return predict_file(
                loaded,
                path,
                output,
                invalid,
                lambda rows: progress(f"{rows:,} rows"),
                options=options,
                average=average,
            )
    with contextlib.ExitStack() as stack:
        content = Path(model).read_bytes()
        if history is not None:
            content = _with_history(loaded)
        folder = None
        if output is not None:
            _check_names(files)
            folder = stack.enter_context(_new_folder(output))
        map_files = stack.enter_context(
            parallel_map(scheduler, lambda n, of: progress(f"{n:,} of {of:,} files"))
        )
        total = PredictionCounts()
        for counts in map_files(
            _predict,
            _Task(content, folder, invalid, options, average, at, lead),
            files,
        ):
            total.add(counts)
    return total


class _Task(NamedTuple):
    """What to do with each file; the model as the bytes of its file, which a worker on
    another machine does not have."""

    model: bytes
    folder: Path | None
    invalid: Invalid
    options: ReadOptions
    average: bool
    at: str | None
    lead: int | None


def _predict(task: _Task, file: str) -> PredictionCounts:
    loaded = on_day(_model(task.model), None, task.at, task.lead)
    try:
        with fetched(file) as path:
            if task.folder is None:
                return count_delays(loaded, path, task.options, task.average)
            output = task.folder / file_name(file)
            return predict_file(
                loaded,
                path,
                output,
                task.invalid,
                options=task.options,
                average=task.average,
            )
    except MissingColumnsError as error:
        raise FlightsFileError(file, f"has {error}") from error


def _with_history(model: DelayModel) -> bytes:
    """The file of a model with the past flights that it is asked with."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pkl")
        model.save_with_history(model.known_day.history, path)
        return path.read_bytes()


@functools.lru_cache(maxsize=1)
def _model(content: bytes) -> DelayModel:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.pkl")
        path.write_bytes(content)
        return DelayModel.load(path)


def _check_names(files: list[str]) -> None:
    """Files of different folders must differ in their names: the output is one folder."""
    for name, count in Counter(map(file_name, files)).items():
        if count > 1:
            raise FlightsFileError(name, f"is the name of {count} of the files")


@contextlib.contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FlightsFileError(output, "is there already; name a new folder")
    try:
        with replacing(output) as folder:
            folder.mkdir(parents=True)
            yield folder
            # Not every system renames a folder to one that exists.
            with contextlib.suppress(FileNotFoundError):
                output.rmdir()
    except OSError as error:
        reason = error.strerror or error
        raise UNWRITABLE.error(output, reason=reason) from error
