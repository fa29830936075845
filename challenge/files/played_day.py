"""A past day of a file, to be played as it became known."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, date, datetime
from datetime import time as clock_time
from datetime import timedelta
from typing import Final, NamedTuple

from challenge.files.flight_changes import Change, Key, by_key, changes
from challenge.files.sent_flights import SentFlights
from challenge.files.telling import Told, ToldFlight, clock_of
from challenge.flights.fields import (
    ARRIVED,
    CANCELLED,
    DELAY_THRESHOLD_MINUTES,
    DEPARTED,
    EXPECTED,
)
from challenge.live.clock import seconds

_MINUTE: Final = 60
_HOUR: Final = 3_600
# No file of the past tells when that was known, of what it tells at all.
_NOT_PLAYED: Final = (EXPECTED, CANCELLED)


class _Fact(NamedTuple):
    moment: int
    key: Key
    place: int
    name: str
    value: Told


class PlayedDay:
    """The flights of a day, and what is known of them at a moment.

    Args:
        flights: those of the day, at least one.
        day: the day.

    Attributes:
        sent: what was sent of them; who sends their messages takes note of it here.
        zone: the time zone of most of them, whose clock tells the hours of the day.
    """

    def __init__(self, flights: Collection[ToldFlight], day: date) -> None:
        self.sent = SentFlights()
        [(self.zone, _)] = Counter(one.zone for one in flights).most_common(1)
        self._day = day
        self._zones = {one.zone for one in flights}
        self._keyed = by_key(flights)
        self._now: dict[Key, list[dict[str, Told]]] = {}
        facts = []
        for key, same in self._keyed.items():
            for place, flight in enumerate(same):
                schedule = dict(flight.fields)
                for name in _NOT_PLAYED:
                    schedule.pop(name, None)
                for name, moment in (
                    (DEPARTED, flight.departed),
                    (ARRIVED, flight.arrived),
                ):
                    value = schedule.pop(name, None)
                    if value is not None and moment is not None:
                        facts.append(_Fact(moment, key, place, name, value))
                self._now.setdefault(key, []).append(schedule)
        self._facts = sorted(facts)
        self._told = 0
        left = [one for one in flights if one.departed is not None]
        self._left = sorted((one.departed or 0, one.scheduled) for one in left)

    def moment(self, clock: clock_time = clock_time()) -> int:
        """The moment at which the clock shows a time on that day."""
        return clock_of(self.zone).utc(seconds(datetime.combine(self._day, clock)))

    @property
    def begun_everywhere(self) -> int:
        """The moment from which it is that day at all airports."""
        midnight = seconds(datetime.combine(self._day, clock_time()))
        return max(clock_of(zone).utc(midnight) for zone in self._zones)

    def shown(self, moment: int) -> str:
        """A moment as people read it: 06:00, and on another day with its name."""
        local = datetime.fromtimestamp(moment, self.zone or UTC)
        return f"{local:%H:%M}" if local.date() == self._day else f"{local:%a %H:%M}"

    @property
    def end(self) -> int:
        """The end of the day, or the last that became known, whichever is later."""
        midnight = datetime.combine(self._day, clock_time()) + timedelta(days=1)
        last = clock_of(self.zone).utc(seconds(midnight))
        return max([last, *(fact.moment for fact in self._facts[-1:])])

    def changes(self, moment: int) -> Iterator[list[Change]]:
        """What is new at a moment: at first the schedule of the day, with aircraft and
        when they are due, and then what happened since the moment before."""
        touched = set() if self._told or self.sent.flights else set(self._now)
        while self._told < len(self._facts):
            fact = self._facts[self._told]
            if fact.moment > moment:
                break
            self._now[fact.key][fact.place][fact.name] = fact.value
            touched.add(fact.key)
            self._told += 1
        # Those that are sent are kept, and facts are added to them.
        now = {key: list(map(dict, self._now[key])) for key in sorted(touched)}
        return changes(now, self.sent.flights)

    def row(self, change: Change) -> int:
        """The row of the file that tells a flight."""
        return self._keyed[change.key][change.place].row

    def left(self, moment: int) -> int:
        """How many flights had left by then."""
        return bisect_right(self._left, (moment, moment))

    def late(self, since: int, until: int) -> int:
        """How many left late, after one moment and up to another."""
        left = self._left[self.left(since) : self.left(until)]
        limit = DELAY_THRESHOLD_MINUTES * _MINUTE
        return sum(departed - scheduled > limit for departed, scheduled in left)


def moments(
    begin: int,
    end: int,
    midnight: int,
    speed: float,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[int]:
    """The moments of a day to play, when it is time for each: the minutes and, where there
    is no time for all of these, as many as there is for, and each whole hour.

    Args:
        begin, end: the first and the last.
        midnight: from which hours count.
        speed: how many seconds of the day are played in one; 0 for all that there is
            time for.
        now, sleep: the clock that tells how long it takes.
    """
    started, moment = now(), begin
    while True:
        yield moment
        if moment >= end:
            return
        hour = moment + _HOUR - (moment - midnight) % _HOUR
        behind = begin + int((now() - started) * speed) // _MINUTE * _MINUTE
        moment = min(max(moment + _MINUTE, behind), hour, end)
        if speed and (wait := (moment - begin) / speed - (now() - started)) > 0:
            sleep(wait)
