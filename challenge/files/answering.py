"""Files of flights, answered row by row: the same file with the answers behind its rows.

Rows pass in batches, so memory does not grow with the file. A text file keeps its bytes.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import compress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from challenge.artifact.atomic import replacing
from challenge.files.answers import (
    ADDED_COLUMNS,
    PredictionCounts,
    Progress,
    judged_rows,
)
from challenge.files.bounds import OWN_FILES, Bounds
from challenge.files.cancellation import Cancellation
from challenge.files.csv_answers import write_csv
from challenge.files.excel_answers import write_csv_of_excel, write_excel
from challenge.files.faults import (
    COLUMN_THERE,
    INVALID_ROWS,
    OTHER_KIND,
    UNREADABLE,
    UNWRITABLE,
)
from challenge.files.formats import ReadOptions
from challenge.files.kinds import FileKind, reading
from challenge.files.opening import read_plain
from challenge.files.parquet_answers import write_parquet
from challenge.files.plain_file import PlainFile
from challenge.files.rejected_rows import Invalid
from challenge.files.scanning import UNCERTAIN, FlightsScan, read_asked
from challenge.files.sql import engine, file_source, text_sql
from challenge.flights.fields import FIELDS, Kind
from challenge.model import DelayModel

if TYPE_CHECKING:
    import duckdb

_ROWS_AT_ONCE: Final = 500
_WRITERS: Final[
    dict[
        tuple[FileKind, str],
        Callable[[FlightsScan, Path, Invalid, Progress], PredictionCounts],
    ]
] = {
    (FileKind.TEXT, ".csv"): write_csv,
    (FileKind.TEXT, ".txt"): write_csv,
    (FileKind.TEXT, ".tsv"): write_csv,
    (FileKind.GZIP, ".gz"): write_csv,
    (FileKind.ZIP, ".zip"): write_csv,
    (FileKind.EXCEL, ".csv"): write_csv_of_excel,
    (FileKind.PARQUET, ".parquet"): write_parquet,
    **{(kind, ".xlsx"): write_excel for kind in FileKind},
}


def predict_file(
    model: DelayModel,
    source: str | Path,
    output: str | Path,
    invalid: Invalid = "stop",
    progress: Progress = lambda rows: None,
    cancellation: Cancellation | None = None,
    bounds: Bounds = OWN_FILES,
    options: ReadOptions | None = None,
    average: bool = False,
) -> PredictionCounts:
    """Write a file again with `probability` and `delay` behind its columns.

    Args:
        model: what answers.
        source: a file with the columns OPERA, TIPOVUELO and MES, and optionally
            SIGLADES and Fecha-I; others are kept as they are.
        output: of the same kind, by its name, or .xlsx; for an Excel file also .csv. It
            appears when it is complete.
        invalid: "stop" at rows with a fault; or "keep" them, with empty answers and
            what is wrong in a column `fault`, which every row then has; or write them
            "only", nothing being predicted, with what is wrong in a column `problem`.
        progress: called with the number of rows done so far.
        cancellation: stops it.
        bounds: how much it may take.
        options: how the file is to be read; None for a file of a caller who cannot say
            it.
        average: whether a destination or origin that is not known is taken as not given.

    Raises:
        WorkStopped: it was stopped.
        MissingColumnsError: a column that is needed is not there.
        FlightsFileError: the file cannot be read, has invalid rows, or the output
            cannot be written. Then there is no output, or the old one.
    """
    path, output = Path(source), Path(output)
    with replacing(output) as temporary:

        def answer(file: PlainFile) -> PredictionCounts:
            write = _WRITERS.get((file.dialect.kind, output.suffix.lower()))
            if write is None:
                kinds = [end for kind, end in _WRITERS if kind is file.dialect.kind]
                named = " or ".join(kinds)
                raise OTHER_KIND.error(output, kinds=named, source=path.name)
            with engine(model, file, temporary, cancellation) as connection:
                scan = FlightsScan(
                    connection, model, file, cancellation, options, average
                )
                check_names(scan)
                try:
                    scored = write(scan, temporary, invalid, progress)
                except csv.Error as error:
                    raise UNREADABLE.error(path, reason=error) from error
            scored.add_reading(scan)
            return scored

        try:
            folder = output.absolute().parent
            scored = read_plain(path, answer, folder, bounds, cancellation)
        except OSError as error:
            reason = error.strerror or error
            raise UNWRITABLE.error(output, reason=reason) from None
        if scored.invalid and invalid == "stop":
            raise INVALID_ROWS.error(path, rejected=scored.rejected)
    return scored


def answered_rows(
    connection: duckdb.DuckDBPyConnection,
    model: DelayModel,
    answers: PlainFile,
    invalid: Invalid,
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows of a file of answers that `predict_file` wrote, but those with a fault, some
    at a time.

    A row holds the fields of a request, in the order in which it may name them and as
    it would write them, the probability, and the decision. A flight number is cut to
    the length that a request may give it.
    """
    with reading(answers.source):
        file = file_source(connection, answers)
        # Behind the columns of the file.
        added = list(file.types)[-3 if invalid == "keep" else -2 :]
        wanted = [one.name for one in FIELDS]
        read = read_asked(connection, model, answers, file, wanted, others=added)
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
    model: DelayModel,
    source: str | Path,
    options: ReadOptions | None = None,
    average: bool = False,
) -> PredictionCounts:
    """Answer all rows of a file without writing anything; rules as in `predict_file`."""

    def count(file: PlainFile) -> PredictionCounts:
        scored = PredictionCounts()
        with engine(model, file) as connection:
            flights = FlightsScan(
                connection, model, file, options=options, average=average
            )
            times = flights.count_cells()
            if UNCERTAIN in times:
                times = Counter()
                for cells, questions, _ in judged_rows(flights, scored):
                    places = list(questions)
                    asked = [cells[place] for place in places]
                    found = dict(enumerate(questions.values()))
                    decisions = model.decide(model.predict_flights(asked, found))
                    scored.delayed += sum(decisions)
                    times.update(cells)
                    times.subtract(asked)
                    scored.rows += len(cells)
                times.pop(UNCERTAIN, None)
        # A file has few kinds of flights: each is asked about once.
        decisions = model.decide(model.predict_cells(list(times)))
        scored.delayed += sum(compress(times.values(), decisions))
        scored.rows = scored.rows or sum(times.values())
        scored.add_reading(flights)
        return scored

    return read_plain(Path(source), count)


def check_names(scan: FlightsScan) -> None:
    """Refuse a file with a column that is called as one that is added."""
    for name in scan.source.names:
        # In Parquet, to most programs, names differ in more than capitals.
        added = name.lower() if scan.file.is_parquet else name
        if added in ADDED_COLUMNS:
            raise COLUMN_THERE.error(scan.file.source, name=name)
