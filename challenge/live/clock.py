"""Clocks of airports: local times as moments, in seconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from challenge.flights.fields import NOT_GIVEN

EPOCH: Final = datetime(1970, 1, 1)
DAY_SECONDS: Final = 86_400
# Of the calendar's years that flights have, in seconds since 1970.
FIRST_MOMENT: Final = -2_208_988_800  # 1900
LAST_MOMENT: Final = 4_102_444_800  # 2100
# No clock is changed within.
_QUARTER_SECONDS: Final = 900
_QUARTERS_KEPT: Final = 8_192


def seconds(time: datetime) -> int:
    """A time without a zone as seconds since 1970, as if it was UTC."""
    return (time - EPOCH) // timedelta(seconds=1)


def utc_text(moment: float) -> str:
    """A moment, in seconds since 1970, as a text: 2017-03-06T11:15:00Z."""
    return f"{datetime.fromtimestamp(int(moment), UTC):%Y-%m-%dT%H:%M:%SZ}"


class Clock:
    """The clock of an airport.

    Of the two moments that a repeated time can be the first is meant; a time that the
    clock skipped is taken for the hour after.

    Args:
        zone: its time zone; None for UTC.
    """

    def __init__(self, zone: ZoneInfo | None) -> None:
        self.zone = zone
        self._offset = lru_cache(_QUARTERS_KEPT)(self._read_offset)

    def utc(self, local: int) -> int:
        """The moment of a local time."""
        return local - self._offset(local // _QUARTER_SECONDS)[0]

    def utc_by_schedule(self, scheduled: int, shown: int) -> int:
        """The moment of a time that the clock showed about a flight, by the flight's
        scheduled time.

        Where a clock shows one of the two twice, nothing tells which one is meant; then
        the clock's own difference stands.
        """
        offsets = [
            self._offset(local // _QUARTER_SECONDS) for local in (scheduled, shown)
        ]
        if any(offset > later for offset, later in offsets):
            return self.utc(scheduled) + shown - scheduled
        return self.utc(shown)

    def midnight(self, moment: int) -> int:
        """The midnight that begins the local day of a moment."""
        local = datetime.fromtimestamp(moment, self.zone or UTC)
        return self.utc(seconds(datetime(local.year, local.month, local.day)))

    def _read_offset(self, quarter: int) -> tuple[int, int]:
        """How far a local time is ahead of UTC: the first time that it is shown, and the
        second."""
        if self.zone is None:
            return 0, 0
        try:
            local = EPOCH + timedelta(seconds=quarter * _QUARTER_SECONDS)
            first, second = (
                (local - at.astimezone(UTC).replace(tzinfo=None))
                // timedelta(seconds=1)
                for at in (local.replace(tzinfo=self.zone, fold=f) for f in (0, 1))
            )
        except OverflowError:
            # The first and the last day of the calendar.
            return 0, 0
        return first, second


class Clocks:
    """The clocks of a model's origins.

    Args:
        origins: the names of the origins.
        time_zones: of these, where they are known; where there is only one, it is that
            of all.

    Attributes:
        differ: whether they are in several time zones.
    """

    def __init__(
        self, origins: tuple[str, ...], time_zones: Mapping[str, ZoneInfo]
    ) -> None:
        zones = set(time_zones.values())
        self.differ = len(zones) > 1
        self._any = Clock(next(iter(zones)) if len(zones) == 1 else None)
        self._of = [
            Clock(time_zones.get(origin)) if self.differ else self._any
            for origin in origins
        ]

    def of(self, origin: int) -> Clock:
        """That of an origin by its code; NOT_GIVEN for a flight without one."""
        return self._any if origin == NOT_GIVEN else self._of[origin]
