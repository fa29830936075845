"""One flight: the form, its answer, the heat map; faults in the reader's language."""

from __future__ import annotations

import math
import re
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.asked import ASKED, FLIGHT, explained, fits, form, percent, probability
from tests.e2e.conftest import REPORTS, WIDTHS

NEVER_FLOWN = "/?OPERA=K.L.M.&TIPOVUELO=N&MES=7&SIGLADES=Isla+de+Pascua"
# Of a touch with a finger.
LEAST_CELL = {"width": 40, "height": 36}


def answer(page):
    return page.locator("#answer")


def points(probability: float, moved: float) -> float:
    """What something adds that moves the log-odds by so much, in percentage points."""
    log_odds = math.log(probability / (1 - probability))
    return 100 * (probability - 1 / (1 + math.exp(moved - log_odds)))


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
def test_a_flight_is_asked_about_by_form(width, open_page, server):
    page = open_page(width=width)
    form(page).get_by_label("Airline").select_option("Sky Airline")
    form(page).get_by_label("Destination").select_option("Calama")
    form(page).get_by_label("Month").select_option("July")
    form(page).get_by_label("Scheduled, local time").fill("2017-07-14T18:30")
    page.get_by_role("button", name="Ask").click()
    why = explained(server)
    expect(probability(page)).to_have_text(percent(why["probability"]))
    expect(answer(page).locator(".verdict .level")).to_have_text(why["level"])
    expect(answer(page).get_by_text(why["text"])).to_be_visible()
    late = round(100 * why["probability"])
    of_hundred = page.get_by_role("img", name=f"Of 100 such flights, {late} leave")
    expect(of_hundred.locator(".late")).to_have_count(late)
    assert fits(page)


def test_an_answer_is_compared_with_past_flights(open_page, server):
    page = open_page(ASKED)
    why = explained(server)
    compared = answer(page).locator("figure", has_text="Compared with past flights")
    usual = httpx.get(f"{server.url}/model").json()["values"]["OPERA"]["Sky Airline"]
    row = compared.get_by_role("listitem").filter(has_text="Sky Airline, past flights")
    expect(row).to_contain_text(percent(usual["delay_rate"]))
    past = why["past"]
    row = compared.get_by_role("listitem").filter(has_text="Past flights like it")
    expect(row).to_contain_text(percent(past["late"] / past["flights"]))
    expect(compared).to_contain_text(percent(why["base_rate"]))
    expect(compared).to_contain_text(f"{why['flights']} past flight")


def test_what_moves_an_answer_is_told_in_percentage_points(open_page, server):
    page = open_page(ASKED)
    why = explained(server)
    moving = answer(page).locator("figure", has_text="What raises or lowers it")
    # All flights share an origin, which moves nothing and has no bar.
    assert why["contributions"].pop("SIGLAORI") == 0
    labels = {
        "OPERA": "Airline: Sky Airline",
        "TIPOVUELO": "Type: national",
        "MES": "Month: July",
        "SIGLADES": "Destination: Calama",
        "Fecha-I": "Time: Friday at 18 h",
    }
    assert why["contributions"].keys() == labels.keys()
    expect(moving.get_by_role("listitem")).to_have_count(len(labels))
    for name, moved in why["contributions"].items():
        row = moving.get_by_role("listitem").filter(has_text=labels[name])
        expect(row).to_contain_text(f"{points(why['probability'], moved):+.1f}")
    expect(page.locator("body")).not_to_contain_text("log-odds")


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "No past flight of K.L.M. was national to Isla de Pascua"),
        (
            "es",
            "Ningún vuelo pasado de K.L.M. fue nacional con destino a Isla de Pascua",
        ),
    ],
)
def test_a_combination_that_nobody_flew_says_so_before_any_number(
    language, words, open_page
):
    page = open_page(NEVER_FLOWN, language=language)
    expect(probability(page)).to_be_visible()
    told = answer(page).inner_text()
    assert told.startswith(words)
    assert not re.search(r"\d", told[: len(words)])


def test_the_type_follows_the_destination(open_page):
    page = open_page()
    national = form(page).get_by_label("national", exact=True)
    international = form(page).get_by_label("international", exact=True)
    form(page).get_by_label("Destination").select_option("Calama")
    expect(national).to_be_checked()
    form(page).get_by_label("Destination").select_option("Lima")
    expect(international).to_be_checked()
    expect(page.locator("#map-about")).to_contain_text("international flights to Lima")
    # Another type can still be asked about.
    national.check()
    page.get_by_role("button", name="Ask").click()
    expect(probability(page)).to_be_visible()
    assert parse_qs(urlsplit(page.url).query)["TIPOVUELO"] == ["N"]


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


def test_a_fault_is_told_beside_its_field_in_both_languages(open_page, server):
    page = open_page(
        "/?OPERA=Sky+Airlines&TIPOVUELO=N&MES=7&Fecha-I=2017-08-01+10:00:00"
    )
    asked = {
        "OPERA": "Sky Airlines",
        "TIPOVUELO": "N",
        "MES": 7,
        "Fecha-I": "2017-08-01 10:00:00",
    }
    refused = httpx.post(f"{server.url}/explain", json={"flights": [asked]})
    (fault,) = refused.json()["detail"]
    expect(page.locator("#OPERA-fault")).to_have_text(fault["msg"])
    expect(form(page).get_by_label("Airline")).to_be_focused()
    assert form(page).get_by_label("Airline").get_attribute("aria-invalid") == "true"
    page.get_by_role("button", name="Español").click()
    expect(page.locator("#OPERA-fault")).to_have_text(
        "«Sky Airlines» no es una aerolínea que el modelo conozca; "
        "lo más parecido: «Sky Airline», «United Airlines» y «American Airlines»"
    )
    form(page).get_by_label("Aerolínea").select_option("Sky Airline")
    page.get_by_role("button", name="Preguntar").click()
    expect(page.locator("#Fecha-I-fault")).to_have_text(
        "«2017-08-01 10:00:00» no es de julio, que es el mes indicado"
    )
    page.get_by_role("button", name="English").click()
    expect(page.locator("#Fecha-I-fault")).to_contain_text("is not in month 7")
    expect(page.locator("#OPERA-fault")).to_be_empty()
    page.screenshot(path=REPORTS / "page-fault.png")


def test_switching_language_switches_the_answer(open_page, server):
    page = open_page(ASKED, language="es-CL")
    share = explained(server)["probability"]
    expect(probability(page)).to_have_text(
        percent(share).replace(".", ",").replace("%", "\xa0%")
    )
    expect(answer(page)).to_contain_text("Mes: julio")
    expect(answer(page)).to_contain_text("Hora: viernes a las 18 h")
    page.get_by_role("button", name="English").click()
    expect(probability(page)).to_have_text(percent(share))
    expect(answer(page)).to_contain_text("Month: July")
    expect(page.get_by_role("button", name="Sky Airline, July:")).to_be_visible()


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
    place = found["OPERA"].index("Grupo LATAM")
    assert found["flights"][place][1] < 30
    cell = page.get_by_role("button", name="Grupo LATAM, February:")
    expect(cell).to_have_text(f"{100 * found['probability'][place][1]:.0f}")
    expect(cell).to_have_class(re.compile(r"\bfew\b"))
    expect(cell).to_have_accessible_name(re.compile("fewer than 30 past flights"))
    about = "national flights to Calama, Friday at 18 h"
    expect(page.locator("#map-about")).to_contain_text(about)
    cell.click()
    # The same weekday and time, in the month of the cell.
    expect(form(page).get_by_label("Scheduled, local time")).to_have_value(
        "2017-02-03T18:30"
    )
    expect(probability(page)).to_have_text(percent(found["probability"][place][1]))


def test_the_map_folds_airlines_that_never_flew_so(open_page, server):
    page = open_page(NEVER_FLOWN)
    query = {"TIPOVUELO": "N", "SIGLADES": "Isla de Pascua"}
    found = httpx.get(f"{server.url}/heatmap", params=query).json()
    flown = {a for a, n in zip(found["OPERA"], found["flights"], strict=True) if any(n)}
    rows = page.locator(".heat tbody tr")
    # That which is asked about stays.
    assert "K.L.M." not in flown
    expect(rows).to_have_count(len(flown) + 1)
    more = page.locator("#map").get_by_role("button", expanded=False)
    expect(more).to_contain_text(f"{len(found['OPERA']) - len(flown) - 1} airlines")
    more.click()
    expect(rows).to_have_count(len(found["OPERA"]))
    page.locator("#map").get_by_role("button", expanded=True).click()
    expect(rows).to_have_count(len(flown) + 1)


def test_the_map_can_be_read_and_touched_on_a_phone(open_page):
    page = open_page(ASKED, width=360)
    chosen = page.locator(".heat [aria-current=true]")
    expect(chosen).to_be_visible()
    box = chosen.bounding_box()
    assert all(box[side] >= least for side, least in LEAST_CELL.items())
    # The chosen month is in sight beside the names, which stay where they are.
    name = page.locator(".heat tbody th").first.bounding_box()
    assert name["x"] + name["width"] <= box["x"] <= 360 - box["width"]
    expect(page.get_by_text("Swipe sideways for the other months.")).to_be_visible()
    chosen.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    expect(
        page.get_by_role("button", name="Sky Airline, December:")
    ).to_be_in_viewport()
    assert page.locator(".heat tbody th").first.bounding_box()["x"] == name["x"]
    assert fits(page)


def test_all_of_it_works_by_keyboard(open_page):
    page = open_page()
    expect(page.locator(".heat")).to_be_visible()
    form(page).get_by_label("Airline").focus()
    page.keyboard.type("Copa")
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    expect(form(page).get_by_label("national", exact=True)).to_be_checked()
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


@pytest.mark.parametrize(
    ("language", "moved", "without"),
    [
        ("en", "the last days and weeks", "By the schedule alone"),
        ("es", "los últimos días y semanas", "Solo según la programación"),
    ],
)
def test_what_the_day_adds_is_shown(
    language, moved, without, open_page, serve, updated_model
):
    updated = serve(updated_model, workers=1)
    flight = "OPERA=Sky+Airline&TIPOVUELO=N&MES=1&SIGLADES=Calama"
    day = "&Fecha-I=2018-01-02+18:30:00"
    page = open_page(f"/?{flight}{day}", at=updated.url, language=language)
    row = answer(page).get_by_role("listitem").filter(has_text=moved)
    expect(row).to_contain_text("+")
    expect(answer(page)).to_contain_text(without)
    # Of a flight on no day there is nothing to add.
    page = open_page(f"/?{flight}", at=updated.url, language=language)
    expect(probability(page)).to_be_visible()
    expect(answer(page)).not_to_contain_text(without)
    expect(answer(page)).not_to_contain_text(moved)


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
    told = httpx.post(f"{several.url}/explain", json={"flights": [asked]})
    (why,) = told.json()["explanations"]
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
    told = answer(page).locator(".problem")
    expect(told).to_have_text("The server cannot be reached.")


def faults_of(server) -> list[dict]:
    """What the service objects to in some requests, and in some files."""
    times = ("x", "2017-02-30 10:00", "9999-12-31T23:59:59-23:59", "2017-08-01 10:00")
    flights = [
        *({"OPERA": name} for name in ("Sky Airlines", "?", 7, None)),
        *({"TIPOVUELO": name} for name in ("X", "nacional")),
        *({"SIGLADES": name} for name in ("Kalama", [1])),
        *({"MES": month} for month in (0, "July", 1.5)),
        *({"Fecha-I": time} for time in (*times, 5)),
        *({"Vlo-I": number} for number in ("1" * 1_000, 5)),
        {"nothing": 1},
    ]
    asked = {"flights": [FLIGHT | changed for changed in flights]}
    answers = [httpx.post(f"{server.url}/explain", json=asked)]
    head = b"OPERA,TIPOVUELO,MES\n"
    for content in (
        *(b"", b"a,b\n1,2\n", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"),
        *(b"OPERA,opera,MES\n", b"PAR1", b"\x1f\x8b\x08\x00"),
        head.replace(b"\n", b",probability\n") + b"Sky Airline,N,7,1\n",
        head[:-1] + b",x" * 20_000 + b"\n",
        head[:-1] + b",Fecha-I\nSky Airline,N,7,03/04/2017 10:00\n",
        head + b'Sky Airline,N\nNobody,N,7\nSky Airline,N,13\n"',
    ):
        sent = {"Content-Type": "text/csv", "Accept": "application/json"}
        address = f"{server.url}/predict/file?invalid=keep"
        answers.append(httpx.post(address, content=content, headers=sent))
    told = [answer.json() for answer in answers]
    return [fault for one in told for fault in one.get("detail", one.get("faults"))]


def test_faults_are_told_in_spanish_from_their_types_and_values(open_page, server):
    page = open_page(language="es-CL")
    faults = faults_of(server)
    assert len({fault["type"] for fault in faults}) > 15
    told = page.evaluate(
        """async (faults) => {
            const { faultText } = await import("/static/faults.js");
            return faults.map((fault) => faultText(fault));
        }""",
        faults,
    )
    for fault, sentence in zip(faults, told, strict=True):
        assert sentence != fault["msg"], fault
        assert not re.search(r"undefined|NaN|null|\bthe\b|\bis\b", sentence), fault
