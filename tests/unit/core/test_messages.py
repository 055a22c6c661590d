"""Messages: what is taken for one, what is said of one that is wrong, and that nothing is shared."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import cast

import attrs
import pytest
from openai.types.chat import ChatCompletionMessage

from freeplay_like.core.media import Media
from freeplay_like.core.messages import (
    Message,
    MessagesLike,
    ToolCall,
    instructions_of,
    message_from,
    messages_from,
    to_chat,
    without_instructions,
)
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.errors import MessageError

CALL = ToolCall(id="c1", name="look", arguments='{"at":1}')
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}


def test_text_alone_is_a_message_of_the_user() -> None:
    assert messages_from("hi") == (Message(role="user", content="hi"),)


def test_one_message_stands_for_a_list_of_one() -> None:
    assert messages_from({"role": "developer", "content": "x"}) == (Message(role="developer", content="x"),)


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"role": "bogus", "content": "a"}, "message 1 has role 'bogus'; known roles: assistant, developer, system"),
        ({"role": [], "content": "a"}, "message 1 has role []"),
        ({"content": "a"}, "message 1 has role None"),
        (1, "message 1 must be a mapping or an object with 'role' and 'content', not int"),
        ("a", "message 1 must be a mapping or an object with 'role' and 'content', not str"),
        ({"role": "user"}, "message 1 (user) has no content; give text or parts"),
        ({"role": "user", "content": []}, "message 1 (user) has no content"),
        ({"role": "user", "content": 3}, "message 1 has content of type int; use text or a list of parts"),
        ({"role": "user", "content": b"a"}, "message 1 has content of type bytes"),
        ({"role": "user", "content": "a", "name": 3}, "message 1 has name 3; use text"),
        ({"role": "tool", "content": "a"}, "message 1 (tool) has no tool_call_id; it names the call"),
        ({"role": "tool", "content": "a", "tool_call_id": 7}, "message 1 has tool_call_id 7; use text"),
        ({"role": "user", "content": "a", "tool_calls": [CALL]}, "message 1 (user) has tool_calls; only the assistant"),
        (Message(role="bogus", content="a"), "message 1 has role 'bogus'"),  # type: ignore[arg-type]
        (Message(role="user"), "message 1 (user) has no content"),
        (Message(role="user", content=3), "message 1 has content of type int"),  # type: ignore[arg-type]
        (Message(role="user", content=({"x": 1},)), "message 1 has a content part that has type None"),
    ],
)
def test_a_bad_message_is_named_by_its_index(bad: object, words: str) -> None:
    with pytest.raises(MessageError) as caught:
        messages_from(cast("MessagesLike", [{"role": "user", "content": "a"}, bad]))
    assert words in str(caught.value)
    assert caught.value.index == 1


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("a", "is not a mapping but str; expected {'type': 'text', 'text': ...} or Media"),
        ({"text": "a"}, "has type None; expected one such as 'text'"),
        ({"type": "text"}, "is text, but its 'text' is NoneType"),
        (
            {"type": "image_url", "image_url": "https://x"},
            "is of type 'image_url'; expected {'type': 'image_url', 'image_url': {'url': ...}}",
        ),
        ({"type": "input_audio", "input_audio": {}}, "expected {'type': 'input_audio', 'input_audio': {'data': ...}}"),
        ({"type": "file", "file": None}, "expected {'type': 'file', 'file': {'file_data': ...}}"),
        ({"type": "image", "source": {"data": b"a"}}, "holds bytes, which is not JSON"),
        ({"type": "own", "x": float("inf")}, "holds inf, which JSON has no word for"),
        ({"type": "own", 3: 1}, "has a name that is not text"),
    ],
)
def test_a_bad_part_is_named(part: object, words: str) -> None:
    with pytest.raises(MessageError) as caught:
        messages_from([{"role": "user", "content": [{"type": "text", "text": "a"}, part]}])
    assert str(caught.value).startswith("message 0 has a content part that ")
    assert words in str(caught.value)


def test_a_part_that_holds_itself_is_refused() -> None:
    part: dict[str, object] = {"type": "own"}
    part["self"] = part
    with pytest.raises(MessageError, match="is nested deeper than 100"):
        message_from({"role": "user", "content": [part]})


def test_a_providers_own_block_passes() -> None:
    block = {"type": "image", "source": {"type": "url", "url": "https://x"}, "cache_control": {"type": "ephemeral"}}
    assert message_from({"role": "user", "content": [block]}).content == (block,)


def test_media_are_parts() -> None:
    cat = Media.from_url("https://example.com/cat.png", kind="image")
    message = message_from({"role": "user", "content": [{"type": "text", "text": "What?"}, cat]})
    assert message.content == ({"type": "text", "text": "What?"}, IMAGE)
    assert message_from({"role": "user", "content": cat}).content == (IMAGE,)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ("f", "without a function name; expected {'id', 'name', 'arguments'}"),
        ({"id": "1"}, "without a function name"),
        ({"id": "1", "function": "f"}, "without a function name"),
        ({"id": "1", "function": {"name": ""}}, "without a function name"),
        ({"id": 1, "name": "f"}, "calls tool 'f' with id 1; use text"),
        ({"id": "1", "name": "f", "arguments": [1]}, "calls tool 'f' with arguments of type list; use JSON text"),
    ],
)
def test_a_bad_tool_call_is_named(call: object, words: str) -> None:
    with pytest.raises(MessageError) as caught:
        messages_from([{"role": "assistant", "content": None, "tool_calls": [call]}])
    assert words in str(caught.value)
    assert caught.value.index == 0
    with pytest.raises(MessageError, match="tool_calls of type str; use a list"):
        messages_from([{"role": "assistant", "tool_calls": "f"}])


@pytest.mark.parametrize(
    "call",
    [
        CALL,
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}},
        {"id": "c1", "name": "look", "arguments": '{"at":1}'},
        {"id": "c1", "name": "look", "arguments": {"at": 1}},
    ],
)
def test_a_tool_call_may_have_any_of_its_shapes(call: object) -> None:
    assert message_from({"role": "assistant", "tool_calls": [call]}).tool_calls == (CALL,)


def test_a_tool_call_without_arguments_or_id_has_empty_ones() -> None:
    for arguments in (None, "", "{}"):
        call = {"id": None, "function": {"name": "f", "arguments": arguments}}
        assert message_from({"role": "assistant", "tool_calls": [call]}).tool_calls == (ToolCall(id="", name="f"),)


def test_a_message_of_the_openai_client_is_a_message() -> None:
    answer = ChatCompletionMessage.model_validate(
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"at":1}'}}],
        }
    )
    expected = Message(role="assistant", tool_calls=(CALL,))
    assert messages_from(answer) == messages_from([answer]) == (expected,)
    assert message_from({"role": "assistant", "tool_calls": answer.tool_calls}) == expected


def test_a_refusal_is_what_was_said() -> None:
    answer = ChatCompletionMessage(role="assistant", refusal="I will not.")
    assert message_from(answer) == Message(role="assistant", content="I will not.")


class Speaker(enum.Enum):
    PERSON = "user"


@dataclass
class OwnMessage:
    role: Speaker
    content: str
    name: str | None = None
    notes: list[str] = field(default_factory=list)


@attrs.define
class OtherMessage:
    role: str
    content: object


def test_an_object_with_role_and_content_is_a_message() -> None:
    ann = OwnMessage(Speaker.PERSON, "hi", "Ann", ["kept elsewhere"])
    assert messages_from([ann]) == messages_from(ann) == (Message(role="user", content="hi", name="Ann"),)
    assert type(message_from(ann).role) is str
    assert messages_from(OtherMessage("system", "x")) == (Message(role="system", content="x"),)


@pytest.mark.parametrize("value", [5, None, b"hi", OwnMessage])
def test_what_holds_no_messages_is_refused(value: object) -> None:
    with pytest.raises(MessageError, match="messages are text, a message or a list of messages, not"):
        messages_from(cast("MessagesLike", value))


@pytest.mark.parametrize("nothing", [[], "", ()])
def test_where_messages_are_needed_there_must_be_one(nothing: MessagesLike) -> None:
    with pytest.raises(MessageError, match="nothing to send"):
        messages_from(nothing, is_required=True)
    assert all(message.text == "" for message in messages_from(nothing))
    assert messages_from("x", is_required=True) == (Message(role="user", content="x"),)


def test_a_chat_message_goes_there_and_back() -> None:
    message = Message(
        role="assistant",
        tool_calls=(CALL,),
        name="bot",
        content="x",
        reasoning="hm",
        reasoning_blocks=({"type": "thinking", "thinking": "hm", "signature": "s"},),
    )
    assert message_from(message.to_chat()) == message
    result = Message(role="tool", content=({"type": "text", "text": "42"},), tool_call_id="c1")
    assert message_from(result.to_chat()) == result
    assert result.text == "42"


def test_reasoning_is_read_under_the_other_name_that_servers_have_for_it() -> None:
    assert message_from({"role": "assistant", "content": "x", "reasoning_content": "hm"}).reasoning == "hm"


@pytest.mark.parametrize("how", ["from a dict", "built", "over the wire"])
def test_nothing_is_shared_with_the_caller(how: str) -> None:
    part: dict[str, object] = {"type": "text", "text": "a", "extra": {"k": [1]}}
    blocks = ({"type": "thinking", "x": [1]},)
    message = Message(role="assistant", content=(part,), reasoning_blocks=blocks)
    if how == "from a dict":
        message = message_from({"role": "assistant", "content": [part], "reasoning_blocks": blocks})
    elif how == "over the wire":
        message = from_wire(to_wire(message), Message)
    part["extra"]["k"].append(2)  # type: ignore[index]
    blocks[0]["x"].append(2)  # type: ignore[attr-defined]
    out = to_chat([message])
    out[0]["content"][0]["extra"]["k"].append(3)  # type: ignore[index,call-overload]
    out[0]["reasoning_blocks"][0]["x"].append(3)  # type: ignore[attr-defined]
    assert message.content == ({"type": "text", "text": "a", "extra": {"k": [1]}},)
    assert message.reasoning_blocks == ({"type": "thinking", "x": [1]},)
    with pytest.raises(TypeError, match="does not change"):
        message.content[0]["text"] = "b"  # type: ignore[index]
    with pytest.raises(TypeError, match="does not change"):
        message.reasoning_blocks[0]["x"].append(3)  # type: ignore[attr-defined]


def test_equal_messages_have_equal_hashes() -> None:
    first, second = (message_from({"role": "user", "content": [IMAGE]}) for _ in range(2))
    assert {first, second} == {first}


def test_instructions_are_the_systems_and_what_a_developer_says_first() -> None:
    roles = ["developer", "system", "user", "system", "developer", "assistant"]
    messages = messages_from([{"role": role, "content": str(i)} for i, role in enumerate(roles)])
    assert instructions_of(messages) == (0, 1, 3)
    assert [message.text for message in without_instructions(messages)] == ["2", "4", "5"]
