"""Writes the answers to a text file behind its records, which stay as they are.

The answers are written as the file is: in its encoding, with its delimiter, line ends
and decimal commas, compressed if it is.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import zipfile
from collections.abc import Generator, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Final, cast

from challenge.files.answers import (
    Batch,
    PredictionCounts,
    Progress,
    added_columns,
    judged_rows,
)
from challenge.files.dialects import Dialect
from challenge.files.kinds import FileKind, open_text
from challenge.files.plain_file import PlainFile
from challenge.files.records import byte_records, lossless
from challenge.files.rejected_rows import Invalid
from challenge.files.scanning import UNCERTAIN, FlightsScan
from challenge.live.known import Question
from challenge.model import DelayModel

_BUFFER: Final = 1 << 20
# The fastest: writing should not take longer than answering.
_COMPRESSION: Final = 1


def write_csv(
    flights: FlightsScan, output: Path, invalid: Invalid, progress: Progress
) -> PredictionCounts:
    """Answer the rows of a text file in another.

    Args:
        flights: the rows.
        output: the file to write.
        invalid: "stop" writing at a row with a fault, "keep" such rows, or write them
            "only", and what is wrong in place of answers.
        progress: called with the number of rows done so far.

    Raises:
        csv.Error: DuckDB takes other records for rows than Python does.
    """
    scored = PredictionCounts()
    dialect = flights.file.dialect
    style = _Style(dialect)
    with (
        contextlib.closing(_records(flights.file, style)) as records,
        _open(output, dialect) as target,
    ):
        titles, header, end = next(records), next(records), next(records)
        added = added_columns(flights.source.names, invalid)
        target.write(titles + style.joined(header, *added) + end)
        last = style.delimiter + end if invalid == "keep" else end
        answers = _AnswerTexts(flights.model, style, last)
        for batch in judged_rows(flights, scored):
            read = list(islice(records, len(batch.cells)))
            if len(read) < len(batch.cells):
                raise csv.Error("quotes do not pair up")
            if invalid == "only":
                for place, fault in batch.faults.items():
                    target.write(style.joined(read[place], _quoted(fault)) + end)
            else:
                texts, delayed = answers.of_batch(batch)
                for place, fault in batch.faults.items():
                    texts[place] = style.joined(b"", "", "", _quoted(fault)) + end
                if invalid == "keep" or not scored.invalid:
                    target.writelines(map(bytes.__add__, read, texts))
                scored.delayed += delayed
            scored.rows += len(batch.cells)
            progress(scored.rows)
        if next(records, None) is not None:
            raise csv.Error("quotes do not pair up")
    return scored


class _Style:
    """How values are written in a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self._encoding = dialect.encoding
        self._point = "," if dialect.has_decimal_commas else "."
        self.delimiter = self.encoded(dialect.delimiter)

    def encoded(self, text: str) -> bytes:
        """A text of the file, whatever is in it, or one of ours."""
        try:
            return text.encode(self._encoding, lossless(self._encoding))
        except UnicodeEncodeError:
            return text.encode(self._encoding, "replace")

    def joined(self, before: bytes, *values: str) -> bytes:
        """Values behind others."""
        return self.delimiter.join([before, *map(self.encoded, values)])

    def probability(self, value: float) -> str:
        return f"{value:.6f}".replace(".", self._point)


class _AnswerTexts(dict[int, bytes]):
    """What is written behind a row, by its cell.

    A file has few kinds of flights, so most of its rows find theirs here. Where it has
    many, all are forgotten between batches.
    """

    # 30 MB.
    KEPT: Final = 100_000

    def __init__(self, model: DelayModel, style: _Style, rest: bytes) -> None:
        super().__init__({UNCERTAIN: b""})
        self._model = model
        self._style = style
        self._rest = rest
        self._delayed = {UNCERTAIN: 0}

    def __missing__(self, cell: int) -> bytes:
        [probability] = self._model.predict_cells([cell])
        self[cell], self._delayed[cell] = self._answer(probability)
        return self[cell]

    def of_batch(self, batch: Batch) -> tuple[list[bytes], int]:
        """What is written behind each row, nothing where there is a fault, and how many
        are predicted late."""
        texts = list(map(self.__getitem__, batch.cells))
        delayed = sum(map(self._delayed.__getitem__, batch.cells))
        for place, question in batch.questions.items():
            texts[place], more = self._moved(batch.cells[place], question)
            delayed += more
        self._limit()
        return texts, delayed

    def _moved(self, cell: int, question: Question) -> tuple[bytes, int]:
        """What is written behind a row to whose odds the day adds something, and by how
        much more it counts as predicted late: -1, 0 or 1."""
        [probability] = self._model.predict_flights([cell], {0: question})
        text, decision = self._answer(probability)
        return text, decision - self._delayed[cell]

    def _answer(self, probability: float) -> tuple[bytes, int]:
        [decision] = self._model.decide([probability])
        values = self._style.probability(probability), str(decision)
        return self._style.joined(b"", *values) + self._rest, decision

    def _limit(self) -> None:
        """Forget all texts if there are more than KEPT."""
        if len(self) > self.KEPT:
            self.clear()
            self[UNCERTAIN] = b""
            self._delayed = {UNCERTAIN: 0}


@contextlib.contextmanager
def _open(path: Path, dialect: Dialect) -> Iterator[IO[bytes]]:
    if dialect.kind is FileKind.GZIP:
        stream = gzip.open(path, "wb", compresslevel=_COMPRESSION)
        with cast(IO[bytes], stream) as target:
            yield target
    elif dialect.kind is FileKind.ZIP:
        method = zipfile.ZIP_DEFLATED
        with (
            zipfile.ZipFile(path, "w", method, compresslevel=_COMPRESSION) as archive,
            archive.open(dialect.part, "w", force_zip64=True) as target,
        ):
            yield target
    else:
        with open(path, "wb", buffering=_BUFFER) as target:
            yield target


def _records(file: PlainFile, style: _Style) -> Generator[bytes, None, None]:
    """What stands before the header, the header, its line end, and the records of the
    rows without theirs; no blank lines."""
    if file.is_rewritten:
        return _decoded_records(file, style)
    return _bytes_records(file)


def _decoded_records(file: PlainFile, style: _Style) -> Generator[bytes, None, None]:
    with contextlib.closing(file.records()) as records:
        titles = list(islice(records, file.dialect.header_row - 1))
        header = next(records)
        before = "".join(one.text + one.end for one in titles)
        yield file.dialect.mark + style.encoded(before)
        yield style.encoded(header.text)
        yield style.encoded(file.dialect.line_end)
        for record in records:
            if record.fields:
                text = record.text
                if not record.is_closed:
                    text += '"'
                # So that the answers stand below their names.
                missing = len(header.fields) - len(record.fields)
                yield style.encoded(text + file.dialect.delimiter * missing)


def _bytes_records(file: PlainFile) -> Generator[bytes, None, None]:
    """The same of a file that is read as it is, many times faster."""
    with open_text(file.source, file.dialect.kind, file.bounds) as source:
        for number, (record, end) in enumerate(byte_records(source)):
            if not number:
                yield b""
                yield record
                yield end or b"\n"
            elif record:
                yield record


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
