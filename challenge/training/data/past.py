"""Past flights in the order of UTC, with their departures, aircraft and arrivals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from challenge.errors import TrainingDataError
from challenge.files.formats import ReadOptions
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile
from challenge.files.rejected_rows import RejectedRows
from challenge.files.sources import fetched, file_name, find_files
from challenge.flights.fields import (
    AIRCRAFT,
    ARRIVED,
    DEPARTED,
    DESTINATION,
    DESTINATION_CODE,
    DUE,
    NOT_GIVEN,
    ORIGIN,
    ORIGIN_CODE,
)
from challenge.flights.frames import Faults, read_times
from challenge.flights.rules import FlightRules
from challenge.flights.vocabulary import Vocabulary, fold
from challenge.live.known import MAX_HOURS_BETWEEN_LEGS
from challenge.live.questions import registration
from challenge.training.data.dataset import MAX_ROWS_KEPT, Dataset
from challenge.training.data.past_flights import COLUMNS
from challenge.training.data.rows import code_past, rows_of
from challenge.training.live.known import Flights, is_late

NOT_KNOWN: Final = -1
_WANTED: Final = (*COLUMNS, AIRCRAFT, DUE, ARRIVED)


@dataclass(frozen=True)
class Past:
    """Flights that have left, in the order of their scheduled times in UTC.

    Attributes:
        flights: their times and aircraft.
        codes: int16 of shape (flights, CODES), columns as in
            `challenge.flights.fields.Flight`, by the vocabulary.
        local: the scheduled local time, datetime64[s] of shape (flights,).
        vocabulary: the values that the flights have.
        registrations: of the aircraft, by their numbers.
    """

    flights: Flights
    codes: NDArray[np.int16]
    local: NDArray[np.datetime64]
    vocabulary: Vocabulary
    registrations: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def late(self) -> NDArray[np.int8]:
        """1 for a flight that left more than 15 real minutes late, shape (flights,)."""
        return is_late(self.flights.scheduled, self.flights.departed).astype(np.int8)

    @property
    def has_aircraft(self) -> bool:
        """Whether the aircraft of a flight is known, of any."""
        return bool((self.flights.aircraft != NOT_KNOWN).any())


class _Columns(NamedTuple):
    """Flights in the order of a file; times are datetime64[s], by the clock of the
    schedule: as far from it as they really were."""

    codes: NDArray[np.int16]
    scheduled: NDArray[np.datetime64]
    departed: NDArray[np.datetime64]
    due: NDArray[np.datetime64]
    arrived: NDArray[np.datetime64]
    aircraft: NDArray[np.object_]


def read_past(
    source: str | Path,
    dataset: Dataset,
    skip_invalid: bool = False,
    options: ReadOptions = ReadOptions(),
) -> Past:
    """Read the flights of a dataset again, with all that tells how the day went.

    Beside the columns of `read_dataset`, MATRICULA names the aircraft; Llegada-I and
    Llegada-O are when it should come in for the flight, and when it came. Flights
    without a scheduled time or a departure are left out. Local times of an origin
    whose time zone is not known are taken for UTC.

    Args:
        source: the files that the dataset was read from.
        dataset: what was read; rows with a fault are left out as they were there.
        skip_invalid: leave out flights with a wrong arrival instead of stopping.
        options: how the files are to be read, as for the dataset.

    Raises:
        TrainingDataError: there are more flights than can be held, or an arrival is not
            a time.
    """
    if dataset.every > 1:
        raise TrainingDataError(
            f"{str(source)!r} has {dataset.rows:,} flights; at most {MAX_ROWS_KEPT:,} "
            "can be replayed as they became known: give those of fewer months"
        )
    rejected = RejectedRows()
    parts = []
    for part in find_files(source):
        name = file_name(part)
        with fetched(part) as path:
            parts.append(
                read_plain(
                    path,
                    lambda file: _read(file, name, dataset, options, rejected),
                )
            )
    if rejected.rows and not skip_invalid:
        raise TrainingDataError(f"{str(source)!r}: {rejected}")
    columns = _Columns(*map(np.concatenate, zip(*parts, strict=True)))
    return _past(columns, dataset.vocabulary, dataset.counted.time_zones)


def _read(
    file: PlainFile,
    name: str,
    dataset: Dataset,
    options: ReadOptions,
    rejected: RejectedRows,
) -> _Columns:
    data = rows_of(file, dataset.vocabulary, options, _WANTED)
    # What is wrong with arrivals is told here.
    others = [name for name in (DUE, ARRIVED) if name in data]
    coded = code_past(data.drop(columns=others), dataset.vocabulary)
    rules = FlightRules(dataset.vocabulary, implied=False)
    faults: Faults = []
    departed, due, arrived = (
        read_times(data, field, rules, faults) for field in (DEPARTED, DUE, ARRIVED)
    )
    invalid = {row for row, _ in coded.faults}
    faults = sorted((one for one in faults if one[0] not in invalid), key=_row)
    for row, of_row in groupby(faults, key=_row):
        invalid.add(row)
        number = file.row_numbers[int(data.index[row])]
        rejected.add_row(number, name, (fault for _, fault in of_row))
    left = ~(np.isnat(coded.scheduled) | departed.isna().to_numpy())
    left[list(invalid)] = False
    aircraft = data[AIRCRAFT] if AIRCRAFT in data else pd.Series("", data.index)
    names = aircraft.map(registration)

    def chosen(times: Any) -> NDArray[np.datetime64]:
        return np.asarray(times)[left].astype("datetime64[s]")

    return _Columns(
        codes=coded.codes[left],
        scheduled=chosen(coded.scheduled),
        departed=chosen(departed),
        due=chosen(due),
        arrived=chosen(arrived),
        aircraft=names.to_numpy(object)[left],
    )


def _row(fault: tuple[int, object]) -> int:
    return fault[0]


def _past(
    columns: _Columns, vocabulary: Vocabulary, time_zones: Mapping[str, str]
) -> Past:
    scheduled = np.empty_like(columns.scheduled)
    origins = columns.codes[:, ORIGIN_CODE]
    for code in np.unique(origins).tolist():
        of_origin = origins == code
        zone = _zone(code, vocabulary, time_zones)
        scheduled[of_origin] = _utc(columns.scheduled[of_origin], zone)
    ahead = scheduled - columns.scheduled
    numbers, names = pd.factorize(columns.aircraft)
    aircraft = np.where(columns.aircraft == "", NOT_KNOWN, numbers).astype(np.int64)
    order = np.argsort(scheduled, kind="stable")
    codes = columns.codes[order]
    flights = Flights(
        scheduled=scheduled[order],
        departed=(columns.departed + ahead)[order],
        aircraft=aircraft[order],
        due=(columns.due + ahead)[order],
        arrived=(columns.arrived + ahead)[order],
        leg=np.full(len(order), NOT_KNOWN),
    )
    return Past(
        flights._replace(leg=_legs(flights, codes, vocabulary)),
        codes,
        columns.scheduled[order],
        vocabulary,
        tuple(map(str, names)),
    )


def _zone(
    origin: int, vocabulary: Vocabulary, time_zones: Mapping[str, str]
) -> str | None:
    """The time zone of an origin by its code; the only one is that of all."""
    if len(set(time_zones.values())) == 1:
        return next(iter(time_zones.values()))
    return None if origin == NOT_GIVEN else time_zones.get(vocabulary[ORIGIN][origin])


def _utc(local: NDArray[np.datetime64], zone: str | None) -> NDArray[np.datetime64]:
    """Local times as UTC: of the two that a repeated time can be the first, and for one
    that was skipped the hour after, as when files are read."""
    if zone is None:
        return local
    times = pd.DatetimeIndex(local).tz_localize(
        zone, ambiguous=np.full(len(local), True), nonexistent=pd.Timedelta(hours=1)
    )
    utc: NDArray[Any] = times.tz_convert("UTC").tz_localize(None).to_numpy()
    return utc.astype("datetime64[s]")


def _legs(
    flights: Flights, codes: NDArray[np.int16], vocabulary: Vocabulary
) -> NDArray[np.intp]:
    """The flight before of the same aircraft, where it came here with it."""
    legs = np.full(len(codes), NOT_KNOWN)
    # Stable: the flights of an aircraft stay in the order of time.
    order = np.argsort(flights.aircraft, kind="stable")
    before, after = order[:-1], order[1:]
    folded = [fold(name) for name in vocabulary[ORIGIN]]
    at = {name: code for code, name in enumerate(folded)}
    # The last entry is where NOT_GIVEN, -1, points; -2 is no origin.
    comes_to = np.array([at.get(fold(n), -2) for n in vocabulary[DESTINATION]] + [-2])
    is_leg = (
        (flights.aircraft[before] == flights.aircraft[after])
        & (flights.aircraft[after] != NOT_KNOWN)
        & (comes_to[codes[before, DESTINATION_CODE]] == codes[after, ORIGIN_CODE])
        & (flights.scheduled[before] < flights.due[after])
        & (
            flights.due[after] - flights.scheduled[before]
            < np.timedelta64(MAX_HOURS_BETWEEN_LEGS, "h")
        )
    )
    legs[after[is_leg]] = before[is_leg]
    return legs
