"""A record's messages as turns."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.records import Record, TemplateRef
from freeplay_like.server.pages.conversation import (
    EARLIER_FROM_TURNS,
    FOLDED_FROM_CHARACTERS,
    Piece,
    marked,
    prompt_of,
)

RECORD = Record(record_id="r", project_id="p", started_at=datetime(2026, 1, 1, tzinfo=UTC))


def record(*messages: Message, **variables: object) -> Record:
    return attrs.evolve(RECORD, messages=messages, variables=variables, template=TemplateRef(name="t"))


@given(st.text(), st.dictionaries(st.text(min_size=1), st.text()))
def test_marking_never_changes_the_text(text: str, values: dict[str, str]) -> None:
    assert "".join(piece.text for piece in marked(text, values)) == text


def test_the_longest_value_wins_over_its_own_parts() -> None:
    prompt = prompt_of(record(Message(role="user", content="New York City!"), city="New York", place="New York City"))
    assert prompt.latest[0].pieces == (Piece(text="New York City", variable="place"), Piece(text="!"))


def test_values_that_would_be_found_everywhere_are_not_marked() -> None:
    prompt = prompt_of(record(Message(role="user", content="a b 12"), one="a", number=12, blank="   "))
    assert prompt.latest[0].pieces == (Piece(text="a b 12"),)


def test_nothing_is_marked_in_answers_or_without_a_template() -> None:
    messages = (Message(role="assistant", content="Ada"), Message(role="user", content="Ada"))
    assert prompt_of(record(*messages, name="Ada")).latest[0].pieces == (Piece(text="Ada"),)
    plain = attrs.evolve(record(*messages, name="Ada"), template=None)
    assert all(piece.variable is None for turn in prompt_of(plain).latest for piece in turn.pieces)


def test_long_texts_are_folded_except_the_last_question() -> None:
    long = "x" * FOLDED_FROM_CHARACTERS
    prompt = prompt_of(record(Message(role="system", content=long), Message(role="user", content=long)))
    assert prompt.opening[0].is_folded
    assert not prompt.latest[0].is_folded


def test_a_long_conversation_is_folded_up_to_its_last_question() -> None:
    system, tool = Message(role="system", content="s"), Message(role="tool", content="t", tool_call_id="c")
    exchange = (Message(role="user", content="q"), Message(role="assistant", content="a"))
    asked = (Message(role="user", content="last"), Message(role="assistant", tool_calls=(ToolCall(id="c", name="f"),)))
    short = prompt_of(record(system, *exchange, *exchange, *asked, tool))
    assert EARLIER_FROM_TURNS > 4
    assert (len(short.opening), len(short.earlier), len(short.latest)) == (1, 0, 7)
    long = prompt_of(record(system, *exchange * 3, *asked, tool))
    assert (len(long.opening), len(long.earlier), [turn.text for turn in long.latest]) == (1, 6, ["last", "", "t"])


def test_parts_that_are_not_text_are_described() -> None:
    parts = ({"type": "text", "text": "look: "}, {"type": "image_url", "image_url": {"url": "https://x.example/a"}})
    turn = prompt_of(record(Message(role="user", content=parts))).latest[0]
    assert turn.text == "look: "
    assert [attachment.kind for attachment in turn.attachments] == ["image_url"]
    assert "https://x.example/a" in turn.attachments[0].body


def test_a_record_without_messages_has_no_turns() -> None:
    assert prompt_of(RECORD).latest == ()
