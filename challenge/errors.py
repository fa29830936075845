"""Everything that can be wrong, as errors that carry the evidence."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

FAULTS_SHOWN: Final = 5


class FlightProphetError(Exception):
    """The base of all errors of this package. They can be pickled, as workers do."""

    _made_of: Callable[[], Self]

    def __new__(cls, *args: Any, **options: Any) -> Self:
        error = super().__new__(cls, *args, **options)
        error._made_of = functools.partial(cls, *args, **options)
        return error

    def __reduce__(self) -> tuple[Any, ...]:
        return self._made_of, ()


class MissingColumnsError(FlightProphetError, ValueError):
    """A table lacks columns.

    Attributes:
        columns: the names that were looked for and not found.
        found: those that are there.
        ctx: the other values that the message names.
    """

    def __init__(
        self,
        columns: Sequence[str],
        found: Iterable[object],
        hint: str = "",
        ctx: Mapping[str, Any] = {},
    ) -> None:
        self.columns = tuple(columns)
        self.found = tuple(found)
        self.ctx = ctx
        names = ", ".join(repr(str(name)) for name in self.found) or "none"
        super().__init__(
            f"missing columns: {', '.join(map(repr, self.columns))}; found: {names}"
            + (f"; {hint}" if hint else "")
        )


class TimeZoneError(FlightProphetError, ValueError):
    """A time zone by a name that nobody knows."""

    def __init__(self, name: str, hint: str) -> None:
        super().__init__(f"{name!r} is no time zone; {hint}")


class FeatureNamesError(FlightProphetError, ValueError):
    """A frame of features has other columns than the one that a model was fitted to.

    Attributes:
        expected: the names of its columns, in their order.
        found: those of the frame.
    """

    def __init__(
        self, expected: Sequence[str], found: Iterable[object], hint: str = ""
    ) -> None:
        self.expected, self.found = tuple(expected), tuple(map(str, found))
        self.hint = hint
        super().__init__(
            "the columns are not those that the model was fitted to: "
            f"expected {', '.join(map(repr, self.expected))}; "
            f"found {', '.join(map(repr, self.found)) or 'none'}"
            + (f"; {hint}" if hint else "")
        )


class InvalidFlightsError(FlightProphetError, ValueError):
    """Flights that break a rule of `challenge.flights`.

    Attributes:
        faults: (position, fault) in the order of the flights; positions count from 0.
            The message shows the first few.
    """

    def __init__(self, faults: Sequence[tuple[int, Any]]) -> None:
        self.faults = tuple(faults)
        count = len(faults)
        lines = [f"row {row}: {fault}" for row, fault in faults[:FAULTS_SHOWN]]
        if count > FAULTS_SHOWN:
            lines.append(f"and {count - FAULTS_SHOWN} more")
        noun = "fault" if count == 1 else "faults"
        super().__init__(f"{count} {noun} in the flights: " + "; ".join(lines))


class NotFittedError(FlightProphetError, ValueError):
    """A model was asked before it was fitted."""


class UnknownPastError(FlightProphetError):
    """A model was asked about training flights of which it keeps no counts."""

    def __init__(self) -> None:
        super().__init__(
            "the model keeps no counts of its training flights; train it with "
            "'make model-train' or 'python train.py SOURCE OUTPUT'"
        )


class UnknownDayError(FlightProphetError, ValueError):
    """A model was asked what the day adds, and has not learned it."""

    def __init__(self) -> None:
        super().__init__(
            "the model has not learned what the flights before say about the next: it "
            "was trained on too few flights with a time"
        )


class MomentError(FlightProphetError, ValueError):
    """The moment at which flights are asked about cannot be told.

    Attributes:
        ctx: the values that tell why.
    """

    def __init__(self, message: str, ctx: Mapping[str, Any] = {}) -> None:
        self.ctx = ctx
        super().__init__(message)


class LiveStoreError(FlightProphetError):
    """Messages about flights cannot be kept, or read again, at this time.

    Attributes:
        reason: why.
    """

    def __init__(self, store: str, reason: str) -> None:
        self.reason = reason
        super().__init__(f"the store {store!r} cannot be used: {reason}")


class TrainingDataError(FlightProphetError, ValueError):
    """Flights that no model can be learned from, or a file that cannot be read."""


class ModelFileError(FlightProphetError):
    """A model's file that cannot be read, written or trusted.

    Attributes:
        path: the file.
    """

    def __init__(self, path: str | Path, problem: str) -> None:
        self.path = Path(path)
        super().__init__(f"model file {str(path)!r} {problem}")


class HistoryError(FlightProphetError):
    """The models that were in use, of which something cannot be done."""

    def __init__(self, path: str | Path, problem: str) -> None:
        super().__init__(f"model file {str(path)!r} {problem}")


class ServerError(FlightProphetError):
    """A server that does not answer as one of this service."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"the server {url!r} {problem}")


class WorseModelError(FlightProphetError):
    """A new model ranks flights worse than the one that it should replace."""

    def __init__(self, baseline: str | Path, comparison: object) -> None:
        super().__init__(f"the model is worse than {str(baseline)!r}: {comparison}")


class ClusterError(FlightProphetError):
    """A Dask cluster that is not there, or that cannot do the work."""


class SettingsError(FlightProphetError):
    """A setting in the environment has no valid value."""

    def __init__(self, faults: Iterable[Mapping[str, Any]]) -> None:
        super().__init__(
            "; ".join(
                f"the setting {'.'.join(map(str, fault['loc'])).upper()}: {fault['msg']}"
                for fault in faults
            )
        )


class FlightsFileError(FlightProphetError):
    """A file of flights that cannot be read, answered or written.

    Attributes:
        path: the file.
        problem: what is wrong, without the file's name.
        kind: its name for programs.
        ctx: the values that the problem names.
    """

    def __init__(
        self,
        path: str | Path,
        problem: str,
        kind: str = "file",
        ctx: Mapping[str, Any] = {},
    ) -> None:
        self.ctx = ctx
        self.path = path
        self.problem = problem
        self.kind = kind
        super().__init__(f"{str(path)!r} {problem}")


class FileTooLargeError(FlightsFileError):
    """A file of flights that is over a limit, or unpacks to what is."""
