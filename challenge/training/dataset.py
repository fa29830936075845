"""A file of past flights, read into codes: CSV (also .gz) or Parquet."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from challenge.counts import Counts
from challenge.errors import (
    FAULTS_SHOWN,
    FlightsFileError,
    TrainingDataError,
    describe_faults,
)
from challenge.flights import (
    AIRLINE,
    DELAY,
    DEPARTED,
    DESTINATION,
    FLIGHT_TYPE,
    FLIGHT_TYPES,
    MONTH,
    OPTIONAL_FIELDS,
    REQUIRED_FIELDS,
    Fault,
    FlightReader,
    Vocabulary,
)
from challenge.frames import TIME_FORMAT, Faults, code_flights
from challenge.scan import reading, source_sql, whole_number

COLUMNS: Final = (*REQUIRED_FIELDS, *OPTIONAL_FIELDS, DEPARTED, DELAY)


@dataclass(frozen=True)
class Dataset:
    """The flights of a file in the order of its rows, without the refused ones.

    Attributes:
        vocabulary: the values that the flights have, in alphabetical order.
        codes: int16 of shape (flights, 6), columns as in `challenge.flights.Flight`.
        delayed: int8 of shape (flights,), 1 for more than 15 minutes late.
        scheduled: datetime64[us] of shape (flights,), NaT where not given.
        faults: (row, fault) of every fault; rows count from 0.
        rows: how many rows the file has.
        first_row: what people call the first of them: 2 in a CSV, under its header.
        name: the file's name.
        sha256: of the file's bytes.
    """

    vocabulary: Vocabulary
    codes: NDArray[np.int16]
    delayed: NDArray[np.int8]
    scheduled: NDArray[np.datetime64]
    faults: Faults
    rows: int
    first_row: int
    name: str
    sha256: str

    @property
    def refused(self) -> int:
        """How many rows were left out for their faults."""
        return self.rows - len(self.codes)

    @property
    def period(self) -> tuple[str, str] | None:
        """The first and the last scheduled time; None if no flight has one."""
        given = self.scheduled[~np.isnat(self.scheduled)]
        if not given.size:
            return None
        first, last = pd.Timestamp(given.min()), pd.Timestamp(given.max())
        return first.strftime(TIME_FORMAT), last.strftime(TIME_FORMAT)

    def counts(self, rows: NDArray[np.intp] | slice = slice(None)) -> Counts:
        """The flights, or those at some positions, as counts."""
        return Counts.of_rows(self.codes[rows], self.delayed[rows], self.vocabulary)


def read_dataset(
    source: str | Path,
    skip_invalid: bool = False,
    vocabulary: Vocabulary | None = None,
) -> Dataset:
    """Read past flights from a file.

    The columns are those of the public dataset; others are ignored. OPERA, TIPOVUELO
    and MES are needed, and Fecha-I and Fecha-O or, without Fecha-O, the label `delay`.
    SIGLADES and Fecha-I are optional, as columns and row by row.

    Args:
        source: a .csv, .csv.gz or .parquet file.
        skip_invalid: leave out rows with a fault instead of stopping.
        vocabulary: the values that the flights may have; None for those they have.

    Raises:
        MissingColumnsError: the file lacks columns.
        TrainingDataError: the file cannot be read, or has no valid flight, or has
            rows with a fault and `skip_invalid` is not set; then every fault is
            counted and the first few are shown.
    """
    path = Path(source)
    data = _read_frame(path)
    rows = len(data)
    first_row = 1 if path.suffix == ".parquet" else 2
    known = vocabulary or _vocabulary(data)
    coded = code_flights(data, FlightReader(known), DELAY)
    faults = coded.faults
    if faults:
        if not skip_invalid:
            problem = refused_rows(faults, first_row)
            raise TrainingDataError(f"{str(path)!r}: {problem}")
        data = data.drop(index=[row for row, _ in faults]).reset_index(drop=True)
        known = vocabulary or _vocabulary(data)
        coded = code_flights(data, FlightReader(known), DELAY)
    if data.empty:
        raise TrainingDataError(f"{str(path)!r} has no valid flight")
    return Dataset(
        vocabulary=known,
        codes=coded.codes,
        delayed=coded.delayed,
        scheduled=coded.scheduled,
        faults=faults,
        rows=rows,
        first_row=first_row,
        name=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
    )


def refused_rows(dataset_faults: Faults, first_row: int) -> str:
    """Every fault counted by its field and kind, and the first few with their rows."""
    return describe_faults(
        rows=len({row for row, _ in dataset_faults}),
        kinds=Counter((fault.field, fault.type) for _, fault in dataset_faults),
        first=[
            (row + first_row, fault) for row, fault in dataset_faults[:FAULTS_SHOWN]
        ],
    )


def _vocabulary(data: pd.DataFrame) -> Vocabulary:
    """What the flights hold; flight types are I and N, whatever a file says."""

    def texts(field: str) -> set[str]:
        distinct = data[field].dropna().unique() if field in data.columns else ()
        return {value for value in distinct if isinstance(value, str) and value}

    return Vocabulary(
        airlines=tuple(sorted(texts(AIRLINE))),
        flight_types=tuple(sorted(texts(FLIGHT_TYPE).intersection(FLIGHT_TYPES))),
        destinations=tuple(sorted(texts(DESTINATION))),
    )


def _read_frame(path: Path) -> pd.DataFrame:
    try:
        with reading(path), duckdb.connect() as connection:
            relation = connection.sql(f"SELECT * FROM {source_sql(path)}")
            present = [name for name in relation.columns if name in COLUMNS]
            # Without any there is still a frame, for what it lacks to be told.
            names = present or relation.columns
            data: pd.DataFrame = relation.select(
                *(duckdb.ColumnExpression(name) for name in names)
            ).df()
    except FlightsFileError as error:
        raise TrainingDataError(str(error)) from error
    if path.suffix != ".parquet":
        for field in (MONTH, DELAY):
            if field in data.columns:
                data[field] = data[field].map(whole_number)
    return data
