"""The flight that tests of the page ask about, and where the page shows its answer."""

from __future__ import annotations

import httpx
from axe_playwright_python.sync_playwright import Axe

from tests.api.conftest import Server

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
    return page.locator("#answer .verdict strong")


def check(page) -> None:
    """axe-core finds nothing."""
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def fits(page) -> bool:
    """Nothing makes the page wider than the window."""
    return page.evaluate("document.documentElement.scrollWidth <= innerWidth")
