"""Tells running servers about today's flights, and asks them what they know."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from challenge.errors import ServerError
from challenge.files.flight_changes import Change, Message, batches
from challenge.files.told_flights import ServedModel
from challenge.flights.fields import CATEGORIES
from challenge.flights.vocabulary import Vocabulary
from challenge.live.clock import utc_text

TIMEOUT_SECONDS: Final = 60
# A server tells the first hundred faults of a request: few flights a request keep them few.
FLIGHTS_A_REQUEST: Final = 2_000
_BUSY: Final = (429, 503)
_ATTEMPTS: Final = 4
_LONGEST_WAIT_SECONDS: Final = 10.0
_TOO_LARGE: Final = 413


class FlightFault(NamedTuple):
    """What a server says of a flight that it was sent.

    Attributes:
        change: the flight; None if it does not say of which.
        text: what is wrong.
    """

    change: Change | None
    text: str


@dataclass
class Receipt:
    """What became of a message.

    Attributes:
        accepted, rejected: how many flights were taken, and how many were not.
        state: the id of the store that has them.
        clock: the server's, ISO 8601.
        taken: the flights that were taken.
        faults: of those that were not.
        notes: on those that were.
    """

    accepted: int = 0
    rejected: int = 0
    state: str = ""
    clock: str = ""
    taken: list[Change] = field(default_factory=list)
    faults: list[FlightFault] = field(default_factory=list)
    notes: list[FlightFault] = field(default_factory=list)

    def add(self, other: Receipt) -> None:
        """Add what became of the next part of the message."""
        self.accepted += other.accepted
        self.rejected += other.rejected
        self.state, self.clock = other.state, other.clock
        self.taken += other.taken
        self.faults += other.faults
        self.notes += other.notes


class LiveServer:
    """A server.

    Args:
        url: like http://host:8000.
        key: for the header X-API-Key, or None.

    Raises:
        ServerError: the URL is none. So do all methods if the server cannot be reached,
            refuses, or is not this service.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        if not url.startswith(("http://", "https://")):
            raise ServerError(url, "is no address like http://host:8000")
        self.url = url.rstrip("/")
        self._key = key

    def model(self) -> dict[str, Any]:
        """What it says of its model and of its live day."""
        body = self._ask("GET", "/model")
        if not isinstance(body.get("live"), dict):
            raise ServerError(self.url, "takes no messages about flights")
        return body

    def flights(self, **parameters: object) -> dict[str, Any]:
        """What it says of the flights to come and of those that have left."""
        return self._ask("GET", f"/flights?{urllib.parse.urlencode(parameters)}")

    def forget(self) -> str:
        """Let it forget all flights that it was told of.

        Returns: the id of the store that is empty now.
        """
        return str(self._ask("DELETE", "/flights").get("state"))

    def tell(self, changed: Iterable[Sequence[Change]], at: int) -> Iterable[Receipt]:
        """Tell it about flights, in as many requests as it takes; without any, that
        nothing is new.

        Args:
            changed: lists of flights that belong together.
            at: the moment at which that is known, in seconds since 1970, UTC.

        Yields: what became of the flights of each request.
        """
        is_empty = True
        for batch in batches(changed, FLIGHTS_A_REQUEST):
            is_empty = False
            yield self._tell(batch, at)
        if is_empty:
            yield self._tell([], at)

    def _tell(self, lists: list[list[Change]], at: int) -> Receipt:
        flights = [change for listed in lists for change in listed]
        messages: list[Message] = [change.message for change in flights]
        message = {"at": utc_text(at), "flights": messages}
        try:
            body = self._ask("POST", "/flights", message)
            receipt = _receipt(body, flights)
        except _TooLarge:
            if len(lists) < 2:
                raise
            return self._tell_halves(lists, at)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise ServerError(self.url, f"answers otherwise: {error!r}") from error
        if len(receipt.taken) > receipt.accepted and len(lists) > 1:
            # It told less than all faults, so which flights it took is not known.
            return self._tell_halves(lists, at)
        if len(receipt.taken) > receipt.accepted:
            receipt.taken = []
        return receipt

    def _tell_halves(self, lists: list[list[Change]], at: int) -> Receipt:
        middle = len(lists) // 2
        receipt = self._tell(lists[:middle], at)
        receipt.add(self._tell(lists[middle:], at))
        return receipt

    def _ask(
        self, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> dict[str, Any]:
        request = urllib.request.Request(f"{self.url}{path}", method=method)
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self._key is not None:
            request.add_header("X-API-Key", self._key)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with _opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                    found = json.load(answer)
                if not isinstance(found, dict):
                    raise ServerError(self.url, "is not this service")
                return found
            except urllib.error.HTTPError as error:
                with error:
                    if error.code in _BUSY and attempt < _ATTEMPTS:
                        time.sleep(_wait(error))
                        continue
                    kind = _TooLarge if error.code == _TOO_LARGE else ServerError
                    problem = f"refuses {method} {path.partition('?')[0]}"
                    raise kind(self.url, f"{problem}: {_reason(error)}") from error
            except (OSError, ValueError, http.client.HTTPException) as error:
                raise ServerError(self.url, f"cannot be asked: {error}") from error
        raise AssertionError


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows none: the key is for this server alone."""

    def redirect_request(self, *of_request: Any, **others: Any) -> None:
        return None


_opener: Final = urllib.request.build_opener(_NoRedirects)


class _TooLarge(ServerError):
    """A request has more flights or bytes than the server takes."""


def served_model(described: Mapping[str, Any]) -> ServedModel:
    """What a file is read by, of what a server says of its model."""
    values = described["values"]
    names = {one.name: tuple(values.get(one.name, ())) for one in CATEGORIES}
    return ServedModel(Vocabulary(names), described["time_zones"])


def as_moment(text: str) -> int:
    """The moment that a server tells."""
    return int(datetime.fromisoformat(text).timestamp())


def _receipt(body: Mapping[str, Any], flights: Sequence[Change]) -> Receipt:
    faults = _faults(body["detail"], flights)
    at_fault = {id(fault.change) for fault in faults if fault.change is not None}
    return Receipt(
        int(body["accepted"]),
        int(body["rejected"]),
        str(body["state"]),
        str(body["clock"]),
        [change for change in flights if id(change) not in at_fault],
        faults,
        _faults(body.get("notes", ()), flights),
    )


def _faults(
    told: Iterable[Mapping[str, Any]], flights: Sequence[Change]
) -> list[FlightFault]:
    faults = []
    for one in told:
        match one["loc"]:
            case ["flights", int(place), *fields]:
                name = "".join(f"{part}: " for part in fields)
                faults.append(FlightFault(flights[place], f"{name}{one['msg']}"))
            case _:
                faults.append(FlightFault(None, str(one["msg"])))
    return faults


def _wait(error: urllib.error.HTTPError) -> float:
    try:
        wait = float(error.headers.get("Retry-After", "1"))
    except ValueError:
        wait = 1.0
    return min(wait, _LONGEST_WAIT_SECONDS)


def _reason(error: urllib.error.HTTPError) -> str:
    """What an answer says is wrong."""
    try:
        return "; ".join(str(one["msg"]) for one in json.load(error)["detail"])
    except (OSError, ValueError, KeyError, TypeError):
        return f"{error.code} {error.reason}"
