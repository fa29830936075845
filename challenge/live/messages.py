"""What messages tell of today's flights: which flight is meant, and what is known of it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from math import inf
from operator import attrgetter, itemgetter
from typing import Any, Final, NamedTuple

import msgspec

from challenge.compiled.encoder import CellEncoder
from challenge.flights.faults import Fault, shown
from challenge.flights.fields import (
    AIRCRAFT,
    AIRLINE,
    ARRIVED,
    CANCELLED,
    DEPARTED,
    DESTINATION,
    DUE,
    EXPECTED,
    FIELD_OF,
    FLIGHT_NUMBER,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.rules import UNKNOWN, missing, unknown_fields
from challenge.flights.times import is_not_given
from challenge.flights.vocabulary import fold
from challenge.live.clock import DAY_SECONDS
from challenge.live.history import PastFlight
from challenge.live.identity import FlightKey, FlightKeys
from challenge.live.known import NOT_LEFT
from challenge.live.questions import Facts, LocalTimes, registration

MESSAGE_FIELDS: Final = frozenset((*FIELD_OF, DEPARTED, CANCELLED))
_ARRIVALS: Final = (DUE, EXPECTED, ARRIVED)
_NUMBER_LENGTH: Final = FIELD_OF[FLIGHT_NUMBER].max_length or 0
_AIRCRAFT_LENGTH: Final = FIELD_OF[AIRCRAFT].max_length or 0
_AIRCRAFT_BYTES: Final = AIRCRAFT.encode()
# Clocks of machines differ by less.
AHEAD_SECONDS: Final = 300
# No flight is told of earlier or later.
FLIGHT_DAYS: Final = 35
# The type of the note on a flight that is kept until the rest of it is told.
INCOMPLETE: Final = "incomplete"
_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode
# As the encoder looks flights up.
_Fields: Final[Any] = msgspec.defstruct(
    "Fields", [one.attribute for one in FIELD_OF.values()], gc=False
)


class Report(NamedTuple):
    """What one message tells of one flight.

    Attributes:
        at: the moment of the message, in seconds since 1970, UTC.
        number: its place in the order in which all were received.
        place: that of the flight among those of the message without a number that have
            all else in common.
        told: the fields that the message names, as a JSON object; empty if the message
            names no flight, and only says that nothing is new.
    """

    at: int
    number: int
    place: int
    told: bytes


class Judged(NamedTuple):
    """What the model makes of all that is told of a flight.

    Attributes:
        cell: its number in the grid; None if it has none, or not yet.
        past: how it enters the state; None if it does not.
        facts: what is told of it beside its schedule.
        faults: what is wrong with its fields.
        notes: what is not, but not as it should be.
    """

    cell: int | None
    past: PastFlight | None
    facts: Facts
    faults: Sequence[Fault] = ()
    notes: Sequence[Fault] = ()


def fields_of(report: Report) -> dict[str, Any]:
    """The fields that a report tells."""
    try:
        told = _decode(report.told)
    except msgspec.DecodeError:
        return {}  # of a damaged store
    return {
        name: None if is_not_given(value) else value for name, value in told.items()
    }


def told_by(reports: Iterable[Report], until: float = inf) -> dict[str, Any]:
    """The fields of a flight, by reports in the order of their moments.

    Args:
        reports: what is absent from one is unchanged, and null clears. With another
            aircraft all goes that was told of the former.
        until: those of later moments do not count.
    """
    fields: dict[str, Any] = {}
    for at, of_moment in groupby(reports, key=itemgetter(0)):
        if at > until:
            break
        told: dict[str, Any] = {}
        for report in of_moment:
            told |= fields_of(report)
        fields = with_fields(fields, told)
    return fields


def with_fields(fields: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a flight with those that are told at a later moment."""
    former = registration(fields.get(AIRCRAFT))
    gone = [name for name, value in told.items() if value is None]
    if former and AIRCRAFT in told and registration(told[AIRCRAFT]) != former:
        gone += [name for name in _ARRIVALS if told.get(name) is None]
    fields = {**fields, **told}
    for name in gone:
        fields.pop(name, None)
    return fields


def aircraft_before(reports: Sequence[Report]) -> str:
    """The registration of the aircraft that a flight had before its present one, by
    reports in the order of their moments; empty if none of them tells another."""
    # Most tell no aircraft but once.
    if sum(_AIRCRAFT_BYTES in report.told for report in reports) < 2:
        return ""
    before = now = ""
    for _, of_moment in groupby(reports, key=itemgetter(0)):
        told = [fields_of(report) for report in of_moment]
        named = [fields[AIRCRAFT] for fields in told if AIRCRAFT in fields]
        aircraft = registration(named[-1]) if named else ""
        if aircraft and aircraft != now:
            before, now = now, aircraft
    return before


def with_report(reports: tuple[Report, ...], new: Report) -> tuple[Report, ...]:
    """Reports in the order of their moments, with another one.

    A feed that tells the same over and over adds none: of those that say the same the
    first and the last are kept.
    """
    after = bisect_right(reports, (new.at, new.number), key=attrgetter("at", "number"))
    before = reports[:after]
    if len(before) > 1 and before[-1][2:] == before[-2][2:] == new[2:]:
        before = before[:-1]
    return (*before, new, *reports[after:])


class MessageRules:
    """Judges what messages tell of flights.

    Args:
        encoder: the model's.
        predict_cells: asks its table.
    """

    def __init__(
        self,
        encoder: CellEncoder,
        predict_cells: Callable[[Sequence[int]], list[float]],
    ) -> None:
        self._encoder = encoder
        self._rules = encoder.rules
        self._predict_cells = predict_cells
        self._keys = FlightKeys(encoder.rules)
        self.times = LocalTimes(encoder.rules)
        self._expected: dict[int, float] = {}

    def key(self, told: Mapping[str, Any], place: int = 0) -> FlightKey | list[Fault]:
        """The key of a flight, or what is wrong with the fields that make it."""
        faults: list[Fault] = []
        airline = self._code(AIRLINE, told, faults)
        destination = self._code(DESTINATION, told, faults)
        scheduled, origin = told.get(SCHEDULED), told.get(ORIGIN)
        if self._keys.has_origins and is_not_given(origin):
            faults.append(missing(ORIGIN))
        moment = self.times.scheduled(scheduled, origin)
        if moment is None:
            time = self._rules.local_time(SCHEDULED, told)
            faults.append(time if isinstance(time, Fault) else missing(SCHEDULED))
        if faults or moment is None:
            return faults
        number = told.get(FLIGHT_NUMBER)
        return self._keys.of(airline, moment, origin, number, destination, place)

    def check(self, told: Mapping[str, Any], at: int, hints: bool = True) -> Judged:
        """What is wrong with the fields of one message, whatever else is known of the
        flight.

        Args:
            told: the fields.
            at: the moment of the message.
            hints: whether to look for known names that are near to one that is not.
        """
        judged, faults = self.judge(told, hints), unknown_fields(told, MESSAGE_FIELDS)
        cancelled = told.get(CANCELLED)
        if not (is_not_given(cancelled) or cancelled in (0, 1)):
            message = f"{shown(cancelled)} is neither true nor false"
            faults.append(Fault((CANCELLED,), "bool_type", message, cancelled))
        scheduled, origin = told.get(SCHEDULED), told.get(ORIGIN)
        moment = self.times.scheduled(scheduled, origin)
        if moment is not None and abs(moment - at) > FLIGHT_DAYS * DAY_SECONDS:
            message = f"{shown(scheduled)} is over {FLIGHT_DAYS} days from the message"
            ctx = {"reason": "far", "days": FLIGHT_DAYS}
            faults.append(Fault((SCHEDULED,), "out_of_range", message, scheduled, ctx))
        facts = judged.facts
        for name, happened in ((DEPARTED, facts.departed), (ARRIVED, facts.arrived)):
            if happened is not None and happened > at + AHEAD_SECONDS:
                message = f"{shown(told[name])} is later than the message"
                value, ctx = told[name], {"reason": "ahead"}
                faults.append(Fault((name,), "out_of_range", message, value, ctx))
        return judged._replace(faults=[*faults, *judged.faults])

    def judge(self, told: Mapping[str, Any], hints: bool = False) -> Judged:
        """What the model makes of all that is told of a flight.

        A destination that it does not know is taken as not given. A flight of an airline
        or from an origin that it does not know, or that is not complete, has no cell.
        """
        scheduled, origin = told.get(SCHEDULED), told.get(ORIGIN)
        due, expected, arrived, departed = (
            self.times.by_schedule(told.get(name), scheduled, origin)
            for name in (DUE, EXPECTED, ARRIVED, DEPARTED)
        )
        facts = Facts(
            registration(told.get(AIRCRAFT)),
            due,
            expected,
            arrived,
            departed,
            bool(told.get(CANCELLED)),
        )
        cell, notes = self._cell(told, facts, hints)
        if not isinstance(cell, int):
            kept = [one for one in cell if _is_unknown(one)]
            faults = [one for one in cell if not _is_unknown(one)]
            return Judged(None, None, facts, faults, [*notes, *kept])
        moment = self.times.scheduled(scheduled, origin)
        if moment is None or facts.is_cancelled:
            return Judged(cell, None, facts, (), notes)
        left = NOT_LEFT if departed is None else departed
        past = PastFlight(cell, moment, left, facts.aircraft, self.expected(cell))
        return Judged(cell, past, facts, (), notes)

    def _cell(
        self, told: Mapping[str, Any], facts: Facts, hints: bool
    ) -> tuple[int | list[Fault], list[Fault]]:
        """The cell of a flight or what is wrong with it, and notes."""
        # Nearly all are certainly valid, and found many times as fast.
        is_departure = facts.departed is not None or DEPARTED not in told
        if is_departure and (certain := self._certain_cell(told)) is not None:
            return certain, []
        row = {name: told.get(name) for name in (*FIELD_OF, DEPARTED)}
        cell, notes = self._encoder.cell_averaged(row, hints)
        if isinstance(cell, int) and any(note.field == ORIGIN for note in notes):
            # It leaves from elsewhere: its flights are none of those that are counted.
            code = self._rules.code(ORIGIN, told.get(ORIGIN), hints)
            return ([code] if isinstance(code, Fault) else []), []
        return cell, notes

    def _certain_cell(self, told: Mapping[str, Any]) -> int | None:
        """The cell of a flight whose fields are all as they should be; None of others."""
        values = list(map(told.get, FIELD_OF))
        try:
            flight = _Fields(*values)
            if flight.month is None:
                flight.month = int(flight.scheduled[5:7])
            if _are_texts(flight.flight_number, flight.aircraft):
                [cell] = self._encoder.look_up([flight])
                return cell
        except (KeyError, ValueError, TypeError, AttributeError):
            pass  # for the rules to judge
        return None

    def expected(self, cell: int) -> float:
        """The probability that the model's table gives a flight."""
        if cell not in self._expected:
            [self._expected[cell]] = self._predict_cells([cell])
        return self._expected[cell]

    def _code(
        self, field: str, told: Mapping[str, Any], faults: list[Fault]
    ) -> int | str:
        """The code of a name, or how it is compared; what is wrong with it is added to
        the faults."""
        value = told.get(field)
        code = self._rules.code(field, value, hints=False)
        if not isinstance(code, Fault):
            return code
        if code.type != UNKNOWN:
            faults.append(code)
            return ""
        return fold(str(value))


def _are_texts(number: object, aircraft: object) -> bool:
    """Whether texts are such, and short enough."""
    return all(
        value is None or (isinstance(value, str) and len(value) <= most)
        for value, most in ((number, _NUMBER_LENGTH), (aircraft, _AIRCRAFT_LENGTH))
    )


def incomplete(faults: Sequence[Fault]) -> Fault:
    """The note that a flight is kept until the rest of it is told."""
    names = [fault.field for fault in faults]
    message = f"is kept, and used once {' and '.join(names)} is told"
    return Fault((), INCOMPLETE, message, ctx={"fields": names})


def _is_unknown(fault: Fault) -> bool:
    """Whether it is of an airline, or an origin, that the model does not know."""
    return fault.type == UNKNOWN and fault.field in (AIRLINE, ORIGIN)
