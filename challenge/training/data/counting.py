"""Past flights of any number of files as counts, without holding the flights.

DuckDB counts the rows that are certainly valid, in SQL; all others go through
`challenge.flights.frames`, the one authority on what is wrong with a past flight.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from challenge.errors import FlightsFileError, MissingColumnsError, TrainingDataError
from challenge.features.counts import Counts
from challenge.files.dask_cluster import MapFunction
from challenge.files.dialects import Dialect
from challenge.files.field_sql import FieldColumns
from challenge.files.kinds import reading
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile, row_fault
from challenge.files.rejected_rows import RejectedRows
from challenge.files.sources import fetched, file_name
from challenge.files.sql import Source, engine_settings, file_source
from challenge.flights.fields import (
    CATEGORIES,
    DELAY,
    DELAY_THRESHOLD_MINUTES,
    DEPARTED,
    FLIGHT_FIELDS,
    MONTH,
    NOT_GIVEN,
    SCHEDULED,
    Flight,
)
from challenge.flights.frames import TIME_FORMAT, CodedFlights, code_flights
from challenge.flights.rules import FlightRules, whole_number
from challenge.flights.vocabulary import Vocabulary
from challenge.training.data.vocabularies import (
    aliases_of,
    merged,
    unambiguous,
    vocabulary_of,
)

COLUMNS: Final = (
    *FLIGHT_FIELDS,
    *(one.code_column for one in CATEGORIES if one.code_column is not None),
    DEPARTED,
    DELAY,
)
ROWS_AT_ONCE: Final = 100_000
# Counts of files are merged once they hold so many unique flights together.
UNIQUE_AT_ONCE: Final = 1_000_000


class FileCount(NamedTuple):
    """What one file holds.

    Attributes:
        name: the file's.
        rows: how many there are, with those that are rejected.
        vocabulary: the values of the valid flights.
        counts: the valid flights.
        rejected: the other rows.
        period: the first and the last scheduled time; None if no flight has one.
        sha256: of the file's bytes.
        read_as: the file's dialect; None if it is plain.
    """

    name: str
    rows: int
    vocabulary: Vocabulary
    counts: Counts
    rejected: RejectedRows
    period: tuple[pd.Timestamp, pd.Timestamp] | None
    sha256: str
    read_as: Dialect | None


class Counted(NamedTuple):
    """What all files hold together; attributes as of `FileCount`.

    Attributes:
        rows: of each file.
        sha256: of the file's bytes; of several files, that of their own, in order.
        read_as: by the names of files, the dialects of those that are not plain.
    """

    rows: list[int]
    vocabulary: Vocabulary
    counts: Counts
    rejected: RejectedRows
    period: tuple[str, str] | None
    sha256: str
    read_as: dict[str, Dialect]


def count_files(files: list[str], each: MapFunction) -> Counted:
    """Count the flights of files.

    Args:
        files: the files, as `find_files` gives them.
        each: as `challenge.files.dask_cluster.parallel_map` gives it.

    Raises:
        MissingColumnsError, TrainingDataError: a file lacks columns, or cannot be
            read; of several the message names it.
    """
    rows: list[int] = []
    rejected = RejectedRows()
    periods: list[pd.Timestamp] = []
    digests: list[str] = []
    read_as: dict[str, Dialect] = {}
    waiting: list[tuple[Vocabulary, Counts]] = []
    for part in each(_count_named, len(files), files):
        rows.append(part.rows)
        rejected.add(part.rejected)
        periods += part.period or ()
        digests.append(part.sha256)
        if part.read_as is not None:
            read_as[part.name] = part.read_as
        waiting.append((part.vocabulary, part.counts))
        if sum(len(counts.codes) for _, counts in waiting) > UNIQUE_AT_ONCE:
            waiting = [merged(waiting)]
    vocabulary, counts = merged(waiting)
    period = None
    if periods:
        period = (
            min(periods).strftime(TIME_FORMAT),
            max(periods).strftime(TIME_FORMAT),
        )
    sha256 = digests[0]
    if len(digests) > 1:
        sha256 = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    vocabulary = unambiguous(vocabulary)
    return Counted(rows, vocabulary, counts, rejected, period, sha256, read_as)


def count_file(part: str) -> FileCount:
    """Count the flights of a file.

    Raises:
        MissingColumnsError, FlightsFileError: it lacks columns, or cannot be read.
    """
    with fetched(part) as path:
        return read_plain(path, functools.partial(_count, file_name(part)))


def _count(name: str, file: PlainFile) -> FileCount:
    with reading(file.source), connected() as connection:
        source = file_source(connection, file)
        columns = _columns(source, file)
        groups, uncertain = _groups(connection, source, columns)
        rejected = RejectedRows()
        counted = [_certain(groups)]
        rows = int(groups["flights"].sum()) + uncertain
        if uncertain:
            for frame in _uncertain_frames(connection, source, columns):
                frame = as_read(frame, file)
                counted.append(_checked(frame, file, name, rejected))
        vocabulary, counts = merged([(v, c) for v, c, _ in counted])
        times = [time for _, _, period in counted for time in period]
        digest = hashlib.sha256()
        with file.source.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    period = (min(times), max(times)) if times else None
    return FileCount(
        name,
        rows,
        vocabulary,
        counts,
        rejected,
        period,
        digest.hexdigest(),
        file.dialect if file.is_rewritten else None,
    )


def read_rows(path: Path, every: int, offset: int) -> pd.DataFrame:
    """Each n-th row of a file: those whose number plus an offset is a multiple."""

    def read(file: PlainFile) -> pd.DataFrame:
        with reading(path), connected() as connection:
            source = file_source(connection, file)
            chosen = _named(_columns(source, file))
            rows, where = source.sql, ["true"]
            if source.fault is not None:
                where.append(f"{source.fault} IS NULL")
            if every > 1:
                rows = source.numbered_sql
                where.append(f"(row_ + {offset}) % {every} = 0")
            found = connection.sql(
                f"SELECT {chosen} FROM {rows} WHERE {' AND '.join(where)}"
            )
            return as_read(found.df(), file)

    return read_plain(path, read)


def code_past(data: pd.DataFrame, vocabulary: Vocabulary | None) -> CodedFlights:
    """Past flights as codes and labels; without a vocabulary, by their own."""
    known = vocabulary or vocabulary_of(data)
    return code_flights(data, FlightRules(known), DELAY)


def as_read(data: pd.DataFrame, file: PlainFile) -> pd.DataFrame:
    """A frame with whole numbers where a CSV has their texts."""
    if not file.is_parquet:
        for name in (MONTH, DELAY):
            if name in data.columns:
                data[name] = data[name].map(whole_number)
    return data


def connected() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config=engine_settings())


def _count_named(parts: int, part: str) -> FileCount:
    try:
        return count_file(part)
    except FlightsFileError as error:
        raise TrainingDataError(str(error)) from error
    except MissingColumnsError as error:
        if parts == 1:
            raise
        raise TrainingDataError(f"{part!r}: {error}") from error


def _columns(source: Source, file: PlainFile) -> FieldColumns:
    """The columns of a file.

    Raises:
        MissingColumnsError: columns are missing.
    """
    # The rules tell what is missing, of a frame with these columns and no rows.
    code_past(pd.DataFrame(columns=list(source.types)), None)
    return FieldColumns(source.types, file.is_parquet)


def _named(columns: FieldColumns) -> str:
    """SQL for the columns that matter, by their names."""
    names = [name for name in COLUMNS if name in columns]
    return ", ".join(f'{columns.value(name)} AS "{name}"' for name in names)


def _rows_sql(source: Source, columns: FieldColumns, *others: str) -> str:
    """SQL for the rows of a source: `certain` where all of one is certainly valid, its
    fields by their attributes, `late`, `fault` of the row, and other columns of its
    numbered rows."""

    def text(name: str) -> str:
        return columns.column(name) if columns.is_text(name) else "NULL"

    month, scheduled = columns.month(), columns.time(SCHEDULED)
    on_time = f"month({scheduled}) = {month}"
    certain = [f"{month} IS NOT NULL", "fault IS NULL"]
    for field in CATEGORIES:
        if field.choices:
            certain.append(f"{text(field.name)} IN {field.choices}")
        elif field.required:
            certain.append(f"trim({text(field.name)}) <> ''")
        elif field.name in columns:
            blank = f"{text(field.name)} <> '' AND trim({text(field.name)}) = ''"
            is_text = columns.is_text(field.name)
            given = blank if is_text else f"{columns.column(field.name)} IS NOT NULL"
            certain.append(f"NOT coalesce({given}, false)")
    if DEPARTED in columns:
        departed = columns.time(DEPARTED)
        late = f"{departed} - {scheduled} > INTERVAL {DELAY_THRESHOLD_MINUTES} MINUTE"
        certain += [on_time, f"{departed} IS NOT NULL"]
    else:
        label = f"{columns.column(DELAY)}::VARCHAR"
        late = f"{label} = '1'"
        certain.append(f"{label} IN ('0', '1')")
        if SCHEDULED in columns:
            certain.append(f"({columns.is_not_given(SCHEDULED)} OR {on_time})")
    rows = source.numbered_sql if others else source.sql
    fault = f"{source.fault or 'NULL::VARCHAR'} AS fault"
    names = [f"nullif({text(one.name)}, '') AS {one.attribute}" for one in CATEGORIES]
    used = [name for name in COLUMNS if name in columns]
    codes = [
        f"{text(one.code_column)} AS {one.attribute}_code"
        for one in CATEGORIES
        if one.code_column is not None
    ]
    return (
        f"SELECT *, coalesce({' AND '.join(certain)}, false) AS certain, "
        f"{', '.join(names + codes)}, {month} AS month, {scheduled} AS scheduled, "
        f"{late} AS late FROM ({columns.select(used, rows, fault, *others)})"
    )


def _groups(
    connection: duckdb.DuckDBPyConnection, source: Source, columns: FieldColumns
) -> tuple[pd.DataFrame, int]:
    """The certainly valid flights by their fields, and how many rows are not among them."""
    fields = [*(field.attribute for field in CATEGORIES), "month"]
    of_valid = ", ".join(
        f"CASE WHEN certain THEN {name} END AS {name}" for name in fields
    )
    # What a group holds beside one name is one code, but for a few.
    codes = ", ".join(
        f"{end}({one.attribute}_code) AS {one.attribute}_code_{end}"
        for one in CATEGORIES
        if one.code_column is not None
        for end in ("min", "max")
    )
    groups = connection.sql(
        f"SELECT certain, {of_valid}, "
        "CASE WHEN certain THEN hour(scheduled) END AS hour, "
        "CASE WHEN certain THEN isodow(scheduled) - 1 END AS weekday, "
        "count(*) AS flights, count(*) FILTER (late) AS delayed, "
        f"min(scheduled) AS first, max(scheduled) AS last, {codes} "
        f"FROM ({_rows_sql(source, columns)}) GROUP BY ALL"
    ).df()
    uncertain = ~groups["certain"]
    return groups[~uncertain], int(groups.loc[uncertain, "flights"].sum())


def _certain(
    groups: pd.DataFrame,
) -> tuple[Vocabulary, Counts, list[pd.Timestamp]]:
    columns: dict[str, NDArray[np.int64]] = {}
    names: dict[str, tuple[str, ...]] = {}
    for field in CATEGORIES:
        column = groups[field.attribute]
        codes, values = pd.factorize(column, sort=True, use_na_sentinel=True)
        columns[field.attribute], names[field.name] = codes, tuple(values.tolist())
    for attribute in ("month", "hour", "weekday"):
        gaps = groups[attribute].fillna(NOT_GIVEN).to_numpy(np.int64)
        columns[attribute] = gaps - 1 if attribute == "month" else gaps
    codes = np.column_stack([columns[attribute] for attribute in Flight._fields])
    counts = Counts(
        codes.astype(np.int16),
        groups["flights"].to_numpy(np.int64),
        groups["delayed"].to_numpy(np.int64),
    )
    times = [time for name in ("first", "last") for time in groups[name].dropna()]
    return Vocabulary(names, aliases_of(groups)), counts, _ends(times)


def _uncertain_frames(
    connection: duckdb.DuckDBPyConnection, source: Source, columns: FieldColumns
) -> Iterator[pd.DataFrame]:
    rows_sql = _rows_sql(source, columns, "row_")
    rows = connection.execute(
        f"SELECT {_named(columns)}, row_, fault FROM ({rows_sql}) "
        "WHERE NOT certain ORDER BY row_"
    )
    vectors = ROWS_AT_ONCE // 2048
    while len(frame := rows.fetch_df_chunk(vectors)):
        yield frame


def _checked(
    frame: pd.DataFrame, file: PlainFile, name: str, rejected: RejectedRows
) -> tuple[Vocabulary, Counts, list[pd.Timestamp]]:
    """The flights of a frame, but those that are rejected."""
    positions = frame.pop("row_").to_numpy()
    of_rows = frame.pop("fault")
    ragged = np.flatnonzero(of_rows.notna()).tolist()
    told = {row: [row_fault(of_rows[row])] for row in ragged}
    coded = code_past(frame, None)
    # They are in the order of their rows.
    for row, faults in groupby(coded.faults, key=lambda fault: fault[0]):
        told.setdefault(row, [fault for _, fault in faults])
    wrong = sorted(told)
    for row in wrong:
        number = file.row_numbers[int(positions[row])]
        rejected.add_row(number, name, told[row])
    if wrong:
        frame = frame.drop(index=frame.index[wrong]).reset_index(drop=True)
        coded = code_past(frame, None)
    vocabulary = vocabulary_of(frame)
    counts = Counts.of_rows(coded.codes, coded.delayed, vocabulary)
    given = coded.scheduled[~np.isnat(coded.scheduled)]
    return vocabulary, counts, _ends(list(map(pd.Timestamp, given)))


def _ends(times: list[pd.Timestamp]) -> list[pd.Timestamp]:
    return [min(times), max(times)] if times else []
