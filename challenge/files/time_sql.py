"""Times as files write them, and time zones, in SQL."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from challenge.files.field_sql import sql_text
from challenge.flights.times import OFFSET_PATTERN, TIME_PATTERN

if TYPE_CHECKING:
    import duckdb

WITH_OFFSET: Final = f"{TIME_PATTERN} ?{OFFSET_PATTERN}"
# 24:00 is the midnight at the end of the day.
MIDNIGHT: Final = r"\d{4}-\d{2}-\d{2}[ T]24:00(?::00)?"
# Two numbers whose order a file does not tell, 06/03/2017 8:15.
DAY_AND_MONTH: Final = (
    r"\d{1,2}[/.-]\d{1,2}[/.-]\d{4}[ T]\d{1,2}:\d{2}(?::\d{2})?(?: [AaPp][Mm])?"
)
# How many values say how a column is written.
SAMPLED: Final = 1_000
# From 1970 to 2049.
_DAYS_LOOKED_AT: Final = 29_220
_AIRPORT_TYPE: Final = '"airport"'

# A time of a date and a clock that is written 0659, 659 or 659.0; 2400 is midnight.
_CLOCK_TIME: Final = """
CREATE OR REPLACE MACRO clock_time(day, clock) AS
    CASE WHEN TRY_CAST(clock AS DOUBLE) BETWEEN 0 AND 2400
        AND TRY_CAST(clock AS DOUBLE) % 1 = 0
        AND TRY_CAST(clock AS DOUBLE) % 100 < 60
    THEN TRY_CAST(day AS DATE)::TIMESTAMP + to_minutes(
        (TRY_CAST(clock AS DOUBLE)::BIGINT // 100) * 60
        + TRY_CAST(clock AS DOUBLE)::BIGINT % 100) END
"""


class Writing(NamedTuple):
    """How the times of a column are written, by its first values.

    Attributes:
        has_offsets: some have an offset from UTC.
        has_dates: some have a day and a month whose order must be known.
        is_plain: none is written otherwise than a request may write it.
    """

    has_offsets: bool
    has_dates: bool
    is_plain: bool


def define_functions(connection: duckdb.DuckDBPyConnection) -> None:
    """Let DuckDB know the functions that formats may use."""
    connection.execute(_CLOCK_TIME)


def writing_of(
    connection: duckdb.DuckDBPyConnection, column: str, source: str
) -> Writing:
    """How a column of texts writes its times, by the first rows of a source."""
    some = ", ".join(
        f"coalesce(bool_or({_is(f'trim({column})', pattern)}), false)"
        for pattern in (WITH_OFFSET, DAY_AND_MONTH, MIDNIGHT)
    )
    [(offsets, dates, midnights)] = connection.execute(
        f"SELECT {some} FROM (SELECT {column} FROM {source} LIMIT {SAMPLED})"
    ).fetchall()
    return Writing(offsets, dates, not (offsets or dates or midnights))


def order_of_dates(
    connection: duckdb.DuckDBPyConnection, columns: Sequence[str], source: str
) -> tuple[str | None, str | None]:
    """The order of days and months in columns of texts, and one of these texts.

    Returns: "day-first" or "month-first" where some texts can only be that and none can
        only be the other, else None.
    """

    def some(days: int, months: int) -> str:
        return " OR ".join(
            f"({_is(f'trim({column})', DAY_AND_MONTH)} "
            f"AND {_number(column, days)} BETWEEN 13 AND 31 "
            f"AND {_number(column, months)} BETWEEN 1 AND 12)"
            for column in columns
        )

    examples = ", ".join(
        f"CASE WHEN {_is(f'trim({column})', DAY_AND_MONTH)} THEN {column} END"
        for column in columns
    )
    [(is_day_first, is_month_first, example)] = connection.execute(
        f"SELECT coalesce(bool_or({some(1, 2)}), false), "
        f"coalesce(bool_or({some(2, 1)}), false), min(coalesce({examples})) FROM {source}"
    ).fetchall()
    if is_day_first == is_month_first:
        return None, example
    return "day-first" if is_day_first else "month-first", example


def clock_sql(column: str, dates: str | None) -> str:
    """SQL for the time that a text shows, without regard to an offset; NULL where it is
    not one."""
    text = f"trim({column})"
    late = f"regexp_matches({text}, '[ T]24:00(:00)?$')"
    whole = f"replace(replace({text}, ' 24:00', ' 00:00'), 'T24:00', 'T00:00')"
    cases = [
        f"WHEN {_is(text, TIME_PATTERN)} THEN TRY_CAST({text} AS TIMESTAMP)",
        f"WHEN {_is(text, MIDNIGHT)} THEN TRY_CAST({whole} AS TIMESTAMP) + INTERVAL 1 DAY",
    ]
    if dates is not None:
        order = "%d-%m-%Y" if dates == "day-first" else "%m-%d-%Y"
        clocks = ("%H:%M:%S", "%H:%M", "%I:%M:%S %p", "%I:%M %p")
        forms = ", ".join(sql_text(f"{order} {clock}") for clock in clocks)
        dashed = f"regexp_replace({whole}, '[/.]', '-', 'g')"
        dashed = f"replace({dashed}, 'T', ' ')"
        day_more = f"CASE WHEN {late} THEN INTERVAL 1 DAY ELSE INTERVAL 0 DAY END"
        cases.append(
            f"WHEN {_is(text, DAY_AND_MONTH)} "
            f"THEN try_strptime({dashed}, [{forms}]) + {day_more}"
        )
    # There is no year 0 but to DuckDB.
    return f"CASE WHEN {text} < '0001' THEN NULL {' '.join(cases)} END"


def moment_sql(column: str) -> str:
    """SQL for the moment that a text with an offset from UTC says, else NULL."""
    text = f"trim({column})"
    return (
        f"CASE WHEN {_is(text, WITH_OFFSET)} THEN TRY_CAST({text} AS TIMESTAMPTZ) END"
    )


def minutes_later(time: str, minutes: str) -> str:
    """SQL for a time so many minutes later; they may be texts."""
    return f"{time} + to_microseconds((TRY_CAST({minutes} AS DOUBLE) * 60e6)::BIGINT)"


class ZoneSql(NamedTuple):
    """The time zone of a flight's airport, in SQL.

    Attributes:
        name: its name; NULL where it is not known.
        changes: bits, one a day since 1970: those on which a clock of these zones is
            changed, the day before and the day after.
    """

    name: str
    changes: str

    def may_change(self, scheduled: str) -> str:
        """SQL that is true of a flight around whose schedule the clock may be changed;
        only of these anything more need be asked, which takes long."""
        day = f"({scheduled}::DATE - DATE '1970-01-01')"
        bit = f"get_bit('{self.changes}'::BIT, {day}::INTEGER)"
        is_known = f"{day} BETWEEN 0 AND {len(self.changes) - 1}"
        return f"(CASE WHEN {is_known} THEN {bit} = 1 ELSE false END)"

    def by_schedule(self, scheduled: str, shown: str) -> str:
        """SQL for a time by the clock of the schedule: their distance is real time, also
        where the clock was changed between the two.

        Where a clock shows a time twice, nothing tells which one is meant; then the
        clock's own difference stands. Without a zone it stands, too.
        """

        def utc(time: str) -> str:
            return f"epoch_us(timezone({self.name}, {time}))"

        def is_shown_twice(time: str) -> str:
            hour_before = f"timezone({self.name}, {time}) - INTERVAL 1 HOUR"
            return f"timezone({self.name}, {hour_before}) = {time}"

        real = f"to_microseconds({utc(shown)} - {utc(scheduled)})"
        return (
            f"CASE WHEN {is_shown_twice(shown)} OR {is_shown_twice(scheduled)} "
            f"THEN {shown} ELSE coalesce({scheduled} + {real}, {shown}) END"
        )

    def skips(self, time: str) -> str:
        """SQL that is true of a local time that the clock skips."""
        again = f"timezone({self.name}, timezone({self.name}, {time}))"
        return f"coalesce({again} <> {time}, false)"


def zone_of(name: str, zones: Iterable[str]) -> ZoneSql:
    """One of some time zones.

    Args:
        name: SQL for its name.
        zones: the names of all that it may be.
    """
    return ZoneSql(name, _changes(frozenset(zones)))


@functools.lru_cache
def _changes(zones: frozenset[str]) -> str:
    import duckdb

    listed = ", ".join(map(sql_text, sorted(zones)))
    with duckdb.connect() as connection:
        days = connection.execute(f"""
            SELECT day - DATE '1970-01-01' FROM (
                SELECT day, epoch_us(day) - epoch_us(timezone(zone, day)) AS ahead,
                    lead(ahead) OVER (PARTITION BY zone ORDER BY day) AS next
                FROM (SELECT unnest([{listed}]) AS zone), (
                    SELECT unnest(range(TIMESTAMP '1970-01-01', TIMESTAMP '2050-01-01',
                        INTERVAL 1 DAY)) AS day))
            WHERE ahead <> next""").fetchall()
    near = {since.days + more for [since] in days for more in (-1, 0, 1)}
    return "".join("1" if day in near else "0" for day in range(_DAYS_LOOKED_AT))


def airports_in(
    connection: duckdb.DuckDBPyConnection, airport: str, source: str, rows: int | None
) -> list[str]:
    """What the first rows of a source, or all, call airports, in capitals."""
    first = "" if rows is None else f"LIMIT {rows}"
    found = connection.execute(
        f"SELECT DISTINCT upper(trim({airport}::VARCHAR)) AS name "
        f"FROM (SELECT {airport} FROM {source} {first}) WHERE name <> '' ORDER BY name"
    ).fetchall()
    return [name for [name] in found]


def zone_of_airport(
    connection: duckdb.DuckDBPyConnection,
    airport: str,
    zones: Mapping[str, str | None],
) -> ZoneSql:
    """The time zone of an airport.

    Args:
        connection: gets to know the airports.
        airport: SQL for what an airport is called.
        zones: of each airport, in capitals.
    """
    known_zones = [zone for zone in zones.values() if zone is not None]
    values = ["NULL" if zone is None else sql_text(zone) for zone in zones.values()]
    name = f"upper(trim({airport}::VARCHAR))"
    if len(zones) == 1:
        [only] = map(sql_text, zones)
        # Most are written as they should be.
        is_there = f"{airport} = {only} OR {name} = {only}"
        return zone_of(f"CASE WHEN {is_there} THEN {values[0]} END", known_zones)
    known = ", ".join(map(sql_text, zones))
    connection.execute(f"DROP TYPE IF EXISTS {_AIRPORT_TYPE}")
    # A join would lose the order of the rows.
    connection.execute(f"CREATE TYPE {_AIRPORT_TYPE} AS ENUM ({known})")
    place = f"enum_code(TRY_CAST({name} AS {_AIRPORT_TYPE}))"
    listed = f"([{', '.join(values)}])[{place}::BIGINT + 1]"
    return zone_of(listed, known_zones)


def _number(column: str, place: int) -> str:
    numbers = "'^(\\d{1,2})[/.-](\\d{1,2})'"
    return f"TRY_CAST(regexp_extract(trim({column}), {numbers}, {place}) AS INTEGER)"


def _is(column: str, pattern: str) -> str:
    return f"regexp_full_match({column}, {sql_text(pattern)})"
