"""An Excel file is read as another reader of such files reads it."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
import xlsxwriter
from python_calamine import CalamineWorkbook

from challenge.files.bounds import OWN_FILES
from challenge.files.excel import Workbook, value_text


@pytest.fixture(params=[False, True], ids=["since 1900", "since 1904"])
def path(request, tmp_path):
    """Values of every kind, in and out of place."""
    made = tmp_path / "values.xlsx"
    options = {"date_1904": request.param, "strings_to_numbers": False}
    with xlsxwriter.Workbook(str(made), options) as book:
        sheet = book.add_worksheet("Año & más")
        bold = book.add_format({"bold": True})
        sheet.write_row(1, 1, ["text", "ñ < &", " blanks ", "two\nlines", "=1+1"])
        sheet.write_row(2, 0, [0, 3, 3.5, -1e-7, 1e15, 12345678901])
        sheet.write_boolean(3, 0, True)
        sheet.write_boolean(3, 1, False)
        sheet.write_formula(3, 2, "=1+1", None, 2)
        sheet.write_formula(3, 3, '="a"', None, "a")
        sheet.write_rich_string(3, 4, "a ", bold, "bold", " word")
        formats = ("dd/mm/yyyy", "yyyy-mm-dd hh:mm:ss", "d mmm", '"day" d.m.yy h"h"')
        for column, shown in enumerate(formats):
            moment = datetime(2017, 3, 6, 8, 10) + timedelta(minutes=column * 7)
            sheet.write_datetime(
                5, column, moment, book.add_format({"num_format": shown})
            )
        numbers = ("0.00", '0 "days"', "#,##0", "[Red]0", "General")
        for column, shown in enumerate(numbers):
            sheet.write_number(
                6, column, 42800.25, book.add_format({"num_format": shown})
            )
        book.add_worksheet("empty")
    return made


def test_values_are_those_of_another_reader(path):
    others = CalamineWorkbook.from_path(path)
    with Workbook(path, OWN_FILES) as workbook:
        assert workbook.sheets == others.sheet_names == ["Año & más", "empty"]
        assert list(workbook.rows("empty")) == []
        found = dict(workbook.rows("Año & más"))
    expected = others.get_sheet_by_index(0).to_python(skip_empty_area=False)
    assert list(found) == [2, 3, 4, 6, 7]
    for number, row in enumerate(expected, 1):
        values = found.get(number, [])
        values = [*values, *[None] * (len(row) - len(values))]
        assert ["" if one is None else one for one in values] == row


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (3.0, "3"),
        (-0.5, "-0.5"),
        (True, "1"),
        ("3.0", "3.0"),
        (datetime(2017, 3, 6, 8, 15), "2017-03-06 08:15:00"),
        (datetime(2017, 3, 6), "2017-03-06 00:00:00"),
    ],
)
def test_values_are_written_as_a_csv_has_them(value, text):
    assert value_text(value) == text
