"""The file of a model: safe read, fingerprint.

The file is a pickle of plain values (numbers, texts, bytes, lists, dicts) in two layers:
a header with the format's number and a checksum, and inside it, as bytes, the contents.
No class, function or library object is in it, and reading refuses any: a pickle is a
program, this one may only build data.

To change what the file holds, raise SCHEMA_VERSION in `challenge.artifact.card`,
describe the change in docs/challenge.md, and train the models again: a file of another
version is refused.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import pickletools
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Never

import msgspec

from challenge.artifact.atomic import replace
from challenge.artifact.card import SCHEMA_VERSION, ModelCard
from challenge.errors import ModelFileError
from challenge.flights.vocabulary import Vocabulary

FORMAT: Final = "flight-prophet model"
# Protocol 4 is the newest that needs no class for bytes-like values.
PICKLE_PROTOCOL: Final = 4
HOW_TO_MAKE: Final = (
    "make it with 'make model-train' or 'python train.py SOURCE OUTPUT'"
)


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
            large for one; then answers are computed from the state of the classifier.
            Compressed they would be an eighth less, and a quarter of the start would go
            into unpacking them.
        adjustment: what the day adds to the answers, as `challenge.live.day.Adjustment`
            has it; None if too few flights had a time to learn from.
        history: the flights of the last days, as `History.to_bytes` gave them.
    """

    card: ModelCard
    vocabulary: Vocabulary
    month_shares: dict[int, float]
    classifier: dict[str, Any]
    counts: bytes | None
    table: bytes | None
    adjustment: dict[str, Any] | None = None
    history: bytes | None = None


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
