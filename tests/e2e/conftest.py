"""A real browser on a real server; every page is watched."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.api.conftest import Server, serve

__all__ = ["serve"]

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
REPORTS = Path(__file__).parents[2] / "reports"
WIDTHS = {"phone": 360, "desk": 1920}
# A busy machine may take its time.
TIMEOUT_MS = 15_000
sync_api.expect.set_options(timeout=TIMEOUT_MS)


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("there is no Chromium; CHROMIUM names one")
    with sync_api.sync_playwright() as playwright:
        # Chromium's sandbox does not work for root in a container.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(schedule_model, tmp_path_factory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("e2e") / "server.log"
    server = Server(schedule_model, 1, log, {})
    yield server
    server.end()


@pytest.fixture
def open_page(browser, server) -> Iterator[Callable]:
    """Opens pages; at the end none may have asked elsewhere or complained."""
    contexts, wrong = [], []

    def open_(path="/", width=1280, language="en", scheme="light", at=None):
        server_url = at or server.url
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            locale=language,
            timezone_id="America/Santiago",
            accept_downloads=True,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT_MS)
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))
        page.on("console", lambda message: _note(message, wrong))
        page.on(
            "request",
            lambda request: request.url.startswith((server_url, "blob:", "data:"))
            or wrong.append(f"asked elsewhere: {request.url}"),
        )
        page.goto(server_url + path)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert wrong == []


def _note(message, wrong: list[str]) -> None:
    # A refused request is part of a story, as is a server that is busy or gone; the
    # browser notes each.
    is_story = "Failed to load resource" in message.text and any(
        reason in message.text
        for reason in (
            *("status of 4", "status of 503"),
            *("ERR_CONNECTION_REFUSED", "ERR_INTERNET_DISCONNECTED"),
        )
    )
    if message.type in ("error", "warning") and not is_story:
        wrong.append(f"{message.type}: {message.text}")
