"""A file of flights as messages tell them: today's as they are known now, or those of a
past day with the moments at which more became known."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple
from zoneinfo import ZoneInfo

from challenge.files.field_sql import sql_text
from challenge.files.flight_times import Zones
from challenge.files.formats import Needed, ReadOptions
from challenge.files.kinds import reading
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile, row_fault
from challenge.files.sources import fetched
from challenge.files.sql import engine_settings, file_source, lock
from challenge.files.telling import TOLD_FIELDS, Telling, ToldFlight, clock_of
from challenge.flights.faults import Fault
from challenge.flights.fields import MONTH, ORIGIN, SCHEDULED
from challenge.flights.rules import missing_columns
from challenge.flights.times import is_not_given
from challenge.flights.vocabulary import Vocabulary
from challenge.live.clock import Clocks

if TYPE_CHECKING:
    import duckdb


class ServedModel(NamedTuple):
    """What must be known of a server's model to read a file for it.

    Attributes:
        vocabulary: the names that it knows.
        time_zones: of its origins, by their names, as far as they are known.
    """

    vocabulary: Vocabulary
    time_zones: Mapping[str, str]

    @property
    def clocks(self) -> Clocks:
        """Those of its origins."""
        zones = {name: ZoneInfo(zone) for name, zone in self.time_zones.items()}
        return Clocks(tuple(zones), zones)

    def needed(self, others: Collection[str] = ()) -> Needed:
        """Which columns of ours cannot be done without, with others that are wanted."""
        names = [SCHEDULED, *others]
        if len(self.vocabulary[ORIGIN]) > 1:
            names.append(ORIGIN)

        def missing(columns: Collection[str]) -> list[str]:
            lacking = missing_columns(columns, self.vocabulary)
            lacking += [name for name in names if name not in columns]
            return [name for name in lacking if name != MONTH]

        return missing


@dataclass
class ToldFlights:
    """The flights of a file.

    Attributes:
        flights: in the order of the file.
        faults: rows that tell no flight, by their numbers.
        without_time: how many others have no scheduled time.
    """

    flights: list[ToldFlight] = field(default_factory=list)
    faults: list[tuple[int, Fault]] = field(default_factory=list)
    without_time: int = 0


def read_told_flights(
    source: str,
    model: ServedModel,
    first: datetime,
    last: datetime,
    options: ReadOptions = ReadOptions(),
    needed: Collection[str] = (),
) -> ToldFlights:
    """Read the flights of some days.

    Args:
        source: a file.
        model: the server's.
        first, last: their scheduled local times are from the first until before the last.
        options: how the file is to be read.
        needed: columns of ours that it must have beside those that messages need.

    Raises:
        MissingColumnsError: a column that is needed is not there.
        FlightsFileError: the file cannot be read.
    """
    with fetched(source) as path:
        return read_plain(
            path,
            lambda file: _read(file, model, first, last, options, needed),
        )


def local_midnight(zone: ZoneInfo | None, moment: int) -> int:
    """When the day of a moment began, by the clock of a time zone."""
    return clock_of(zone).midnight(moment)


def _read(
    file: PlainFile,
    model: ServedModel,
    first: datetime,
    last: datetime,
    options: ReadOptions,
    needed: Collection[str],
) -> ToldFlights:
    read = ToldFlights()
    with _connected(file) as connection, reading(file.source):
        source = file_source(connection, file)
        wanted = (*TOLD_FIELDS, *needed)
        telling = Telling(
            connection,
            file,
            source,
            options,
            model.needed(needed),
            wanted,
            _zones(model),
        )
        time, fault = telling.time, telling.fault
        within = " AND ".join(
            f"{time} {sign} TIMESTAMP {sql_text(str(bound))}"
            for sign, bound in ((">=", first), ("<", last))
        )
        for told in telling.rows(
            f"{fault} IS NOT NULL OR {time} IS NULL OR ({within})"
        ):
            row = file.row_numbers[told.position]
            if told.fault is not None:
                read.faults.append((row, row_fault(told.fault)))
            elif is_not_given(told.told.get(SCHEDULED)):
                read.without_time += 1
            else:
                flight = telling.flight(row, told)
                if isinstance(flight, Fault):
                    read.faults.append((row, flight))
                else:
                    read.flights.append(flight)
    return read


@contextlib.contextmanager
def _connected(file: PlainFile) -> Iterator[duckdb.DuckDBPyConnection]:
    import duckdb

    with tempfile.TemporaryDirectory() as folder:
        settings = engine_settings(file.bounds) | {"temp_directory": folder}
        with duckdb.connect(config=settings) as connection:
            lock(connection, [file.path])
            yield connection


def _zones(model: ServedModel) -> Zones:
    known = {name.upper(): zone for name, zone in model.time_zones.items()}

    def of(airports: Iterable[str]) -> dict[str, str | None]:
        return {name: known.get(name) for name in {*airports, *known}}

    return Zones(of)
