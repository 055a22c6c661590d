import pytest

from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.parameters import merge
from freeplay_like.errors import MessageError, ParameterError
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.openai_text import OpenAIText
from support.wire import read

FLAVOR = OpenAIText("a key")


def said(*messages: Message, is_stream: bool = False, **parameters: object) -> dict[str, object]:
    layers = [("flavor", FLAVOR.default_parameters), ("call", {"model": "m", **parameters})]
    return FLAVOR.format(messages, merge(layers), is_stream=is_stream).body


def test_a_prompt_of_one_message_is_its_text() -> None:
    assert said(Message(role="user", content="Once upon")) == {"model": "m", "prompt": "Once upon"}


def test_several_texts_have_blank_lines_between_them() -> None:
    parts = ({"type": "text", "text": "Once "}, {"type": "text", "text": "upon"})
    body = said(Message(role="system", content="Be brief."), Message(role="user", content=parts))
    assert body["prompt"] == "Be brief.\n\nOnce upon"


def test_a_conversation_is_written_as_a_script() -> None:
    body = said(
        Message(role="system", content="Be brief."),
        Message(role="user", content="A river?"),
        Message(role="assistant", content="Loire."),
        Message(role="user", content="Another?"),
    )
    assert body["prompt"] == "Be brief.\n\nUser: A river?\n\nAssistant: Loire.\n\nUser: Another?\n\nAssistant:"


def test_a_stream_asks_for_token_counts() -> None:
    hello = Message(role="user", content="Hello")
    assert said(hello, is_stream=True)["stream_options"] == {"include_usage": True}
    assert "stream_options" not in said(hello)


def test_other_formats_names_are_understood() -> None:
    body = said(Message(role="user", content="Hello"), max_completion_tokens=5, stop_sequences=["x"])
    assert (body["max_tokens"], body["stop"]) == (5, ["x"])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("tools", [{"name": "f", "description": "", "parameters": {}}]),
        ("tool_choice", "auto"),
        ("output_schema", {"type": "object"}),
        ("reasoning", True),
    ],
)
def test_what_text_cannot_say_is_refused_with_its_layer(name: str, value: object) -> None:
    with pytest.raises(ParameterError, match=f"{name}.*openai_text.*the call set it") as caught:
        said(Message(role="user", content="Hello"), **{name: value})
    assert (caught.value.parameter, caught.value.layer) == (name, "call")
    assert not FLAVOR.takes_output_schema


@pytest.mark.parametrize(
    "message",
    [
        Message(role="assistant", tool_calls=(ToolCall(id="1", name="f"),)),
        Message(role="tool", content="42", tool_call_id="1"),
        Message(role="user", content=({"type": "image_url", "image_url": {"url": "https://example.org/x.png"}},)),
    ],
)
def test_a_message_that_is_not_text_is_refused_with_its_place(message: Message) -> None:
    with pytest.raises(MessageError, match="openai_text") as caught:
        said(Message(role="user", content="Hello"), message)
    assert caught.value.index == 1


@pytest.mark.parametrize("data", [b"{}", b'{"choices": []}', b"[]", b"null", b"<html>"])
def test_a_whole_body_that_is_no_answer_is_an_error(data: bytes) -> None:
    answer = read(FLAVOR.reader(Request(body={"model": "m"}, is_stream=False)), [data])
    assert "not an answer" in str(answer.error)
