"""Markdown of a model's as HTML that can do nothing: the one place where text becomes markup.

HTML in the text stays text (markdown-it's `html` is off), and what comes out passes an allow-list all the same. There
are no images in it: the address of an image is asked for without anybody's doing, and can carry a secret out.
"""

from __future__ import annotations

import functools
from typing import Final

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup

LIMIT_CHARACTERS: Final = 100_000
"""A longer text is not looked at: it stays as it came."""

_TAGS: Final = frozenset(
    {"a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "li", "ol", "p", "pre", "s"}
    | {"strong", "table", "tbody", "td", "th", "thead", "tr", "ul"}
)
_ATTRIBUTES: Final = {"a": {"href", "title"}, "ol": {"start"}}
_SCHEMES: Final = frozenset({"http", "https", "mailto"})


@functools.cache
def _reader() -> MarkdownIt:
    # "disable" leaves `![...](...)` as the text it is.
    return (
        MarkdownIt("commonmark", {"html": False, "maxNesting": 30}).enable(["table", "strikethrough"]).disable("image")
    )


def markdown(text: str) -> Markup | None:
    """The text as HTML, None where it is too long. Headings begin at the fourth level, below those of the page."""
    if len(text) > LIMIT_CHARACTERS:
        return None
    html = nh3.clean(
        _reader().render(_without_signs(text)),
        tags=set(_TAGS),
        attributes={tag: set(names) for tag, names in _ATTRIBUTES.items()},
        attribute_filter=_absolute,
        url_schemes=set(_SCHEMES),
        link_rel="noopener noreferrer nofollow",
    )
    for level in (6, 5, 4, 3, 2, 1):
        lower = min(level + 3, 6)
        html = html.replace(f"<h{level}>", f"<h{lower}>").replace(f"</h{level}>", f"</h{lower}>")
    return Markup(html)  # noqa: S704  nh3 has just cleaned it


def _absolute(tag: str, attribute: str, value: str) -> str | None:
    """Links say where they lead: none leads into these pages, and none is without its scheme (`//host`)."""
    is_odd = attribute == "href" and value.partition(":")[0].lower() not in _SCHEMES
    return None if is_odd else value


def _without_signs(text: str) -> str:
    """Without lone surrogates, which no encoder takes."""
    return text.encode(errors="replace").decode()
