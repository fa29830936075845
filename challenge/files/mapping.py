"""Files of any format, read as flights with our columns."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from challenge.errors import FlightsFileError
from challenge.files import time_sql
from challenge.files.field_sql import FieldColumns, name_sql, sql_text
from challenge.files.formats import (
    AIRCRAFT,
    ARRIVAL_MINUTES_LATE,
    ARRIVAL_SCHEDULED,
    ARRIVED,
    CONDITIONS,
    LOCAL,
    MINUTES_LATE,
    MINUTES_SCHEDULED,
    OWN_ARRIVAL,
    OWN_ARRIVAL_SCHEDULED,
    FoundColumns,
    Needed,
    ReadOptions,
    find_format,
)
from challenge.files.sql import Source, text_sql
from challenge.files.time_sql import ZoneSql
from challenge.flights.fields import (
    DELAY,
    DEPARTED,
    DESTINATION,
    FIELD_OF,
    MONTH,
    ORIGIN,
    SCHEDULED,
)

if TYPE_CHECKING:
    import duckdb

# What a file read as flights may have beside our columns: why a flight is not learned
# from, and the time zone of its airport.
LEFT_OUT: Final = "left out"
ZONE: Final = "time zone"
ORIGIN_CODE: Final = str(FIELD_OF[ORIGIN].code_column)
# What times are called in the layers of SQL.
_ALIASES: Final = {
    SCHEDULED: "scheduled",
    DEPARTED: "departed",
    OWN_ARRIVAL_SCHEDULED: "due",
    OWN_ARRIVAL: "landed",
}


class Zones(NamedTuple):
    """The time zones of airports, as far as they are known.

    Attributes:
        of: gives the zones of airports, None where they are not known; it gets what
            the rows of a file call them, in capitals, and may give others, too.
        by_code: whether airports have their codes there, or the names of a model.
        rows: of so many rows; None for all.
    """

    of: Callable[[Collection[str]], Mapping[str, str | None]]
    by_code: bool = False
    rows: int | None = time_sql.SAMPLED


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
    """

    file: Source
    rows: Source
    columns: FieldColumns
    found: FoundColumns
    dates: str | None
    zone: ZoneSql | None
    has_clock_departures: bool


def read_flights(
    connection: duckdb.DuckDBPyConnection,
    path: Path,
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
        path: the file; its suffix says of which kind it is.
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
    found = find_format(path, file.types, options, needed)
    time_sql.define_functions(connection)
    mapping = _Mapping(
        connection, path, file, found, options or ReadOptions(), wanted, zones
    )
    return mapping.as_it_is() if mapping.is_as_ours else mapping.made(others)


class _Mapping:
    """The SQL that makes our columns of those of a file.

    It is made of layers, each a SELECT from the one before it. Names of the file are in
    the innermost alone: none can take the place of one in a query.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        path: Path,
        file: Source,
        found: FoundColumns,
        options: ReadOptions,
        wanted: Collection[str],
        zones: Zones,
    ) -> None:
        self._connection = connection
        self._path = path
        self._file = file
        self._found = found
        self._options = options
        self._wanted = wanted
        self._zones = zones
        self._clock_zone = found.format.clock
        self._names = list(found.expressions)
        self._kinds = self._types()
        times = [SCHEDULED]
        if DEPARTED in wanted:
            times.append(DEPARTED)
        if self._tells_legs:
            times += [OWN_ARRIVAL_SCHEDULED, OWN_ARRIVAL]
        self._times = [key for key in times if key in self._kinds]
        source = self._innermost(file.sql)
        self._writings = {
            key: time_sql.writing_of(connection, self._value(key), source)
            for key in self._times
            if self._kinds[key] == "VARCHAR"
        }

    @property
    def is_as_ours(self) -> bool:
        """Whether the columns can be read as they are."""
        return (
            self._found.format.name == "scl"
            and not self._has_offsets(*self._times)
            and all(writing.is_plain for writing in self._writings.values())
        )

    def as_it_is(self) -> Reading:
        """The file's columns in their order, those that are ours by our names."""
        places = {
            self._found.places[expression]: key
            for key, expression in self._found.expressions.items()
            if key in self._found.ours
        }
        types: dict[str, str] = {}
        for place, (name, kind) in enumerate(self._file.types.items()):
            # One that differs from ours in its case alone is another column.
            other = f"{name} ({place})" if name in places.values() else name
            types[places.get(place, other)] = kind
        zone = None
        if DEPARTED in self._wanted:
            key = self._airport
            column = key and f"c{self._found.places[self._found.expressions[key]]}"
            zone = self._zone(column, self._file.sql)
        return Reading(
            self._file,
            self._file._replace(types=types),
            FieldColumns(types, self._path.suffix == ".parquet"),
            self._found,
            None,
            zone,
            has_clock_departures=True,
        )

    def made(self, others: Collection[str]) -> Reading:
        """Our columns, made of the file's."""
        dates = self._dates()
        layers = [*self._time_layers(dates), *self._leg_layers()]
        kept = [name for name in others if name in self._file.types]
        final = dict(self._final_columns())
        final |= {n: (f"kept{at}", self._file.types[n]) for at, n in enumerate(kept)}
        chosen = [f"{value} AS c{n}" for n, (value, _) in enumerate(final.values())]

        def sql(source: str, is_numbered: bool) -> str:
            select = self._innermost(source, kept, is_numbered)
            for layer in layers:
                select = f"(SELECT *, {', '.join(layer)} FROM {select})"
            last = [*chosen, *(["row_"] if is_numbered else [])]
            # A window changes the order of the rows.
            order = " ORDER BY row_" if self._tells_legs else ""
            return f"(SELECT {', '.join(last)} FROM {select}{order})"

        numbered = sql(self._file.numbered_sql, True)
        plain = numbered if self._tells_legs else sql(self._file.sql, False)
        types = {name: kind for name, (_, kind) in final.items()}
        columns = FieldColumns(types, is_parquet=False)
        return Reading(
            self._file,
            Source(plain, numbered, types),
            columns,
            self._found,
            dates,
            self._zone_found and self._zone_found._replace(name=columns.column(ZONE)),
            has_clock_departures=self._is_local_clock and DEPARTED in self._kinds,
        )

    def _final_columns(self) -> Iterator[tuple[str, tuple[str, str]]]:
        """Our columns, what each is in the last layer, and its type."""
        for key in self._found.ours:
            if key not in self._wanted:
                continue
            if key in (SCHEDULED, DEPARTED):
                alias = _ALIASES[key]
                # What is no time is told as it is.
                text = f"coalesce({_written(alias)}, nullif(raw_{alias}, ''))"
                yield key, (text, "VARCHAR")
            elif key in (MONTH, DELAY):
                yield key, (self._value(key), self._kinds[key])
            else:
                yield key, (text_sql(self._value(key), self._kinds[key]), "VARCHAR")
        if self._tells_legs:
            yield ARRIVAL_SCHEDULED, (_written("leg_due"), "VARCHAR")
            yield ARRIVED, (_written("leg_landed"), "VARCHAR")
        if conditions := self._conditions:
            cases = [f"WHEN {self._is(one)} THEN '{one}'" for one in conditions]
            yield LEFT_OUT, (f"CASE {' '.join(cases)} END", "VARCHAR")
        yield ZONE, ("zone", "VARCHAR")

    # The innermost layers: the columns that the format names, and its expressions.

    def _innermost(
        self, source: str, kept: Sequence[str] = (), is_numbered: bool = False
    ) -> str:
        named = {n.lower(): (n, place) for n, place in self._found.places.items()}
        inner = [f"{self._cell(at)} AS {name_sql(name)}" for name, at in named.values()]
        outer = [f"{self._sql(key)} AS {self._value(key)}" for key in self._names]
        for key, alias in ((SCHEDULED, "scheduled"), (self._departure, "departed")):
            if key in self._names:
                used = map(name_sql, self._found.used_by(key))
                texts = "".join(f", {name}::VARCHAR" for name in used)
                outer.append(f"concat_ws(' '{texts or ', NULL'}) AS raw_{alias}")
        more = {
            f"kept{n}": f"c{list(self._file.types).index(name)}"
            for n, name in enumerate(kept)
        }
        if is_numbered:
            more["row_"] = "row_"
        for name, column in more.items():
            free = name
            while free in named:
                free += "_"
            inner.append(f"{column} AS {free}")
            outer.append(f"{free} AS {name}")
        chosen = ", ".join(inner) or "NULL AS nothing"
        return f"(SELECT {', '.join(outer)} FROM (SELECT {chosen} FROM {source}))"

    def _cell(self, place: int) -> str:
        """A value of a column, NULL where it stands for none."""
        missing = self._found.format.missing
        if missing is None or list(self._file.types.values())[place] != "VARCHAR":
            return f"c{place}"
        return f"nullif(c{place}, {sql_text(missing)})"

    def _sql(self, key: str) -> str:
        expression = self._found.expressions[key]
        return name_sql(expression) if self._found.is_column(key) else f"({expression})"

    def _value(self, key: str) -> str:
        """What the value of an expression is called."""
        return f"m{self._names.index(key)}"

    def _types(self) -> dict[str, str]:
        import duckdb

        query = f"SELECT COLUMNS('m\\d+') FROM {self._innermost(self._file.sql)}"
        try:
            kinds = self._connection.sql(query).types
        except (duckdb.BinderException, duckdb.ParserException) as error:
            reason = str(error).splitlines()[0]
            problem = (
                f"cannot be read in the format {self._found.format.name!r}: {reason}"
            )
            raise FlightsFileError(self._path, problem) from error
        return dict(zip(self._names, map(str, kinds), strict=True))

    @property
    def _conditions(self) -> list[str]:
        return [name for name in CONDITIONS if name in self._names]

    def _is(self, condition: str) -> str:
        return f"coalesce(TRY_CAST({self._value(condition)} AS BOOLEAN), false)"

    # Times.

    @property
    def _departure(self) -> str:
        """What tells the departure."""
        return DEPARTED if DEPARTED in self._names else MINUTES_LATE

    @property
    def _is_local_clock(self) -> bool:
        """Whether the clock of the airport tells the times."""
        return self._clock_zone == LOCAL and not self._has_offsets(SCHEDULED, DEPARTED)

    def _has_offsets(self, *keys: str) -> bool:
        """Whether times of columns say how far they are from UTC."""
        return any(
            "ZONE" in self._kinds.get(key, "")
            or (key in self._writings and self._writings[key].has_offsets)
            for key in keys
        )

    def _dates(self) -> str | None:
        """The order of days and months, if it matters.

        Raises:
            FlightsFileError: dates may be read in two ways.
        """
        keys = [key for key, writing in self._writings.items() if writing.has_dates]
        if not keys:
            return None
        if given := self._options.dates or self._found.format.dates:
            return given
        source = self._innermost(self._file.sql)
        values = list(map(self._value, keys))
        dates, example = time_sql.order_of_dates(self._connection, values, source)
        if dates is None:
            raise FlightsFileError(
                self._path,
                f"has dates like {example!r}, of which nothing tells the day from the "
                "month; say --dates day-first or --dates month-first",
            )
        return dates

    @property
    def _airport(self) -> str | None:
        """What tells the airport whose time zone it is."""
        keys = (ORIGIN_CODE, ORIGIN) if self._zones.by_code else (ORIGIN,)
        return next((key for key in keys if key in self._names), None)

    def _zone(self, airport: str | None, source: str) -> ZoneSql | None:
        """The time zone of an airport, a column of a source; None where it is not known."""
        if self._options.timezone is not None:
            only = self._options.timezone
            return time_sql.zone_of(sql_text(only), [only])
        airports: list[str] = []
        if airport is not None:
            airports = time_sql.airports_in(
                self._connection, airport, source, self._zones.rows
            )
        zones = self._zones.of(airports)
        distinct = {one for one in zones.values() if one is not None}
        if not self._zones.by_code and len(distinct) == 1:
            # All flights of the model leave from there.
            [only] = distinct
            return time_sql.zone_of(sql_text(only), [only])
        if airport is None or not distinct:
            return None
        return time_sql.zone_of_airport(self._connection, airport, zones)

    def _time_layers(self, dates: str | None) -> Iterator[list[str]]:
        """Layers that make `zone`, `scheduled` and `departed`, as `moment_scheduled` and
        the like what they are in UTC."""
        airport = self._airport
        zone = None
        if not self._is_local_clock or DEPARTED in self._wanted or self._tells_legs:
            source = self._innermost(self._file.sql)
            zone = self._zone(airport and self._value(airport), source)
        if zone is None and not self._is_local_clock:
            raise FlightsFileError(
                self._path,
                "has times that the clock of the airport does not tell, and its time "
                "zone is not known; name it by --timezone, like America/Santiago",
            )
        self._zone_found = zone
        clocks = [
            f"{self._clock(key, dates)} AS clock_{_ALIASES[key]}" for key in self._times
        ]
        yield [f"({zone.name if zone else 'NULL::VARCHAR'}) AS zone", *clocks]
        if SCHEDULED not in self._times:
            return
        yield [f"{self._moment(key)} AS moment_{_ALIASES[key]}" for key in self._times]
        if self._is_local_clock:
            yield ["clock_scheduled AS scheduled"]
        else:
            yield ["timezone(zone, moment_scheduled) AS scheduled"]
        if DEPARTED in self._wanted and DEPARTED in self._found.ours:
            yield [f"{self._departed()} AS departed"]

    def _clock(self, key: str, dates: str | None) -> str:
        """What a clock shows, whatever its zone."""
        value, kind = self._value(key), self._kinds[key]
        if kind == "VARCHAR":
            return time_sql.clock_sql(value, dates)
        if kind.startswith("TIMESTAMP") and "ZONE" not in kind:
            return f"{value}::TIMESTAMP"
        return "NULL::TIMESTAMP"

    def _moment(self, key: str) -> str:
        value = self._value(key)
        if "ZONE" in self._kinds[key]:
            return value
        zone = "zone" if self._clock_zone == LOCAL else sql_text(self._clock_zone)
        moment = f"timezone({zone}, clock_{_ALIASES[key]})"
        if self._has_offsets(key):
            return f"coalesce({time_sql.moment_sql(value)}, {moment})"
        return moment

    def _departed(self) -> str:
        """The departure, by the clock of its schedule: their distance is real time."""
        if self._departure == MINUTES_LATE:
            return time_sql.minutes_later("scheduled", self._value(MINUTES_LATE))
        if self._is_local_clock:
            return "clock_departed"  # FieldColumns looks at the zone.
        if self._has_offsets(SCHEDULED, DEPARTED):
            return _by_clock_of_schedule("moment_departed")
        zone = self._clock_zone
        clock = time_sql.zone_of(sql_text(zone), [zone])
        departed = clock.departed("clock_scheduled", "clock_departed")
        return f"scheduled + ({departed} - clock_scheduled)"

    # The aircraft's leg before.

    @property
    def _tells_legs(self) -> bool:
        """Whether the leg before is wanted, and its arrival can be told."""
        due = {OWN_ARRIVAL_SCHEDULED, MINUTES_SCHEDULED} & set(self._names)
        keys = (AIRCRAFT, ORIGIN, DESTINATION, SCHEDULED)
        is_wanted = ARRIVAL_SCHEDULED in self._wanted or ARRIVED in self._wanted
        return (
            is_wanted
            and bool(due)
            and all(key in self._names for key in keys)
            and ARRIVAL_SCHEDULED not in self._names
        )

    def _leg_layers(self) -> Iterator[list[str]]:
        """Layers that make `leg_due` and `leg_landed`: when the aircraft was to arrive
        at this origin, and when it did, by the clock of the schedule."""
        if not self._tells_legs:
            return
        if MINUTES_SCHEDULED in self._names:
            minutes = self._value(MINUTES_SCHEDULED)
            yield [
                f"{time_sql.minutes_later('moment_scheduled', minutes)} AS arrival_due"
            ]
        else:
            yield ["moment_due AS arrival_due"]
        if ARRIVAL_MINUTES_LATE in self._names:
            minutes = self._value(ARRIVAL_MINUTES_LATE)
            landed = time_sql.minutes_later("arrival_due", minutes)
        else:
            landed = "moment_landed" if OWN_ARRIVAL in self._names else "NULL"
        yield [f"{landed} AS arrival"]
        aircraft, origin, destination = (
            f"nullif(trim({self._value(key)}::VARCHAR), '')"
            for key in (AIRCRAFT, ORIGIN, DESTINATION)
        )
        flown = (
            "true"
            if not self._conditions
            else " AND ".join(
                f"NOT {self._is(one)}" for one in self._conditions if one != "diverted"
            )
        )
        leg = f"{{'due': arrival_due, 'landed': arrival, 'at': {destination}}}"
        yield [
            f"lag(CASE WHEN {flown or 'true'} THEN {leg} END IGNORE NULLS) OVER ("
            f"PARTITION BY {aircraft} ORDER BY moment_scheduled, row_) AS leg"
        ]
        here = f"{aircraft} IS NOT NULL AND leg.at = {origin}"
        yield [
            f"CASE WHEN {here} THEN {_by_clock_of_schedule(f'leg.{name}')} END AS leg_{name}"
            for name in ("due", "landed")
        ]


def _by_clock_of_schedule(moment: str) -> str:
    distance = f"epoch_us({moment}) - epoch_us(moment_scheduled)"
    return f"scheduled + to_microseconds({distance})"


def _written(time: str) -> str:
    return f"strftime({time}, '%Y-%m-%d %H:%M:%S')"
