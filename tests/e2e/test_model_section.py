"""What the page says of the model, to those who plan by it and to engineers."""

from __future__ import annotations

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.asked import FLIGHT, check
from tests.e2e.conftest import REPORTS

# As a card tells it that was made by `challenge.training.live`.
QUALITY = {
    str(minutes): {
        "roc_auc": auc,
        "average_precision": 0.45,
        "schedule_roc_auc": 0.667,
        "schedule_average_precision": 0.262,
        "flights": 51_234,
    }
    for minutes, auc in ((15, 0.768), (60, 0.763), (240, 0.733), (10_080, 0.675))
}


def facts(page):
    return page.locator("#model-card")


@pytest.fixture
def change_model(server):
    """Lets a page see another description of the model."""

    def change(page, **card) -> None:
        described = httpx.get(f"{server.url}/model").json()
        described["card"] |= card
        page.route("**/model", lambda route: route.fulfill(json=described))
        page.reload()

    return change


def test_the_first_view_says_what_it_learned_from_in_plain_words(open_page, server):
    page = open_page()
    card = httpx.get(f"{server.url}/model").json()["card"]
    expect(facts(page)).to_contain_text("68,206 flights, Jan 1, 2017 to Dec 31, 2017")
    expect(facts(page)).to_contain_text(f"{card['delay_rate']:.1%}")
    expect(facts(page)).to_contain_text(f"raised: up to {card['levels']['high']:.1%}")
    expect(facts(page)).to_contain_text("Knows how flights left until")
    expect(facts(page)).to_contain_text("of 100 cases")
    told = facts(page).inner_text()
    for jargon in ("ROC AUC", "log-odds", "Fingerprint", "threshold", "PSI"):
        assert jargon.lower() not in told.lower()


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Sample data: none of these flights is a real one."),
        ("es", "Datos de muestra: ninguno de estos vuelos es real."),
    ],
)
@pytest.mark.parametrize("sample", [True, False])
def test_sample_data_is_called_that(sample, language, words, open_page, change_model):
    page = open_page(language=language)
    change_model(page, sample=sample)
    expect(facts(page).locator(".facts").first).to_be_visible()
    expect(facts(page).get_by_text(words)).to_have_count(int(sample))


def test_how_good_it_is_is_drawn_by_distance(open_page, server, change_model):
    page = open_page()
    live = httpx.get(f"{server.url}/model").json()["card"]["live"] or {}
    change_model(page, live=live | {"quality": QUALITY})
    chart = facts(page).locator("figure", has_text="How good it is")
    expect(chart.locator(".plot b")).to_have_text(["68", "73", "76", "77"])
    expect(chart.locator(".ticks span")).to_have_text(
        ["7 days", "4 hr", "1 hr", "15 min"]
    )
    expect(chart).to_contain_text("the late one gets the higher probability")
    # In words for those who do not see it.
    expect(chart.get_by_role("listitem").nth(1)).to_have_text(
        "4 hours before: 73 of 100 with what it knows of the day, "
        "67 of 100 by the schedule alone"
    )
    page.get_by_text("For engineers").click()
    table = page.get_by_role("region", name="Quality by distance")
    expect(table.get_by_role("row")).to_have_count(1 + len(QUALITY))
    expect(table).to_contain_text("51,234")
    page.locator("#model").screenshot(path=REPORTS / "page-model.png")
    check(page)


def test_engineers_find_the_rest_behind_a_fold(open_page, server):
    page = open_page()
    described = httpx.get(f"{server.url}/model").json()
    fold = page.get_by_text("For engineers")
    fingerprint = page.get_by_text(described["fingerprint"][:12], exact=True)
    expect(fingerprint).to_be_hidden()
    fold.click()
    expect(fingerprint).to_be_visible()
    auc = described["card"]["metrics"]["forward"]["roc_auc"]
    interval = f"{auc['value']:.3f} ({auc['low']:.3f} – {auc['high']:.3f})"
    expect(facts(page)).to_contain_text(interval)


@pytest.mark.parametrize(
    ("language", "fold", "count", "left_out"),
    [
        ("en", "For engineers", "1 flight asked", "Not counted: POST /predict/file"),
        ("es", "Para ingeniería", "1 vuelo en", "No se cuentan: POST /predict/file"),
    ],
)
def test_drift_says_what_it_counts_and_nothing_of_no_flights(
    language, fold, count, left_out, open_page, serve, schedule_model
):
    server = serve(schedule_model, workers=1)
    page = open_page(at=server.url, language=language)
    page.get_by_text(fold).click()
    expect(page.locator("#drift")).to_be_empty()
    httpx.post(f"{server.url}/predict", json={"flights": [FLIGHT]}).raise_for_status()
    page.reload()
    page.get_by_text(fold).click()
    expect(page.locator("#drift")).to_contain_text(count)
    expect(page.locator("#drift")).to_contain_text(left_out)
    expect(page.locator("#drift").get_by_role("row")).to_have_count(7)


def test_fields_that_drifted_are_told_in_the_first_view(open_page, server):
    page = open_page()
    drift = httpx.get(f"{server.url}/drift").json()
    drift["flights"] = 5_000
    drift["fields"]["OPERA"] |= {"verdict": "major", "psi": 0.4}
    page.route("**/drift", lambda route: route.fulfill(json=drift))
    page.reload()
    expect(facts(page)).to_contain_text(
        "differs much from what it learned from, in: Airline."
    )
