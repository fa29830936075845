"""POST /predict/file: a file in, the same file with answers out."""

from __future__ import annotations

import gzip
import tempfile

import duckdb
import pandas as pd
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
from challenge.files.bounds import OWN_FILES
from challenge.files.excel import Workbook
from challenge.serving.upload import EXCEL, FORM, MEDIA_TYPES
from tests.conftest import TEST_MODEL
from tests.written_files import WAYS, Excel, Text

client = TestClient(create_app(TEST_MODEL))
FLIGHTS = b"OPERA,TIPOVUELO,MES\nGrupo LATAM,I,7\nAerolineas Argentinas,N,3\n"


def ask(content: bytes, media_type: str = "text/csv", query: str = "", accept="*/*"):
    headers = {"content-type": media_type, "accept": accept}
    return client.post("/predict/file" + query, content=content, headers=headers)


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path, monkeypatch):
    """Nothing of a request is left on the disk, whatever became of it."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert list(folder.iterdir()) == []


def test_a_csv_comes_back_with_the_answers_of_predict():
    response = ask(FLIGHTS, "text/csv; charset=utf-8")
    assert response.status_code == 200
    header, late, on_time = response.text.splitlines()
    assert header == "OPERA,TIPOVUELO,MES,probability,delay"
    assert late.startswith("Grupo LATAM,I,7,0.") and late.endswith(",1")
    assert on_time.startswith("Aerolineas Argentinas,N,3,0.") and on_time.endswith(",0")


def test_a_compressed_csv_comes_back_compressed():
    response = ask(gzip.compress(FLIGHTS), "application/gzip")
    assert gzip.decompress(response.content).decode() == ask(FLIGHTS).text


def test_a_parquet_file_comes_back_as_one(tmp_path):
    source, answer = tmp_path / "f.parquet", tmp_path / "a.parquet"
    sql = "SELECT 'Grupo LATAM' AS OPERA, 'I' AS TIPOVUELO, 7 AS MES"
    duckdb.sql(sql).write_parquet(str(source))
    response = ask(source.read_bytes(), "application/vnd.apache.parquet")
    answer.write_bytes(response.content)
    [(airline, _, month, probability, delay)] = duckdb.read_parquet(
        str(answer)
    ).fetchall()
    assert (airline, month, delay) == ("Grupo LATAM", 7, 1)
    assert 0 < probability < 1


def test_invalid_rows_are_400_with_their_numbers_or_kept():
    content = FLIGHTS + b"Nobody,N,3\n"
    response = ask(content)
    assert response.status_code == 400
    [fault] = response.json()["detail"]
    assert fault["type"] == "invalid_rows"
    assert "1 invalid rows (OPERA unknown_value: 1); the first: row 4" in fault["msg"]
    assert tempfile.gettempdir() not in fault["msg"]
    kept = ask(content, query="?invalid=keep")
    assert kept.status_code == 200
    assert kept.text.splitlines()[3].startswith("Nobody,N,3,,,")


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"", "text/csv", 400),
        (b"city\nLima\n", "text/csv", 400),
        (b"no parquet", "application/vnd.apache.parquet", 400),
        (b"no gzip", "application/gzip", 400),
        (FLIGHTS, "application/json", 415),
        (FLIGHTS, "", 415),
    ],
)
def test_what_is_no_file_of_flights_is_refused(content, media_type, status):
    response = ask(content, media_type)
    assert response.status_code == status
    assert response.json()["detail"][0]["msg"]


def test_a_file_that_is_too_large_is_413(monkeypatch):
    monkeypatch.setenv("MAX_FILE_BYTES", "20")
    small = TestClient(create_app(TEST_MODEL))
    headers = {"content-type": "text/csv"}
    response = small.post("/predict/file", content=FLIGHTS, headers=headers)
    assert response.status_code == 413
    assert response.json()["detail"][0]["type"] == "too_large"


def test_the_route_is_documented():
    operation = client.get("/openapi.json").json()["paths"]["/predict/file"]["post"]
    assert operation["requestBody"]["content"].keys() == {*MEDIA_TYPES, FORM}
    assert "Content-Dialect" in operation["responses"]["200"]["headers"]
    assert {"200", "400", "413", "415"} <= operation["responses"].keys()


ROWS = [
    ["OPERA", "TIPOVUELO", "MES", "SIGLADES", "nota"],
    ["Grupo LATAM", "I", "7", "Concepción", 'dice "hola"; y, sí'],
    ["Aerolineas Argentinas", "N", "3", "", "dos\nlíneas"],
]


@pytest.mark.parametrize("name", WAYS)
def test_a_file_of_any_dialect_comes_back_in_it(name, tmp_path):
    way, path = WAYS[name], tmp_path / "flights"
    way.write(path, ROWS)
    response = ask(
        path.read_bytes(), "application/octet-stream", accept=f"{EXCEL}, */*"
    )
    assert response.status_code == 200
    path.write_bytes(response.content)
    answered = way.read(path)
    expected = [line.split(",") for line in ask(FLIGHTS).text.splitlines()]
    for row, plain in zip(answered[1:], expected[1:], strict=True):
        assert [float(one) for one in row[-2:]] == [float(one) for one in plain[-2:]]
    told = "Content-Dialect" in response.headers
    assert told == bool(way.said)


def test_a_dialect_is_told_and_so_is_its_charset():
    response = ask(b"OPERA;TIPOVUELO;MES\r\nGrupo LATAM;I;7,0\r\n")
    assert response.headers["content-dialect"] == 'delimiter=";", decimal=","'
    content = "Año\nOPERA;TIPOVUELO;MES\nGrupo LATAM;I;7\n"
    response = ask(content.encode("cp1252"), "application/vnd.ms-excel")
    assert response.headers["content-type"] == "text/csv; charset=windows-1252"
    assert response.text.startswith("Año\nOPERA;TIPOVUELO;MES;probability;delay\n")


def test_an_excel_file_comes_back_as_csv_unless_asked_otherwise(tmp_path):
    path = tmp_path / "flights.xlsx"
    Excel().write(path, ROWS)
    response = ask(path.read_bytes(), EXCEL)
    assert response.headers["content-type"].startswith("text/csv")
    path.write_bytes(response.content)
    assert [row[:-2] for row in Text().read(path)] == ROWS


@pytest.mark.parametrize("kind", ["csv", "csv.gz", "parquet"])
def test_any_file_comes_back_as_excel_where_nothing_else_is_accepted(kind, tmp_path):
    path, answer = tmp_path / f"flights.{kind}", tmp_path / "answer.xlsx"
    rows = pd.DataFrame(
        {
            "OPERA": ["Grupo LATAM", "Nobody", "Sky Airline"],
            "TIPOVUELO": ["I", "N", "N"],
            "MES": [7, 3, 4],
            "nota": ["=1+1", "", "ñ"],
        }
    )
    if kind == "parquet":
        duckdb.sql("SELECT * FROM rows").write_parquet(str(path))
    else:
        rows.to_csv(path, index=False)
    media_type = "application/octet-stream"
    response = ask(path.read_bytes(), media_type, "?invalid=keep", EXCEL)
    assert response.headers["content-type"] == EXCEL
    answer.write_bytes(response.content)
    with Workbook(answer, OWN_FILES) as workbook:
        header, *found = [values for _, values in workbook.rows("flights")]
    assert header == [*rows.columns, "probability", "delay", "fault"]
    assert found[0][3] == "=1+1"
    assert [type(row[4]) for row in found] == [float, type(None), float]
    assert [row[5] for row in found] == [1, None, 0]
    assert "'Nobody' is not an airline" in found[1][6]


FAULTY = [
    ["Nobody", "N", "3", "", "año; sí"],
    ["Sky Airline", "X", "13", "Calama", ""],
]


@pytest.mark.parametrize("name", WAYS)
def test_only_the_invalid_rows_come_back_in_the_files_dialect(name, tmp_path):
    way, path = WAYS[name], tmp_path / "flights"
    way.write(path, [*ROWS[:2], FAULTY[0], ROWS[2], FAULTY[1]])

    def only():
        content, accept = path.read_bytes(), f"{EXCEL}, */*"
        response = ask(
            content, "application/octet-stream", "?invalid=only", accept=accept
        )
        assert response.status_code == 200
        path.write_bytes(response.content)
        return way.read(path)

    header, *rows = only()
    assert [name.strip().lower() for name in header] == [
        *map(str.lower, ROWS[0]),
        "problem",
    ]
    for row, given in zip(rows, FAULTY, strict=True):
        assert [one or "" for one in [*row[:2], *row[3:5]]] == [*given[:2], *given[3:]]
    assert rows[0][5].startswith("OPERA: 'Nobody' is not an airline")
    assert "TIPOVUELO: " in rows[1][5] and "13 is not a month" in rows[1][5]
    # Whoever mends nothing and sends it again gets it back.
    header, *again = only()
    assert header[5:] == ["problem", "problem 2"]
    assert [row[5] for row in again] == [row[6] for row in again]
    mended = [[*row[:2], "7", *row[3:], "was wrong"] for row in (ROWS[1], ROWS[2])]
    way.write(path, [[*ROWS[0], "problem"], *mended])
    assert ask(path.read_bytes(), "application/octet-stream").status_code == 200


def test_rows_are_mended_in_the_file_that_holds_only_these():
    content = "Año\r\nOPERA;TIPOVUELO;MES\r\nGrupo LATAM;I;7,0\r\nÑandú;N;3,0\r\n"
    answer = ask(content.encode("cp1252"), query="?invalid=only")
    assert answer.headers["content-type"] == "text/csv; charset=windows-1252"
    title, header, row = answer.text.splitlines()
    assert [title, header] == ["Año", "OPERA;TIPOVUELO;MES;problem"]
    assert row.startswith("Ñandú;N;3,0;\"OPERA: 'Ñandú' is not an airline")
    mended = answer.content.replace("Ñandú".encode("cp1252"), b"Sky Airline", 1)
    header, row = ask(mended).text.splitlines()[1:]
    assert header == "OPERA;TIPOVUELO;MES;problem;probability;delay"
    assert row.startswith("Sky Airline;N;3,0;") and row.endswith((";0", ";1"))


@pytest.mark.parametrize("kind", ["csv", "parquet", "xlsx"])
def test_many_invalid_rows_come_back_in_their_order(kind, tmp_path):
    path = tmp_path / f"flights.{kind}"
    rows = pd.DataFrame({"OPERA": ["Sky Airline"] * 6_000}).assign(
        TIPOVUELO="N", MES=7, number=range(6_000)
    )
    rows.loc[::7, "OPERA"] = "Nobody"
    if kind == "parquet":
        duckdb.sql("SELECT * FROM rows").write_parquet(str(path))
    else:
        rows.to_csv(path, index=False)
    accept = EXCEL if kind == "xlsx" else "*/*"
    response = ask(
        path.read_bytes(), "application/octet-stream", "?invalid=only", accept
    )
    path.write_bytes(response.content)
    if kind == "parquet":
        found = duckdb.read_parquet(str(path)).fetchall()
    elif kind == "csv":
        found = [line.split(",") for line in response.text.splitlines()[1:]]
    else:
        with Workbook(path, OWN_FILES) as workbook:
            numbers, found = zip(*workbook.rows("flights"))
        assert list(numbers) == list(range(1, len(numbers) + 1))
        found = found[1:]
    assert [int(row[3]) for row in found] == list(range(0, 6_000, 7))


def test_a_file_without_invalid_rows_gives_the_header_and_nothing_is_predicted():
    client = TestClient(create_app(TEST_MODEL))
    headers = {"content-type": "text/csv"}
    for content in (FLIGHTS, FLIGHTS + b"Nobody,N,3\n"):
        answer = client.post(
            "/predict/file?invalid=only", content=content, headers=headers
        )
        assert answer.text.splitlines()[0] == "OPERA,TIPOVUELO,MES,problem"
        assert len(answer.text.splitlines()) == content.count(b"\n") - 2
    metrics = client.get("/metrics").text
    assert 'flights_predicted_total{outcome="on_time"} 0.0' in metrics
    assert 'flights_predicted_total{outcome="late"} 0.0' in metrics


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
def test_the_content_counts_and_not_the_media_type(media_type):
    assert ask(FLIGHTS, media_type).text == ask(FLIGHTS).text
    assert ask(FLIGHTS, media_type.upper()).status_code == 200


def test_a_file_of_another_format_is_answered_and_said_to_be_one():
    header = "year,month,day,sched_dep_time,carrier,origin,dest,flight,dep_delay"
    content = f"{header}\n2013,7,5,1830,Grupo LATAM,,,11,\n".encode()
    response = ask(content)
    assert response.status_code == 200
    assert response.headers["Content-Dialect"] == 'format="nycflights13"'
    [_, answer] = response.text.splitlines()
    expected = ask(b"OPERA,TIPOVUELO,MES\nGrupo LATAM,N,7\n").text.splitlines()[1]
    assert answer.split(",")[-2:] == expected.split(",")[-2:]


def test_a_file_may_be_sent_in_a_form():
    """As `curl -F file=@flights.csv` does."""
    files = {"file": ("flights.csv", FLIGHTS)}
    response = client.post("/predict/file", data={"note": "x"}, files=files)
    assert response.status_code == 200
    assert response.text == ask(FLIGHTS).text


FORMS = {
    "no file": ({"note": (None, b"x")}, "the form has 0 files; send one, as 'file'"),
    "two files": (
        {"a": ("a.csv", FLIGHTS), "b": ("b.csv", FLIGHTS)},
        "the form has 2 files; send one, as 'file'",
    ),
}


@pytest.mark.parametrize("case", FORMS)
def test_a_form_with_another_number_of_files_is_refused(case):
    files, message = FORMS[case]
    response = client.post("/predict/file", files=files)
    assert response.status_code == 400
    assert response.json()["detail"][0]["msg"] == message


@pytest.mark.parametrize(
    ("content", "media_type", "message"),
    [
        (FLIGHTS, "multipart/form-data", "it has no boundary"),
        (FLIGHTS, "multipart/form-data; boundary=x", "the form cannot be read"),
        (b"--x\r\n\r\n", "multipart/form-data; boundary=x", "it has no end"),
        (FLIGHTS, f"multipart/form-data; boundary={'x' * 500}", "Boundary length"),
    ],
)
def test_what_is_no_form_is_refused(content, media_type, message):
    response = ask(content, media_type)
    assert response.status_code == 400
    assert message in response.json()["detail"][0]["msg"]


def test_a_file_in_a_form_that_is_too_large_is_413(monkeypatch):
    monkeypatch.setenv("MAX_FILE_BYTES", "20")
    small = TestClient(create_app(TEST_MODEL))
    for content in (FLIGHTS, FLIGHTS * 2_000):
        files = {"file": ("flights.csv", content)}
        response = small.post("/predict/file", files=files)
        assert response.status_code == 413
