"""A record's messages as turns."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs

from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.records import Record, TemplateRef
from freeplay_like.server.pages.call.conversation import (
    ANSWER_LIMIT_CHARACTERS,
    EARLIER_FROM_TURNS,
    FOLDED_FROM_CHARACTERS,
    FOLDED_LIMIT,
    OPEN_LIMIT,
    TURN_LIMIT_CHARACTERS,
    Turn,
    answer_of,
    prompt_of,
)

RECORD = Record(record_id="r", project_id="p", started_at=datetime(2026, 1, 1, tzinfo=UTC))
SYSTEM, QUESTION = Message(role="system", content="s"), Message(role="user", content="q")
ANSWER = Message(role="assistant", content="a")


def record(*messages: Message, **variables: object) -> Record:
    return attrs.evolve(RECORD, messages=messages, variables=variables, template=TemplateRef(name="t"))


def turns(*messages: Message, is_whole: bool = False) -> list[Turn]:
    return [turn for group in prompt_of(record(*messages), is_whole=is_whole).groups for turn in group.turns]


def test_long_texts_are_folded_except_the_last_question() -> None:
    long = "x" * FOLDED_FROM_CHARACTERS
    system, question = turns(Message(role="system", content=long), Message(role="user", content=long))
    assert system.is_folded
    assert not question.is_folded


def test_a_long_conversation_is_folded_up_to_its_last_question() -> None:
    asked = (Message(role="user", content="last"), Message(role="assistant", tool_calls=(ToolCall(id="c", name="f"),)))
    tool = Message(role="tool", content="t", tool_call_id="c")
    assert EARLIER_FROM_TURNS > 4
    short = prompt_of(record(SYSTEM, QUESTION, ANSWER, QUESTION, ANSWER, *asked, tool))
    assert [(group.label, len(group.turns)) for group in short.groups] == [(None, 1), (None, 6)]
    long = prompt_of(record(SYSTEM, *(QUESTION, ANSWER) * 3, *asked, tool))
    assert [group.label for group in long.groups] == [None, "6 earlier messages", None]
    assert [turn.text for turn in long.groups[-1].turns] == ["last", ""]


def test_what_a_tool_answered_stands_with_its_call() -> None:
    calls = (ToolCall(id="a", name="f"), ToolCall(id="b", name="g"))
    asked = Message(role="assistant", tool_calls=calls)
    found = turns(QUESTION, asked, Message(role="tool", content="four", tool_call_id="b"), ANSWER)
    assert [turn.role for turn in found] == ["user", "assistant", "assistant"]
    first, second = found[1].tool_calls
    assert first.result is None
    assert second.result is not None
    assert second.result.text == "four"


def test_an_answer_of_a_tool_that_nobody_called_is_a_turn_of_its_own() -> None:
    assert [turn.role for turn in turns(QUESTION, Message(role="tool", content="x", tool_call_id="z"))] == [
        "user",
        "tool",
    ]


def test_many_messages_after_the_last_question_are_folded_in_the_middle() -> None:
    prompt = prompt_of(record(QUESTION, *[ANSWER] * 500))
    assert [group.label for group in prompt.groups] == [None, "481 messages in between", None]
    assert len(prompt.groups[1].turns) == FOLDED_LIMIT
    assert prompt.groups[1].left_out == 481 - FOLDED_LIMIT
    whole = prompt_of(record(QUESTION, *[ANSWER] * 500), is_whole=True)
    assert whole.groups[1].left_out == 0
    assert sum(len(group.turns) for group in whole.groups) == 501


def test_a_few_messages_are_all_open() -> None:
    assert [group.label for group in prompt_of(record(*[QUESTION] + [ANSWER] * (OPEN_LIMIT - 1))).groups] == [None]


def test_a_megabyte_is_cut_and_says_what_is_left_out() -> None:
    long = Message(role="user", content="x" * 1_000_000)
    (turn,) = turns(long)
    assert (len(turn.text), turn.left_out, turn.length) == (TURN_LIMIT_CHARACTERS, 1_000_000 - 20_000, 1_000_000)
    assert len(turns(long, is_whole=True)[0].text) == 1_000_000


def test_many_long_messages_share_what_a_page_holds() -> None:
    long = Message(role="assistant", content="x" * 20_000)
    assert sum(len(turn.text) for turn in turns(QUESTION, *[long] * 500)) < 300_000


def test_parts_that_are_not_text_are_described() -> None:
    parts = ({"type": "text", "text": "look: "}, {"type": "image_url", "image_url": {"url": "https://x.example/a"}})
    (turn,) = turns(Message(role="user", content=parts))
    assert turn.text == "look: "
    assert [attachment.kind for attachment in turn.attachments] == ["image_url"]
    assert "https://x.example/a" in turn.attachments[0].body


def test_a_record_without_messages_has_no_turns() -> None:
    assert prompt_of(RECORD).groups == ()


def test_an_answer_that_is_json_is_laid_out() -> None:
    assert answer_of(Choice(text='{"a":[1,2]}'), is_whole=False).json == '{\n  "a": [\n    1,\n    2\n  ]\n}'
    assert answer_of(Choice(text='"only text"'), is_whole=False).json is None
    assert answer_of(Choice(text='{"cut off'), is_whole=False).json is None
    assert answer_of(Choice(text="{" * 100_000), is_whole=False).json is None


def test_a_long_answer_is_cut() -> None:
    answer = answer_of(Choice(text="x" * (ANSWER_LIMIT_CHARACTERS + 7)), is_whole=False)
    assert (len(answer.text), answer.left_out) == (ANSWER_LIMIT_CHARACTERS, 7)
    assert answer_of(Choice(text="x" * (ANSWER_LIMIT_CHARACTERS + 7)), is_whole=True).left_out == 0


def test_what_the_answers_tools_said_later_stands_with_their_calls() -> None:
    choice = Choice(tool_calls=(ToolCall(id="c", name="f"),))
    later = Message(role="tool", content="late", tool_call_id="c")
    (call,) = answer_of(choice, added=[later], is_whole=False).tool_calls
    assert call.result is not None
    assert call.result.text == "late"
