from __future__ import annotations

import attrs
import pytest

from freeplay_like.core import prompt_diff
from freeplay_like.core.prompt_diff import FieldChange, compare, unified
from freeplay_like.core.templates import HistorySlot, MediaSlot, PromptTemplate, TemplateMessage

SYSTEM = TemplateMessage(role="system", content="You help {{name}}.")
ASK = TemplateMessage(role="user", content="{{question}}")
BEFORE = PromptTemplate(
    name="trip",
    version="1",
    messages=(SYSTEM, HistorySlot(), ASK),
    model="m-1",
    provider="openai",
    parameters={"temperature": 0.5, "top_p": 1},
)


def test_a_version_does_not_differ_from_itself() -> None:
    found = compare(BEFORE, BEFORE)
    assert found.is_empty
    assert (found.text, found.messages, found.before_version) == ("", (), "1")


def test_fields_and_parameters_are_told_with_their_values() -> None:
    after = attrs.evolve(
        BEFORE,
        version="2",
        model="m-2",
        syntax="fstring",
        tools=[{"name": "t"}],
        parameters={"top_p": 1.0, "seed": None},
    )
    found = compare(BEFORE, after)
    assert [(each.name, each.before, each.after) for each in found.fields] == [
        ("syntax", "mustache", "fstring"),
        ("model", "m-1", "m-2"),
        ("tools", None, [{"name": "t"}]),
    ]
    assert found.parameters == (
        FieldChange(name="temperature", before=0.5, after=None),
        FieldChange(name="top_p", before=1, after=1.0),
        FieldChange(name="seed", before=None, after=None),
    )
    assert not found.messages
    assert '-model = "m-1"\n+model = "m-2"\n' in found.text
    assert found.text.startswith("--- trip (version 1)\n+++ trip (version 2)\n")


@pytest.mark.parametrize(
    ("messages", "changes"),
    [
        ((SYSTEM, HistorySlot()), [("removed", 2, None)]),
        ((ASK, SYSTEM, HistorySlot(), ASK), [("added", None, 0)]),
        ((SYSTEM, HistorySlot(), attrs.evolve(ASK, content="?")), [("changed", 2, 2)]),
        (
            (SYSTEM, HistorySlot(), attrs.evolve(ASK, media_slots=(MediaSlot(name="p", kind="image"),))),
            [("changed", 2, 2)],
        ),
        ((attrs.evolve(SYSTEM, role="developer"), HistorySlot(), ASK), [("changed", 0, 0)]),
        ((SYSTEM, ASK), [("removed", 1, None)]),
        ((attrs.evolve(SYSTEM, content="x"), ASK), [("changed", 0, 0), ("removed", 1, None)]),
        ((), [("removed", 0, None), ("removed", 1, None), ("removed", 2, None)]),
    ],
)
def test_messages_are_told_by_their_places(
    messages: tuple[TemplateMessage | HistorySlot, ...], changes: list[tuple[str, int | None, int | None]]
) -> None:
    found = compare(BEFORE, attrs.evolve(BEFORE, messages=messages))
    assert [(each.kind, each.before_index, each.after_index) for each in found.messages] == changes
    assert [each.before is None for each in found.messages] == [before is None for _, before, _ in changes]
    assert found.text


def test_only_line_feeds_end_lines() -> None:
    after = attrs.evolve(BEFORE, messages=(attrs.evolve(SYSTEM, content="a\u2028b\x0bc"),))
    assert "+a\u2028b\x0bc\n" in compare(BEFORE, after).text


def test_a_side_that_is_not_there_is_all_new() -> None:
    text = unified(None, BEFORE, before_label="none", after_label="here")
    assert text.startswith("--- none\n+++ here\n@@ -0,0 +1,")
    assert not [line for line in text.splitlines()[2:] if line.startswith("-")]


def test_texts_without_end_are_not_compared_by_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt_diff, "LINES_LIMIT", 10)
    text = compare(BEFORE, attrs.evolve(BEFORE, model="m-2")).text
    assert "too long to compare by line" in text
    assert compare(BEFORE, BEFORE).text == ""
