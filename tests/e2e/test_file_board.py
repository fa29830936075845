"""The board of a file: shown like the day, kept in the browser, taken along."""

from __future__ import annotations

import csv
import gzip
import re

import duckdb
import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.asked import FLIGHT, check, fits
from tests.e2e.conftest import REPORTS, WIDTHS
from tests.written_files import WAYS

HOURS = (7, 9, 18)


def write_csv(path, rows):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["note", *FLIGHT, "Vlo-I"])
        writer.writeheader()
        writer.writerows(rows)


def day_of_flights():
    return [
        {
            "note": f'"{number}", early',
            **FLIGHT,
            "SIGLADES": ("Calama", "Antofagasta")[number % 2],
            "Fecha-I": f"2017-07-14 {HOURS[number % 3]:02}:{number:02}:00",
            "Vlo-I": str(100 + number),
        }
        for number in range(30)
    ]


@pytest.fixture
def flights(tmp_path):
    path = tmp_path / "july.csv"
    write_csv(path, day_of_flights())
    return path


def listed(server, path, **query):
    """What the service answers about a file."""
    headers = {"Content-Type": "application/octet-stream", "Accept": "application/json"}
    content = path.read_bytes()
    address = f"{server.url}/predict/file"
    return httpx.post(address, content=content, headers=headers, params=query).json()


def open_file(page, path):
    page.locator("#file-input").set_input_files(path)
    expect(page.locator("#file-note")).to_contain_text(path.name)
    expect(rows(page).first).to_be_visible()


def rows(page):
    return page.locator("#board .flight")


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_file_fills_the_board(width, open_page, server, flights):
    page = open_page(width=width)
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Choose a file of flights").click()
    chooser.value.set_files(flights)
    answer = listed(server, flights)
    expect(rows(page)).to_have_count(30)
    expect(page.locator("#sums")).to_contain_text(f"{answer['expected_late']:.1f}")
    titles = page.locator("#board .group > h3")
    expect(titles).to_have_count(3)
    expect(titles.first).to_contain_text("07:00")
    one = answer["flights"][0]
    row = rows(page).filter(has_text=one["flight"]["Vlo-I"]).first
    expect(row.locator(".risk b")).to_have_text(f"{100 * one['probability']:.0f}%")
    raising = [why["name"] for why in one["reasons"] if why["log_odds"] > 0]
    if one["probability"] > 0.185:
        expect(row.locator(".reason")).to_contain_text(raising[0])
    row.locator(".entry").click()
    expect(row.locator(".why .verdict")).to_be_visible()
    assert fits(page)
    page.screenshot(path=REPORTS / f"board-of-file-{width}.png")


def test_it_stays_in_this_browser_until_it_is_closed(open_page, flights):
    page = open_page()
    open_file(page, flights)
    page.reload()
    expect(rows(page)).to_have_count(30)
    page.get_by_role("button", name="Close the file").click()
    expect(page.get_by_role("heading", name="No flights yet")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="No flights yet")).to_be_visible()


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_it_is_downloaded_as_it_came(ending, open_page, server, flights, tmp_path):
    if ending:
        compressed = tmp_path / "july.csv.gz"
        compressed.write_bytes(gzip.compress(flights.read_bytes()))
        flights = compressed
    page = open_page()
    open_file(page, flights)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename == f"july-answers.csv{ending}"
    sent = {"Content-Type": "application/octet-stream"}
    answers = httpx.post(
        f"{server.url}/predict/file?invalid=keep",
        content=flights.read_bytes(),
        headers=sent,
    )
    found = download.value.path().read_bytes()
    read = gzip.decompress if ending else bytes
    assert read(found) == read(answers.content)


def test_any_file_is_downloaded_for_excel(open_page, flights, tmp_path):
    page = open_page()
    path = tmp_path / "july.parquet"
    duckdb.sql(f"SELECT * FROM '{flights}'").write_parquet(str(path))
    open_file(page, path)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download .xlsx").click()
    assert download.value.suggested_filename == "july-answers.xlsx"
    answers = tmp_path / "answers.xlsx"
    download.value.save_as(answers)
    told = WAYS[".xlsx"].read(answers)[-30:]
    assert all(0 < row[-3] < 1 for row in told)


@pytest.mark.parametrize(
    ("language", "read_as"),
    [
        (
            "en",
            "Read as: separated by “;”, Windows-1252, header in line 3, decimal commas.",
        ),
        (
            "es",
            "Leído como: separado por «;», Windows-1252, encabezado en la línea 3, "
            "comas decimales.",
        ),
    ],
)
def test_it_is_said_how_a_file_of_another_dialect_was_read(
    language, read_as, open_page, tmp_path
):
    page = open_page(language=language)
    path = tmp_path / "marzo.csv"
    rows_told = "Sky Airline;N;3,0;maña\r\n" * 12
    text = f"Vuelos de marzo\r\n\r\nopera; TIPOVUELO;MES;nota\r\n{rows_told}"
    path.write_bytes(text.encode("cp1252"))
    open_file(page, path)
    expect(page.locator("#file-note")).to_contain_text(read_as)
    expect(rows(page)).to_have_count(12)


def test_columns_of_another_format_are_understood(open_page, tmp_path):
    page = open_page()
    path = tmp_path / "new york.csv"
    header = "year,month,day,sched_dep_time,carrier,origin,dest,flight,dep_delay"
    path.write_text(f"{header}\n2013,7,5,1830,Sky Airline,,Calama,11,20\n")
    page.locator("#file-input").set_input_files(path)
    expect(page.locator("#file-note")).to_contain_text("format nycflights13")
    # It has left.
    summary = page.locator("#left > summary")
    expect(summary).to_contain_text("Left: 1 flight, 1 late")
    # Nothing was said of it an hour before.
    summary.click()
    expect(page.locator("#left .called")).to_have_text(
        re.compile("^predicted [0-9]+%$")
    )


@pytest.mark.parametrize(
    ("language", "field", "told"),
    [
        ("en", "Month", "13 is not a month; months are 1 to 12"),
        ("es", "Mes", "no es un mes; los meses van de 1 a 12"),
    ],
)
def test_faults_are_listed_with_row_and_column_and_their_rows_downloaded(
    language, field, told, open_page, tmp_path
):
    page = open_page(language=language)
    path = tmp_path / "july.csv"
    good, *_ = day_of_flights()
    bad = good | {"MES": 13, "note": "look at me"}
    write_csv(path, [good, bad, good | {"Fecha-I": "2017-08-01 10:00"}])
    page.locator("#file-input").set_input_files(path)
    note = page.locator("#file-note")
    expect(note.get_by_role("row")).to_have_count(3)
    fault = note.get_by_role("row").nth(1)
    expect(fault.get_by_role("cell").nth(0)).to_have_text("3")
    expect(fault.get_by_role("cell").nth(1)).to_have_text(field)
    expect(fault.get_by_role("cell").nth(2)).to_contain_text(told)
    expect(rows(page)).to_have_count(1)
    name = {"en": "Download these rows", "es": "Descargar estas filas"}[language]
    with page.expect_download() as download:
        note.get_by_role("button", name=name).click()
    header, *rejected = download.value.path().read_text().splitlines()
    assert len(rejected) == 2 and "look at me" in rejected[0]
    assert header.startswith("note,OPERA,")


@pytest.mark.parametrize(
    ("language", "name", "content", "message"),
    [
        ("en", "notes.doc", b"\xd0\xcf\x11\xe0", "save it as .xlsx"),
        ("es", "notas.doc", b"\xd0\xcf\x11\xe0", "guárdelo como .xlsx"),
        ("en", "flights.csv", b"a,b\n1,2\n", "OPERA"),
        ("es", "vuelos.csv", b"a,b\n1,2\n", "columnas"),
        ("en", "empty.csv", b"", "is empty"),
        ("es", "vacio.csv", b"", "vacío"),
    ],
)
def test_what_is_no_file_of_flights_is_told_in_a_sentence(
    language, name, content, message, open_page, tmp_path
):
    page = open_page(language=language)
    path = tmp_path / name
    path.write_bytes(content)
    page.locator("#file-input").set_input_files(path)
    expect(page.get_by_role("alert").filter(has_text=message)).to_be_visible()


def test_a_file_can_be_dropped_anywhere(open_page):
    page = open_page()
    expect(page.get_by_role("heading", name="No flights yet")).to_be_visible()
    page.evaluate("""() => {
        const data = new DataTransfer();
        const text = "OPERA,TIPOVUELO,MES\\nSky Airline,N,7\\n";
        data.items.add(new File([text], "dropped.csv"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
        }""")
    expect(page.locator("#file-note")).to_contain_text("dropped.csv")
    expect(rows(page)).to_have_count(1)


def test_nobody_is_kept_out(open_page, flights):
    page = open_page()
    open_file(page, flights)
    rows(page).first.locator(".entry").click()
    expect(rows(page).first.locator(".why .verdict")).to_be_visible()
    check(page)
