"""What axe-core has to say of a page (WCAG 2.2, levels A and AA)."""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from playwright.sync_api import Page

RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")
_RUN: Final = """async (tags) => {
  const found = await axe.run(document, {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]});
  const places = (violation) => violation.nodes.slice(0, 3).map((node) => node.target.join(" ")).join("; ");
  return found.violations.map((violation) => `${violation.id}: ${violation.help} (${places(violation)})`);
}"""


def violations(page: Page) -> list[str]:
    """What breaks a rule, a sentence each, with up to three of its places. Empty where nothing does."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8") + "\n;0")
    found: list[str] = page.evaluate(_RUN, list(RULES))
    return found
