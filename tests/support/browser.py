"""A real browser: Debian's Chromium, driven by Playwright's synchronous interface.

Anything that the browser complains of fails the test: errors on the console, uncaught exceptions, and what the
content security policy stopped.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from typing import Final

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, expect, sync_playwright

CHROMIUM_FLAGS: Final = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS: Final = 20_000
"""How long a test waits for a page, on a machine that runs other tests meanwhile."""
WIDE: Final = {"width": 1280, "height": 800}
_NAMES: Final = ("chromium", "chromium-browser", "google-chrome")


class Pages:
    """Opens pages, each with its own cookies, and keeps what they complained of."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._complaints: list[str] = []
        self._expected: list[str] = []

    def open(self, **options: object) -> Page:
        """A page in a context of its own; takes the options of `Browser.new_context`."""
        context = self._browser.new_context(**{"locale": "en-GB", "viewport": WIDE, **options})  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE_MS)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self._complaints.append(f"uncaught: {error}"))
        page.on("dialog", self._on_dialog)
        return page

    def expect(self, part: str) -> None:
        """Complaints with this in them are what the test provokes: an answer of 404, a server that is away."""
        self._expected.append(part)

    def close(self) -> list[str]:
        """Close all pages; what they complained of, without what was expected."""
        for context in self._contexts:
            context.close()
        return [said for said in self._complaints if not any(part in said for part in self._expected)]

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def _on_dialog(self, dialog: Dialog) -> None:
        self._complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()


def find_chromium() -> str:
    """The Chromium of this machine; `CHROMIUM` names another. FileNotFoundError: there is none."""
    named = os.environ.get("CHROMIUM")
    found = named or next((path for name in _NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise FileNotFoundError(f"no Chromium: none of {', '.join(_NAMES)} is on the PATH, and CHROMIUM is not set")
    return found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One headless Chromium for a file of tests. Skips where there is none, except in CI.

    Not one for the whole run: Playwright keeps an event loop in this thread, beside which no async test can run.
    """
    try:
        executable = find_chromium()
    except FileNotFoundError as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    expect.set_options(timeout=PATIENCE_MS)
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=executable, args=CHROMIUM_FLAGS) as chromium,
    ):
        yield chromium


@pytest.fixture
def pages(browser: Browser) -> Iterator[Pages]:
    """Opens pages, and fails the test for what they complain of."""
    opened = Pages(browser)
    yield opened
    assert opened.close() == []


@pytest.fixture
def page(pages: Pages) -> Page:
    """A page where nobody is signed in."""
    return pages.open()
