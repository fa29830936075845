"""Writes the answers as an Excel file, behind the rows of any file; those to an Excel file
also as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from challenge.files.answers import (
    Batch,
    PredictionCounts,
    Progress,
    added_columns,
    judged_rows,
)
from challenge.files.excel import Value, value_text
from challenge.files.faults import NOT_AS_EXCEL
from challenge.files.kinds import FileKind
from challenge.files.rejected_rows import Invalid
from challenge.files.scanning import FlightsScan
from challenge.files.sheet_rows import sheet_rows
from challenge.model import DelayModel

# As in a CSV file.
_DIGITS: Final = 6
_DATE_FORMAT: Final = "yyyy-mm-dd hh:mm:ss"
_SHEET: Final = "flights"
_UNPAIRED: Final = "quotes do not pair up"


def write_csv_of_excel(
    flights: FlightsScan, output: Path, invalid: Invalid, progress: Progress
) -> PredictionCounts:
    """Answer the rows of a sheet in a CSV file, without what stands above its header;
    arguments as of `write_csv`."""
    scored = PredictionCounts()
    with output.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        for number, values in _answered(flights, scored, invalid, progress):
            if number >= flights.file.dialect.header_row:
                writer.writerow(map(value_text, values))
    return scored


def write_excel(
    flights: FlightsScan, output: Path, invalid: Invalid, progress: Progress
) -> PredictionCounts:
    """Answer the rows of any file in a sheet, in which a number is a number; an Excel file
    keeps what stands above its header, and the name of its sheet."""
    import xlsxwriter

    scored = PredictionCounts()
    options = {"constant_memory": True, "tmpdir": str(output.parent)}
    with xlsxwriter.Workbook(str(output), options) as workbook:
        is_excel = flights.file.dialect.kind is FileKind.EXCEL
        name = flights.file.dialect.part if is_excel else _SHEET
        sheet = workbook.add_worksheet(name)
        date = workbook.add_format({"num_format": _DATE_FORMAT})
        for number, values in _answered(flights, scored, invalid, progress):
            for column, value in enumerate(values):
                place = number - 1, column
                match value:
                    case None:
                        failed = 0
                    case str():
                        # Never a formula, whatever it begins with.
                        failed = sheet.write_string(*place, value)
                    case bool():
                        failed = sheet.write_boolean(*place, value)
                    case datetime():
                        failed = sheet.write_datetime(*place, value, date)
                    case _:
                        failed = sheet.write_number(*place, value)
                if failed:
                    raise NOT_AS_EXCEL.error(flights.file.source, row=number)
    return scored


def _answered(
    flights: FlightsScan, scored: PredictionCounts, invalid: Invalid, progress: Progress
) -> Iterator[tuple[int, list[Value]]]:
    """The rows of the sheet with their numbers, answers behind them; of rows with a fault
    only, one below the other, what is wrong.

    Raises:
        csv.Error: DuckDB takes other records of a text for rows than Python does.
    """
    rows = sheet_rows(flights)
    width, written = len(flights.columns), 0
    for number, values in rows:
        if number < flights.file.dialect.header_row:
            yield number, values
            continue
        written = number
        yield number, [*values, *added_columns(flights.source.names, invalid)]
        break
    for batch in judged_rows(flights, scored):
        added: dict[int, list[Value]]
        if invalid == "only":
            added = {place: [fault] for place, fault in batch.faults.items()}
        else:
            added, delayed = _answers(flights.model, batch)
            scored.delayed += delayed
        for place in range(len(batch.cells)):
            row = next(rows, None)
            if row is None:
                raise csv.Error(_UNPAIRED)
            number, values = row
            if place in added:
                written = written + 1 if invalid == "only" else number
                values += [None] * (width - len(values))
                yield written, [*values, *added[place]]
        scored.rows += len(batch.cells)
        progress(scored.rows)
    if flights.file.dialect.is_text and next(rows, None) is not None:
        raise csv.Error(_UNPAIRED)


def _answers(model: DelayModel, batch: Batch) -> tuple[dict[int, list[Value]], int]:
    """What is written behind each row, and how many are predicted late."""
    probabilities = model.predict_flights(batch.cells, batch.questions)
    decisions = model.decide(probabilities)
    answers: dict[int, list[Value]] = {}
    delayed = 0
    for place, (probability, decision) in enumerate(zip(probabilities, decisions)):
        if place in batch.faults:
            answers[place] = [None, None, batch.faults[place]]
        else:
            answers[place] = [round(probability, _DIGITS), float(decision)]
            delayed += decision
    return answers, delayed
