"""The records of a text file of flights: what Python's csv module takes for one."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import IO, Final, NamedTuple

from challenge.errors import FlightsFileError
from challenge.files.bounds import MAX_RECORD_CHARACTERS
from challenge.files.faults import LONG_RECORD

# What these make of a byte that the encoding does not know is that byte when it is
# written again.
LOSSLESS: Final = {"utf-16-le": "surrogatepass", "utf-16-be": "surrogatepass"}


class Record(NamedTuple):
    """A record of a file.

    Attributes:
        text: as it stands in the file, without its line end.
        end: its line end; empty at the end of the file.
        fields: its values; none in a blank line.
        is_closed: whether its quotes are; only the last of a file can have one open.
    """

    text: str
    end: str
    fields: list[str]
    is_closed: bool = True


def lossless(encoding: str) -> str:
    """How to decode and encode what the encoding does not know."""
    return LOSSLESS.get(encoding, "surrogateescape")


def text_stream(stream: IO[bytes], encoding: str) -> io.TextIOWrapper:
    """The text of a stream, with its line ends as they are."""
    return io.TextIOWrapper(stream, encoding, lossless(encoding), newline="")


def records(stream: IO[str], delimiter: str, path: Path) -> Iterator[Record]:
    """The records of a text, one after the other.

    Args:
        stream: the text, opened with `newline=""`.
        delimiter: what separates the values.
        path: of the file, for errors.

    Raises:
        FlightsFileError: a record is too long to be one.
    """
    read: list[str] = []
    number = 1
    is_closed = True

    def lines() -> Iterator[str]:
        nonlocal is_closed
        size = 0
        while line := stream.readline(MAX_RECORD_CHARACTERS):
            size = len(line) + (size if read else 0)
            if size >= MAX_RECORD_CHARACTERS:
                raise _too_long(path, number)
            read.append(line)
            yield line
        is_closed = not read

    parser = csv.reader(lines(), delimiter=delimiter, skipinitialspace=True)
    try:
        for fields in parser:
            whole = read[0] if len(read) == 1 else "".join(read)
            read.clear()
            text = whole.rstrip("\r\n")
            is_blank = not text or text.isspace()
            yield Record(
                text, whole[len(text) :], [] if is_blank else fields, is_closed
            )
            number += 1
    except csv.Error as error:
        # Of a field of its limit, which is that of a single value.
        raise _too_long(path, number) from error


def byte_records(stream: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The records of a text that is separated by commas and in UTF-8, with their line
    ends; many times as fast, as most of them are not parsed."""
    lines = iter(lambda: stream.readline(MAX_RECORD_CHARACTERS), b"")
    for line in lines:
        # Only there a record may go on in the next line.
        whole = _whole_record(line, lines) if b'"' in line else line
        record = whole.rstrip(b"\r\n")
        yield record, whole[len(record) :]


def _whole_record(line: bytes, lines: Iterator[bytes]) -> bytes:
    """A record that begins with a line, as far as Python's parser reads it: it takes a
    quote inside a field for a letter, as DuckDB's does."""
    read: list[bytes] = []

    def texts() -> Iterator[str]:
        for one in chain([line], lines):
            read.append(one)
            yield one.decode("latin-1")

    next(csv.reader(texts(), skipinitialspace=True))
    return b"".join(read)


def _too_long(path: Path, number: int) -> FlightsFileError:
    return LONG_RECORD.error(path, row=number)
