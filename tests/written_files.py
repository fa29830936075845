"""The same flights as people's programs write them, each way a file of its own."""

from __future__ import annotations

import csv
import gzip
import io
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import xlsxwriter
from python_calamine import CalamineWorkbook

Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Text:
    """A text file: how it is written, and what is said of it."""

    said: str = ""
    suffix: str = ".csv"
    delimiter: str = ","
    encoding: str = "utf-8"
    above: tuple[str, ...] = ()
    end: str = "\n"
    point: str = "."
    names: Callable[[str], str] = str
    pack: Callable[[bytes], bytes] = bytes
    unpack: Callable[[bytes], bytes] = bytes

    def write(self, path: Path, rows: Rows) -> None:
        lines = [*self.above, self.line(list(map(self.names, rows[0])))]
        for row in rows[1:]:
            month = row[2] if self.point == "." else f"{row[2]}{self.point}0"
            lines.append(self.line([*row[:2], month, *row[3:]]))
        text = "".join(line + self.end for line in lines)
        path.write_bytes(self.pack(text.encode(self.encoding)))

    def line(self, values: Sequence[str]) -> str:
        return csv_line(values, self.delimiter)

    def text(self, path: Path) -> str:
        return self.unpack(path.read_bytes()).decode(self.encoding)

    def read(self, path: Path) -> list[list[Any]]:
        """The rows of an answer, its header first."""
        text = io.StringIO(self.text(path), newline="")
        rows = list(csv.reader(text, delimiter=self.delimiter))
        table = rows[len(self.above) :]
        last = [i for i, name in enumerate(table[0]) if name == "probability"]
        return [table[0]] + [
            [v.replace(self.point, ".") if i in last else v for i, v in enumerate(row)]
            for row in table[1:]
        ]


@dataclass(frozen=True)
class Excel:
    said: str = "sheet 'Vuelos de marzo', header in line 3"
    suffix: str = ".xlsx"
    others: tuple[str, ...] = field(default=("Léeme",))

    def write(self, path: Path, rows: Rows) -> None:
        with xlsxwriter.Workbook(str(path)) as book:
            for name in self.others:
                book.add_worksheet(name).write(0, 0, "No hay vuelos aquí")
            sheet = book.add_worksheet("Vuelos de marzo")
            shown = book.add_format({"num_format": "dd/mm/yyyy hh:mm"})
            sheet.write(0, 0, "Vuelos")
            sheet.write_row(2, 0, rows[0])
            for number, row in enumerate(rows[1:], 3):
                for place, value in enumerate(row):
                    if rows[0][place].startswith("Fecha") and value:
                        time = datetime.fromisoformat(value)
                        sheet.write_datetime(number, place, time, shown)
                    elif rows[0][place] in ("MES", "delay"):
                        sheet.write_number(number, place, int(value))
                    else:
                        sheet.write_string(number, place, value)

    def read(self, path: Path) -> list[list[Any]]:
        sheet = CalamineWorkbook.from_path(path).get_sheet_by_index(0)
        return sheet.to_python()[2:]


@dataclass(frozen=True)
class Parquet:
    said: str = ""
    suffix: str = ".parquet"

    def write(self, path: Path, rows: Rows) -> None:
        table = pd.DataFrame([*rows[1:]], columns=list(rows[0]))
        duckdb.from_df(table.assign(MES=table["MES"].astype(int))).write_parquet(
            str(path)
        )

    def read(self, path: Path) -> list[list[Any]]:
        found = duckdb.read_parquet(str(path))
        rows = [
            [v if isinstance(v, int | str | None) else round(v, 6) for v in row]
            for row in found.fetchall()
        ]
        return [found.columns, *rows]


def csv_line(values: Sequence[str], delimiter: str, quoting: Any = 0) -> str:
    """A record without its end; a value with either kind of line break is quoted."""
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=quoting).writerow(values)
    return text.getvalue().removesuffix("\r\n")


def zipped(content: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("vuelos.csv", content)
        archive.writestr("__MACOSX/._vuelos.csv", b"of no interest")
    return stream.getvalue()


def unzipped(content: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return archive.read("vuelos.csv")


SEMICOLONS = "separated by ';'"
WAYS: dict[str, Text | Excel | Parquet] = {
    "plain": Text(),
    "Excel in Chile": Text(
        f"{SEMICOLONS}, Windows-1252, decimal commas",
        delimiter=";",
        encoding="cp1252",
        end="\r\n",
        point=",",
    ),
    "Excel, CSV UTF-8": Text(
        SEMICOLONS, delimiter=";", encoding="utf-8-sig", end="\r\n"
    ),
    "Excel, Unicode text": Text(
        "separated by tabs, UTF-16",
        suffix=".txt",
        delimiter="\t",
        encoding="utf-16",
        end="\r\n",
    ),
    "sep=": Text(
        f"{SEMICOLONS}, header in line 2",
        delimiter=";",
        above=("sep=;",),
        end="\r\n",
    ),
    "titles": Text(
        "separated by tabs, header in line 4",
        suffix=".tsv",
        delimiter="\t",
        above=("Vuelos de marzo, todos", "", "OPERA es la aerolínea"),
    ),
    "titles above commas": Text("header in line 3", above=("Vuelos", "")),
    "bars": Text("separated by '|'", delimiter="|", suffix=".txt"),
    "BOM": Text(encoding="utf-8-sig", end="\r\n"),
    "UTF-16 of big ends": Text(
        "UTF-16BE", encoding="utf-16", pack=lambda data: swapped(data)
    ),
    "Windows-1252": Text("Windows-1252", encoding="cp1252"),
    "old Mac": Text(end="\r"),
    "capitals": Text(names=str.upper),
    "blanks around names": Text(names=lambda name: f" {name.lower()}  "),
    "gzip": Text(suffix=".csv.gz", pack=gzip.compress, unpack=gzip.decompress),
    "gzip of semicolons": Text(
        SEMICOLONS,
        suffix=".csv.gz",
        delimiter=";",
        pack=gzip.compress,
        unpack=gzip.decompress,
    ),
    "ZIP": Text(
        "file 'vuelos.csv'", suffix=".zip", pack=zipped, unpack=unzipped, end="\r\n"
    ),
    "ZIP of semicolons": Text(
        f"file 'vuelos.csv', {SEMICOLONS}, Windows-1252, decimal commas",
        suffix=".zip",
        delimiter=";",
        encoding="cp1252",
        point=",",
        pack=zipped,
        unpack=unzipped,
    ),
    ".xlsx": Excel(),
    "Parquet": Parquet(),
}


def swapped(content: bytes) -> bytes:
    """UTF-16 with its bytes in the other order."""
    turned = bytearray(content)
    turned[::2], turned[1::2] = content[1::2], content[::2]
    return bytes(turned)
