"""POST /predict/file: a file in, the same file with answers out."""

from __future__ import annotations

import gzip
import tempfile

import duckdb
import pytest
from fastapi.testclient import TestClient

from challenge.api import create_app
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
    response = ask(path.read_bytes(), "application/octet-stream", accept=EXCEL)
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
