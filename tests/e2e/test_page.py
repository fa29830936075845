"""The page as a whole: its languages, its keys, its documentation, for everybody."""

from __future__ import annotations

import hashlib
import re

import httpx
import pytest
from playwright.sync_api import expect

from tests.e2e.asked import (
    ASKED,
    check,
    fits,
    form,
    probability,
)
from tests.e2e.conftest import REPORTS, WIDTHS


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


@pytest.mark.parametrize("asked", ["/", ASKED])
def test_nobody_is_kept_out(asked, open_page):
    """axe-core finds nothing, before a question and after it."""
    page = open_page(asked)
    expect(page.locator(".heat")).to_be_visible()
    if asked == ASKED:
        expect(probability(page)).to_be_visible()
    for width in WIDTHS.values():
        page.set_viewport_size({"width": width, "height": 900})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert fits(page), width
            name = f"page-{'asked' if asked == ASKED else 'empty'}-{width}-{scheme}.png"
            page.screenshot(path=REPORTS / name, full_page=True)
            check(page)


def test_the_documentation_works_without_the_internet(open_page):
    page = open_page("/docs")
    expect(page.locator("#operations-predict-predict")).to_be_visible()
    page.locator("#operations-predict-predict").click()
    page.get_by_role("button", name="Try it out").click()
    page.get_by_role("button", name="Execute").click()
    expect(page.locator(".live-responses-table")).to_contain_text('"predict"')
