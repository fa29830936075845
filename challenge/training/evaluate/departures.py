"""What was predicted, joined with the flights as they left."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import duckdb
import msgspec
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from challenge.errors import FlightsFileError, MissingColumnsError, TrainingDataError
from challenge.files.field_sql import FieldColumns
from challenge.files.formats import ReadOptions
from challenge.files.kinds import reading
from challenge.files.mapping import read_flights
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile
from challenge.files.prediction_log import (
    DISTANCE,
    LoggedFlight,
    read_prediction_log,
)
from challenge.files.sql import file_source, frame_source, text_sql
from challenge.flights.fields import (
    AIRLINE,
    DELAY_THRESHOLD_MINUTES,
    DEPARTED,
    DESTINATION,
    FLIGHT_NUMBER,
    FLIGHT_TYPE,
    SCHEDULED,
)
from challenge.training.data.past_flights import PastFlights
from challenge.training.data.time_zones import BY_CODE

PROBABILITY: Final = "probability"
# The columns that identify a flight; optional ones where both sides have them.
NEEDED_KEYS: Final = (SCHEDULED, AIRLINE)
OPTIONAL_KEYS: Final = (FLIGHT_TYPE, DESTINATION, FLIGHT_NUMBER)


@dataclass(frozen=True)
class Joined:
    """Flights that were predicted and have left, arrays of shape (flights,).

    Attributes:
        row: the row of the last prediction for each, from 0.
        probability: the one predicted there.
        delayed: int8, 1 for a flight that left more than 15 minutes late.
        week: datetime64[D], the Monday of the week of the scheduled time.
        predictions, departures: the number of usable rows of either.
        unusable: rows of either without a readable time or probability.
        too_late: the number of departures that were predicted too late only.
    """

    row: NDArray[np.int64]
    probability: NDArray[np.float64]
    delayed: NDArray[np.int8]
    week: NDArray[np.datetime64]
    predictions: int
    departures: int
    unusable: int
    too_late: int


def read_logged(source: str | Path) -> pd.DataFrame:
    """A prediction log as a table, one row per answer, in order of time. Its columns
    have the names that the log gives them.

    Raises:
        TrainingDataError: the log cannot be read, or holds nothing.
    """
    names = [field.encode_name for field in msgspec.structs.fields(LoggedFlight)]
    try:
        rows = [
            msgspec.structs.astuple(flight)
            for flights in read_prediction_log(source)
            for flight in flights
        ]
    except FlightsFileError as error:
        raise TrainingDataError(str(error)) from error
    if not rows:
        raise TrainingDataError(f"{str(source)!r} holds no answer")
    table = pd.DataFrame(rows, columns=names, dtype=object)
    # Its type must not depend on the answers of which some are looked at.
    table[DISTANCE] = table[DISTANCE].astype("float64")
    # All are UTC in one form, so their texts are in the order of time.
    return table.sort_values("time", kind="stable", ignore_index=True)


def join_departures(
    predictions: str | Path | pd.DataFrame,
    flights: str | Path,
    options: ReadOptions = ReadOptions(),
) -> Joined:
    """Find the predictions for the flights that left.

    They are matched by Fecha-I and OPERA, and by TIPOVUELO, SIGLADES and Vlo-I where
    both rows have them. Of several predictions for a flight, those that share the most
    of these are preferred, and of them the one nearest to the scheduled time; of those of
    the same state, or where no state was asked, the last.

    What a prediction log tells of their distance decides which take no part: what was
    answered behind the clock of the state, or when the flight was known to have left.
    Where only the table answered after the state had been asked, the flight had been out
    of its reach, behind the clock.

    Args:
        predictions: a file of flights with a `probability`, or a table that
            `read_logged` gave.
        flights: such a file with Fecha-I and Fecha-O, or what tells them.
        options: how the files are to be read.

    Raises:
        MissingColumnsError: a column is not there.
        TrainingDataError: a file cannot be read, or no flight is in both.
    """
    with duckdb.connect() as connection:
        try:
            needed = (*NEEDED_KEYS, PROBABILITY)
            if isinstance(predictions, pd.DataFrame):
                connection.register("given", predictions)
                given = frame_source(connection, "given")
                logged = (*needed, DISTANCE)
                if missing := [one for one in logged if one not in given.types]:
                    raise MissingColumnsError(missing, given.types)
                columns = FieldColumns(given.types, is_parquet=False)
                predicted = _table(connection, "predicted", logged, columns, given.sql)
            else:
                predicted = _file(connection, "predicted", predictions, needed, options)
                # A column of that name is what the flight covers.
                connection.execute(f"ALTER TABLE predicted ADD {DISTANCE} DOUBLE")
            needed = (*NEEDED_KEYS, DEPARTED)
            left = _file(connection, "departed", flights, needed, options)
            keys = [n for n in OPTIONAL_KEYS if n in predicted and n in left]
            return _joined(connection, keys, Path(flights))
        except FlightsFileError as error:
            raise TrainingDataError(str(error)) from error


def _file(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    source: str | Path,
    needed: Sequence[str],
    options: ReadOptions,
) -> list[str]:
    def read(plain: PlainFile) -> list[str]:
        with reading(plain.source):
            file = file_source(connection, plain)

            def missing(columns: Collection[str]) -> list[str]:
                return [n for n in needed if n not in columns and n not in file.types]

            flights = read_flights(
                connection,
                plain,
                file,
                options,
                missing,
                (*needed, *OPTIONAL_KEYS),
                BY_CODE._replace(rows=None),
                others=(PROBABILITY,),
            )
            past = PastFlights(flights, left_out="NULL", wanted=needed)
            rows = f"({past.timed(flights.rows.sql)})"
            if flights.rows.fault is not None:
                rows += f" WHERE {flights.rows.fault} IS NULL"
            return _table(connection, table, needed, flights.columns, rows)

    return read_plain(Path(source), read)


def _table(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    needed: Sequence[str],
    columns: FieldColumns,
    source: str,
) -> list[str]:
    """Make a table of the rows of a source, which calls the departure `departed`; returns
    its columns."""
    known = dict.fromkeys((*needed, *OPTIONAL_KEYS))
    selected = [name for name in known if name in columns]
    values = []
    for name in selected:
        if name == SCHEDULED:
            value = columns.time(name)
        elif name == DEPARTED:
            value = "departed"
        elif name in (PROBABILITY, DISTANCE):
            value = f"TRY_CAST({columns.column(name)} AS DOUBLE)"
        else:
            text = text_sql(columns.column(name), columns.types[name])
            value = f"nullif({text}, '')"
        values.append(f'{value} AS "{name}"')
    # Keeps the order of the rows, by which the last prediction is found.
    connection.execute(
        f"CREATE TABLE {table} AS SELECT {', '.join(values)}, "
        f"row_number() OVER () - 1 AS row FROM {source}"
    )
    return selected


def _joined(
    connection: duckdb.DuckDBPyConnection, keys: Sequence[str], flights: Path
) -> Joined:
    usable_prediction = f'"{SCHEDULED}" IS NOT NULL AND {PROBABILITY} BETWEEN 0 AND 1'
    usable_departure = f'"{SCHEDULED}" IS NOT NULL AND "{DEPARTED}" IS NOT NULL'
    found = connection.execute(f"""
        WITH
            left_ AS (FROM departed WHERE {usable_departure}),
            asked AS (FROM predicted WHERE {usable_prediction}),
            matched AS ({_matched(keys)}),
            timed AS (SELECT *, {_IS_AHEAD} AS is_ahead FROM matched)
        FROM timed
        QUALIFY row_number() OVER (
            PARTITION BY flight
            ORDER BY is_ahead DESC, equal_keys DESC, {DISTANCE} NULLS LAST, answer DESC
        ) = 1
        ORDER BY flight
        """).fetchnumpy()
    is_ahead = np.asarray(found["is_ahead"], np.bool_)

    def count(table: str, where: str) -> tuple[int, int]:
        query = f"SELECT count(*), count(*) FILTER ({where}) FROM {table}"
        [(rows, usable)] = connection.execute(query).fetchall()
        return rows, usable

    predicted, usable_predictions = count("predicted", usable_prediction)
    departed, usable_departures = count("departed", usable_departure)
    if not is_ahead.any():
        compared = ", ".join((*NEEDED_KEYS, *keys))
        when = " before it left" if len(is_ahead) else ""
        problem = f"has no flight that was predicted{when}; compared: {compared}"
        raise FlightsFileError(flights, problem)
    return Joined(
        row=np.asarray(found["answer"], np.int64)[is_ahead],
        probability=np.asarray(found[PROBABILITY], np.float64)[is_ahead],
        delayed=np.asarray(found["delayed"], np.int8)[is_ahead],
        week=np.asarray(found["week"], "datetime64[D]")[is_ahead],
        predictions=usable_predictions,
        departures=usable_departures,
        unusable=predicted - usable_predictions + departed - usable_departures,
        too_late=int((~is_ahead).sum()),
    )


# Where the state was asked, its distance tells; what only the table answered later was
# out of its reach by then.
_IS_AHEAD: Final = f"""CASE WHEN {DISTANCE} IS NULL
    THEN coalesce(answer < first_of_state, true)
    ELSE {DISTANCE} >= 0 AND seconds_late + round(60 * {DISTANCE}) > 0 END"""


def _matched(keys: Sequence[str]) -> str:
    """SQL for all pairs of a departure and a prediction that may mean each other."""
    same = [f'left_."{name}" = asked."{name}"' for name in (*NEEDED_KEYS, *keys)]
    needed, optional = same[: len(NEEDED_KEYS)], same[len(NEEDED_KEYS) :]
    # A value missing on one side is no difference, but more equal values are better.
    matches = " AND ".join([*needed, *(f"coalesce({one}, true)" for one in optional)])
    equal_keys = (
        " + ".join(f"coalesce({one}, false)::INTEGER" for one in optional) or "0"
    )
    late_by = f'left_."{DEPARTED}" - left_."{SCHEDULED}"'
    return f"""
        SELECT left_.row AS flight, asked.row AS answer,
            asked.{PROBABILITY}, asked.{DISTANCE}, {equal_keys} AS equal_keys,
            epoch({late_by}) AS seconds_late,
            ({late_by} > INTERVAL {DELAY_THRESHOLD_MINUTES} MINUTE)::TINYINT AS delayed,
            date_trunc('week', left_."{SCHEDULED}")::TIMESTAMP AS week,
            min(asked.row) FILTER (asked.{DISTANCE} IS NOT NULL)
                OVER (PARTITION BY left_.row) AS first_of_state
        FROM left_ JOIN asked ON {matches}"""
