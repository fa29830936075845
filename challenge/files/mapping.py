"""Files of any format, read as flights with our columns."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from challenge.files.expressions import Expressions
from challenge.files.field_sql import FieldColumns
from challenge.files.flight_times import ARRIVALS, FlightTimes, Zones
from challenge.files.formats import (
    OURS,
    FoundColumns,
    Needed,
    ReadOptions,
    find_format,
)
from challenge.files.plain_file import ROW_FAULT, PlainFile
from challenge.files.sql import Source, text_sql
from challenge.files.time_sql import ZoneSql, define_functions
from challenge.flights.fields import DELAY, DEPARTED, MONTH, SCHEDULED

if TYPE_CHECKING:
    import duckdb

# What a file read as flights may have beside our columns: why a flight is not learned
# from, and the time zone of its airport.
LEFT_OUT: Final = "left out"
ZONE: Final = "time zone"


class Reading(NamedTuple):
    """A file of flights.

    Attributes:
        file: its rows as they are.
        rows: with our columns, and LEFT_OUT and ZONE where they are made.
        columns: these, for SQL.
        found: its format, and where the columns are.
        dates: the order of its dates, where they have one.
        zone: the time zone of a row's airport; None where none is known.
        has_clock_departures: whether departures are what the clock of the airport
            showed; else they are as far from the schedule as they really were.
        has_clock_arrivals: the same of the arrivals of the aircraft's leg before.
    """

    file: Source
    rows: Source
    columns: FieldColumns
    found: FoundColumns
    dates: str | None
    zone: ZoneSql | None
    has_clock_departures: bool
    has_clock_arrivals: bool


def read_flights(
    connection: duckdb.DuckDBPyConnection,
    plain: PlainFile,
    file: Source,
    options: ReadOptions | None,
    needed: Needed,
    wanted: Collection[str],
    zones: Zones,
    others: Collection[str] = (),
) -> Reading:
    """Read the rows of a file as flights.

    Args:
        connection: the one that reads it.
        plain: the file.
        file: its rows.
        options: how it is to be read; None for a file of a caller who cannot say it.
        needed: which columns of ours cannot be done without.
        wanted: the columns of ours that will be read; others are not made.
        zones: of airports.
        others: columns of the file that are kept as they are, where it has them.

    Raises:
        MissingColumnsError, FlightsFileError: it is of no known format, its dates may
            be read in two ways, or the time zone of its airport is needed and not known.
    """
    path = plain.source
    found = find_format(path, file.types, options, needed)
    define_functions(connection)
    expressions = Expressions(connection, path, file, found)
    times = FlightTimes(
        connection, path, expressions, options or ReadOptions(), wanted, zones
    )
    if found.format.name == OURS and times.are_as_ours:
        return _as_it_is(expressions, times, plain.is_parquet)
    kept = [name for name in others if name in file.types]
    return _made(expressions, times, wanted, kept)


def _as_it_is(
    expressions: Expressions, times: FlightTimes, is_parquet: bool
) -> Reading:
    """The file's columns in their order, those that are ours by our names."""
    file, found = expressions.file, expressions.found

    def place(key: str) -> int:
        return found.places[found.expressions[key]]

    ours = {place(key): key for key in found.ours}
    types: dict[str, str] = {}
    for number, (name, kind) in enumerate(file.types.items()):
        # One that differs from ours in its case alone is another column.
        other = f"{name} ({number})" if name in ours.values() else name
        types[ours.get(number, other)] = kind
    return Reading(
        file,
        file._replace(types=types),
        FieldColumns(types, is_parquet),
        found,
        dates=None,
        zone=times.zone(lambda key: f"c{place(key)}", file.sql),
        has_clock_departures=True,
        has_clock_arrivals=True,
    )


def _made(
    expressions: Expressions,
    times: FlightTimes,
    wanted: Collection[str],
    kept: Sequence[str],
) -> Reading:
    """Our columns, made of the file's."""
    file = expressions.file
    zone = times.zone(expressions.value, expressions.rows(file.sql))
    layers = list(times.layers(zone))
    columns = dict(_made_columns(expressions, times, wanted))
    columns |= {name: (f"kept{n}", file.types[name]) for n, name in enumerate(kept)}
    if file.fault is not None:
        columns[ROW_FAULT] = ("fault", "VARCHAR")
    chosen = [f"{value} AS c{n}" for n, (value, _) in enumerate(columns.values())]

    def rows(source: str, is_numbered: bool) -> str:
        select = expressions.rows(source, kept, is_numbered)
        for layer in layers:
            select = f"(SELECT *, {', '.join(layer)} FROM {select})"
        last = [*chosen, *(["row_"] if is_numbered else [])]
        # What looks at other legs changes the order of the rows.
        order = " ORDER BY row_" if times.tells_legs else ""
        return f"(SELECT {', '.join(last)} FROM {select}{order})"

    numbered = rows(file.numbered_sql, True)
    unnumbered = numbered if times.tells_legs else rows(file.sql, False)
    types = {name: kind for name, (_, kind) in columns.items()}
    fields = FieldColumns(types, is_parquet=False)
    fault = None if file.fault is None else fields.column(ROW_FAULT)
    return Reading(
        file,
        Source(unnumbered, numbered, types, list(types), fault),
        fields,
        expressions.found,
        times.dates,
        zone and zone._replace(name=fields.column(ZONE)),
        has_clock_departures=times.are_local and expressions.departure == DEPARTED,
        has_clock_arrivals=times.has_clock_arrivals,
    )


def _made_columns(
    expressions: Expressions, times: FlightTimes, wanted: Collection[str]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Our columns, each with what it is in the last layer, and its type."""
    for key in expressions.found.ours:
        if key not in wanted:
            continue
        if key in (SCHEDULED, DEPARTED):
            alias = "scheduled" if key == SCHEDULED else "departed"
            # What is no time is told as it is.
            text = f"coalesce({_written(alias)}, nullif(raw_{alias}, ''))"
            yield key, (text, "VARCHAR")
        elif key in times.arrivals:
            text = text_sql(expressions.value(key), expressions.kinds[key])
            yield key, (f"coalesce({_written(ARRIVALS[key])}, {text})", "VARCHAR")
        elif key in (MONTH, DELAY):
            yield key, (expressions.value(key), expressions.kinds[key])
        else:
            text = text_sql(expressions.value(key), expressions.kinds[key])
            yield key, (text, "VARCHAR")
    if times.tells_legs:
        for key, alias in ARRIVALS.items():
            yield key, (_written(alias), "VARCHAR")
    if conditions := expressions.conditions:
        cases = [f"WHEN {expressions.is_true(one)} THEN '{one}'" for one in conditions]
        yield LEFT_OUT, (f"CASE {' '.join(cases)} END", "VARCHAR")
    yield ZONE, ("zone", "VARCHAR")


def _written(time: str) -> str:
    return f"strftime({time}, '%Y-%m-%d %H:%M:%S')"
