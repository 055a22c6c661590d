"""Every kind of page that can be reached by links, each once."""

from __future__ import annotations

import re
from collections import deque
from urllib.parse import parse_qsl, urlsplit

import attrs
from playwright.sync_api import Page

_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22,}|[A-Za-z0-9_-]*\d[A-Za-z0-9_.:%-]{11,}")
_LINKS = """() => [...document.querySelectorAll("a[href]")].filter((each) => !each.hasAttribute("download"))
  .map((each) => new URL(each.getAttribute("href"), location).href)"""
_NOT_PAGES = (".json", ".jsonl", ".csv", "/export", "/tail", "/live", "/sign-out", "/download")


@attrs.frozen
class Kind:
    """What pages have in common: the address without its ids, and the names in its query."""

    path: str
    names: tuple[str, ...]

    @classmethod
    def of(cls, address: str) -> Kind:
        """The kind of an address."""
        parts = urlsplit(address)
        names = sorted({name for name, _ in parse_qsl(parts.query)})
        return cls("/".join("*" if _ID.fullmatch(each) else each for each in parts.path.split("/")), tuple(names))


def links_of(page: Page) -> list[str]:
    """The pages that a page links to, on its own server."""
    found: list[str] = page.evaluate(_LINKS)
    here = urlsplit(page.url).netloc
    return [each.partition("#")[0] for each in found if urlsplit(each).netloc == here]


def is_page(address: str) -> bool:
    """Whether people read what is at that address."""
    return not urlsplit(address).path.endswith(_NOT_PAGES)


def crawl(page: Page, start: str, most: int) -> dict[Kind, str]:
    """One address of each kind, found by following links from `start`; at most so many kinds."""
    known = {Kind.of(start): start}
    waiting = deque([start])
    while waiting and len(known) < most:
        page.goto(waiting.popleft())
        for address in links_of(page):
            kind = Kind.of(address)
            if is_page(address) and kind not in known and len(known) < most:
                known[kind] = address
                waiting.append(address)
    return known
