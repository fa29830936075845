"""Writes the answers to an Excel file: behind the rows of its sheet, or as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from challenge.files.answers import (
    ADDED_COLUMNS,
    PredictionCounts,
    Progress,
    judged_rows,
)
from challenge.files.excel import Value, value_text
from challenge.files.faults import NOT_AS_EXCEL
from challenge.files.scanning import FlightsScan

# As in a CSV file.
_DIGITS: Final = 6
_DATE_FORMAT: Final = "yyyy-mm-dd hh:mm:ss"


def write_csv_of_excel(
    flights: FlightsScan, output: Path, keep: bool, progress: Progress
) -> PredictionCounts:
    """Answer the rows of a sheet in a CSV file, without what stands above its header;
    arguments as of `write_csv`."""
    scored = PredictionCounts()
    with output.open("w", encoding="utf-8", newline="") as target:
        writer = csv.writer(target)
        for number, values in _answered(flights, scored, keep, progress):
            if number >= flights.file.dialect.header_row:
                writer.writerow(map(value_text, values))
    return scored


def write_excel(
    flights: FlightsScan, output: Path, keep: bool, progress: Progress
) -> PredictionCounts:
    """The same in an Excel file with that sheet, in which a number is a number."""
    import xlsxwriter

    scored = PredictionCounts()
    options = {"constant_memory": True, "tmpdir": str(output.parent)}
    with xlsxwriter.Workbook(str(output), options) as workbook:
        sheet = workbook.add_worksheet(flights.file.dialect.part)
        date = workbook.add_format({"num_format": _DATE_FORMAT})
        for number, values in _answered(flights, scored, keep, progress):
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
    flights: FlightsScan, scored: PredictionCounts, keep: bool, progress: Progress
) -> Iterator[tuple[int, list[Value]]]:
    """The rows of the sheet with their numbers, answers behind them."""
    rows = flights.file.excel_rows()
    added = ADDED_COLUMNS if keep else ADDED_COLUMNS[:2]
    width = len(flights.columns)
    for number, values in rows:
        if number < flights.file.dialect.header_row:
            yield number, values
            continue
        yield number, [*values, *added]
        break
    for cells, questions, faults in judged_rows(flights, scored):
        probabilities = flights.model.predict_flights(cells, questions)
        decisions = flights.model.decide(probabilities)
        for place, (probability, decision) in enumerate(zip(probabilities, decisions)):
            number, values = next(rows)
            values += [None] * (width - len(values))
            if place in faults:
                values += [None, None, faults[place]]
            else:
                values += [round(probability, _DIGITS), float(decision)]
                scored.delayed += decision
            yield number, values
        scored.rows += len(cells)
        progress(scored.rows)
