"""The file of a model: atomic write, safe read, model card, fingerprint.

The file is a pickle of plain values (numbers, texts, bytes, lists, dicts) in two layers:
a header with the format's number and a checksum, and inside it, as bytes, the contents.
No class, function or library object is in it, and reading refuses any: a pickle is a
program, this one may only build data.

To change what the file holds, raise SCHEMA_VERSION, describe the change in
docs/challenge.md, and train the models again: a file of another version is refused.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
import pickletools
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Never, TypeAlias

import msgspec

from challenge.errors import ModelFileError
from challenge.flights import Vocabulary

FORMAT: Final = "flight-prophet model"
SCHEMA_VERSION: Final = 3
# Protocol 4 is the newest that needs no class for bytes-like values.
PICKLE_PROTOCOL: Final = 4
HOW_TO_MAKE: Final = (
    "make it with 'make model-train' or 'python train.py SOURCE OUTPUT'"
)

ClassifierName: TypeAlias = Literal["logistic-regression", "xgboost"]


class KnownFlight(msgspec.Struct, frozen=True):
    """A flight, its fields as requests name them, and the probability of its delay."""

    flight: dict[str, str | int]
    probability: float


class FormSettings(msgspec.Struct, frozen=True):
    """How recent form is made of past flights.

    Attributes:
        window_days: it is made of the flights of so many days.
        prior: as if so many more flights of each group had left as the model says, so
            that few flights move little.
        half_life_days: so many days after the last flight seen half of it is left.
    """

    window_days: Annotated[int, msgspec.Meta(ge=1, le=366)]
    prior: Annotated[float, msgspec.Meta(gt=0)]
    half_life_days: Annotated[float, msgspec.Meta(gt=0, le=366)]


Offset: TypeAlias = Annotated[float, msgspec.Meta(ge=-50, le=50)]


class RecentForm(msgspec.Struct, frozen=True):
    """What the last weeks add to a model's answers; see `challenge.recent`.

    Attributes:
        until: the day of the last flight seen, like "2017-09-06".
        flights: how many flights it is made of.
        airlines, destinations: what each adds in log-odds; nothing where it is not
            named.
    """

    until: Annotated[str, msgspec.Meta(pattern=r"^[1-9]\d{3}-\d\d-\d\d$")]
    flights: int
    airlines: dict[str, Offset]
    destinations: dict[str, Offset]


class ModelCard(msgspec.Struct, kw_only=True, frozen=True):
    """What a model is and where it comes from, for people and for /model.

    `delay_rate` and `threshold` are shares, 0 to 1; `created` is UTC, ISO 8601;
    `data_sha256` is that of the training file's bytes; `period` holds the first and
    the last scheduled time of the training flights, as they write it; `known` are some
    flights with the probabilities that the model must answer with; `form_settings` are
    None if too few flights had a time to choose them by, `recent_form` is None before
    the first update.
    """

    created: str
    features: str
    classifier: ClassifierName
    parameters: dict[str, Any]
    threshold: float
    threshold_rule: str
    rows: int
    rows_refused: int = 0
    delay_rate: float
    data: str = ""
    data_sha256: str = ""
    period: tuple[str, str] | None = None
    metrics: dict[str, Any] = {}
    library_versions: dict[str, str] = {}
    known: list[KnownFlight] = []
    form_settings: FormSettings | None = None
    recent_form: RecentForm | None = None
    schema_version: int = SCHEMA_VERSION


class Artifact(msgspec.Struct, kw_only=True, frozen=True):
    """The contents of a model's file.

    Attributes:
        card: what the model is.
        vocabulary: the values that the model knows.
        month_shares: the share of the training flights in each month, for a model
            that averages over them.
        classifier: the state that `Classifier.state` gave.
        counts: the training flights as `Counts.to_bytes` gave them, compressed; None
            if they were not counted.
        table: the bytes of the probability table, or None when the grid is too
            large for one. Compressed they would be an eighth less, and a quarter of
            the start would go into unpacking them.
    """

    card: ModelCard
    vocabulary: Vocabulary
    month_shares: dict[int, float]
    classifier: dict[str, Any]
    counts: bytes | None
    table: bytes | None


def now() -> str:
    """The time that a model is made at, in UTC.

    SOURCE_DATE_EPOCH in the environment, in seconds, takes its place where the same
    data must give the same bytes (reproducible-builds.org/specs/source-date-epoch).
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    made = (
        datetime.now(UTC) if epoch is None else datetime.fromtimestamp(int(epoch), UTC)
    )
    return made.isoformat(timespec="seconds")


def write(path: str | Path, artifact: Artifact) -> str:
    """Write a model's file in one step and return its fingerprint.

    A run that fails or is killed leaves the old file as it was. The folder is made
    when it is missing.

    Raises:
        ModelFileError: the file cannot be written.
    """
    contents = _dump(msgspec.to_builtins(artifact, builtin_types=(bytes,)))
    file = _dump(
        {
            "format": FORMAT,
            "schema_version": SCHEMA_VERSION,
            "sha256": hashlib.sha256(contents).hexdigest(),
            "contents": contents,
        }
    )
    try:
        replace(Path(path), file)
    except OSError as error:
        raise ModelFileError(path, f"cannot be written: {error.strerror}") from error
    return fingerprint(file)


def replace(target: Path, content: bytes) -> None:
    """Write a file in one step; its folder is made when it is missing.

    Raises:
        OSError: it cannot be written; an old one is as it was.
    """
    # In the same folder, so that the last step is a rename.
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def read(path: str | Path, sha256: str | None = None) -> tuple[Artifact, str]:
    """Read a model's file, check it, and return its contents and fingerprint.

    Args:
        path: the file.
        sha256: that of the only file to accept, in hexadecimal; None for any.

    Raises:
        ModelFileError: the file is missing, unreadable, foreign, truncated, damaged,
            of another schema version, holds anything but data, or is not accepted.
    """
    file = _read_bytes(path)
    if sha256 is not None and fingerprint(file) != sha256:
        problem = f"has SHA-256 {fingerprint(file)}; only {sha256} is allowed"
        raise ModelFileError(path, problem)
    header = _load(path, file)
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise ModelFileError(path, f"is not a {FORMAT}; {HOW_TO_MAKE}")
    version = header.get("schema_version")
    if version != SCHEMA_VERSION:
        problem = f"has schema version {version!r}, this program reads {SCHEMA_VERSION}"
        raise ModelFileError(path, f"{problem}; train the model again")
    contents = header.get("contents")
    if not isinstance(contents, bytes) or hashlib.sha256(
        contents
    ).hexdigest() != header.get("sha256"):
        raise ModelFileError(path, "is damaged: its checksum does not match")
    try:
        artifact = msgspec.convert(_load(path, contents), Artifact)
    except msgspec.ValidationError as error:
        raise ModelFileError(path, f"is not a whole model: {error}") from error
    return artifact, fingerprint(file)


def fingerprint(file: bytes) -> str:
    """What names one model's file among all: the SHA-256 of its bytes."""
    return hashlib.sha256(file).hexdigest()


def compress(data: bytes) -> bytes:
    return zlib.compress(data)


def decompress(data: bytes, size: int) -> bytes:
    """What `compress` was given, `size` bytes at most.

    Raises:
        ValueError: there is more in it, or it is damaged.
    """
    stream = zlib.decompressobj()
    try:
        unpacked = stream.decompress(data, size)
    except zlib.error as error:
        raise ValueError(f"the counts are damaged: {error}") from error
    if stream.unconsumed_tail:
        raise ValueError(f"the counts are larger than their {size} bytes")
    return unpacked


# `write` uses none of them.
_RESERVING: Final = frozenset({"PUT", "LONG_BINPUT", "BYTEARRAY8"})
_LARGE: Final = 65_536
_TRUNCATED: Final = ("truncated", "remain", "exhausted", "not enough data")


class _DataUnpickler(pickle.Unpickler):
    """Reads a pickle that holds nothing but Python's own plain values."""

    def find_class(self, module: str, name: str) -> Never:
        raise _ForbiddenType(f"{module}.{name}")

    def persistent_load(self, pid: Any) -> Never:
        raise _ForbiddenType(f"persistent object {pid!r}")


class _WithoutCopies(io.BytesIO):
    """Reads of a table are views: a copy, even once freed, would cost its memory."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.view = memoryview(data)

    def read(self, size: int | None = -1, /) -> Any:
        if size is None or size < _LARGE:
            return super().read(size)
        start = self.tell()
        self.seek(size, io.SEEK_CUR)
        return self.view[start : start + size]


class _ForbiddenType(Exception):
    """A pickle asks for something that is not data."""


def _dump(value: Mapping[str, Any]) -> bytes:
    return pickle.dumps(value, protocol=PICKLE_PROTOCOL)


def _load(path: str | Path, data: bytes) -> Any:
    if not data.startswith(pickle.PROTO):
        raise ModelFileError(path, f"is not a {FORMAT}; {HOW_TO_MAKE}")
    try:
        _check_sizes(data)
        return _DataUnpickler(io.BytesIO(data)).load()
    except _ForbiddenType as refused:
        problem = f"asks for {refused}, and a model holds only data; it was refused"
        raise ModelFileError(path, problem) from None
    except EOFError as error:
        raise ModelFileError(path, "is truncated") from error
    # Of bytes that are no pickle the unpickler makes errors of almost every type.
    except Exception as error:
        truncated = any(word in str(error) for word in _TRUNCATED)
        problem = "is truncated" if truncated else f"is not a {FORMAT}; {HOW_TO_MAKE}"
        raise ModelFileError(path, problem) from error


def _check_sizes(data: bytes) -> None:
    """Refuse what would make the unpickler reserve memory for data that is not there.

    Walking over the opcodes finds every length that reaches beyond the end. What is
    left are those that name a place in a list, which would be made that long.
    """
    for opcode, argument, _ in pickletools.genops(_WithoutCopies(data)):
        if opcode.name in _RESERVING:
            raise _ForbiddenType(f"the opcode {opcode.name} {argument!r:.20}")


def _read_bytes(path: str | Path) -> bytes:
    try:
        file = Path(path).read_bytes()
    except FileNotFoundError:
        raise ModelFileError(path, f"does not exist; {HOW_TO_MAKE}") from None
    except OSError as error:
        raise ModelFileError(path, f"cannot be read: {error.strerror}") from error
    if not file:
        raise ModelFileError(path, f"is empty; {HOW_TO_MAKE}")
    return file
