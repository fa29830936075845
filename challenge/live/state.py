"""The flights of the day as messages tell them, over those that a model's file keeps.

Messages may come in any order, twice, and in parts: what is known is that which the later
moment tells, and of one moment that which was received last.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain
from math import inf
from operator import attrgetter
from time import time
from typing import Any, Final, NamedTuple

import msgspec

from challenge.compiled.encoder import CellEncoder
from challenge.compiled.grid import Grid
from challenge.flights.faults import Fault
from challenge.live.clock import DAY_SECONDS
from challenge.live.day import Day
from challenge.live.groups import Groups
from challenge.live.history import KEPT_DAYS, History, PastFlight
from challenge.live.identity import FlightKey
from challenge.live.known import NOT_LEFT, lateness
from challenge.live.messages import (
    Judged,
    MessageRules,
    Report,
    fields_of,
    told_by,
    with_fields,
    with_report,
)
from challenge.live.questions import Facts

# So long messages are kept one by one; then what they tell together.
MESSAGE_SECONDS: Final = 2 * DAY_SECONDS
MAX_FLIGHTS: Final = 200_000
_NONE: Final = -1
_FACTS_KEPT: Final = 5_000


class LiveFlight(msgspec.Struct, frozen=True, gc=False):
    """A flight that messages tell of. It is never changed.

    Attributes:
        reports: what they tell, in the order of their moments.
        cell: its number in the grid; None if it has none, or not yet.
        kept: its place among the flights of the model's file; -1 if it is none of them.
    """

    reports: tuple[Report, ...]
    cell: int | None
    kept: int


class _Told(NamedTuple):
    """What is told of a flight: by which reports, and all together, if that is known."""

    reports: tuple[Report, ...]
    fields: dict[str, Any] | None


class _Near(NamedTuple):
    """What is told of a flight of these days, and what is made of it."""

    fields: dict[str, Any]
    judged: Judged


class Pruned(NamedTuple):
    """What need not be kept.

    Attributes:
        merged: by the number of a report, what it and those before it tell together.
        removed: the numbers of reports.
    """

    merged: dict[int, bytes]
    removed: set[int]


class LiveState:
    """What is known of today's flights, and the day with them.

    Args:
        encoder, grid, day: the model's; the day is that of its file.
        predict_cells: asks its table.

    Attributes:
        rules: judge messages.
        flights: those that messages tell of, by their keys.
        clock: the latest moment of a message; None before the first.
        heard: when the last message came, in seconds since 1970.
        moment: the clock of the day: that of the messages, but where these have stopped,
            and the model's own flights reach further by now.
        day: the model's with these flights; None if it has learned nothing of days.
    """

    def __init__(
        self,
        encoder: CellEncoder,
        grid: Grid,
        day: Day | None,
        predict_cells: Callable[[Sequence[int]], list[float]],
    ) -> None:
        self.rules = MessageRules(encoder, predict_cells)
        self.flights: dict[FlightKey, LiveFlight] = {}
        self.clock: int | None = None
        self.heard = 0.0
        self.day = day
        self._base = day
        self.moment = self._moment()
        self._history = History() if day is None else day.history
        self._kept = _KeptFlights(self._history, grid)
        # Of messages that say that nothing is new; they move the clock alone.
        self._ticks: list[Report] = []
        # Of flights that another model knew, and this one does not.
        self._unread: list[Report] = []
        # The numbers of reports that are not kept, as others say the same.
        self._repeated: set[int] = set()
        # Of flights of the last days and to come.
        self._near: dict[FlightKey, _Near] = {}
        self._next_forgetting = 0

    def apply(self, reports: Iterable[Report], heard: float) -> float:
        """Take note of reports, in the order in which they were received.

        Args:
            reports: they.
            heard: when the last of them was, in seconds since 1970.

        Returns: the first moment of which something else is known now than before; that
            of a flight told of anew is when it was known how it left.
        """
        self.heard = max(heard, self.heard)
        reports = list(reports)
        moments = [report.at for report in reports]
        if self.clock is not None:
            moments.append(self.clock)
        self.clock = max(moments, default=None)
        changed: dict[FlightKey, _Told] = {}
        for report in reports:
            if not report.told:
                self._ticks.append(report)
                continue
            fields = fields_of(report)
            key = self.rules.key(fields, report.place)
            if isinstance(key, list):
                self._unread.append(report)
                continue
            known = changed.get(key) or self._told(key)
            before = known.reports
            after = with_report(before, report)
            if known.fields is not None and (not before or report.at > before[-1].at):
                changed[key] = _Told(after, with_fields(known.fields, fields))
            else:
                changed[key] = _Told(after, None)
            if len(after) == len(before):
                kept = {one.number for one in after}
                self._repeated.update(
                    one.number for one in before if one.number not in kept
                )
        changes = _Changes()
        for key, told in changed.items():
            self._change(key, told, changes)
        self._make(changes)
        self._forget_far()
        return changes.first

    def prune(self) -> Pruned:
        """Forget single messages of over two days ago, and flights of over thirty."""
        pruned = Pruned({}, self._repeated)
        self._repeated = set()
        if self.clock is None:
            return pruned
        horizon = self.clock - MESSAGE_SECONDS
        first = self.clock - KEPT_DAYS * DAY_SECONDS
        changes = _Changes()
        for key, flight in list(self.flights.items()):
            if key[1] < first:
                pruned.removed.update(one.number for one in flight.reports)
                del self.flights[key]
                self._take_back(flight, self._merged(flight), changes)
                self._kept.give_back(flight.kept)
                continue
            old = bisect_right(flight.reports, horizon, key=attrgetter("at"))
            if old > 1:
                *others, last = flight.reports[:old]
                told = msgspec.json.encode(told_by(flight.reports[:old]))
                pruned.merged[last.number] = told
                pruned.removed.update(one.number for one in others)
                reports = (last._replace(told=told), *flight.reports[old:])
                self.flights[key] = msgspec.structs.replace(flight, reports=reports)
        if self._ticks:
            latest = max(self._ticks)
            pruned.removed.update(one.number for one in self._ticks if one != latest)
            self._ticks = [latest]
        unread = [report for report in self._unread if report.at < first]
        pruned.removed.update(report.number for report in unread)
        self._unread = [report for report in self._unread if report.at >= first]
        self._make(changes)
        return pruned

    def reports(self) -> list[Report]:
        """All that is known, in the order in which it was received."""
        told = [one for flight in self.flights.values() for one in flight.reports]
        all_ = [*told, *self._ticks, *self._unread]
        return sorted(all_, key=attrgetter("number"))

    def _moment(self) -> int | None:
        """The clock of the day."""
        own = None if self._base is None else self._base.clock
        if self.clock is None:
            return own
        is_silent = time() - self.heard > MESSAGE_SECONDS
        if own is not None and own > self.clock and is_silent:
            return own
        return self.clock

    @property
    def oldest(self) -> int | None:
        """The earliest moment of which the messages still tell what was known then; None
        if there are none."""
        if self.clock is None or not self.flights:
            return None
        return self.clock - MESSAGE_SECONDS

    def missing(self, key: FlightKey, told: Mapping[str, Any]) -> Sequence[Fault]:
        """What is still to be told of a flight, of which not all is told now."""
        known = self.flights.get(key)
        if known is not None and known.cell is not None:
            return ()
        return self.rules.judge({**self.fields(key), **told}).faults

    def fields(self, key: FlightKey) -> dict[str, Any]:
        """The fields of a flight, as messages tell them."""
        reports, fields = self._told(key)
        return told_by(reports) if fields is None else fields

    def as_of(self, at: int, flights: Mapping[FlightKey, LiveFlight], day: Day) -> Day:
        """The day as it was known at an earlier moment; it may run in another thread.

        Args:
            at: the moment, in seconds since 1970, UTC.
            flights: a copy of the flights.
            day: the day with them.
        """
        [day] = self.each_as_of([at], flights, day)
        return day

    def each_as_of(
        self, moments: Sequence[int], flights: Mapping[FlightKey, LiveFlight], day: Day
    ) -> Iterator[Day]:
        """The day as it was known at earlier moments, from the latest to the earliest.

        Each is made of the one after, so that many take little longer than the earliest.
        """
        backwards, count = [-at for at in moments], len(moments)
        # Of each moment the flights of which less was known than at the one after.
        touched: list[list[LiveFlight]] = [[] for _ in moments]
        for flight in flights.values():
            if flight.reports[-1].at > moments[-1]:
                steps = {bisect_right(backwards, -one.at) for one in flight.reports}
                for step in steps - {count}:
                    touched[step].append(flight)
        later = inf
        for at, some in zip(moments, touched, strict=True):
            changes = _Changes()
            for flight in some:
                self._take_back(flight, self._merged(flight, later), changes)
                if flight.reports[0].at <= at:
                    self._put_in(flight, self._merged(flight, at), changes)
            day = day.changed(*changes.made(), at, self._known_at(at))
            yield day
            later = at

    def _known_at(self, at: int) -> Callable[[FlightKey], Facts | None]:
        """Looks up what was told of a flight at a moment."""

        @lru_cache(_FACTS_KEPT)
        def known(key: FlightKey) -> Facts | None:
            flight = self.flights.get(key)
            if flight is None or flight.reports[0].at > at:
                return None
            return self._merged(flight, at).facts

        return known

    def facts(self, key: FlightKey) -> Facts | None:
        """What is told of a flight beside its schedule; None if nothing is."""
        if (near := self._near.get(key)) is not None:
            return near.judged.facts
        flight = self.flights.get(key)
        return None if flight is None else self._merged(flight).facts

    def _told(self, key: FlightKey) -> _Told:
        """What is told of a flight."""
        flight, near = self.flights.get(key), self._near.get(key)
        if flight is None:
            return _Told((), {})
        return _Told(flight.reports, None if near is None else near.fields)

    def _change(self, key: FlightKey, told: _Told, changes: _Changes) -> None:
        """Replace what is told of a flight."""
        known, near = self.flights.get(key), self._near.pop(key, None)
        if known is not None:
            before = self._merged(known) if near is None else near.judged
            self._take_back(known, before, changes)
            self._kept.give_back(known.kept)
        reports, fields = told
        fields = told_by(reports) if fields is None else fields
        judged, kept = self.rules.judge(fields), _NONE
        if judged.cell is not None:
            kept = self._kept.take(judged.cell, key[1], judged.facts)
        flight = LiveFlight(reports, judged.cell, kept)
        judged = self._with_kept(judged, kept)
        self._put_in(flight, judged, changes)
        self.flights[key] = flight
        # Of the others it is made again where it is needed, which is seldom.
        if self.clock is not None and key[1] >= self.clock - MESSAGE_SECONDS:
            self._near[key] = _Near(fields, judged)

    def _merged(self, flight: LiveFlight, until: float = inf) -> Judged:
        """What is made of all that is told of a flight up to a moment."""
        judged = self.rules.judge(told_by(flight.reports, until))
        return self._with_kept(judged, flight.kept)

    def _with_kept(self, judged: Judged, kept: int) -> Judged:
        """The same with what messages do not tell as the model's file has it."""
        past, facts = judged.past, judged.facts
        if kept != _NONE:
            own = self._history.flight(kept)
            if facts.departed is None and own.departed != NOT_LEFT:
                facts = facts._replace(departed=own.departed)
            facts = facts._replace(aircraft=facts.aircraft or own.aircraft)
            if past is not None:
                departed = NOT_LEFT if facts.departed is None else facts.departed
                past = past._replace(departed=departed, aircraft=facts.aircraft)
                if past.cell == own.cell:
                    past = past._replace(expected=own.expected)
        return judged._replace(past=past, facts=facts)

    def _take_back(self, flight: LiveFlight, judged: Judged, changes: _Changes) -> None:
        """Undo what a flight has changed."""
        if judged.past is not None:
            changes.removed.append(judged.past)
        if flight.kept != _NONE:
            changes.added.append(self._history.flight(flight.kept))

    def _put_in(self, flight: LiveFlight, judged: Judged, changes: _Changes) -> None:
        if judged.past is not None:
            changes.added.append(judged.past)
        if flight.kept != _NONE:
            changes.removed.append(self._history.flight(flight.kept))

    def _forget_far(self) -> None:
        """Keep what is made of flights of these days alone, now and then."""
        if self.clock is not None and self.clock >= self._next_forgetting:
            self._next_forgetting = self.clock + DAY_SECONDS // 4
            first = self.clock - MESSAGE_SECONDS
            self._near = {key: n for key, n in self._near.items() if key[1] >= first}

    def _make(self, changes: _Changes) -> None:
        self.moment = self._moment()
        if self.day is not None and self.clock is not None:
            self.day = self.day.changed(*changes.made(), self.moment, self.facts)


class _Changes:
    """Flights that are removed from a day, and others that are added."""

    def __init__(self) -> None:
        self.removed: list[PastFlight] = []
        self.added: list[PastFlight] = []

    @property
    def first(self) -> float:
        """The first moment from which any of them counts."""
        return min(
            (
                min(lateness(one.scheduled, one.departed).known_from, one.scheduled)
                for one in chain(self.removed, self.added)
            ),
            default=inf,
        )

    def made(self) -> tuple[list[PastFlight], list[PastFlight]]:
        """They, without those that are removed and added again."""
        removed, added = Counter(self.removed), Counter(self.added)
        both = removed & added
        return list((removed - both).elements()), list((added - both).elements())


class _KeptFlights:
    """Which of the flights that the model's file keeps messages tell of, too.

    The file has no flight numbers: of several flights of an airline to a city at a time
    it is the one with the same aircraft, or that left at the same moment, or any.
    """

    def __init__(self, history: History, grid: Grid) -> None:
        self._history = history
        self._codes = Groups(grid, ()).codes
        self._taken: set[int] = set()

    def take(self, cell: int, scheduled: int, facts: Facts) -> int:
        """The place of a flight among those of the file, -1 if it is none of them."""
        first = bisect_left(self._history.scheduled, scheduled)
        end = bisect_right(self._history.scheduled, scheduled, first)
        codes = self._codes(cell)
        places = [
            place
            for place in range(first, end)
            if place not in self._taken
            and self._codes(self._history.cells[place]) == codes
        ]
        if not places:
            return _NONE

        def alike(place: int) -> tuple[bool, bool]:
            own = self._history.flight(place)
            return own.aircraft == facts.aircraft, own.departed == facts.departed

        place = max(places, key=alike)
        self._taken.add(place)
        return place

    def give_back(self, place: int) -> None:
        """The flight at a place is told of no longer."""
        self._taken.discard(place)
