"""The file in which `live push` keeps what it sent last."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from challenge.artifact import atomic
from challenge.files.faults import UNREADABLE, UNWRITABLE
from challenge.files.flight_changes import Fields, Key

_FOLDER: Final = "flight-prophet"


class _Flight(msgspec.Struct, array_like=True):
    key: Key
    fields: list[Fields | None]


class SentFlights(msgspec.Struct):
    """What a server was sent of a file.

    Attributes:
        state: the id of the server's store that has it; None if nothing was sent.
        at: the moment of the last message, in seconds since 1970, UTC.
        flights: by their keys and places; None of one that was not taken.
    """

    state: str | None = None
    at: int = 0
    flights: dict[Key, list[Fields | None]] = {}

    def add(self, key: Key, place: int, fields: Fields) -> None:
        """Take note of a flight that was taken."""
        listed = self.flights.setdefault(key, [])
        listed += [None] * (place + 1 - len(listed))
        listed[place] = fields

    def forget_before(self, time: str) -> None:
        """Forget the flights that should leave before a local time."""
        self.flights = {k: v for k, v in self.flights.items() if k[0] >= time}


class _Stored(msgspec.Struct):
    state: str | None
    at: int
    flights: list[_Flight]


def default_path(url: str, source: str, environment: Mapping[str, str]) -> Path:
    """Where it is by default, for a server and a file."""
    if "://" not in source:
        source = str(Path(source).absolute())
    name = hashlib.sha256(f"{url.rstrip('/')}\n{source}".encode()).hexdigest()[:16]
    # The specification of XDG says that a relative path counts for nothing.
    home = Path(environment.get("XDG_STATE_HOME", ""))
    if not home.is_absolute():
        home = Path.home() / ".local/state"
    return home / _FOLDER / f"live-{name}.json"


def load(path: Path) -> SentFlights:
    """Read the file; nothing was sent if there is none.

    Raises:
        FlightsFileError: it is another file, or cannot be read.
    """
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_Stored)
    except FileNotFoundError:
        return SentFlights()
    except (OSError, msgspec.DecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UNREADABLE.error(path, reason=reason) from error
    flights = {one.key: one.fields for one in stored.flights}
    return SentFlights(stored.state, stored.at, flights)


def save(path: Path, sent: SentFlights) -> None:
    """Write the file in one step.

    Raises:
        FlightsFileError: it cannot be written.
    """
    flights = [_Flight(key, fields) for key, fields in sent.flights.items()]
    stored = _Stored(sent.state, sent.at, flights)
    try:
        atomic.replace(path, msgspec.json.encode(stored))
    except OSError as error:
        raise UNWRITABLE.error(path, reason=error.strerror) from error
