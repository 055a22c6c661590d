from __future__ import annotations

import attrs

from freeplay_like.core.templates import HistorySlot, MediaSlot, PromptTemplate, TemplateMessage
from freeplay_like.server.pages.templates.changes import ValueChange, changes_of
from freeplay_like.server.pages.templates.placeholders import Piece, pieces_of

SYSTEM = TemplateMessage(role="system", content="Be warm.\nBe short.")
QUESTION = TemplateMessage(role="user", content="{{question}}")
BASE = PromptTemplate(
    name="shop/answer",
    messages=(SYSTEM, QUESTION),
    model="gpt-4o-mini",
    parameters={"temperature": 0.2, "top_p": 1},
)


def test_two_that_say_the_same_have_no_changes() -> None:
    assert changes_of(BASE, attrs.evolve(BASE, version="7")).is_empty


def test_short_values_are_told_before_and_after() -> None:
    after = attrs.evolve(BASE, model=None, parameters={"temperature": 0.3, "stop": None, "top_p": 1.0})
    changes = changes_of(BASE, after)
    assert changes.values == (ValueChange(name="model", before="gpt-4o-mini", after=None),)
    assert changes.parameters == (
        ValueChange(name="temperature", before="0.2", after="0.3"),
        ValueChange(name="top_p", before="1", after="1.0"),
        ValueChange(name="stop", before=None, after=None),
    )
    assert changes.texts == ()


def test_messages_are_told_by_place_and_role() -> None:
    after = attrs.evolve(
        BASE,
        messages=(
            attrs.evolve(SYSTEM, content="Be warm.\nBe brief."),
            HistorySlot(),
            attrs.evolve(QUESTION, media_slots=(MediaSlot(name="photo", kind="image"),)),
        ),
    )
    titles = [(text.title, [line.change for line in text.lines]) for text in changes_of(BASE, after).texts]
    assert titles[0] == ("Message 1 (system)", ["same", "changed"])
    assert [title for title, _ in titles[1:]] == [
        "Message 2 (history), before: message 2 (user)",
        "Message 3 (user), added",
    ]


def test_tools_and_schema_are_compared_line_by_line() -> None:
    before = attrs.evolve(BASE, tools=[{"name": "get_stock"}], output_schema={"type": "object"})
    after = attrs.evolve(BASE, tools=[{"name": "get_price"}], output_schema=None)
    tools, schema = changes_of(before, after).texts
    assert (tools.title, schema.title) == ("Tools", "Output schema")
    (changed,) = (line for line in tools.lines if line.change == "changed")
    assert [part.text for part in changed.after if part.change == "added"] == ["get_price"]
    assert {line.change for line in schema.lines} == {"removed"}


def test_what_is_filled_in_is_marked_in_each_syntax() -> None:
    assert [(piece.text, piece.is_mark) for piece in pieces_of("Hi {{name}}{{#a}} x{{/a}}", "mustache")] == [
        ("Hi ", False),
        ("{{name}}", True),
        ("{{#a}}", True),
        (" x", False),
        ("{{/a}}", True),
    ]
    assert [piece.text for piece in pieces_of("a {b} {{c}} { d", "fstring") if piece.is_mark] == ["{b}", "{{", "}}"]
    assert pieces_of("{{name}}", "none") == (Piece(text="{{name}}"),)
    assert pieces_of("", "none") == ()
