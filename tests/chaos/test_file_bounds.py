"""Whatever a file is, it is answered or refused, takes little memory, and others do not
wait for it. Each is sent to a real server of one worker under a memory cap.
"""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import httpx
import pytest

from challenge.serving.upload import EXCEL
from tests.api.conftest import Server, capped_server
from tests.chaos.test_bounds import ANSWER_SECONDS, watched

HEADER = b"OPERA,TIPOVUELO,MES,nota\n"
ROW = b"Grupo LATAM,N,3,"


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[Server]:
    with capped_server(tmp_path_factory.mktemp("files") / "server.log") as server:
        yield server


def gzipped(*pieces: tuple[bytes, int]) -> bytes:
    """Pieces, each so often, as a gzip file."""
    stream = io.BytesIO()
    with gzip.open(stream, "wb", compresslevel=1) as target:
        for piece, times in pieces:
            for _ in range(times):
                target.write(piece)
    return stream.getvalue()


def zipped(name: str, piece: bytes, times: int, **parts: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open(name, "w") as target:
            for _ in range(times):
                target.write(piece)
        for other, content in parts.items():
            archive.writestr(other.replace("__", "/") + ".xml", content)
    return stream.getvalue()


def excel(sheet: bytes, times: int = 1, texts: bytes = b"") -> bytes:
    """An Excel file of one sheet, whose XML is a piece so often."""
    stream = io.BytesIO()
    book = b'<workbook><sheet name="a" r:id="x"/></workbook>'
    relation = b'<r><Relationship Id="x" Target="worksheets/sheet1.xml"/></r>'
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/workbook.xml", book)
        archive.writestr("xl/_rels/workbook.xml.rels", relation)
        archive.writestr("xl/sharedStrings.xml", texts or b"<sst/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as target:
            target.write(b"<worksheet><sheetData>")
            for _ in range(times):
                target.write(sheet)
            target.write(b"</sheetData></worksheet>")
    return stream.getvalue()


def parquet(query: str) -> Callable[[Path], bytes]:
    def make(folder: Path) -> bytes:
        path = folder / "made.parquet"
        duckdb.sql(f"COPY ({query}) TO '{path}' (FORMAT parquet, COMPRESSION zstd)")
        return path.read_bytes()

    return make


FLIGHT_SQL = "'Grupo LATAM' AS OPERA, 'N' AS TIPOVUELO, 3 AS MES"
MEGABYTE = b"x" * 1_000_000
CELLS = b'<row><c t="inlineStr"><is><t>%s</t></is></c></row>'
FILES: dict[str, tuple[Callable[[Path], bytes], int]] = {
    "a gzip of one line": (lambda _: gzipped((MEGABYTE, 100)), 413),
    "a gzip of one value": (
        lambda _: gzipped((HEADER, 1), (ROW, 1), (MEGABYTE, 100)),
        413,
    ),
    "a gzip of many rows": (
        lambda _: gzipped((HEADER, 1), ((ROW + b"\n") * 50_000, 100)),
        413,
    ),
    "a gzip of blank lines": (lambda _: gzipped((b"\n" * 1_000_000, 100)), 413),
    "a quoted value of line breaks": (
        lambda _: HEADER + (ROW + b'"' + b"\n" * 100_000 + b'"\n') * 20,
        200,
    ),
    "a quoted value of more line breaks": (
        lambda _: HEADER + ROW + b'"' + b"\n" * 400_000 + b'"\n',
        400,
    ),
    "a quote in each row": (
        lambda _: HEADER + (ROW + b'5" pipe\n') * 70_000,
        200,
    ),
    "quotes that stay open": (
        lambda _: HEADER + (ROW + b'"5 pipe\n') * 70_000,
        200,
    ),
    "ragged rows": (lambda _: HEADER + b"a,b\n" * 400_000, 200),
    "blank lines among rows": (lambda _: HEADER + (ROW + b"\n\n\n") * 100_000, 200),
    "undecodable rows": (
        lambda _: HEADER + "ñ,ñ,ñ,ñ\n".encode() + (ROW + b"\xff\n") * 9,
        200,
    ),
    "columns": (lambda _: b";".join(b"%d" % n for n in range(40_000)) + b"\n", 400),
    "no line ends": (lambda _: MEGABYTE * 20, 400),
    "delimiters": (lambda _: HEADER + b"," * 5_000_000, 400),
    "many faults in Parquet": (
        parquet(
            "SELECT 'x' || n AS OPERA, 'N' AS TIPOVUELO, 3 AS MES "
            "FROM range(60_000) AS r(n)"
        ),
        200,
    ),
    "rows in Parquet": (parquet(f"SELECT {FLIGHT_SQL} FROM range(30_000_000)"), 413),
    "lists in Parquet": (
        parquet(f"SELECT {FLIGHT_SQL}, repeat([1], 5_000_000) AS many"),
        413,
    ),
    "texts in Parquet": (
        parquet(
            "SELECT repeat('x', 1_000_000) AS OPERA, 'N' AS TIPOVUELO, 3 AS MES "
            "FROM range(400)"
        ),
        200,
    ),
    "other texts in Parquet": (
        parquet(f"SELECT {FLIGHT_SQL}, repeat('x', 1_000_000) AS nota FROM range(400)"),
        200,
    ),
    "a month of 5,000 digits": (
        lambda _: HEADER + b"Grupo LATAM,N," + b"9" * 5_000 + b",\n",
        200,
    ),
    "a ZIP bomb": (lambda _: zipped("a.csv", MEGABYTE, 100), 413),
    "a ZIP of many rows": (
        lambda _: zipped("a.csv", HEADER + ROW + b"\n" * 1_000, 40_000),
        413,
    ),
    "an Excel file of the last cell": (
        lambda _: excel(b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>'),
        400,
    ),
    "an Excel file of one text": (lambda _: excel(MEGABYTE, 100), 413),
    "an Excel file of many rows": (
        lambda _: excel(b"<row><c><v>1</v></c><c><v>1</v></c></row>" * 1_000, 2_500),
        413,
    ),
    "an Excel file of nested tags": (lambda _: excel(b"<a>" * 1_000, 5_000), 400),
    "an Excel file of one tag": (
        lambda _: excel(b'<a b="' + MEGABYTE * 15),
        400,
    ),
    "an Excel file of long texts": (
        lambda _: excel(
            CELLS % b"OPERA",
            texts=b"<sst>" + (b"<si><t>%s</t></si>" % MEGABYTE) * 60 + b"</sst>",
        ),
        413,
    ),
    "an Excel file of many texts": (
        lambda _: excel(
            CELLS % b"OPERA",
            texts=b"<sst>" + b"<si><t>a</t></si>" * 3_000_000 + b"</sst>",
        ),
        413,
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_a_file_of_any_kind_is_bounded(case, server, tmp_path):
    make, status = FILES[case]
    content = make(tmp_path)
    accepted = f"{EXCEL}, */*"
    headers = {"Content-Type": "application/octet-stream", "Accept": accepted}
    with watched(server):
        answer = httpx.post(
            f"{server.url}/predict/file?invalid=keep",
            content=content,
            headers=headers,
            timeout=ANSWER_SECONDS,
        )
    assert answer.status_code == status, answer.text[:500]
    if status != 200:
        [fault] = answer.json()["detail"]
        assert fault["msg"].startswith(("the file ", "missing columns"))
        assert len(answer.content) < 10_000
