"""The templates and static files themselves: nothing in them that the security policy forbids or that escapes."""

from __future__ import annotations

import hashlib
import pathlib
import re

import pytest

import freeplay_like.server
from freeplay_like.server.pages.page import environment, render
from freeplay_like.server.pages.static import asset

SERVER = pathlib.Path(freeplay_like.server.__file__).parent
TEMPLATES = sorted((SERVER / "templates").rglob("*.html"))


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(SERVER).as_posix())
def test_a_template_has_nothing_inline_and_escapes_everything(path: pathlib.Path) -> None:
    text = path.read_text()
    for forbidden in (
        r"\|\s*safe\b",
        r"autoescape\s+false",
        r"\sstyle\s*=",
        r"<style",
        r"<script(?![^>]*\ssrc=)",
        r"\son\w+\s*=",
        r"hx-on",
        r"\bjs:",
        r"hx-trigger=\"[^\"]*\[",
        r"https?://",
    ):
        assert re.search(forbidden, text) is None, forbidden


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: path.relative_to(SERVER).as_posix())
def test_a_template_parses_and_only_names_static_files_that_are_there(path: pathlib.Path) -> None:
    assert environment().get_template(path.relative_to(SERVER / "templates").as_posix())
    for name in re.findall(r"asset\('([^']+)'\)", path.read_text()):
        assert re.fullmatch(rf"/static/{re.escape(name)}\?v=[0-9a-f]{{16}}", asset(name))


def test_what_others_wrote_is_what_the_readme_says() -> None:
    readme = (SERVER / "static" / "README.md").read_text()
    vendored = sorted((SERVER / "static" / "vendor").glob("*.js"))
    assert vendored
    for path in vendored:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in readme, path.name
    assert (SERVER / "static" / "vendor" / "htmx.LICENSE").read_text().startswith("Zero-Clause BSD")


def test_a_name_that_a_template_does_not_know_is_an_error() -> None:
    with pytest.raises(Exception, match="has no attribute"):
        render("message.html", object())
