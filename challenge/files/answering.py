"""Files of flights, answered row by row: CSV (also .gz) or Parquet in, the same out.

Rows pass in batches, so memory does not grow with the file. A CSV file keeps its
bytes: the answers are written behind each of its rows.
"""

from __future__ import annotations

import csv
import gzip
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, compress, islice
from math import nan
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, Literal, cast

from challenge.artifact.atomic import replacing
from challenge.errors import FlightsFileError
from challenge.files.cancellation import Cancellation
from challenge.files.field_sql import name_sql, sql_text
from challenge.files.formats import ReadOptions, needed_to_predict
from challenge.files.mapping import read_flights
from challenge.files.rejected_rows import RejectedRows
from challenge.files.scanning import (
    SUFFIXES,
    UNCERTAIN,
    FlightsScan,
    reading,
    zones_of_model,
)
from challenge.files.sql import engine, file_source, text_sql
from challenge.flights.fields import FIELDS, Kind
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb

ADDED_COLUMNS: Final = ("probability", "delay", "fault")

_BUFFER: Final = 1 << 20
# DuckDB takes no longer lines.
MAX_LINE_BYTES: Final = 2_097_152
_ROWS_AT_ONCE: Final = 500

Progress = Callable[[int], None]


@dataclass
class PredictionCounts:
    """What became of the rows of a file, or of several.

    Attributes:
        rows: how many there are.
        delayed: how many of them are predicted to be late.
        rejected: those with a fault.
    """

    rows: int = 0
    delayed: int = 0
    rejected: RejectedRows = field(default_factory=RejectedRows)

    @property
    def invalid(self) -> int:
        """How many rows have a fault."""
        return self.rejected.rows

    def add(self, other: PredictionCounts) -> None:
        """Add what became of the rows of another file."""
        self.rows += other.rows
        self.delayed += other.delayed
        self.rejected.add(other.rejected)


def predict_file(
    model: DelayModel,
    source: str | Path,
    output: str | Path,
    invalid: Literal["stop", "keep"] = "stop",
    progress: Progress = lambda rows: None,
    cancellation: Cancellation | None = None,
    options: ReadOptions | None = None,
) -> PredictionCounts:
    """Write a file again with `probability` and `delay` behind its columns.

    Args:
        model: what answers.
        source: a .csv, .csv.gz or .parquet file with the columns OPERA, TIPOVUELO and
            MES, and optionally SIGLADES and Fecha-I; others are kept as they are.
        output: of the same kind; it appears when it is complete.
        invalid: "stop" at rows with a fault, or "keep" them, with empty answers and
            what is wrong in a column `fault`, which every row then has.
        progress: called with the number of rows done so far.
        cancellation: stops it.
        options: how the file is to be read; None for a file of a caller who cannot say
            it.

    Raises:
        WorkStopped: it was stopped.
        MissingColumnsError: a column that is needed is not there.
        FlightsFileError: the file cannot be read, has invalid rows, or the output
            cannot be written. Then there is no output, or the old one.
    """
    path, output = Path(source), Path(output)
    kind = _kind(path)
    if _kind(output) != kind:
        raise FlightsFileError(output, f"must be a {kind} file, as {path.name!r} is")
    predict = _predict_parquet if kind == ".parquet" else _predict_csv
    with replacing(output) as temporary:
        try:
            with engine(model, path, temporary, cancellation) as connection:
                scan = FlightsScan(connection, model, path, cancellation, options)
                for name in scan.columns:
                    # In Parquet, to most programs, names differ in more than capitals.
                    added = name.lower() if kind == ".parquet" else name
                    if added in ADDED_COLUMNS:
                        raise FlightsFileError(path, f"has a column {name!r} already")
                scored = predict(scan, temporary, invalid == "keep", progress)
        except OSError as error:
            reason = error.strerror or error
            raise FlightsFileError(output, f"cannot be written: {reason}") from None
        except csv.Error as error:
            raise FlightsFileError(path, f"cannot be read: {error}") from None
        if scored.invalid and invalid == "stop":
            raise FlightsFileError(path, f"has {scored.rejected}")
    return scored


def answered_rows(
    connection: duckdb.DuckDBPyConnection,
    model: DelayModel,
    answers: Path,
    invalid: Literal["stop", "keep"],
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a file that `predict_file` wrote, but those with a fault, some at a time.

    A row holds the fields of a request, in the order in which it may name them and as
    it would write them, the probability, and the decision. A flight number is cut to
    the length that a request may give it.
    """
    with reading(answers):
        file = file_source(connection, answers)
        # Behind the columns of the file.
        added = list(file.types)[-3 if invalid == "keep" else -2 :]
        fields = [one.name for one in FIELDS]
        read = read_flights(
            connection,
            answers,
            file,
            None,
            needed_to_predict,
            fields,
            zones_of_model(model),
            added,
        )
        columns, chosen = read.columns, []
        for one in FIELDS:
            if one.name not in columns:
                chosen.append("NULL")
                continue
            text = text_sql(columns.column(one.name), columns.types[one.name])
            if one.kind is Kind.MONTH:
                chosen.append(f"nullif({text}, '')::DOUBLE::INTEGER")
            elif one.max_length is not None:
                chosen.append(f"left({text}, {one.max_length})")
            else:
                chosen.append(text)
        probability, decision = map(columns.column, added[:2])
        rows = connection.execute(
            f"SELECT {', '.join(chosen)}, {probability}::DOUBLE, {decision}::INTEGER "
            f"FROM {read.rows.sql} "
            f"WHERE {probability} IS NOT NULL AND {probability}::VARCHAR <> ''"
        )
        while some := rows.fetchmany(_ROWS_AT_ONCE):
            yield some


def count_delays(
    model: DelayModel, source: str | Path, options: ReadOptions | None = None
) -> PredictionCounts:
    """Answer all rows of a file without writing anything; rules as in `predict_file`."""
    scored = PredictionCounts()
    path = Path(source)
    with engine(model, path) as connection:
        flights = FlightsScan(connection, model, path, options=options)
        times = flights.count_cells()
        if UNCERTAIN in times:
            times = Counter()
            for cells, _ in judged_cells(flights, scored):
                times.update(cells)
                scored.rows += len(cells)
            times.pop(UNCERTAIN, None)
        # A file has few kinds of flights: each is asked about once.
        decisions = model.decide(model.predict_cells(list(times)))
        scored.delayed = sum(compress(times.values(), decisions))
        scored.rows = scored.rows or sum(times.values())
    return scored


def judged_cells(
    flights: FlightsScan, scored: PredictionCounts
) -> Iterator[tuple[list[int], dict[int, str]]]:
    """The cells of a scan, batch by batch, and what is wrong by position in the batch.

    The rows with a fault are counted in `scored.rejected`, and their cell is still UNCERTAIN;
    who asks counts all rows there, batch by batch.
    """
    uncertain = flights.uncertain_rows()
    for cells in flights.cells():
        faults: dict[int, str] = {}
        if UNCERTAIN in cells:
            for place, cell in enumerate(cells):
                if cell == UNCERTAIN:
                    judged = flights.judge(next(uncertain))
                    if isinstance(judged, int):
                        cells[place] = judged
                    else:
                        row = scored.rows + place + flights.first_row
                        scored.rejected.add_row(row, flights.path.name, judged)
                        faults[place] = "; ".join(map(str, judged))
        yield cells, faults


def _predict_csv(
    flights: FlightsScan, output: Path, keep: bool, progress: Progress
) -> PredictionCounts:
    scored = PredictionCounts()
    with _open(flights.path, "rb") as source, _open(output, "wb") as target:
        records = _records(source)
        header, end = next(records)
        added = ADDED_COLUMNS if keep else ADDED_COLUMNS[:2]
        target.write(b",".join([header, *map(str.encode, added)]) + end)
        answers = _AnswerTexts(flights.model, b"," + end if keep else end)
        for cells, faults in judged_cells(flights, scored):
            batch = [record for record, _ in islice(records, len(cells))]
            if len(batch) < len(cells):
                raise FlightsFileError(flights.path, "has quotes that do not pair up")
            texts = list(map(answers.__getitem__, cells))
            for place, fault in faults.items():
                texts[place] = b",,," + _quoted(fault) + end
            if keep or not scored.invalid:
                target.writelines(map(bytes.__add__, batch, texts))
            scored.delayed += answers.delayed(cells)
            scored.rows += len(cells)
            progress(scored.rows)
        if next(records, None) is not None:
            raise FlightsFileError(flights.path, "has quotes that do not pair up")
    return scored


class _AnswerTexts(dict[int, bytes]):
    """What is written behind a row, by its cell.

    A file has few kinds of flights, so most of its rows find theirs here.
    """

    def __init__(self, model: DelayModel, rest: bytes) -> None:
        super().__init__({UNCERTAIN: b""})
        self._model = model
        self._rest = rest
        self._delayed = {UNCERTAIN: 0}

    def __missing__(self, cell: int) -> bytes:
        probabilities = self._model.predict_cells([cell])
        [self._delayed[cell]] = self._model.decide(probabilities)
        text = b",%.6f,%d" % (probabilities[0], self._delayed[cell]) + self._rest
        self[cell] = text
        return text

    def delayed(self, cells: list[int]) -> int:
        """How many of the cells, whose texts were asked for, are predicted late."""
        return sum(map(self._delayed.__getitem__, cells))


def _predict_parquet(
    flights: FlightsScan, output: Path, keep: bool, progress: Progress
) -> PredictionCounts:
    import nanoarrow

    scored = PredictionCounts()
    model, answers = flights.model, flights.cursor()
    answers.execute("CREATE TEMP TABLE answers (probability DOUBLE, fault VARCHAR)")
    double = nanoarrow.float64()
    for cells, faults in judged_cells(flights, scored):
        values = array("d", model.predict_cells(cells))
        for place in faults:
            values[place] = nan
        columns = {
            "probability": nanoarrow.c_array_from_buffers(
                double, len(values), [None, values]
            )
        }
        if keep and faults:
            told = [faults.get(place) for place in range(len(values))]
            columns["fault"] = nanoarrow.c_array(told, nanoarrow.string())
        batch = nanoarrow.c_array_from_buffers(
            nanoarrow.struct({name: one.schema for name, one in columns.items()}),
            len(values),
            [None],
            children=list(columns.values()),
        )
        answers.register("batch", nanoarrow.ArrayStream(batch))
        answers.execute("INSERT INTO answers BY NAME SELECT * FROM batch")
        answers.unregister("batch")
        scored.rows += len(values)
        progress(scored.rows)
    if scored.invalid and not keep:
        return scored
    # Of the answers, whatever the columns of the file are called.
    given_answer = "CASE WHEN NOT isnan(answers.probability) THEN"
    late = f"(answers.probability > {model.threshold!r})::TINYINT"
    chosen = (
        f"{given_answer} answers.probability::FLOAT END AS probability, "
        f"{given_answer} {late} END AS delay"
    )
    if keep:
        chosen += ", answers.fault AS fault"
    given = ", ".join(
        f"c{place} AS {name_sql(name)}" for place, name in enumerate(flights.columns)
    )
    # By position, which keeps the order of the rows; a join by number does not.
    answers.execute(
        f"COPY (SELECT {given}, {chosen} "
        f"FROM {flights.source.sql} POSITIONAL JOIN answers) "
        f"TO {sql_text(str(output))} (FORMAT parquet)"
    )
    delayed = answers.execute(
        f"SELECT coalesce(sum({late}), 0) FROM answers WHERE NOT isnan(probability)"
    ).fetchone()
    scored.delayed = int(delayed[0]) if delayed else 0
    return scored


def _kind(path: Path) -> str:
    for suffix in SUFFIXES:
        if path.name.endswith(suffix):
            return suffix
    raise FlightsFileError(path, "is not a .csv, .csv.gz or .parquet file")


def _open(path: Path, mode: Literal["rb", "wb"]) -> IO[bytes]:
    if path.suffix == ".gz":
        # The fastest level: writing should not take longer than answering.
        return cast(IO[bytes], gzip.open(path, mode, compresslevel=1))
    return open(path, mode, buffering=_BUFFER)


def _records(source: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """The records of a CSV file and their line ends, without the empty ones."""
    lines = iter(lambda: source.readline(MAX_LINE_BYTES), b"")
    for line in lines:
        # Only there a record may go on in the next line.
        whole = _whole_record(line, lines) if b'"' in line else line
        record = whole.rstrip(b"\r\n")
        if record:
            yield record, whole[len(record) :] or b"\n"


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


def _quoted(text: str) -> bytes:
    return b'"' + text.replace('"', '""').encode() + b'"'
