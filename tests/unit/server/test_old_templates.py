"""Templates as the client 0.1.6 fills them in, with `str.format`."""

from __future__ import annotations

import pytest

from freeplay_like.core.templates import Syntax
from freeplay_like.server.api.freeplay_016 import old_text


@pytest.mark.parametrize(
    ("text", "syntax", "filled"),
    [
        ("Greet {{name}}.", "mustache", "Greet Ann."),
        ('As {"a": "{{name}}"}', "mustache", 'As {"a": "Ann"}'),
        ("{{ name }} and {{{name}}}", "mustache", "Ann and Ann"),
        ("Greet {name} {{so}}.", "fstring", "Greet Ann {so}."),
        ("{name} {{name}}", "none", "{name} {{name}}"),
    ],
)
def test_a_template_says_to_the_old_client_what_it_says_here(text: str, syntax: Syntax, filled: str) -> None:
    found = old_text(text, syntax)
    assert found is not None
    assert found.format(name="Ann") == filled


@pytest.mark.parametrize("text", ["{{#list}}{{name}}{{/list}}", "{{person.name}}", "{{first-name}}", "{{.}}"])
def test_what_the_old_client_cannot_fill_in_is_told(text: str) -> None:
    assert old_text(text, "mustache") is None
