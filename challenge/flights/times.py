"""Local times, and the month that goes with them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from challenge.flights.faults import Fault, shown
from challenge.flights.fields import MONTH, SCHEDULED

# How a time is written. Calendars and databases take more (one digit, 24:00).
TIME_PATTERN: Final = r"\d{4}-\d{2}-\d{2}[ T](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
# An offset from UTC may stand behind it.
OFFSET_PATTERN: Final = r"(?:Z|[+-](?:[01]\d|2[0-3])(?::?[0-5]\d)?)"
_TIME: Final = re.compile(f"{TIME_PATTERN}{OFFSET_PATTERN}?", re.ASCII)


def read_time(
    field: str, value: object, time_zone: ZoneInfo | None = None
) -> datetime | None | Fault:
    """Read a time, "2017-03-06 08:15", with a T, with seconds, or a datetime.

    Args:
        field: that of the value.
        value: one with an offset or a zone is turned into local time.
        time_zone: that of the airport; None if it is not known.
    """
    if is_not_given(value):
        return None
    if isinstance(value, datetime):
        return _local(field, value, value, time_zone)
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            time = datetime.fromisoformat(value)
        except ValueError:
            pass  # the right form, but no such day
        else:
            return _local(field, value, time, time_zone)
    kind = "datetime_format" if isinstance(value, str) else "string_type"
    return Fault(
        (field,),
        kind,
        f"{shown(value)} is not a local time like '2017-03-06 08:15:00'",
        value,
        {"reason": "time"},
    )


def _local(
    field: str, value: object, time: datetime, time_zone: ZoneInfo | None
) -> datetime | Fault:
    if time.tzinfo is None:
        return time
    message = (
        "has an offset from UTC, and the model does not know the time zone of the "
        "airport; give the local time, without an offset"
    )
    reason = "offset"
    if time_zone is not None:
        try:
            return time.astimezone(time_zone).replace(tzinfo=None)
        except OverflowError:
            message = "is not a time of this calendar"
            reason = "calendar"
    text, ctx = str(value), {"reason": reason}
    return Fault((field,), "datetime_format", f"{shown(text)} {message}", text, ctx)


def month_agrees(
    month: object, scheduled_month: int, departed_month: int | None
) -> bool:
    """Whether a flight's month can go with the months of its times.

    Of a flight to come it is the scheduled month. In past flights MES is the month of
    operation: one later than the scheduled for a flight held past midnight on a
    month's last day, one earlier for one that left as early as that, which `Fecha-O`
    tells. All months are 1 to 12.
    """
    if month == scheduled_month or departed_month is None:
        return month == scheduled_month
    later, earlier = scheduled_month % 12 + 1, (scheduled_month - 2) % 12 + 1
    return month == later or month == earlier == departed_month


def month_mismatch(month: object, scheduled: object) -> Fault:
    return Fault(
        (SCHEDULED,),
        "month_mismatch",
        f"{shown(scheduled)} is not in month {month}, which {MONTH} says",
        scheduled,
        {"month": month},
    )


def is_not_given(value: object) -> bool:
    """Whether a field is left out: None, or a text of nothing but blanks."""
    return value is None or (isinstance(value, str) and not value.strip())
