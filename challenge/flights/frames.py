"""Data frames of flights, read into codes and labels without a loop over rows."""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from challenge.errors import (
    FlightsFileError,
    InvalidFlightsError,
    MissingColumnsError,
)
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    ARRIVED,
    DELAY_THRESHOLD_MINUTES,
    DEPARTED,
    DUE,
    EXPECTED,
    FIELDS,
    LABEL_COLUMNS,
    MONTH,
    NOT_GIVEN,
    ORIGIN,
    SCHEDULED,
    Flight,
    Kind,
)
from challenge.flights.rules import (
    FlightRules,
    missing,
    missing_columns,
    unknown_fields,
    whole_number,
)
from challenge.flights.times import (
    TIME_PATTERN,
    month_agrees,
    month_mismatch,
)

TIME_FORMAT: Final = "%Y-%m-%d %H:%M:%S"
TIMES: Final = "datetime64[us]"

Faults: TypeAlias = list[tuple[int, Fault]]


class CodedFlights(NamedTuple):
    """The flights of a frame; codes, labels and times of a row with a fault mean nothing.

    Attributes:
        codes: int16 of shape (rows, CODES), columns as in
            `challenge.flights.fields.Flight`.
        delayed: int8 of shape (rows,), 0 when labels are not wanted.
        scheduled: datetime64[us] of shape (rows,), NaT where not given.
        faults: (row position, fault) in the order of the rows.
    """

    codes: NDArray[np.int16]
    delayed: NDArray[np.int8]
    scheduled: NDArray[np.datetime64]
    faults: Faults


def code_flights(
    data: pd.DataFrame, rules: FlightRules, target_column: str | None = None
) -> CodedFlights:
    """The flights of a frame as codes and labels, and all that is wrong with them.

    Args:
        data: one row a flight; columns that no rule knows are ignored.
        rules: the rules, with a vocabulary.
        target_column: the name of the labels; None when they are not wanted. A label
            is 1 for a flight that left more than 15 minutes late, else 0, computed
            from `Fecha-I` and `Fecha-O`; a frame without `Fecha-O` may bring the
            labels in this column.

    Raises:
        MissingColumnsError: a column that is needed is not there.
    """
    if missing := missing_columns(data.columns, rules.vocabulary):
        raise MissingColumnsError(missing, data.columns)
    faults: Faults = []
    of_times: Faults = []
    scheduled = read_times(data, SCHEDULED, rules, of_times)
    departed = read_times(data, DEPARTED, rules, of_times)
    for name in (DUE, EXPECTED, ARRIVED):
        read_times(data, name, rules, of_times)
    columns: dict[str, Any] = {}
    for field in FIELDS:
        if field.kind is Kind.CATEGORY:
            rule = functools.partial(rules.code, field.name)
            columns[field.attribute] = _code(data, field.name, rule, faults)
        elif field.kind is Kind.MONTH:
            months = _months(data, scheduled)
            rule = functools.partial(rules.code, MONTH)
            columns[field.attribute] = _code(months, MONTH, rule, faults)
    columns["hour"], columns["weekday"] = (
        part.where(scheduled.notna(), NOT_GIVEN)
        for part in (scheduled.dt.hour, scheduled.dt.day_of_week)
    )
    codes = np.column_stack([columns[name] for name in Flight._fields])
    # A month that a faulty time would have told is no fault of its own.
    untold = {row for row, fault in of_times if fault.field == SCHEDULED}
    faults = [
        (row, fault)
        for row, fault in faults
        if (fault.field, fault.type) != (MONTH, "missing") or row not in untold
    ]
    faults += of_times
    faults += _month_mismatches(data, columns["month"] + 1, scheduled, departed)
    if target_column is None:
        delayed = np.zeros(len(data), dtype=np.int8)
    else:
        delayed = _code_delays(data, target_column, departed - scheduled, faults)
    faults.sort(key=lambda fault: fault[0])
    return CodedFlights(codes.astype(np.int16), delayed, scheduled.to_numpy(), faults)


def read_frame(
    flights: pd.DataFrame | Sequence[Mapping[str, object]] | str | Path,
    others: Collection[str] = (),
) -> pd.DataFrame:
    """Flights as a frame, with whole months also where they were texts.

    Args:
        flights: a frame, which is not changed; dicts, one a flight; or the path of a
            .csv, .csv.gz or .parquet file.
        others: what a dict may have beside the fields of a request.

    Raises:
        FlightsFileError: the file cannot be read.
        InvalidFlightsError: a dict has a key that is no field, as a request may not.
    """
    if isinstance(flights, pd.DataFrame):
        return flights
    if not isinstance(flights, str | Path):
        unknown = [
            (place, fault)
            for place, flight in enumerate(flights)
            for fault in unknown_fields(flight)
            if fault.field not in others
        ]
        if unknown:
            raise InvalidFlightsError(unknown)
        return pd.DataFrame(list(flights), dtype=object)
    try:
        return _read_file(Path(flights))
    # Each reader has errors of its own.
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise FlightsFileError(flights, f"cannot be read: {reason}") from error


def _read_file(path: Path) -> pd.DataFrame:
    if path.suffix == ".parquet":
        import duckdb

        parquet: pd.DataFrame = duckdb.read_parquet(str(path)).df()
        return parquet
    data = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
    if MONTH in data.columns:
        data[MONTH] = data[MONTH].map(whole_number)
    return data


def _months(data: pd.DataFrame, scheduled: pd.Series[Any]) -> pd.DataFrame:
    """The months of flights, that of the scheduled time where none is given."""
    if MONTH not in data.columns:
        return pd.DataFrame({MONTH: scheduled.dt.month})
    month = data[MONTH].reset_index(drop=True)
    left_out = _is_left_out(month) & scheduled.notna()
    if left_out.any():
        month = month.astype(object).mask(left_out, scheduled.dt.month)
    return month.to_frame()


def _is_left_out(column: pd.Series[Any]) -> pd.Series[bool]:
    if pd.api.types.is_object_dtype(column) or pd.api.types.is_string_dtype(column):
        return column.isna() | (column.astype("str").str.strip() == "")
    return column.isna()


def _code_delays(
    data: pd.DataFrame, target_column: str, late: pd.Series[Any], faults: Faults
) -> NDArray[np.int8]:
    if DEPARTED not in data.columns and target_column in data.columns:
        rule = functools.partial(_label, target_column)
        return _code(data, target_column, rule, faults).astype(np.int8)
    _require(data.columns, LABEL_COLUMNS)
    for field in LABEL_COLUMNS:
        left_out = np.flatnonzero(_is_left_out(data[field]))
        faults += [(row, missing(field)) for row in left_out.tolist()]
    delayed = late > pd.Timedelta(minutes=DELAY_THRESHOLD_MINUTES)
    return delayed.to_numpy().astype(np.int8)


def _require(columns: Sequence[Any] | pd.Index[Any], names: Sequence[str]) -> None:
    missing = [name for name in names if name not in columns]
    if missing:
        raise MissingColumnsError(missing, columns)


def _code(
    data: pd.DataFrame,
    field: str,
    rule: Callable[[Any], int | Fault],
    faults: Faults,
) -> NDArray[np.int64]:
    """Apply a rule to each distinct value of a column, which may be missing."""
    if field not in data.columns:
        return np.full(len(data), NOT_GIVEN)
    positions, values = pd.factorize(data[field], use_na_sentinel=True)
    # Factorize gives -1 to what is not there: the last of the outcomes.
    outcomes = [rule(value) for value in values.tolist()] + [rule(None)]
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Fault):
            wanted = number if number < len(values) else -1
            rows = np.flatnonzero(positions == wanted).tolist()
            faults += [(row, outcome) for row in rows]
    codes = [NOT_GIVEN if isinstance(o, Fault) else o for o in outcomes]
    return np.array(codes, dtype=np.int64)[positions]


def read_times(
    data: pd.DataFrame, field: str, rules: FlightRules, faults: Faults
) -> pd.Series[Any]:
    """The local times in a column, NaT where none is given; what is wrong is added to the
    faults."""
    if field not in data.columns:
        return pd.Series(pd.NaT, index=range(len(data)), dtype=TIMES)
    column = data[field].reset_index(drop=True)
    if pd.api.types.is_datetime64_dtype(column):
        return column.astype(TIMES)
    if isinstance(column.dtype, pd.DatetimeTZDtype):
        local = _local_times(column, rules)
        if local is not None:
            return local.astype(TIMES)
    # Almost all are written as they should be; the rule judges what remains.
    texts = column.astype("str")
    written = texts.str.fullmatch(TIME_PATTERN).astype(bool)
    texts = texts.where(written).str.replace("T", " ")
    texts = texts.where(texts.str.len() > len("2017-03-06 08:15"), texts + ":00")
    times = pd.to_datetime(texts, errors="coerce", format=TIME_FORMAT)
    times = times.astype(TIMES)
    unread = np.flatnonzero(times.isna() & column.notna())
    origins: Any = data.get(ORIGIN)
    for row, value in zip(unread.tolist(), column.iloc[unread], strict=True):
        flight = {
            field: value,
            ORIGIN: None if origins is None else origins.iloc[row],
        }
        outcome = rules.local_time(field, flight)
        if isinstance(outcome, Fault):
            faults.append((row, outcome))
        elif outcome is not None:
            times.iloc[row] = pd.Timestamp(outcome)
    return times


def _local_times(column: pd.Series[Any], rules: FlightRules) -> pd.Series[Any] | None:
    """Times with a zone as those of the airport, whose zone theirs is where no other is
    known; None where each flight must tell its own."""
    given = column.dt.tz
    airport = rules.time_zone(None)
    if airport is None and (rules.time_zones or str(given) == "UTC"):
        return None
    local: pd.Series[Any] = column.dt.tz_convert(airport or given).dt.tz_localize(None)
    return local


def _month_mismatches(
    data: pd.DataFrame,
    month: NDArray[np.int64],
    scheduled: pd.Series[Any],
    departed: pd.Series[Any],
) -> Faults:
    kinds = pd.DataFrame(
        {
            "month": month,
            "scheduled": scheduled.dt.month.fillna(0).astype(int),
            "departed": departed.dt.month.fillna(0).astype(int),
        }
    )
    numbers = kinds["month"] * 169 + kinds["scheduled"] * 13 + kinds["departed"]
    agrees = {
        number: not (m and s) or month_agrees(m, s, d or None)
        for number, (m, s, d) in zip(
            numbers.drop_duplicates(),
            kinds[~numbers.duplicated()].itertuples(index=False, name=None),
            strict=True,
        )
    }
    rows = np.flatnonzero(~numbers.map(agrees).to_numpy(bool)).tolist()
    return [
        (row, month_mismatch(int(month[row]), data[SCHEDULED].iloc[row]))
        for row in rows
    ]


def _label(field: str, value: Any) -> int | Fault:
    if value in (0, 1):
        return int(value)
    ctx = {"low": 0, "high": 1}
    return Fault((field,), "out_of_range", f"{value!r} is not 0 or 1", value, ctx)
