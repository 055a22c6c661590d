"""What holds for every template and every value."""

from __future__ import annotations

import string
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core import fstring, mustache
from freeplay_like.core.interpolation import Rendering, SyntaxProblem, ValueProblem
from freeplay_like.core.media import MEDIA_KINDS
from freeplay_like.core.template_files import from_text, to_text
from freeplay_like.core.templates import HistorySlot, MediaSlot, PromptTemplate, Syntax, TemplateMessage
from freeplay_like.errors import TemplateError

TAGGED = st.text(alphabet='{}#^/&!>=."ab \n\r\t$', max_size=60)
"""Texts in which tags and half tags come up often."""

TEXTS = st.one_of(st.text(max_size=60), TAGGED)
SYNTAXES: st.SearchStrategy[Syntax] = st.sampled_from(("mustache", "fstring", "none"))
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
)
VARIABLES = st.dictionaries(st.sampled_from(["a", "b", "ab"]), VALUES)
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=8,
)


class Canary:
    """Sings when any attribute of it is read, its class among them."""

    def __getattribute__(self, name: str) -> Any:
        raise AssertionError(f"attribute {name!r} was read")


def one(text: str, syntax: Syntax = "mustache") -> PromptTemplate:
    return PromptTemplate(name="t", messages=(TemplateMessage(role="user", content=text),), syntax=syntax)


@given(TEXTS, TEXTS)
def test_escaped_text_renders_as_it_was(text: str, value: str) -> None:
    assert one(mustache.escape(text) + "{{a}}").render({"a": value})[0].content == text + value
    assert one(fstring.escape(text) + "{a}", "fstring").render({"a": value})[0].content == text + value
    assert one(text, "none").render({"a": value})[0].content == text


@given(TEXTS, SYNTAXES, VARIABLES)
def test_nothing_but_a_template_error_comes_out(text: str, syntax: Syntax, variables: dict[str, object]) -> None:
    try:
        template = one(text, syntax)
        rendered = template.render(variables)
    except TemplateError as error:
        assert error.template == "t"  # noqa: PT017  # both ends are allowed
    else:
        assert set(template.variables) <= set(variables)
        assert len(rendered) == 1


@given(
    st.lists(st.sampled_from(["{{a}}", "{{{b}}}", "{{&a}}", " - ", "{{#a}}{{b}}{{/a}}", "{{^a}}{{b}}{{/a}}"])),
    TEXTS,
    TEXTS,
)
def test_values_do_not_change_which_tags_there_are(parts: list[str], a: str, b: str) -> None:
    shown = {"{{a}}": a, "{{{b}}}": b, "{{&a}}": a, " - ": " - ", "{{#a}}{{b}}{{/a}}": a and b}
    expected = "".join(shown.get(part, "" if a else b) for part in parts)
    assert one("".join(parts)).render({"a": a, "b": b})[0].content == expected


@given(
    st.sampled_from(
        ["{{x}}", "{{x.y}}", "{{x.0}}", "{{#x}}{{/x}}", "{{^x}}{{/x}}", "{{#y}}{{.}}{{/y}}", "{{y}}", "{{y.0.z}}"]
    )
)
def test_a_value_that_is_not_data_is_never_touched(text: str) -> None:
    canary = Canary()
    try:
        mustache.parse(text).render({"x": canary, "y": [canary]}, Rendering())
    except ValueProblem as problem:
        assert "Canary" in str(problem)  # noqa: PT017  # a missing name is as good an end


@given(TAGGED)
def test_what_parses_once_parses_the_same_again(text: str) -> None:
    try:
        parsed = mustache.parse(text)
    except SyntaxProblem as problem:
        assert 0 <= problem.offset < len(text)  # noqa: PT017  # both ends are allowed
    else:
        assert mustache.parse(text) == parsed


WORDS = st.text(alphabet=string.ascii_letters + '"\\\n\x00\x7f=+é🦊', max_size=12)
LINES = st.lists(
    st.sampled_from(
        [
            *("", "=== user ===", "\\=== user ===", "\\\\=== history ===", "===x===", "+++", "text", "\r", "a\r"),
            *("=== image x ===", "\\=== file a b ===", "===audio ===", "=== video\tx ===== "),
        ]
    )
).map("\n".join)
SLOTS = st.builds(
    MediaSlot,
    name=st.text(min_size=1, max_size=6).filter(lambda name: name.isprintable() and name == name.strip()),
    kind=st.sampled_from(MEDIA_KINDS),
)
MESSAGES = st.lists(
    st.builds(
        TemplateMessage,
        role=st.sampled_from(["system", "developer", "user", "assistant"]),
        content=st.one_of(LINES, st.text(max_size=40)),
        media_slots=st.lists(SLOTS, max_size=2).map(tuple),
    ),
    max_size=4,
)


@given(
    messages=MESSAGES,
    slot=st.none() | st.integers(0, 4),
    texts=st.lists(st.none() | WORDS, min_size=4, max_size=4),
    parameters=st.dictionaries(st.text(max_size=8), JSON, max_size=3),
    tools=JSON,
    schema=JSON,
)
def test_a_file_gives_back_the_template_it_was_written_from(
    messages: list[TemplateMessage | HistorySlot],
    slot: int | None,
    texts: list[str | None],
    parameters: dict[str, object],
    tools: object,
    schema: object,
) -> None:
    if slot is not None:
        messages = [*messages[:slot], HistorySlot(), *messages[slot:]]
    provider, flavor_name, model, description = texts
    template = PromptTemplate(
        name="n",
        messages=tuple(messages),
        syntax="none",
        provider=provider,
        flavor_name=flavor_name,
        model=model,
        description=description,
        parameters=parameters,
        tools=tools,
        output_schema=schema,
    )
    again = from_text(to_text(template), name="n")
    assert again == template
    assert again.fingerprint == template.fingerprint


@given(
    messages=MESSAGES,
    parameters=st.dictionaries(st.text(max_size=8).filter(lambda key: key != "model"), JSON, max_size=3),
)
def test_the_wire_gives_back_the_template_it_was_written_from(
    messages: list[TemplateMessage | HistorySlot], parameters: dict[str, object]
) -> None:
    template = PromptTemplate(name="n", messages=tuple(messages), syntax="none", parameters=parameters)
    assert PromptTemplate.from_wire(template.to_wire(), source="inline") == template


@given(st.text(alphabet='+= "systemur[]{}\n\\', max_size=80))
def test_a_file_of_anything_is_a_template_or_an_error_that_names_it(text: str) -> None:
    try:
        template = from_text(text, name="n")
    except TemplateError as error:
        assert error.template == "n"  # noqa: PT017  # both ends are allowed
    else:
        assert from_text(to_text(template), name="n") == template
