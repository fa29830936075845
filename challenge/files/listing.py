"""The flights of a file with their predictions, one by one: for a program that shows them,
whatever the file's format is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from challenge.files.answering import check_names
from challenge.files.answers import Batch, PredictionCounts, judged_rows
from challenge.files.bounds import OWN_FILES, Bounds
from challenge.files.cancellation import Cancellation
from challenge.files.formats import ReadOptions
from challenge.files.kinds import reading
from challenge.files.opening import read_plain
from challenge.files.plain_file import PlainFile
from challenge.files.prediction_log import PROBABILITY_DECIMALS
from challenge.files.rejected_rows import RejectedRows
from challenge.files.scanning import FlightsScan, needed_to_ask, zones_of
from challenge.files.sql import engine
from challenge.files.telling import Telling, ToldRow
from challenge.flights.faults import Fault
from challenge.flights.fields import (
    AIRCRAFT,
    DELAY_THRESHOLD_MINUTES,
    DEPARTED,
    FLIGHT_NUMBER,
    MONTH,
    SCHEDULED,
)
from challenge.flights.rules import whole_number
from challenge.live.known import Question
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb

Status: TypeAlias = Literal["scheduled", "left", "cancelled"]
# Why a flight has its probability, by its cell and what is asked about it, as JSON.
Reasons: TypeAlias = Callable[[int, Question | None], list[dict[str, object]]]

_LATE_SECONDS: Final = 60 * DELAY_THRESHOLD_MINUTES


@dataclass(slots=True)
class ListedFlight:
    """A flight of a file.

    Attributes:
        row: its number, as people count.
        flight: the fields that are given, by our names; times are those that the clock
            of the airport shows, and the month is left out where they tell it.
        status: whether it has left or was cancelled, as far as the file tells.
        minutes_late: how late it left; None if it has not, or its schedule has no time.
        late: whether that is over 15 minutes, 1 or 0.
        probability: of a delay.
        schedule_probability: the same by the schedule alone.
        delay: 1 if it is predicted to be late, else 0.
        past_flights: how many training flights had the same values; None if the model's
            file does not count them.
        reasons: what counts most; none unless it is scheduled.
    """

    row: int
    flight: Mapping[str, object]
    status: Status
    minutes_late: int | None
    late: int | None
    probability: float
    schedule_probability: float
    delay: int
    past_flights: int | None
    reasons: list[dict[str, object]]


@dataclass
class ListedFlights:
    """The flights of a file.

    Attributes:
        scored: what became of its rows.
        flights: the first of those that are valid, in the order of the file.
        expected_late: how many of all valid ones that have neither left nor been
            cancelled are late on average.
    """

    scored: PredictionCounts
    flights: list[ListedFlight] = field(default_factory=list)
    expected_late: float = 0.0


def list_flights(
    model: DelayModel,
    source: Path,
    limit: int,
    faults: int,
    reasons: Reasons,
    cancellation: Cancellation | None = None,
    bounds: Bounds = OWN_FILES,
    average: bool = False,
) -> ListedFlights:
    """Predict the flights of a file; those with a fault are left out.

    Args:
        model: what answers.
        source: a file, as `predict_file` takes it.
        limit: how many flights are listed at most.
        faults: how many faults are at most.
        reasons: asked about each listed flight that is scheduled.
        cancellation, bounds, average: as for `predict_file`.

    Raises:
        WorkStopped: it was stopped.
        MissingColumnsError, FlightsFileError: as of `predict_file`.
    """

    def work(file: PlainFile) -> ListedFlights:
        with engine(model, file, cancellation=cancellation) as connection:
            scan = FlightsScan(connection, model, file, cancellation, average=average)
            check_names(scan)
            with reading(file.source):
                telling = _telling(connection, scan)
            listed = ListedFlights(PredictionCounts(rejected=RejectedRows(kept=faults)))
            lister = _Lister(scan, telling, listed, limit, reasons)
            told = telling.rows()
            for batch in judged_rows(scan, listed.scored):
                with reading(file.source):
                    lister.take(batch, told)
                listed.scored.rows += len(batch.cells)
            listed.scored.add_reading(scan)
        return listed

    return read_plain(source, work, source.parent, bounds, cancellation)


def _telling(connection: duckdb.DuckDBPyConnection, scan: FlightsScan) -> Telling:
    """The rows of a scan once more, with all that they tell, by the same times."""
    return Telling(
        connection,
        scan.file,
        scan.source,
        ReadOptions(),
        needed_to_ask(scan.model),
        (*scan.fields, FLIGHT_NUMBER, AIRCRAFT),
        zones_of(scan.model),
    )


class _Lister:
    """Lists flights batch by batch."""

    def __init__(
        self,
        scan: FlightsScan,
        telling: Telling,
        listed: ListedFlights,
        limit: int,
        reasons: Reasons,
    ) -> None:
        self._model = scan.model
        self._row_numbers = scan.file.row_numbers
        self._telling = telling
        self._listed = listed
        self._limit = limit
        self._reasons = reasons
        self._evidence = self._model.evidence if limit else None
        # Schedules repeat: each distinct flight is counted once.
        self._support: dict[int, int] = {}

    def take(self, batch: Batch, told: Iterator[ToldRow]) -> None:
        """List the flights of a batch; `told` goes on with its rows."""
        model, listed = self._model, self._listed
        of_schedule = model.predict_cells(batch.cells)
        probabilities = model.predict_flights(batch.cells, batch.questions)
        decisions = model.decide(probabilities)
        for place, row in zip(range(len(batch.cells)), told):
            if place in batch.faults:
                continue
            listed.scored.delayed += decisions[place]
            status = _status(row)
            if status == "scheduled":
                listed.expected_late += probabilities[place]
            if len(listed.flights) == self._limit:
                continue
            number, cell = self._row_numbers[row.position], batch.cells[place]
            reasons = []
            if status == "scheduled":
                reasons = self._reasons(cell, batch.questions.get(place))
            fields, late = self._fields(number, row)
            listed.flights.append(
                ListedFlight(
                    number,
                    fields,
                    status,
                    None if late is None else late // 60,
                    None if late is None else int(late > _LATE_SECONDS),
                    round(probabilities[place], PROBABILITY_DECIMALS),
                    round(of_schedule[place], PROBABILITY_DECIMALS),
                    decisions[place],
                    self._past_flights(cell),
                    reasons,
                )
            )

    def _fields(
        self, number: int, row: ToldRow
    ) -> tuple[dict[str, object], int | None]:
        """What is told of a flight, and how many seconds late it left."""
        told: dict[str, object] = dict(row.told)
        month = told.pop(MONTH, None)
        if SCHEDULED not in told:
            return told | {MONTH: whole_number(month)}, None
        flight = self._telling.flight(number, row)
        if isinstance(flight, Fault):
            return told, None
        told |= {name: one for name, one in flight.fields.items() if name != MONTH}
        late = None if flight.departed is None else flight.departed - flight.scheduled
        return told, late

    def _past_flights(self, cell: int) -> int | None:
        if self._evidence is None:
            return None
        if cell not in self._support:
            flight = self._model.grid.flight(cell)
            self._support[cell] = self._evidence.support(flight)
        return self._support[cell]


def _status(row: ToldRow) -> Status:
    if row.is_cancelled:
        return "cancelled"
    return "left" if DEPARTED in row.told else "scheduled"
