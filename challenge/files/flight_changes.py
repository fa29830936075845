"""What of flights is new since they were last sent, as messages of a live day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Final, NamedTuple, TypeAlias

from challenge.files.telling import Told, ToldFlight
from challenge.flights.fields import (
    AIRCRAFT,
    AIRLINE,
    ARRIVED,
    DESTINATION,
    DUE,
    EXPECTED,
    FLIGHT_NUMBER,
    ORIGIN,
    SCHEDULED,
)
from challenge.flights.vocabulary import fold
from challenge.live.identity import flight_number

Fields: TypeAlias = Mapping[str, Told]
Message: TypeAlias = dict[str, Told | None]
# Time, airline, origin, and the number or the destination.
Key: TypeAlias = tuple[str, str, str, str, str]

_KEY_FIELDS: Final = (SCHEDULED, AIRLINE, ORIGIN)


class Change(NamedTuple):
    """A flight of a message.

    Attributes:
        key, place: which flight it is, see `by_key`.
        message: what is told of it.
        fields: all that is known of it then.
    """

    key: Key
    place: int
    message: Message
    fields: Fields


def by_key(flights: Iterable[ToldFlight]) -> dict[Key, list[ToldFlight]]:
    """Flights as a server tells them apart: by time, airline, origin and number; those
    without a number by their destination, and the place among equals.

    Two rows with the same number are one flight; the later one adds to the earlier.
    """
    keyed: dict[Key, list[ToldFlight]] = {}
    for flight in flights:
        key = key_of(flight.fields)
        same = keyed.setdefault(key, [])
        if same and FLIGHT_NUMBER in flight.fields:
            same[0] = _merged(same[0], flight)
        else:
            same.append(flight)
    return keyed


def key_of(fields: Fields) -> Key:
    """What a flight is known by."""
    time, airline, origin, destination = (
        fold(str(fields.get(name, "")))
        for name in (SCHEDULED, AIRLINE, ORIGIN, DESTINATION)
    )
    number = flight_number(fields.get(FLIGHT_NUMBER))
    return time, airline, origin, number, "" if number else destination


def changes(
    told: Mapping[Key, Sequence[Fields]], sent: Mapping[Key, Sequence[Fields | None]]
) -> Iterator[list[Change]]:
    """What must be sent, in lists that must not be torn apart: a flight without a number
    is known by its place among equals, which are therefore sent with it.

    Args:
        told: what is known of flights now.
        sent: what was sent of them; None of one that was not taken.
    """
    for key, now in told.items():
        before = sent.get(key, ())
        listed: list[Change] = []
        last = 0
        for place, (fields, old) in enumerate(zip_longest(now, before[: len(now)])):
            listed.append(Change(key, place, _message(fields, old), fields))
            if fields != old:
                last = place + 1
        if last:
            yield listed[:last]


def batches(
    changed: Iterable[Sequence[Change]], size: int
) -> Iterator[list[list[Change]]]:
    """Lists of changes in requests of at most so many flights, but for a longer list."""
    batch: list[list[Change]] = []
    count = 0
    for listed in changed:
        if batch and count + len(listed) > size:
            yield batch
            batch, count = [], 0
        batch.append(list(listed))
        count += len(listed)
    if batch:
        yield batch


def _merged(earlier: ToldFlight, later: ToldFlight) -> ToldFlight:
    return later._replace(
        fields=earlier.fields | later.fields,
        departed=earlier.departed if later.departed is None else later.departed,
        arrived=earlier.arrived if later.arrived is None else later.arrived,
    )


def _message(fields: Fields, old: Fields | None) -> Message:
    if old is None:
        return dict(fields)
    names = list(_KEY_FIELDS)
    names.append(FLIGHT_NUMBER if FLIGHT_NUMBER in fields else DESTINATION)
    if fields.get(AIRCRAFT) != old.get(AIRCRAFT):
        # What was told of the former aircraft does not count for another.
        names += [DUE, EXPECTED, ARRIVED]
    message: Message = {name: fields[name] for name in names if name in fields}
    message |= {name: v for name, v in fields.items() if v != old.get(name)}
    return message | {name: None for name in old if name not in fields}
