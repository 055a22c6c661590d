"""How heavy are the pages, and how soon are they there, in a real browser over 200,000 calls?

Fills a store (or takes one that is kept), starts the real server on it, and opens each page in headless Chromium, each
time in a fresh context. Beside each page the same HTML, with the same style sheets and scripts, comes from a plain
file server in the same run: that is the floor, what is left is the backend's own time. Bytes are as sent, compressed.
"""

from __future__ import annotations

import argparse
import functools
import http.server
import json
import socketserver
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import attrs
from playwright.sync_api import Browser, BrowserContext, Page, Response, sync_playwright

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).parent))

from places import Place, add_options, place_of, project_in, serving
from support.big_store import COUNT, fill
from support.browser import CHROMIUM_FLAGS, WIDE, find_chromium

SCRIPT_BUDGET_BYTES: Final = 100_000
"""The most script of a page, not compressed."""
PAGE_BUDGET_BYTES: Final = 150_000
"""The most that a page takes over the wire in all, on a first visit."""

_TIMES: Final = """() => {
  const [page] = performance.getEntriesByType("navigation");
  const paint = performance.getEntriesByName("first-contentful-paint")[0];
  return {first_byte: page.responseStart, interactive: page.domInteractive, paint: paint ? paint.startTime : null};
}"""


@attrs.define
class Seen:
    """What came over the wire for one page."""

    html_bytes: int = 0
    total_bytes: int = 0
    script_bytes: int = 0
    """Of scripts, not compressed."""
    files: dict[str, tuple[str, bytes]] = attrs.field(factory=dict)


@attrs.frozen
class Measured:
    """One page: medians over the rounds, in ms."""

    name: str
    html_bytes: int
    total_bytes: int
    script_bytes: int
    elements: int
    first_byte_ms: float
    paint_ms: float
    rows_ms: float
    floor_rows_ms: float


def open_once(context: BrowserContext, address: str, seen: Seen | None = None) -> dict[str, float]:
    """Open a page; when its first byte, its first paint and the end of its content came, in ms."""
    page = context.new_page()
    if seen is not None:
        page.on("response", functools.partial(_note, seen, address))
    page.goto(address, wait_until="load")
    page.wait_for_function("() => performance.getEntriesByName('first-contentful-paint').length")
    times: dict[str, float] = page.evaluate(_TIMES)
    times["elements"] = page.evaluate("() => document.querySelectorAll('*').length")
    page.close()
    return times


def _note(seen: Seen, address: str, response: Response) -> None:
    if response.headers.get("content-type", "").startswith("text/event-stream"):
        return
    body = response.body()
    sizes = response.request.sizes()
    sent = sizes["responseBodySize"] + sizes["responseHeadersSize"]
    seen.total_bytes += sent
    if response.url == address:
        seen.html_bytes = sent
    if response.request.resource_type == "script":
        seen.script_bytes += len(body)
    seen.files[urlsplit(response.url).path] = response.headers.get("content-type", ""), body


@contextmanager
def plain_server(files: dict[str, tuple[str, bytes]]) -> Iterator[str]:
    """A server that does nothing but send these files."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, body = files.get(urlsplit(self.path).path, ("text/plain", b""))
            self.send_response(200 if body else 404)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with suppress(ConnectionError):  # a page that is closed asks for no more
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()


def measure(browser: Browser, cookie: dict[str, str], name: str, address: str, rounds: int) -> Measured:
    """Open a page, and the same files from a plain server, in turn."""
    seen, ours, floor = Seen(), [], []

    def fresh(url: str) -> BrowserContext:
        context = browser.new_context(viewport=WIDE)
        context.add_cookies([{**cookie, "url": url}])  # type: ignore[list-item]
        return context

    context = fresh(address)
    open_once(context, address, seen)
    context.close()
    with plain_server(seen.files) as plain:
        for _ in range(rounds):
            for url, times in ((address, ours), (plain + urlsplit(address).path, floor)):
                context = fresh(url)
                times.append(open_once(context, url))
                context.close()

    def median(times: list[dict[str, float]], what: str) -> float:
        return statistics.median(each[what] or 0.0 for each in times)

    return Measured(
        name=name,
        html_bytes=seen.html_bytes,
        total_bytes=seen.total_bytes,
        script_bytes=seen.script_bytes,
        elements=int(ours[0]["elements"]),
        first_byte_ms=median(ours, "first_byte"),
        paint_ms=median(ours, "paint"),
        rows_ms=median(ours, "interactive"),
        floor_rows_ms=median(floor, "interactive"),
    )


def pages_of(page: Page, project: str) -> dict[str, str]:
    """What is opened: the rooms of the project, and a call and its session of the middle of the store."""
    page.goto(f"{project}/calls")
    row = page.locator("tbody a.row-link").nth(20)
    call = row.evaluate("(link) => link.href")
    return {
        "calls": f"{project}/calls",
        "calls, one template": f"{project}/calls?q=template%3Ashop%2Fanswer",
        "calls, a word": f"{project}/calls?q=please",
        "calls, errors of a day": f"{project}/calls?q=outcome%3Aerror&period=24h",
        "one call": call,
        "sessions": f"{project}/sessions",
        "templates": f"{project}/templates",
        "review": f"{project}/review",
        "datasets": f"{project}/datasets",
        "test runs": f"{project}/test-runs",
        "playground": f"{project}/playground",
        "health": f"{project}/health",
        "settings": f"{project}/settings",
    }


def run(place: Place, rounds: int, count: int) -> list[Measured]:
    """Fill, serve, open."""
    project_id = project_in(place)["project_id"]
    fill(place.database, project_id, count)
    made = project_in(place)
    with serving(place) as (address, _, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        base = f"http://{address}"
        context = browser.new_context(viewport=WIDE)
        page = context.new_page()
        link = urlsplit(made["admin_url"])
        page.goto(f"{base}{link.path}?{link.query}")
        (cookie,) = ({"name": each["name"], "value": each["value"]} for each in context.cookies())
        pages = pages_of(page, f"{base}/projects/{project_id}")
        context.close()
        found = [measure(browser, cookie, name, url, rounds) for name, url in pages.items()]
        browser.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=COUNT)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    add_options(parser)
    asked = parser.parse_args()
    with place_of(asked) as place:
        found = run(place, asked.rounds, asked.records)
    if asked.json:
        print(json.dumps([attrs.asdict(each) for each in found], indent=1))
        return
    print("| page | HTML | all | script | elements | first byte | first paint | content | plain files |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for each in found:
        sizes = f"{each.html_bytes / 1e3:.1f} kB | {each.total_bytes / 1e3:.0f} kB | {each.script_bytes / 1e3:.0f} kB"
        times = " | ".join(
            f"{ms:.0f} ms" for ms in (each.first_byte_ms, each.paint_ms, each.rows_ms, each.floor_rows_ms)
        )
        print(f"| {each.name} | {sizes} | {each.elements:,} | {times} |")
    budgets = f"{SCRIPT_BUDGET_BYTES:,} bytes of script, {PAGE_BUDGET_BYTES:,} in all"
    over = [
        each.name for each in found if each.script_bytes > SCRIPT_BUDGET_BYTES or each.total_bytes > PAGE_BUDGET_BYTES
    ]
    print(f"\nover the budget ({budgets}): {', '.join(over) or 'none'}")


if __name__ == "__main__":
    main()
