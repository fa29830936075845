"""Files of past flights as what a model knows of the last days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from challenge.errors import MissingColumnsError, TrainingDataError, UnknownDayError
from challenge.files.dialects import Dialect
from challenge.files.faults import INVALID_ROWS, MANY_PAST_FLIGHTS
from challenge.files.formats import ReadOptions
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile
from challenge.files.rejected_rows import RejectedRows
from challenge.files.scanning import FlightsScan
from challenge.files.sources import fetched, file_name, find_files
from challenge.files.sql import engine
from challenge.flights.fields import (
    AIRCRAFT,
    AIRLINE,
    DEPARTED,
    LABEL_COLUMNS,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.times import is_not_given
from challenge.live.history import History, PastFlight
from challenge.live.known import NOT_LEFT, Question
from challenge.live.questions import LocalTimes, registration
from challenge.model import DelayModel

MAX_PAST_FLIGHTS: Final = 1_000_000


@dataclass
class ReadHistory:
    """Past flights that were read.

    Attributes:
        flights: with a scheduled time, of airlines that the model knows.
        questions: what is asked about each, if that is wanted; None of a flight to whose
            odds the day adds nothing.
        left_out: how many others there are.
        rejected: the rows with a fault.
        read_as: by the names of files, the dialects of those that are not plain.
    """

    flights: list[PastFlight] = field(default_factory=list)
    questions: list[Question | None] = field(default_factory=list)
    left_out: int = 0
    rejected: RejectedRows = field(default_factory=RejectedRows)
    read_as: dict[str, Dialect] = field(default_factory=dict)

    def add(self, other: ReadHistory) -> None:
        """Add the flights of another file."""
        self.flights += other.flights
        self.questions += other.questions
        self.left_out += other.left_out
        self.rejected.add(other.rejected)
        self.read_as |= other.read_as


@dataclass(frozen=True)
class Update:
    """What a run of `update` did.

    Attributes:
        history: the flights that were written.
        flights: how many the files have.
        left_out: how many of these have no time, or an airline that the model does not
            know.
        fingerprint: of the file that was written.
        read_as: by the names of files, the dialects of those that are not plain.
    """

    history: History
    flights: int
    left_out: int
    fingerprint: str
    read_as: Mapping[str, Dialect]


def read_history(
    model: DelayModel,
    source: str | Path,
    options: ReadOptions = ReadOptions(),
    skip_invalid: bool = False,
    ask: bool = False,
) -> ReadHistory:
    """Read flights as they left so far.

    What was expected of them are the answers of the model's table. Destinations that it
    does not know are taken as not given.

    Args:
        model: the model.
        source: files with the columns of training, as `find_files` takes them; an empty
            Fecha-O is a flight that has not left.
        options: how they are to be read.
        skip_invalid: leave out rows with a fault instead of stopping.
        ask: whether the questions are wanted, on the model's day.

    Raises:
        MissingColumnsError: a column that is needed is not there.
        FlightsFileError: a file cannot be read, has invalid rows, or too many flights.
    """
    read = ReadHistory()
    asked = model if ask else model.with_day(None)
    for part in find_files(source):
        with fetched(part) as path:
            name = file_name(part)
            read.add(read_plain(path, lambda file: _read(asked, file, name, options)))
    if read.rejected.rows and not skip_invalid:
        raise INVALID_ROWS.error(source, rejected=read.rejected)
    return read


def update(
    model: str | Path,
    source: str | Path,
    output: str | Path,
    skip_invalid: bool = False,
    options: ReadOptions = ReadOptions(),
) -> Update:
    """Write a model with the last days of other flights; nothing else of it changes.

    Args:
        model: the model's file.
        source: flights as they left, as `read_history` takes them.
        output: the file to write; it may be the model's own.
        skip_invalid, options: as for `read_history`.

    Raises:
        ModelFileError: the model cannot be read or written.
        UnknownDayError: it has not learned what past flights say.
        TrainingDataError: none of the flights has left that it knows.
        MissingColumnsError, FlightsFileError: as from `read_history`.
    """
    loaded = DelayModel.load(model)
    if loaded.day is None:
        raise UnknownDayError
    read = read_history(loaded, source, options, skip_invalid)
    history = _history(read, source).last_days()
    if history.clock is None:
        raise TrainingDataError(
            f"{str(source)!r} has no flight that has left, with a time, of an airline "
            "that the model knows"
        )
    fingerprint = loaded.save_with_history(history, output)
    flights = len(read.flights) + read.left_out
    return Update(history, flights, read.left_out, fingerprint, read.read_as)


def on_day(
    model: DelayModel,
    history: str | Path | None,
    at: str | None,
    lead: int | None,
    options: ReadOptions = ReadOptions(),
) -> DelayModel:
    """A model that is asked with other past flights, or at another moment.

    Args:
        model: the model.
        history: files of flights as they left so far; None for those that it keeps.
        at, lead: as for `Day.asked`.
        options: how the files are to be read.

    Raises:
        UnknownDayError: it has not learned what past flights say.
        TrainingDataError: a flight left on a day that cannot be.
        MomentError: from `Day.asked`.
        MissingColumnsError, FlightsFileError: from `read_history`.
    """
    if history is None and at is None and lead is None:
        return model
    day = model.known_day
    if history is not None:
        read = read_history(model, history, options)
        day = day.with_history(_history(read, history))
    return model.with_day(day.asked(at, lead))


def _history(read: ReadHistory, source: str | Path) -> History:
    history = History.of(read.flights)
    if (moment := history.impossible_clock) is not None:
        raise TrainingDataError(
            f"{str(source)!r} has a flight that left on {moment}, which cannot be"
        )
    return history


def _read(
    model: DelayModel,
    file: PlainFile,
    name: str,
    options: ReadOptions,
) -> ReadHistory:
    # Of its own: a file that turns out not to be plain is read from its start again.
    read = ReadHistory()
    times = LocalTimes(model.encoder.rules)
    expected: dict[int, float] = {}
    others = (AIRCRAFT,)
    with engine(model, file) as connection:
        scan = FlightsScan(
            connection, model, file, options=options, average=True, others=others
        )
        if missing := [name for name in LABEL_COLUMNS if name not in scan.fields]:
            raise MissingColumnsError(missing, scan.columns)
        for position, (known, row) in enumerate(scan.past_rows()):
            # One that was cancelled is one that has not left: when that was known no
            # file tells.
            if is_not_given(row[SCHEDULED]):
                read.left_out += 1
                continue
            scheduled, origin, departed = row[SCHEDULED], row.get(ORIGIN), row[DEPARTED]
            left = times.by_schedule(
                departed, scheduled, origin, scan.departures_as_shown
            )
            is_certain = left is not None or is_not_given(departed)
            judged = known if known is not None and is_certain else scan.judge(row)
            if not isinstance(judged, int):
                if all(fault.field == AIRLINE for fault in judged):
                    read.left_out += 1
                else:
                    read.rejected.add_row(file.row_numbers[position], name, judged)
                continue
            if judged not in expected:
                [expected[judged]] = model.predict_cells([judged])
            moment = times.scheduled(scheduled, origin)
            assert moment is not None
            read.flights.append(
                PastFlight(
                    judged,
                    moment,
                    NOT_LEFT if left is None else left,
                    registration(row.get(AIRCRAFT)),
                    expected[judged],
                )
            )
            if model.day is not None:
                read.questions.append(scan.question(row, judged))
            if len(read.flights) > MAX_PAST_FLIGHTS:
                raise MANY_PAST_FLIGHTS.error(name, most=MAX_PAST_FLIGHTS)
        read.read_as |= scan.read_as
    return read
