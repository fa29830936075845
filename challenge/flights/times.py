"""Local times, and the month that goes with them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from challenge.flights.faults import Fault, shown
from challenge.flights.fields import MONTH, SCHEDULED

# How a time is written. Calendars and databases take more (one digit, 24:00).
TIME_PATTERN: Final = r"\d{4}-\d{2}-\d{2}[ T](?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
_TIME: Final = re.compile(TIME_PATTERN, re.ASCII)


def read_time(field: str, value: object) -> datetime | None | Fault:
    """Read a local time, "2017-03-06 08:15", with a T, with seconds, or a datetime
    without a zone."""
    if is_not_given(value):
        return None
    if isinstance(value, datetime) and value.tzinfo is None:
        return value
    if isinstance(value, str) and _TIME.fullmatch(value):
        try:
            return datetime.fromisoformat(value)
        except ValueError:
            pass  # the right form, but no such day
    kind = "datetime_format" if isinstance(value, str | datetime) else "string_type"
    return Fault(
        (field,),
        kind,
        f"{shown(value)} is not a local time like '2017-03-06 08:15:00'",
        value,
    )


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
    )


def is_not_given(value: object) -> bool:
    """Whether a field is left out: None, or a text of nothing but blanks."""
    return value is None or (isinstance(value, str) and not value.strip())
