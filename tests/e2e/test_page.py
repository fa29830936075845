"""The page, as people use it: with a mouse, a keyboard, a phone, in two languages."""

from __future__ import annotations

import csv
import gzip
import hashlib
import re
from urllib.parse import parse_qs, urlsplit

import duckdb
import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.api.conftest import Server
from tests.e2e.conftest import REPORTS, WIDTHS
from tests.written_files import WAYS

ASKED = (
    "/?OPERA=Sky+Airline&TIPOVUELO=N&MES=7&SIGLADES=Calama"
    "&Fecha-I=2017-07-14+18%3A30%3A00"
)
FLIGHT = {
    "OPERA": "Sky Airline",
    "TIPOVUELO": "N",
    "MES": 7,
    "SIGLADES": "Calama",
    "Fecha-I": "2017-07-14 18:30:00",
}


def percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def explained(server: Server, **changed: object) -> dict:
    asked = {"flights": [FLIGHT | changed]}
    return httpx.post(f"{server.url}/explain", json=asked).json()["explanations"][0]


def form(page):
    return page.locator("#flight-form")


def probability(page):
    return page.locator(".verdict strong")


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_flight_is_asked_about_by_form(width, open_page, server):
    page = open_page(width=width)
    form(page).get_by_label("Airline").select_option("Sky Airline")
    form(page).get_by_label("national", exact=True).check()
    form(page).get_by_label("Month").select_option("July")
    form(page).get_by_label("Destination").select_option("Calama")
    form(page).get_by_label("Scheduled, local time").fill("2017-07-14T18:30")
    page.get_by_role("button", name="Ask").click()
    why = explained(server)
    expect(probability(page)).to_have_text(percent(why["probability"]))
    expect(page.get_by_text(why["text"])).to_be_visible()
    late = round(100 * why["probability"])
    of_hundred = page.get_by_role("img", name=f"Of 100 such flights, {late} leave")
    expect(of_hundred.locator(".late")).to_have_count(late)
    usual = httpx.get(f"{server.url}/model").json()["values"]["OPERA"]["Sky Airline"]
    row = page.get_by_role("listitem").filter(has_text="Sky Airline, past flights")
    expect(row).to_contain_text(percent(usual["delay_rate"]))
    past = why["past"]
    row = page.get_by_role("listitem").filter(has_text="Past flights like it")
    expect(row).to_contain_text(percent(past["late"] / past["flights"]))
    # All flights share an origin, which moves nothing and has no bar.
    assert why["contributions"].pop("SIGLAORI") == 0
    for name, added in why["contributions"].items():
        label = {
            "OPERA": "Airline",
            "TIPOVUELO": "Type",
            "MES": "Month",
            "SIGLADES": "Destination",
            "Fecha-I": "Scheduled",
        }[name]
        row = page.locator("figure", has_text="What raises or lowers it").get_by_role(
            "listitem"
        )
        expect(row.filter(has_text=label)).to_contain_text(f"{added:+.2f}")
    assert fits(page)


def test_a_date_chooses_its_month(open_page):
    page = open_page()
    form(page).get_by_label("Scheduled, local time").fill("2017-03-14T18:30")
    form(page).get_by_label("Scheduled, local time").blur()
    expect(form(page).get_by_label("Month")).to_have_value("3")


def test_the_link_holds_the_question(open_page, server):
    page = open_page(ASKED)
    expect(probability(page)).to_have_text(percent(explained(server)["probability"]))
    form(page).get_by_label("Destination").select_option("Arica")
    page.get_by_role("button", name="Ask").click()
    moved = explained(server, SIGLADES="Arica")["probability"]
    expect(probability(page)).to_have_text(percent(moved))
    asked = parse_qs(urlsplit(page.url).query)
    assert asked["SIGLADES"] == ["Arica"]
    assert asked["Fecha-I"] == ["2017-07-14 18:30:00"]
    page.go_back()
    expect(form(page).get_by_label("Destination")).to_have_value("Calama")
    expect(probability(page)).to_have_text(percent(explained(server)["probability"]))


def test_a_fault_is_told_beside_its_field(open_page, server):
    page = open_page(
        "/?OPERA=Sky+Airlines&TIPOVUELO=N&MES=7&Fecha-I=2017-08-01+10:00:00"
    )
    asked = {
        "OPERA": "Sky Airlines",
        "TIPOVUELO": "N",
        "MES": 7,
        "Fecha-I": "2017-08-01 10:00:00",
    }
    answer = httpx.post(f"{server.url}/explain", json={"flights": [asked]})
    (fault,) = answer.json()["detail"]
    expect(page.locator("#OPERA-fault")).to_have_text(fault["msg"])
    expect(form(page).get_by_label("Airline")).to_be_focused()
    assert form(page).get_by_label("Airline").get_attribute("aria-invalid") == "true"
    form(page).get_by_label("Airline").select_option("Sky Airline")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#Fecha-I-fault")).to_contain_text("is not in month 7")
    expect(page.locator("#OPERA-fault")).to_be_empty()
    page.screenshot(path=REPORTS / "page-fault.png")


def test_the_map_shows_what_predict_answers_and_fills_the_form(open_page, server):
    page = open_page()
    flight_type = page.locator("[name=TIPOVUELO]:checked").input_value()
    asked = {"OPERA": "Grupo LATAM", "TIPOVUELO": flight_type, "MES": 12}
    found = httpx.post(
        f"{server.url}/predict?details=true", json={"flights": [asked]}
    ).json()["probability"][0]
    cell = page.get_by_role("button", name="Grupo LATAM, December:")
    expect(cell).to_have_text(f"{100 * found:.0f}")
    cell.click()
    expect(probability(page)).to_have_text(percent(found))
    expect(form(page).get_by_label("Airline")).to_have_value("Grupo LATAM")
    expect(form(page).get_by_label("Month")).to_have_value("12")
    expect(cell).to_have_attribute("aria-current", "true")


def test_the_map_follows_destination_and_hour(open_page, server):
    page = open_page(ASKED)
    query = {name: FLIGHT[name] for name in ("TIPOVUELO", "SIGLADES", "Fecha-I")}
    found = httpx.get(f"{server.url}/heatmap", params=query).json()
    row = found["probability"][found["OPERA"].index("Copa Air")]
    cell = page.get_by_role("button", name="Copa Air, February:")
    expect(cell).to_have_text(f"{100 * row[1]:.0f}")
    flights = found["flights"][found["OPERA"].index("Copa Air")]
    assert flights[1] < 30
    expect(cell).to_have_class(re.compile(r"\bfew\b"))
    expect(cell).to_have_accessible_name(re.compile("fewer than 30 past flights"))
    about = "national flights to Calama, Friday at 18 h"
    expect(page.locator("#map-about")).to_contain_text(about)
    cell.click()
    # The same weekday and time, in the month of the cell.
    expect(form(page).get_by_label("Scheduled, local time")).to_have_value(
        "2017-02-03T18:30"
    )
    expect(probability(page)).to_have_text(percent(row[1]))


def test_all_of_it_works_by_keyboard(open_page):
    page = open_page()
    expect(page.locator(".heat")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the form")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(form(page).get_by_label("Airline")).to_be_focused()
    page.keyboard.type("Copa")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(form(page).get_by_label("national", exact=True)).to_be_checked()
    for _ in range(2):
        page.keyboard.press("Tab")
    form(page).get_by_label("Scheduled, local time").focus()
    page.get_by_role("button", name="Ask").focus()
    page.keyboard.press("Enter")
    expect(probability(page)).to_be_visible()
    chosen = page.locator(".heat [tabindex='0']")
    expect(chosen).to_have_count(1)
    chosen.focus()
    before = chosen.get_attribute("aria-label")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    label = page.evaluate("document.activeElement.getAttribute('aria-label')")
    assert label != before
    page.keyboard.press("Enter")
    airline, _, rest = label.partition(", ")
    expect(form(page).get_by_label("Airline")).to_have_value(airline)
    named = form(page).get_by_label("Month").locator("option:checked")
    expect(named).to_have_text(rest.split(":")[0])


def write_csv(path, rows):
    with path.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, ["flight", *FLIGHT])
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def flights(tmp_path):
    rows = [
        {"flight": f'"{number}", early', **FLIGHT, "MES": month, "Fecha-I": ""}
        for number, month in enumerate([1, 4, 7, 10] * 25)
    ]
    path = tmp_path / "flights.csv"
    write_csv(path, rows)
    return path


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_file_is_answered_shown_and_downloaded(width, open_page, server, flights):
    page = open_page(width=width)
    with page.expect_file_chooser() as chooser:
        page.get_by_text("Choose a file").click()
    chooser.value.set_files(flights)
    months = [explained(server, MES=m, **{"Fecha-I": None}) for m in (1, 4, 7, 10)]
    late = 25 * sum(why["delay"] for why in months)
    summary = f"Flights: 100, expected to be late: {late}"
    expect(page.get_by_text(summary)).to_be_visible()
    share = page.locator("#file-answer .bars li", has_text="Sky Airline (100)")
    expect(share).to_contain_text(f"{late}%")
    table = page.get_by_role("region", name="The first rows")
    expect(table.get_by_role("row")).to_have_count(11)
    expect(table.get_by_role("cell", name='"0", early')).to_be_visible()
    first = page.get_by_role("region", name="Flights most likely to be late")
    highest = max(why["probability"] for why in months)
    expect(first.get_by_role("row").nth(1)).to_contain_text(f"{highest:.6f}")
    page.locator("#file-answer").screenshot(path=REPORTS / f"page-file-{width}.png")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the predictions").click()
    assert download.value.suggested_filename == "flights-answers.csv"
    content = flights.read_bytes()
    sent = {"Content-Type": "text/csv"}
    address = f"{server.url}/predict/file?invalid=keep"
    answers = httpx.post(address, content=content, headers=sent).content
    assert download.value.path().read_bytes() == answers
    assert fits(page)


def test_a_file_of_another_format_is_answered_and_said_to_be_one(open_page, tmp_path):
    page = open_page()
    path = tmp_path / "new york.csv"
    header = "year,month,day,sched_dep_time,carrier,origin,dest,flight,dep_delay"
    path.write_text(f"{header}\n2013,7,5,1830,Sky Airline,,Calama,11,\n")
    page.locator("#file-input").set_input_files(path)
    expect(page.get_by_text("Read as: format nycflights13.")).to_be_visible()
    expect(page.get_by_text("Flights: 1,")).to_be_visible()
    expect(page.locator("#file-answer figure")).to_have_count(0)


def test_a_compressed_file_is_shown_and_stays_compressed(open_page, flights, tmp_path):
    page = open_page()
    compressed = tmp_path / "flights.csv.gz"
    compressed.write_bytes(gzip.compress(flights.read_bytes()))
    page.locator("#file-input").set_input_files(compressed)
    expect(page.get_by_text("Flights: 100,")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the predictions").click()
    assert download.value.suggested_filename == "flights-answers.csv.gz"
    text = gzip.decompress(download.value.path().read_bytes()).decode()
    assert text.startswith("flight,OPERA,")
    assert text.count("\n") == 101


def test_parquet_comes_back_as_parquet(open_page, flights, tmp_path):
    page = open_page()
    path = tmp_path / "flights.parquet"
    duckdb.sql(f"SELECT OPERA, TIPOVUELO, MES FROM '{flights}'").write_parquet(
        str(path)
    )
    page.locator("#file-input").set_input_files(path)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the predictions").click()
    answers = tmp_path / "answers.parquet"
    download.value.save_as(answers)
    found = duckdb.sql(f"SELECT count(*), count(probability) FROM '{answers}'")
    assert found.fetchall() == [(100, 100)]


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
def test_a_file_of_another_dialect_is_shown_and_how_it_was_read(
    language, read_as, open_page, tmp_path
):
    page = open_page(language=language)
    path = tmp_path / "marzo.csv"
    rows = "Sky Airline;N;3,0;maña\r\n" * 12 + "Sky Airline;N\r\n"
    text = f"Vuelos de marzo\r\n\r\nopera; TIPOVUELO;MES;nota\r\n{rows}"
    path.write_bytes(text.encode("cp1252"))
    page.locator("#file-input").set_input_files(path)
    expect(page.locator("#read-as")).to_have_text(read_as)
    table = page.locator("#file-answer table").first
    expect(table.get_by_role("row")).to_have_count(11)
    expect(table).to_contain_text("maña")
    expect(page.locator("#file-answer .problem")).to_contain_text(": 1.")
    share = page.locator("#file-answer .bars li", has_text="Sky Airline (12)")
    expect(share).to_be_visible()
    page.locator("#file-answer").screenshot(
        path=REPORTS / f"page-dialect-{language}.png"
    )


def test_an_excel_file_comes_back_as_one(open_page, tmp_path):
    page = open_page()
    path = tmp_path / "marzo.xlsx"
    WAYS[".xlsx"].write(path, [list(FLIGHT), list(map(str, FLIGHT.values()))])
    page.locator("#file-input").set_input_files(path)
    expect(page.locator("#read-as")).to_contain_text("sheet “Vuelos de marzo”")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the predictions").click()
    assert download.value.suggested_filename == "marzo-answers.xlsx"
    answers = tmp_path / "answers.xlsx"
    download.value.save_as(answers)
    [_, row] = WAYS[".xlsx"].read(answers)
    assert 0 < row[-3] < 1


def test_rows_that_are_not_valid_are_counted_and_told(open_page, tmp_path):
    page = open_page()
    path = tmp_path / "flights.csv"
    write_csv(path, [{"flight": 1, **FLIGHT}, {"flight": 2, **FLIGHT, "MES": 13}])
    page.locator("#file-input").set_input_files(path)
    expect(page.get_by_text("Rows that are not valid: 1.")).to_be_visible()
    table = page.get_by_role("region", name="The first rows")
    expect(table).to_contain_text("13 is not a month")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("notes.doc", b"\xd0\xcf\x11\xe0", "save it as .xlsx"),
        ("flights.csv", b"a,b\n1,2\n", "missing columns: 'OPERA', 'TIPOVUELO', 'MES'"),
    ],
)
def test_a_file_that_holds_no_flights_is_told(
    name, content, message, open_page, tmp_path
):
    page = open_page()
    path = tmp_path / name
    path.write_bytes(content)
    page.locator("#file-input").set_input_files(path)
    expect(page.locator("#file-answer .problem")).to_contain_text(message)


def test_a_file_can_be_dropped(open_page):
    page = open_page()
    expect(page.locator(".heat")).to_be_visible()
    page.evaluate("""() => {
        const data = new DataTransfer();
        const text = "OPERA,TIPOVUELO,MES\\nSky Airline,N,7\\n";
        data.items.add(new File([text], "dropped.csv"));
        const target = document.getElementById("drop");
        target.dispatchEvent(new DragEvent("drop", { dataTransfer: data }));
        }""")
    expect(page.get_by_text("Flights: 1,")).to_be_visible()


def test_the_model_and_the_drift_are_told(open_page, server):
    page = open_page()
    described = httpx.get(f"{server.url}/model").json()
    card = page.locator("#model-card")
    expect(card).to_contain_text(described["fingerprint"][:12])
    expect(card).to_contain_text("68,206")
    auc = described["card"]["metrics"]["forward"]["roc_auc"]["value"]
    expect(card).to_contain_text(f"{auc:.3f}")
    drift = page.get_by_role("region", name="Requests compared with the training")
    expect(drift.get_by_role("row")).to_have_count(7)


def test_both_languages_say_all_of_it(open_page, server):
    page = open_page(ASKED, language="es-CL")
    expect(page.get_by_role("heading", name="Un vuelo")).to_be_visible()
    expect(form(page).get_by_label("Mes").locator("option:checked")).to_have_text(
        "julio"
    )
    expect(page.locator("#answer")).to_contain_text("Un atraso de más de 15 minutos")
    spanish = set(page.locator("body").inner_text().splitlines())
    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="One flight")).to_be_visible()
    expect(page.locator("#answer")).to_contain_text("A delay of more than 15 minutes")
    expect(form(page).get_by_label("Month").locator("option:checked")).to_have_text(
        "July"
    )
    assert page.evaluate("document.documentElement.lang") == "en"
    assert "language=en" in page.url
    english = set(page.locator("body").inner_text().splitlines())
    values = httpx.get(f"{server.url}/model").json()["values"]
    alike = {line.strip() for line in spanish & english}
    alike -= {*values["OPERA"], *values["SIGLADES"], "xgboost, schedule"}
    sentences = {
        line for line in alike if re.search("[a-z] [a-z]", line, re.IGNORECASE)
    }
    assert sentences == set()


def test_a_server_with_keys_is_asked_with_one(open_page, serve, schedule_model):
    digest = hashlib.sha256(b"open sesame").hexdigest()
    server = serve(schedule_model, workers=1, API_KEYS=f"tower:{digest}")
    page = open_page(at=server.url)
    page.get_by_label("This server requires an API key").fill("wrong")
    page.get_by_role("button", name="Use key").click()
    expect(page.get_by_label("This server requires an API key")).to_be_focused()
    page.get_by_label("This server requires an API key").fill("open sesame")
    page.get_by_role("button", name="Use key").click()
    expect(page.locator(".heat")).to_be_visible()
    page.get_by_role("button", name="Ask").click()
    expect(probability(page)).to_be_visible()
    expect(page.get_by_label("This server requires an API key")).to_be_hidden()


@pytest.mark.parametrize(
    ("language", "moved", "without", "until"),
    [
        (
            *("en", "the last days and weeks", "By the schedule alone"),
            "Knows how flights left until",
        ),
        (
            *("es", "los últimos días y semanas", "Solo por el horario"),
            "Sabe cómo salieron los vuelos hasta",
        ),
    ],
)
def test_what_the_day_adds_is_shown(
    language, moved, without, until, open_page, serve, updated_model
):
    updated = serve(updated_model, workers=1)
    flight = "OPERA=Sky+Airline&TIPOVUELO=N&MES=1&SIGLADES=Calama"
    day = "&Fecha-I=2018-01-02+18:30:00"
    page = open_page(f"/?{flight}{day}", at=updated.url, language=language)
    row = page.locator("#answer").get_by_role("listitem").filter(has_text=moved)
    expect(row).to_contain_text("+")
    expect(page.locator("#answer")).to_contain_text(without)
    facts = page.locator("#model-card")
    expect(facts).to_contain_text(until)
    expect(facts).to_contain_text("2018-01-01")
    # Of a flight on no day there is nothing to add.
    page = open_page(f"/?{flight}", at=updated.url, language=language)
    expect(page.locator("#answer .verdict")).to_be_visible()
    expect(page.locator("#answer")).not_to_contain_text(without)
    expect(page.locator("#answer")).not_to_contain_text(moved)


def test_the_form_has_the_fields_that_the_model_tells_apart(
    open_page, server, serve, two_origins_model
):
    described = httpx.get(f"{server.url}/model").json()["fields"]
    assert [one["name"] for one in described if one["required"]] == [
        *("OPERA", "TIPOVUELO", "MES")
    ]
    expect(form(open_page()).get_by_label("Origin")).to_have_count(0)
    several = serve(two_origins_model, workers=1)
    page = open_page(at=several.url)
    title = page.locator("#subtitle")
    expect(title).to_contain_text("leaving Concepción or Santiago be more")
    page.get_by_role("button", name="Español").click()
    expect(title).to_contain_text("desde Concepción o Santiago con más")
    page.get_by_role("button", name="English").click()
    form(page).get_by_label("Airline").select_option("Grupo LATAM")
    form(page).get_by_label("Origin").select_option("Concepción")
    expect(page.locator("#map-about")).to_contain_text("from Concepción")
    page.get_by_role("button", name="Ask").click()
    expect(probability(page)).to_be_visible()
    assert parse_qs(urlsplit(page.url).query)["SIGLAORI"] == ["Concepción"]
    asked = {
        "OPERA": "Grupo LATAM",
        "TIPOVUELO": page.locator("[name=TIPOVUELO]:checked").input_value(),
        "MES": int(form(page).get_by_label("Month").input_value()),
        "SIGLAORI": "Concepción",
    }
    answer = httpx.post(f"{several.url}/explain", json={"flights": [asked]})
    (why,) = answer.json()["explanations"]
    expect(probability(page)).to_have_text(percent(why["probability"]))


def test_a_busy_server_is_asked_again(open_page):
    page = open_page()
    busy = {"status": 503, "headers": {"Retry-After": "1"}, "body": "{}"}
    page.route("**/explain*", lambda route: route.fulfill(**busy), times=2)
    form(page).get_by_label("national", exact=True).check()
    page.get_by_role("button", name="Ask").click()
    expect(probability(page)).to_be_visible()


def test_a_server_that_is_gone_is_told(open_page, serve, schedule_model):
    server = serve(schedule_model, workers=1)
    page = open_page(at=server.url)
    expect(page.locator(".heat")).to_be_visible()
    server.stop()
    page.get_by_role("button", name="Ask").click()
    told = page.locator("#answer .problem")
    expect(told).to_have_text("The server cannot be reached.")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_nobody_is_kept_out(width, scheme, open_page, flights):
    """axe-core finds nothing: before a question, after it, and with a file."""
    page = open_page(width=width, scheme=scheme)
    expect(page.locator(".heat")).to_be_visible()
    page.screenshot(path=REPORTS / f"page-empty-{width}-{scheme}.png", full_page=True)
    check(page)
    page = open_page(ASKED, width=width, scheme=scheme)
    expect(probability(page)).to_be_visible()
    expect(page.locator(".heat")).to_be_visible()
    page.locator("#file-input").set_input_files(flights)
    expect(page.get_by_text("Flights: 100,")).to_be_visible()
    page.screenshot(path=REPORTS / f"page-{width}-{scheme}.png", full_page=True)
    check(page)
    assert fits(page)


def check(page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def fits(page) -> bool:
    """Nothing makes the page wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_documentation_works_without_the_internet(open_page):
    page = open_page("/docs")
    expect(page.locator("#operations-predict-predict")).to_be_visible()
    page.locator("#operations-predict-predict").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text('"predict"')


def test_the_picture_of_the_readme(open_page):
    page = open_page(ASKED, width=1280)
    expect(probability(page)).to_be_visible()
    picture = REPORTS / "page.png"
    page.locator("#question").screenshot(path=picture)
    assert picture.stat().st_size < 300_000
