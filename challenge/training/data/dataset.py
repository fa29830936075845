"""Past flights, read into codes: all of them, or a sample where there are too many."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from math import ceil
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from challenge.errors import FlightsFileError, TrainingDataError
from challenge.features.counts import Counts
from challenge.files.dask_cluster import ProgressCallback, parallel_map
from challenge.files.formats import ReadOptions
from challenge.files.sources import fetched, file_name, find_files
from challenge.flights.vocabulary import Vocabulary
from challenge.training.data.counting import Counted, count_files
from challenge.training.data.rows import code_past, read_rows
from challenge.training.data.sample_data import is_sample

# Flights beyond that are counted but not kept row by row: intervals are narrow enough.
MAX_ROWS_KEPT: Final = 1_000_000


@dataclass(frozen=True)
class Dataset:
    """Flights in the order of their rows, without the rejected ones.

    Attributes:
        name: of the file; of several, that of their folder or pattern.
        counted: all flights, counted.
        every: of so many rows one is in here; 1 if all are.
        codes: int16 of shape (flights, CODES), columns as in `challenge.flights.fields.Flight`,
            by the vocabulary of all flights.
        delayed: int8 of shape (flights,), 1 for more than 15 minutes late.
        scheduled: datetime64[us] of shape (flights,), NaT where not given.
    """

    name: str
    counted: Counted
    every: int
    codes: NDArray[np.int16]
    delayed: NDArray[np.int8]
    scheduled: NDArray[np.datetime64]

    @property
    def days(self) -> NDArray[np.datetime64]:
        """The days that the flights are scheduled on, datetime64[D]."""
        return self.scheduled.astype("datetime64[D]")

    @property
    def vocabulary(self) -> Vocabulary:
        """The values that the flights have, in alphabetical order."""
        return self.counted.vocabulary

    @property
    def rows(self) -> int:
        """How many rows were read, with those that were rejected."""
        return sum(self.counted.rows)

    @property
    def rejected(self) -> int:
        """How many rows were left out for their faults."""
        return self.counted.rejected.rows

    @property
    def period(self) -> tuple[str, str] | None:
        """The first and the last scheduled time; None if no flight has one."""
        return self.counted.period

    @property
    def sha256(self) -> str:
        """Of the file's bytes, as `Counted` has it."""
        return self.counted.sha256

    @property
    def is_sample(self) -> bool:
        """Whether the flights are the project's sample data, and no real ones."""
        return is_sample(self.counted.counts)

    def counts(self, rows: NDArray[np.intp] | slice = slice(None)) -> Counts:
        """The flights that are in here, or those at some positions, as counts."""
        return Counts.of_rows(self.codes[rows], self.delayed[rows], self.vocabulary)


class _Sampled(NamedTuple):
    """A part, and how many rows the parts before it have."""

    part: str
    offset: int


def read_dataset(
    source: str | Path,
    skip_invalid: bool = False,
    options: ReadOptions = ReadOptions(),
    scheduler: str | None = None,
    progress: ProgressCallback = lambda done, of: None,
) -> Dataset:
    """Read past flights.

    The columns are those of the public dataset or of another format; others are ignored.
    OPERA, TIPOVUELO and MES are needed, and Fecha-I and Fecha-O or, without Fecha-O, the
    label `delay`. SIGLADES and Fecha-I are optional, as columns and row by row. Flights
    that were cancelled, diverted or have no departure are left out, and counted.

    Args:
        source: files of flights, as `find_files` takes them.
        skip_invalid: leave out rows with a fault instead of stopping.
        options: how the files are to be read.
        scheduler: as for `challenge.files.dask_cluster.parallel_map`; the result is
            the same.
        progress: called after each part that was counted.

    Raises:
        MissingColumnsError: the file lacks columns.
        TrainingDataError: a file cannot be read, or there is no valid flight, or there
            are rows with a fault and `skip_invalid` is not set; then every fault is
            counted and the first few are shown.
        ClusterError: the scheduler cannot be used.
    """
    try:
        parts = find_files(source)
    except FlightsFileError as error:
        raise TrainingDataError(str(error)) from error
    with parallel_map(scheduler, progress) as each:
        counted = count_files(parts, each, options)
        if counted.rejected.rows and not skip_invalid:
            raise TrainingDataError(f"{str(source)!r}: {counted.rejected}")
        if not counted.counts.total:
            raise TrainingDataError(f"{str(source)!r} has no valid flight")
        every = ceil(sum(counted.rows) / MAX_ROWS_KEPT)
        offsets = accumulate(counted.rows[:-1], initial=0)
        sampled = list(map(_Sampled, parts, offsets))
        how = (every, counted.vocabulary, options)
        read = each(_read, how, sampled)
        codes, delayed, scheduled = zip(*read, strict=True)
    return Dataset(
        name=file_name(str(source).rstrip("/")),
        counted=counted,
        every=every,
        codes=np.concatenate(codes),
        delayed=np.concatenate(delayed),
        scheduled=np.concatenate(scheduled),
    )


def _read(
    how: tuple[int, Vocabulary, ReadOptions], sampled: _Sampled
) -> tuple[NDArray[np.int16], NDArray[np.int8], NDArray[np.datetime64]]:
    """The codes, labels and times of the valid flights among each n-th row."""
    every, vocabulary, options = how
    with fetched(sampled.part) as path:
        data = read_rows(path, every, sampled.offset, vocabulary, options)
    coded = code_past(data, vocabulary)
    valid = np.ones(len(data), dtype=bool)
    valid[[row for row, _ in coded.faults]] = False
    return coded.codes[valid], coded.delayed[valid], coded.scheduled[valid]
