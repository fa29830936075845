"""Rows of past flights as frames, and their flights as codes and labels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from challenge.files.flight_times import Zones
from challenge.files.formats import ReadOptions
from challenge.files.kinds import reading
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile
from challenge.flights.fields import DELAY
from challenge.flights.frames import CodedFlights, code_flights
from challenge.flights.rules import FlightRules
from challenge.flights.vocabulary import Vocabulary
from challenge.training.data.past_flights import COLUMNS, connected, past_flights
from challenge.training.data.time_zones import codes_of, zones_of_airports
from challenge.training.data.vocabularies import vocabulary_of


def read_rows(
    path: Path,
    every: int,
    offset: int,
    vocabulary: Vocabulary,
    options: ReadOptions = ReadOptions(),
) -> pd.DataFrame:
    """Each n-th row of a file, those whose position plus an offset is a multiple, as
    `rows_of` gives them."""
    return read_plain(
        path,
        lambda file: rows_of(file, vocabulary, options, every=every, offset=offset),
    )


def rows_of(
    file: PlainFile,
    vocabulary: Vocabulary,
    options: ReadOptions,
    wanted: Sequence[str] = COLUMNS,
    every: int = 1,
    offset: int = 0,
) -> pd.DataFrame:
    """The rows of a file, but for flights that are not learned from.

    Args:
        file: the file.
        vocabulary: that of all flights.
        options: how the file is to be read.
        wanted: the columns of ours that are read, where it has them.
        every, offset: as for `read_rows`.

    Returns: the rows, their index their positions in the file. Times are by the clock of
        the schedule: as far from it as they really were.
    """
    zones = zones_of_airports(codes_of(vocabulary))
    known = Zones(lambda airports: zones, by_code=True)
    with reading(file.source), connected(file) as connection:
        past = past_flights(connection, file, options, known, wanted)
        rows = connection.sql(
            f"SELECT {past.named()}, row_ "
            f"FROM ({past.timed(past.reading.rows.numbered_sql)}) "
            f"WHERE {past.left_out} IS NULL AND {past.fault} IS NULL "
            f"AND (row_ + {offset}) % {every} = 0"
        )
        return past.as_read(rows.df().set_index("row_"))


def code_past(data: pd.DataFrame, vocabulary: Vocabulary | None) -> CodedFlights:
    """Past flights as codes and labels; without a vocabulary, by their own."""
    known = vocabulary or vocabulary_of(data)
    return code_flights(data, FlightRules(known, implied=False), DELAY)
