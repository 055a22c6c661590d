"""Takes the pictures of the documentation: a server of its own, realistic records, a headless Chromium.

python docs/make_screenshots.py                 writes docs/images/calls.png and call.png
python docs/make_screenshots.py --all FOLDER    also the dark, the narrow and the other pages, into FOLDER
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from playwright.sync_api import Browser, sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from freeplay_like.core.records import Record  # noqa: E402
from support.browser import CHROMIUM_FLAGS, WIDE, find_chromium  # noqa: E402  needs the path above
from support.records import RecordMaker, post_records, special_records  # noqa: E402

COMMAND = [sys.executable, "-m", "freeplay_like.cli"]
NARROW = {"width": 400, "height": 860}


@contextlib.contextmanager
def running_server(data: str) -> Iterator[str]:
    """A server over a data folder; gives its address."""
    server = subprocess.Popen(  # noqa: S603  our own command
        [*COMMAND, "serve", "--data", data, "--port", "0", "--json"], stdout=subprocess.PIPE, text=True
    )
    try:
        if server.stdout is None:
            raise RuntimeError("the server has no output to read its address from")
        yield json.loads(server.stdout.readline())["url"]
    finally:
        server.terminate()
        server.wait(timeout=20)


def take(browser: Browser, address: str, pages: dict[str, str], folder: pathlib.Path, **options: object) -> None:
    """One picture of each page, by name, after signing in with a link."""
    context = browser.new_context(locale="en-GB", **options)  # type: ignore[arg-type]
    page = context.new_page()
    page.goto(address)
    for name, path in pages.items():
        page.goto(path)
        page.wait_for_load_state("load")
        page.screenshot(path=folder / f"{name}.png")
        print(folder / f"{name}.png")
    context.close()


def to_show(records: list[Record]) -> Record:
    """The longest complete answer in the middle of a conversation that plain Latin fonts can write."""

    def is_fit(record: Record) -> bool:
        texts = [message.text for message in record.messages] + [record.text]
        is_whole = record.outcome == "complete" and record.is_stream and len(texts) > 4
        return is_whole and all(text and max(text) < "\u0250" for text in texts)

    return max(filter(is_fit, records), key=lambda record: len(record.text))


def main() -> None:
    """Start, fill, look, stop."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", type=pathlib.Path, metavar="FOLDER", help="take every picture, into this folder")
    folder = parser.parse_args().all
    images = folder or ROOT / "docs" / "images"
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, running_server(data) as url, sync_playwright() as playwright:

        def init(project: str) -> dict[str, str]:
            command = [*COMMAND, "init", "--data", data, "--project", project, "--url", url, "--json"]
            return json.loads(subprocess.check_output(command, text=True))  # type: ignore[no-any-return]  # noqa: S603

        ready = init("bakery")
        records = RecordMaker(project_id=ready["project_id"]).make(64)
        post_records(ready["api_base"], ready["api_key"], records)
        shown = to_show(records)
        project = f"{url}/projects/{ready['project_id']}"
        pages = {"calls": f"{project}/calls", "call": f"{project}/calls/{shown.record_id}"}
        with playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS) as browser:
            take(browser, ready["admin_url"], pages, images, viewport=WIDE)
            if folder is None:
                return
            take(browser, init("bakery")["admin_url"], {f"dark-{name}": path for name, path in pages.items()}, images,
                 viewport=WIDE, color_scheme="dark")  # fmt: skip
            special = special_records(ready["project_id"])
            post_records(ready["api_base"], ready["api_key"], list(special.values()))
            more = {name: f"{project}/calls/{record.record_id}" for name, record in special.items()}
            error = next(record for record in reversed(records) if record.outcome == "error")
            fresh = init("fresh")["project_id"]
            more["error"] = f"{project}/calls/{error.record_id}"
            more["session"] = f"{project}/sessions/{shown.session_id}"
            more["none"] = f"{project}/calls/none"
            more["templates"] = f"{project}/templates"
            more["first-run"] = f"{url}/projects/{fresh}/calls"
            more["projects"] = f"{url}/projects"
            take(browser, init("bakery")["admin_url"], more, images, viewport=WIDE)
            narrow = {f"narrow-{name}": path for name, path in pages.items()}
            take(browser, init("bakery")["admin_url"], narrow, images, viewport=NARROW)


if __name__ == "__main__":
    main()
