"""What a file of flights would be taken for, without learning from it."""

from __future__ import annotations

import functools
from collections.abc import Collection
from dataclasses import dataclass

from challenge.files.formats import (
    FoundColumns,
    ReadOptions,
    needed_to_learn,
)
from challenge.files.kinds import reading
from challenge.files.mapping import Reading, read_flights
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile
from challenge.files.sources import fetched
from challenge.files.sql import file_source
from challenge.flights.fields import OUR_COLUMNS
from challenge.flights.rules import missing_columns
from challenge.flights.vocabulary import Vocabulary
from challenge.training.data.counting import FileCount, count_file
from challenge.training.data.past_flights import connected
from challenge.training.data.time_zones import BY_CODE


@dataclass(frozen=True)
class CheckedFile:
    """What a file would be taken for.

    Attributes:
        format: the name of its format.
        title: what that is, for people.
        columns: of each of our columns, and of what else is known of a flight, the
            columns of the file that tell it, or the constant that it is.
        made: columns of ours that are made of these.
        unused: the columns of the file that nothing is made of.
        dates: the order of its dates, where they have one.
        counted: its flights; None for flights that have not left yet.
    """

    format: str
    title: str
    columns: dict[str, str]
    made: list[str]
    unused: list[str]
    dates: str | None
    counted: FileCount | None


def check_file(file: str, options: ReadOptions = ReadOptions()) -> CheckedFile:
    """Say what a file would be taken for.

    Raises:
        MissingColumnsError, FlightsFileError: it cannot be read.
    """
    with fetched(file) as path:
        read = read_plain(path, functools.partial(_read, options=options))
    found = read.found
    names = list(read.file.types)
    return CheckedFile(
        found.format.name,
        found.format.title,
        {key: ", ".join(_columns_of(found, key, names)) for key in found.expressions},
        [
            name
            for name in OUR_COLUMNS
            if name in read.columns and name not in found.expressions
        ],
        [
            name
            for place, name in enumerate(names)
            if place not in found.places.values()
        ],
        read.dates,
        None if needed_to_learn(found.ours) else count_file(file, options),
    )


def _read(file: PlainFile, options: ReadOptions) -> Reading:
    def missing(columns: Collection[str]) -> list[str]:
        return missing_columns(columns, Vocabulary({}))

    with reading(file.source), connected(file) as connection:
        source = file_source(connection, file)
        return read_flights(
            connection, file, source, options, missing, OUR_COLUMNS, BY_CODE
        )


def _columns_of(found: FoundColumns, key: str, names: list[str]) -> list[str]:
    used = [names[found.places[name]] for name in found.used_by(key)]
    return used or [found.expressions[key]]
