from __future__ import annotations

import pytest

from freeplay_like.core.messages import Message, ToolCall, message_from, messages_from, to_chat
from freeplay_like.errors import MessageError


def test_text_alone_is_a_message_of_the_user() -> None:
    assert messages_from("hi") == (Message(role="user", content="hi"),)


def test_one_message_stands_for_a_list_of_one() -> None:
    assert messages_from({"role": "developer", "content": "x"}) == (Message(role="developer", content="x"),)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ([{"role": "user", "content": "a"}, 1], "message 1 must be a mapping"),
        ([{"role": "bogus", "content": "a"}], "message 0 has role 'bogus'"),
        ([{"role": "user"}], "message 0 (user) has no content"),
        ([{"role": "user", "content": 3}], "content of type int"),
        ([{"role": "user", "content": ["a"]}], "a content part that is not a mapping"),
        ([{"role": "assistant", "content": "a", "tool_calls": "f"}], "tool_calls of type str"),
        ([{"role": "assistant", "tool_calls": [{"id": "1"}]}], "without a function name"),
    ],
)
def test_a_bad_message_is_named_by_its_index(bad: list[object], words: str) -> None:
    with pytest.raises(MessageError) as caught:
        messages_from(bad)  # type: ignore[arg-type]
    assert words in str(caught.value)
    assert caught.value.index == len(bad) - 1


def test_a_chat_message_goes_there_and_back() -> None:
    message = Message(
        role="assistant", tool_calls=(ToolCall(id="c1", name="f", arguments='{"a":1}'),), name="bot", content="x"
    )
    assert message_from(message.to_chat()) == message
    result = Message(role="tool", content=({"type": "text", "text": "42"},), tool_call_id="c1")
    assert message_from(result.to_chat()) == result
    assert result.text == "42"


def test_nothing_is_shared_with_the_caller() -> None:
    part = {"type": "text", "text": "a", "extra": {"k": [1]}}
    message = message_from({"role": "user", "content": [part]})
    part["extra"]["k"].append(2)  # type: ignore[index]
    out = to_chat([message])
    out[0]["content"][0]["extra"]["k"].append(3)  # type: ignore[index,call-overload]
    assert message.content == ({"type": "text", "text": "a", "extra": {"k": [1]}},)
