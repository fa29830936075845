"""Past flights of any number of files as counts, without holding the flights.

DuckDB counts the rows that are certainly valid, in SQL; all others go through
`challenge.flights.frames`, the one authority on what is wrong with a past flight.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from challenge.errors import FlightsFileError, MissingColumnsError, TrainingDataError
from challenge.features.counts import Counts, translate, unique_rows
from challenge.files.dask_cluster import MapFunction
from challenge.files.rejected_rows import RejectedRows
from challenge.files.scanning import reading
from challenge.files.sources import fetched, file_name
from challenge.files.sql import (
    engine_settings,
    first_row,
    month_sql,
    numbered_sql,
    source_sql,
    time_sql,
)
from challenge.flights.fields import (
    AIRLINE,
    DELAY,
    DELAY_THRESHOLD_MINUTES,
    DEPARTED,
    DESTINATION,
    FLIGHT_TYPE,
    FLIGHT_TYPES,
    MONTH,
    NOT_GIVEN,
    OPTIONAL_FIELDS,
    REQUIRED_FIELDS,
    SCHEDULED,
)
from challenge.flights.frames import TIME_FORMAT, CodedFlights, code_flights
from challenge.flights.rules import FlightReader, whole_number
from challenge.flights.vocabulary import Vocabulary

COLUMNS: Final = (*REQUIRED_FIELDS, *OPTIONAL_FIELDS, DEPARTED, DELAY)
ROWS_AT_ONCE: Final = 100_000
# Parts are merged once they hold as many kinds of flights together.
KINDS_AT_ONCE: Final = 1_000_000


class PartCount(NamedTuple):
    """What one file holds.

    Attributes:
        name: the file's.
        rows: how many there are, with those that are rejected.
        vocabulary: the values of the valid flights.
        counts: the valid flights.
        rejected: the other rows.
        period: the first and the last scheduled time; None if no flight has one.
        sha256: of the file's bytes.
    """

    name: str
    rows: int
    vocabulary: Vocabulary
    counts: Counts
    rejected: RejectedRows
    period: tuple[pd.Timestamp, pd.Timestamp] | None
    sha256: str


class Counted(NamedTuple):
    """What all files hold together; attributes as of `PartCount`.

    Attributes:
        rows: of each part.
        sha256: of the file's bytes; of several parts, that of their own, in order.
    """

    rows: list[int]
    vocabulary: Vocabulary
    counts: Counts
    rejected: RejectedRows
    period: tuple[str, str] | None
    sha256: str


def count_parts(parts: list[str], each: MapFunction) -> Counted:
    """Count the flights of files.

    Args:
        parts: the files, as `find_files` gives them.
        each: as `challenge.files.dask_cluster.parallel_map` gives it.

    Raises:
        MissingColumnsError, TrainingDataError: a file lacks columns, or cannot be
            read; of several the message names it.
    """
    rows: list[int] = []
    rejected = RejectedRows()
    periods: list[pd.Timestamp] = []
    digests: list[str] = []
    waiting: list[tuple[Vocabulary, Counts]] = []
    for part in each(_count_named, len(parts), parts):
        rows.append(part.rows)
        rejected.add(part.rejected)
        periods += part.period or ()
        digests.append(part.sha256)
        waiting.append((part.vocabulary, part.counts))
        if sum(len(counts.codes) for _, counts in waiting) > KINDS_AT_ONCE:
            waiting = [_merge(waiting)]
    vocabulary, counts = _merge(waiting)
    period = None
    if periods:
        period = (
            min(periods).strftime(TIME_FORMAT),
            max(periods).strftime(TIME_FORMAT),
        )
    sha256 = digests[0]
    if len(digests) > 1:
        sha256 = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return Counted(rows, vocabulary, counts, rejected, period, sha256)


def count_part(part: str) -> PartCount:
    """Count the flights of a file.

    Raises:
        MissingColumnsError, FlightsFileError: it lacks columns, or cannot be read.
    """
    with fetched(part) as path, reading(path), connected() as connection:
        types = _present(connection, path)
        judging = _judging(types, path)
        groups, uncertain = _groups(connection, path, judging)
        rejected = RejectedRows()
        counted = [_certain(groups)]
        rows = int(groups["flights"].sum()) + uncertain
        if uncertain:
            name = file_name(part)
            for frame in _uncertain_frames(connection, path, types, judging):
                counted.append(_judged(frame, first_row(path), name, rejected))
        vocabulary, counts = _merge([(v, c) for v, c, _ in counted])
        times = [time for _, _, period in counted for time in period]
        digest = hashlib.sha256()
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    period = (min(times), max(times)) if times else None
    return PartCount(
        file_name(part),
        rows,
        vocabulary,
        counts,
        rejected,
        period,
        digest.hexdigest(),
    )


def read_rows(path: Path, every: int, offset: int) -> pd.DataFrame:
    """Each n-th row of a file: those whose number plus an offset is a multiple."""
    with reading(path), connected() as connection:
        chosen = "" if every == 1 else f"WHERE (row_ + {offset}) % {every} = 0"
        numbered = _numbered(path, _present(connection, path))
        data = connection.sql(f"SELECT * FROM ({numbered}) {chosen}")
        return as_read(data.df().drop(columns="row_"), path)


def code_past(data: pd.DataFrame, vocabulary: Vocabulary | None) -> CodedFlights:
    """Past flights as codes and labels; without a vocabulary, by their own."""
    known = vocabulary or vocabulary_of(data)
    return code_flights(data, FlightReader(known), DELAY)


def vocabulary_of(data: pd.DataFrame) -> Vocabulary:
    """What flights hold; flight types are I and N, whatever a file says."""

    def texts(field: str) -> set[str]:
        distinct = data[field].dropna().unique() if field in data.columns else ()
        return {value for value in distinct if isinstance(value, str) and value}

    return Vocabulary(
        airlines=tuple(sorted(texts(AIRLINE))),
        flight_types=tuple(sorted(texts(FLIGHT_TYPE).intersection(FLIGHT_TYPES))),
        destinations=tuple(sorted(texts(DESTINATION))),
    )


def as_read(data: pd.DataFrame, path: Path) -> pd.DataFrame:
    """A frame with whole numbers where a CSV has their texts."""
    if path.suffix != ".parquet":
        for name in (MONTH, DELAY):
            if name in data.columns:
                data[name] = data[name].map(whole_number)
    return data


def connected() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config=engine_settings())


def _count_named(parts: int, part: str) -> PartCount:
    try:
        return count_part(part)
    except FlightsFileError as error:
        raise TrainingDataError(str(error)) from error
    except MissingColumnsError as error:
        if parts == 1:
            raise
        raise TrainingDataError(f"{part!r}: {error}") from error


def _present(connection: duckdb.DuckDBPyConnection, path: Path) -> dict[str, str]:
    """The columns that matter, with their types.

    Raises:
        MissingColumnsError: columns are missing.
    """
    relation = connection.sql(f"SELECT * FROM {source_sql(path)}")
    types = dict(zip(relation.columns, map(str, relation.types), strict=True))
    # The rules tell what is missing, of a frame with these columns and no rows.
    code_past(pd.DataFrame(columns=relation.columns), None)
    return {name: kind for name, kind in types.items() if name in COLUMNS}


def _numbered(path: Path, names: Iterable[str]) -> str:
    return numbered_sql(path, _quoted(names))


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _judging(types: dict[str, str], path: Path) -> str:
    """SQL: the fields, the label, and whether all of them are certainly valid."""
    is_parquet = path.suffix == ".parquet"

    def text(name: str) -> str:
        return f'"{name}"' if types.get(name) == "VARCHAR" else "NULL"

    scheduled = time_sql(SCHEDULED, types.get(SCHEDULED))
    departed = time_sql(DEPARTED, types.get(DEPARTED))
    on_time = f"month({scheduled}) = {month_sql(types[MONTH], is_parquet)}"
    certain = [
        f"{text(AIRLINE)} <> ''",
        f"{text(FLIGHT_TYPE)} IN {FLIGHT_TYPES}",
        f"{month_sql(types[MONTH], is_parquet)} IS NOT NULL",
    ]
    if DESTINATION in types and types[DESTINATION] != "VARCHAR":
        certain.append(f'"{DESTINATION}" IS NULL')
    if DEPARTED in types:
        late = f"{departed} - {scheduled} > INTERVAL {DELAY_THRESHOLD_MINUTES} MINUTE"
        certain += [on_time, f"{departed} IS NOT NULL"]
    else:
        late = f"\"{DELAY}\"::VARCHAR = '1'"
        certain.append(f"\"{DELAY}\"::VARCHAR IN ('0', '1')")
        if SCHEDULED in types:
            absent = f'("{SCHEDULED}" IS NULL OR "{SCHEDULED}"::VARCHAR = \'\')'
            certain.append(f"({absent} OR {on_time})")
    return (
        f"coalesce({' AND '.join(certain)}, false) AS certain, "
        f"{text(AIRLINE)} AS airline, {text(FLIGHT_TYPE)} AS flight_type, "
        f"{month_sql(types[MONTH], is_parquet)} AS month, "
        f"nullif({text(DESTINATION)}, '') AS destination, "
        f"{scheduled} AS scheduled, {late} AS late"
    )


def _groups(
    connection: duckdb.DuckDBPyConnection, path: Path, judging: str
) -> tuple[pd.DataFrame, int]:
    """The certainly valid flights by kind, and how many rows are not among them."""
    fields = ("airline", "flight_type", "month", "destination")
    of_valid = ", ".join(
        f"CASE WHEN certain THEN {name} END AS {name}" for name in fields
    )
    groups = connection.sql(
        f"SELECT certain, {of_valid}, "
        "CASE WHEN certain THEN hour(scheduled) END AS hour, "
        "CASE WHEN certain THEN isodow(scheduled) - 1 END AS weekday, "
        "count(*) AS flights, count(*) FILTER (late) AS delayed, "
        "min(scheduled) AS first, max(scheduled) AS last "
        f"FROM (SELECT {judging} FROM {source_sql(path)}) GROUP BY ALL"
    ).df()
    uncertain = ~groups["certain"]
    return groups[~uncertain], int(groups.loc[uncertain, "flights"].sum())


def _certain(
    groups: pd.DataFrame,
) -> tuple[Vocabulary, Counts, list[pd.Timestamp]]:
    def coded(name: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
        codes, values = pd.factorize(groups[name], sort=True, use_na_sentinel=True)
        return codes, tuple(values.tolist())

    airline, airlines = coded("airline")
    flight_type, flight_types = coded("flight_type")
    destination, destinations = coded("destination")
    month, hour, weekday = (
        groups[name].fillna(gap).to_numpy(np.int64)
        for name, gap in (("month", 0), ("hour", NOT_GIVEN), ("weekday", NOT_GIVEN))
    )
    codes = np.column_stack(
        (airline, flight_type, month - 1, destination, hour, weekday)
    )
    counts = Counts(
        codes.astype(np.int16),
        groups["flights"].to_numpy(np.int64),
        groups["delayed"].to_numpy(np.int64),
    )
    times = [time for name in ("first", "last") for time in groups[name].dropna()]
    return Vocabulary(airlines, flight_types, destinations), counts, _ends(times)


def _uncertain_frames(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
    names: Iterable[str],
    judging: str,
) -> Iterator[pd.DataFrame]:
    rows = connection.execute(
        f"SELECT {_quoted(names)}, row_ FROM (SELECT *, {judging} FROM "
        f"({_numbered(path, names)})) WHERE NOT certain ORDER BY row_"
    )
    vectors = ROWS_AT_ONCE // 2048
    while len(frame := rows.fetch_df_chunk(vectors)):
        yield as_read(frame, path)


def _judged(
    frame: pd.DataFrame, first: int, name: str, rejected: RejectedRows
) -> tuple[Vocabulary, Counts, list[pd.Timestamp]]:
    """The flights of a frame, but those that are rejected."""
    row_numbers = frame.pop("row_").to_numpy()
    coded = code_past(frame, None)
    wrong = []
    # They are in the order of their rows.
    for row, faults in groupby(coded.faults, key=lambda fault: fault[0]):
        number = int(row_numbers[row]) + first
        rejected.add_row(number, name, (fault for _, fault in faults))
        wrong.append(row)
    if wrong:
        frame = frame.drop(index=frame.index[wrong]).reset_index(drop=True)
        coded = code_past(frame, None)
    vocabulary = vocabulary_of(frame)
    counts = Counts.of_rows(coded.codes, coded.delayed, vocabulary)
    given = coded.scheduled[~np.isnat(coded.scheduled)]
    return vocabulary, counts, _ends(list(map(pd.Timestamp, given)))


def _ends(times: list[pd.Timestamp]) -> list[pd.Timestamp]:
    return [min(times), max(times)] if times else []


def _merge(
    counted: Iterable[tuple[Vocabulary, Counts]],
) -> tuple[Vocabulary, Counts]:
    """Counts by different vocabularies as counts by all of their values."""
    pairs = list(counted)

    def union(name: str) -> tuple[str, ...]:
        return tuple(sorted({v for one, _ in pairs for v in getattr(one, name)}))

    vocabulary = Vocabulary(
        union("airlines"), union("flight_types"), union("destinations")
    )
    codes = np.concatenate(
        [translate(counts.codes, own, vocabulary)[0] for own, counts in pairs]
    )
    kinds, kind = unique_rows(codes, vocabulary.sizes)
    flights, delayed = (
        np.bincount(
            kind,
            np.concatenate([getattr(counts, name) for _, counts in pairs]),
            minlength=len(kinds),
        ).astype(np.int64)
        for name in ("flights", "delayed")
    )
    return vocabulary, Counts(kinds, flights, delayed)
