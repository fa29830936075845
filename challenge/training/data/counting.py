"""Past flights of any number of files as counts, without holding the flights.

DuckDB counts the rows that are certainly valid, in SQL; all others go through
`challenge.flights.frames`, the one authority on what is wrong with a past flight.
"""

from __future__ import annotations

import functools
import hashlib
from collections import Counter
from collections.abc import Iterator
from itertools import groupby
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from challenge.errors import FlightsFileError, MissingColumnsError, TrainingDataError
from challenge.features.counts import Counts
from challenge.files.dask_cluster import MapFunction
from challenge.files.dialects import Dialect
from challenge.files.formats import ReadOptions
from challenge.files.kinds import reading
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile, row_fault
from challenge.files.rejected_rows import RejectedRows
from challenge.files.sources import fetched, file_name
from challenge.flights.fields import (
    CATEGORIES,
    DELAY,
    DELAY_THRESHOLD_MINUTES,
    DEPARTED,
    NOT_GIVEN,
    ORIGIN,
    SCHEDULED,
    Flight,
)
from challenge.flights.frames import TIME_FORMAT
from challenge.flights.vocabulary import Vocabulary
from challenge.training.data.past_flights import PastFlights, connected, past_flights
from challenge.training.data.rows import code_past
from challenge.training.data.time_zones import BY_CODE, zones_of_origins
from challenge.training.data.vocabularies import (
    aliases_of,
    merged,
    unambiguous,
    vocabulary_of,
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
        format: the name of its format.
        left_out: how many flights are not learned from, by why.
        skipped_times: how many flights have a time that the airport's clock skipped.
        time_zones: of the origins, by their names.
    """

    name: str
    rows: int
    vocabulary: Vocabulary
    counts: Counts
    rejected: RejectedRows
    period: tuple[pd.Timestamp, pd.Timestamp] | None
    sha256: str
    read_as: Dialect | None
    format: str
    left_out: Counter[str]
    skipped_times: int
    time_zones: dict[str, str]


class Counted(NamedTuple):
    """What all files hold together; attributes as of `FileCount`.

    Attributes:
        rows: of each file.
        sha256: of the file's bytes; of several files, that of their own, in order.
        read_as: by the names of files, the dialects of those that are not plain.
        format: the names of all, in alphabetical order.
    """

    rows: list[int]
    vocabulary: Vocabulary
    counts: Counts
    rejected: RejectedRows
    period: tuple[str, str] | None
    sha256: str
    read_as: dict[str, Dialect]
    format: str
    left_out: Counter[str]
    skipped_times: int
    time_zones: dict[str, str]


def count_files(
    files: list[str], each: MapFunction, options: ReadOptions = ReadOptions()
) -> Counted:
    """Count the flights of files.

    Args:
        files: the files, as `find_files` gives them.
        options: how they are to be read.
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
    formats: set[str] = set()
    left_out: Counter[str] = Counter()
    skipped_times = 0
    time_zones: dict[str, str] = {}
    for part in each(_count_named, (len(files), options), files):
        formats.add(part.format)
        left_out += part.left_out
        skipped_times += part.skipped_times
        time_zones |= part.time_zones
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
    known = vocabulary[ORIGIN] or ("",)
    return Counted(
        rows,
        unambiguous(vocabulary),
        counts,
        rejected,
        period,
        sha256,
        read_as,
        ", ".join(sorted(formats)),
        left_out,
        skipped_times,
        {name: time_zones[name] for name in known if name in time_zones},
    )


def count_file(part: str, options: ReadOptions = ReadOptions()) -> FileCount:
    """Count the flights of a file.

    Args:
        part: the file, as `find_files` gives it.
        options: how it is to be read.

    Raises:
        MissingColumnsError, FlightsFileError: it lacks columns, or cannot be read.
    """
    with fetched(part) as path:
        return read_plain(path, functools.partial(_count, file_name(part), options))


def _count(name: str, options: ReadOptions, file: PlainFile) -> FileCount:
    with reading(file.source), connected(file) as connection:
        past = past_flights(connection, file, options, BY_CODE)
        groups, uncertain, left_out = _groups(connection, past)
        if groups["unzoned"].any():
            # Not all of its airports are in its first rows.
            past = past_flights(connection, file, options, BY_CODE._replace(rows=None))
            groups, uncertain, left_out = _groups(connection, past)
        rejected = RejectedRows()
        counted = [_certain(groups)]
        rows = int(groups["flights"].sum()) + uncertain + left_out.total()
        if uncertain:
            for frame in _uncertain_frames(connection, past):
                frame = past.as_read(frame)
                counted.append(_checked(frame, file, name, rejected))
        vocabulary, counts = merged([(v, c) for v, c, _ in counted])
        times = [time for _, _, period in counted for time in period]
        digest = hashlib.sha256()
        with file.source.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return FileCount(
        name,
        rows,
        vocabulary,
        counts,
        rejected,
        (min(times), max(times)) if times else None,
        digest.hexdigest(),
        file.dialect if file.is_rewritten else None,
        past.reading.found.format.name,
        left_out,
        int(groups["skipped"].sum()),
        zones_of_origins(unambiguous(vocabulary), options.timezone),
    )


def _count_named(how: tuple[int, ReadOptions], part: str) -> FileCount:
    parts, options = how
    try:
        return count_file(part, options)
    except FlightsFileError as error:
        raise TrainingDataError(str(error)) from error
    except MissingColumnsError as error:
        if parts == 1:
            raise
        raise TrainingDataError(f"{part!r}: {error}") from error


def _rows_sql(source: str, past: PastFlights) -> str:
    """SQL for the rows of a source: `certain` where all of one is certainly valid, its
    fields by their attributes, `late`, and the columns of the source."""
    columns = past.columns

    def text(name: str) -> str:
        return columns.column(name) if columns.is_text(name) else "NULL"

    month = columns.month()
    on_time = f"month(scheduled) = {month}"
    certain = ["left_out IS NULL", "fault IS NULL", f"{month} IS NOT NULL"]
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
        late = f"departed - scheduled > INTERVAL {DELAY_THRESHOLD_MINUTES} MINUTE"
        certain += [on_time, "departed IS NOT NULL"]
    else:
        label = f"{columns.column(DELAY)}::VARCHAR"
        late = f"{label} = '1'"
        certain.append(f"{label} IN ('0', '1')")
        if SCHEDULED in columns:
            certain.append(f"({columns.is_not_given(SCHEDULED)} OR {on_time})")
    names = [f"nullif({text(one.name)}, '') AS {one.attribute}" for one in CATEGORIES]
    codes = [
        f"{text(one.code_column)} AS {one.attribute}_code"
        for one in CATEGORIES
        if one.code_column is not None
    ]
    unzoned = "false" if past.zone is None else "zone IS NULL"
    return (
        f"SELECT *, coalesce({' AND '.join(certain)}, false) AS certain, "
        f"{', '.join(names + codes)}, {month} AS month, {late} AS late, "
        f"{unzoned} AS unzoned "
        f"FROM (SELECT *, {past.left_out} AS left_out, {past.fault} AS fault "
        f"FROM ({past.timed(source)}))"
    )


def _groups(
    connection: duckdb.DuckDBPyConnection, past: PastFlights
) -> tuple[pd.DataFrame, int, Counter[str]]:
    """The certainly valid flights by their fields, how many rows are not among them, and
    how many others are left out, by why."""
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
        f"SELECT certain, left_out, {of_valid}, "
        "CASE WHEN certain THEN hour(scheduled) END AS hour, "
        "CASE WHEN certain THEN isodow(scheduled) - 1 END AS weekday, "
        "count(*) AS flights, count(*) FILTER (late) AS delayed, "
        "count(*) FILTER (skipped) AS skipped, count(*) FILTER (unzoned) AS unzoned, "
        f"min(scheduled) AS first, max(scheduled) AS last, {codes} "
        f"FROM ({_rows_sql(past.reading.rows.sql, past)}) GROUP BY ALL"
    ).df()
    certain = groups["certain"]
    others = groups[~certain]
    reasons = others.loc[others["left_out"].notna(), ["left_out", "flights"]]
    left_out = Counter(dict(reasons.itertuples(index=False, name=None)))
    uncertain = int(others.loc[others["left_out"].isna(), "flights"].sum())
    return groups[certain], uncertain, left_out


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
    connection: duckdb.DuckDBPyConnection, past: PastFlights
) -> Iterator[pd.DataFrame]:
    rows = connection.execute(
        f"SELECT {past.named()}, row_, fault "
        f"FROM ({_rows_sql(past.reading.rows.numbered_sql, past)}) "
        "WHERE NOT certain AND left_out IS NULL ORDER BY row_"
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
    faulty = np.flatnonzero(of_rows.notna()).tolist()
    told = {row: [row_fault(of_rows[row])] for row in faulty}
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
