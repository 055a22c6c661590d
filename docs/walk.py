"""Goes through a review with the keyboard alone, and takes a picture of each step.

python docs/walk.py FOLDER

Yesterday's slow failures of one template are found, three are read and two called bad, one is replayed against another
model, both go into a dataset, two versions are compared over it, and an environment is moved. Answers come from the
small model on this machine. No mouse is used: a step that cannot be reached by keys ends the walk.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile
from datetime import UTC, datetime, timedelta

import attrs
from playwright.sync_api import Page, sync_playwright

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from freeplay_like.core.records import Record  # noqa: E402
from freeplay_like.local.llama import LlamaServer  # noqa: E402
from freeplay_like.local.model import get_model  # noqa: E402
from support.backend import BackendProcess  # noqa: E402
from support.browser import CHROMIUM_FLAGS, WIDE, find_chromium  # noqa: E402
from support.model import Notes  # noqa: E402
from support.shop import Shop  # noqa: E402
from support.whole_shop import ask  # noqa: E402

PATIENCE_MS = 30_000
_FOCUSED = """() => {
  const here = document.activeElement;
  return here ? `${here.tagName} ${(here.name || here.id || here.textContent || "").trim()}` : "";
}"""


@attrs.define
class Walker:
    """A reviewer without a mouse."""

    page: Page
    folder: pathlib.Path
    taken: int = 0

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def follow(self, key: str = "Enter") -> None:
        """Press a key that leads to another page."""
        with self.page.expect_navigation():
            self.page.keyboard.press(key)

    def tab_to(self, what: str) -> None:
        """Press Tab until something has the focus: its tag, and how its name or text begins."""
        for _ in range(120):
            self.page.keyboard.press("Tab")
            if self.page.evaluate(_FOCUSED).startswith(what):
                return
        raise SystemExit(f"{what!r} cannot be reached by Tab on {self.page.url}")

    def see(self, selector: str, name: str) -> None:
        """Wait until something is there, and take a picture."""
        self.page.wait_for_selector(selector, timeout=PATIENCE_MS)
        self.page.wait_for_timeout(400)  # what fades in has faded in
        self.taken += 1
        path = self.folder / f"{self.taken:02d}-{name}.png"
        self.page.screenshot(path=path, caret="initial")  # hiding it would need a style that the policy forbids
        print(path)


def walk(walker: Walker, project: str, model: str) -> None:
    """The steps."""
    page, keyboard = walker.page, walker.page.keyboard
    page.goto(f"{project}/calls")
    walker.press("/")
    keyboard.type("template:shop/answer -outcome:complete latency:>1s")
    walker.press("Tab", "y")
    page.wait_for_url("**period=yesterday**")
    walker.see("#rows tr.is-row, #rows tr[id]", "found")
    walker.press("Escape", "j", "Enter")
    walker.see("#peek .conversation", "first")
    walker.press("j")
    walker.see("#peek .conversation", "second")
    walker.press("b")
    walker.press("j")
    walker.see("#peek .conversation", "third")
    walker.press("b", "n")
    keyboard.type("Stops in the middle.")
    walker.press("Control+Enter")
    walker.see("tr [data-marks] *", "judged")
    walker.press("Escape", "Escape", "k")
    walker.follow("r")
    walker.tab_to("INPUT model")
    walker.press("Control+a")
    keyboard.type(model)
    walker.see("h1", "replay")
    walker.follow()
    walker.see("main .tag:has-text('complete')", "replayed")
    page.goto(f"{project}/calls?q=score.review%3Abad")
    walker.press("j", "x", "j", "x")
    walker.tab_to("SUMMARY Add to dataset")
    walker.press("Enter", "Tab")
    keyboard.type("slow answers")
    walker.see("#into[open]", "chosen")
    walker.follow()
    walker.see("h1", "added")
    walker.follow("6")
    walker.tab_to("A slow answers")
    walker.follow()
    walker.tab_to("A Run over it")
    walker.follow()
    walker.tab_to("SELECT version")
    walker.press("Tab", "ArrowDown", "ArrowDown")
    walker.see("h1", "new-run")
    walker.tab_to("BUTTON Begin")
    walker.follow()
    page.wait_for_function("() => document.querySelectorAll('.outcome.complete').length > 1", timeout=PATIENCE_MS)
    walker.see("h1", "compared")
    walker.follow("4")
    walker.tab_to("A answer")
    walker.follow()
    walker.tab_to("A Move here")
    walker.follow()
    walker.see("h1", "move")
    keyboard.type("Shorter answers.")
    walker.follow()
    walker.see("text=this version", "moved")


def yesterdays(shop: Shop) -> list[Record]:
    """Varied calls of the middle of yesterday."""
    noon = datetime.now(UTC).replace(hour=18, minute=0, second=0, microsecond=0) - timedelta(days=1)
    records = shop.maker(seed=31).make(160)
    shift = noon - records[-1].started_at
    return [
        attrs.evolve(each, started_at=each.started_at + shift, ended_at=each.ended_at and each.ended_at + shift)
        for each in records
    ]


def main() -> None:
    """Fill a project, and walk."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    folder: pathlib.Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        LlamaServer(get_model(Notes())) as llama,
        BackendProcess(pathlib.Path(data) / "data", project="walk") as backend,
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS) as browser,
    ):
        shop = Shop(backend=backend, name="bakery")
        shop.post(*yesterdays(shop))
        for text, environment in (
            ("Answer {{customer}}: ", "prod"),
            ("Answer {{customer}} in a sentence: ", "staging"),
        ):
            version = {
                "template_messages": [{"role": "user", "content": f"You run a bakery. {text}{{{{question}}}}"}],
                "model": llama.model,
                "provider": "openai",
                "environments": [environment],
                "llm_parameters": {"max_tokens": 40},
            }
            ask(shop, "POST", "prompt-templates/name/shop%2Fanswer/versions", version)
        for flavor, base in (("openai_chat", llama.url), ("anthropic_chat", llama.url.removesuffix("/v1"))):
            ask(shop, "PUT", f"providers/{flavor}", {"base_url": base, "secret": "not-needed-here"})
        page = browser.new_page(locale="en-GB", viewport=WIDE)
        page.set_default_timeout(PATIENCE_MS)
        shop.sign_in(page)
        walk(Walker(page, folder), f"{backend.url}/projects/{shop.project_id}", llama.model)


if __name__ == "__main__":
    main()
