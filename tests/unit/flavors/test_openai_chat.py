import json

import pytest

from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.parameters import merge
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import (
    ConfigurationError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResponseError,
    ProviderUnavailable,
)
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.openai_chat import OpenAIChat
from support.wire import Answer, read

FLAVOR = OpenAIChat("a key")
HELLO = (Message(role="user", content="Hello"),)


def body(messages: tuple[Message, ...] = HELLO, *, is_stream: bool = True, **values: object) -> JsonObject:
    layers = [("flavor", FLAVOR.default_parameters), ("call", {"model": "gpt-4o", **values})]
    return FLAVOR.format(messages, merge(layers), is_stream=is_stream).body


def answer(*events: object, is_stream: bool = True) -> Answer:
    reader = FLAVOR.reader(Request(body={"model": "gpt-4o"}, is_stream=is_stream))
    return read(reader, [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events])


def delta(finish: object = None, index: int | None = 0, **fields: object) -> JsonObject:
    return {"choices": [{"index": index, "delta": fields, "finish_reason": finish}]}


# --- formatting ---


def test_a_stream_asks_for_token_counts() -> None:
    assert body() == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_token_counts_can_be_left_out() -> None:
    assert "stream_options" not in body(stream_options=None)


def test_a_whole_answer_says_nothing_of_streams() -> None:
    assert body(is_stream=False, temperature=0) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": "Hello"}],
        "temperature": 0,
    }


def test_tool_calls_and_parts_are_sent_as_they_are() -> None:
    part = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    messages = (
        Message(role="user", content=(part,)),
        Message(role="assistant", tool_calls=(ToolCall(id="c1", name="f", arguments='{"a":1}'),)),
        Message(role="tool", content="2", tool_call_id="c1"),
    )
    function = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert body(messages)["messages"] == [
        {"role": "user", "content": [part]},
        {"role": "assistant", "content": None, "tool_calls": [function]},
        {"role": "tool", "content": "2", "tool_call_id": "c1"},
    ]


def test_without_a_model_the_error_says_where_to_set_one() -> None:
    with pytest.raises(ConfigurationError, match=r"no model .* template's version"):
        FLAVOR.format(HELLO, merge([]), is_stream=True)


# --- reading ---


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("eos", "other"),
        ("", None),
        (None, None),
        (7, None),
    ],
)
def test_finish_reasons_are_ours_and_the_providers_word_is_kept(raw: object, reason: str | None) -> None:
    choice = answer(delta(content="a"), delta(raw)).response.choices[0]
    assert choice.finish_reason == reason
    assert choice.finish_reason_raw == (raw if reason else None)


def test_null_content_and_fields_nobody_knows_are_fine() -> None:
    event = delta(content=None, annotations=[{"x": 1}], audio=None)
    assert answer({**event, "service_tier": None, "obfuscation": "x"}, delta(content="a")).response.text == "a"


def test_the_event_stays_reachable_from_its_chunk() -> None:
    reader = FLAVOR.reader(Request(body={}, is_stream=True))
    (chunk,) = reader.feed(b'data: {"choices":[{"delta":{"content":"a"}}],"citations":["x"]}\n\n')
    assert chunk.raw == {"choices": [{"delta": {"content": "a"}}], "citations": ["x"]}


def test_reasoning_is_read_under_both_names() -> None:
    choice = answer(delta(reasoning="a"), delta(reasoning_content="b"), delta(reasoning="c")).response.choices[0]
    assert choice.reasoning == "abc"


def test_content_in_parts_and_arguments_as_an_object_are_read() -> None:
    parts = [{"type": "text", "text": "a"}, {"type": "image"}, {"type": "text", "text": "b"}]
    call = {"id": "c1", "function": {"name": "f", "arguments": {"x": 1}}}
    response = answer(delta(content=parts), delta(tool_calls=[call])).response
    assert response.text == "ab"
    assert response.tool_calls == (ToolCall(id="c1", name="f", arguments='{"x":1}'),)


def test_a_choice_without_an_index_counts_by_its_place() -> None:
    assert answer(delta(content="a", index=None), delta(content="b", index=None)).response.text == "ab"


def test_a_choice_that_only_said_its_role_is_waited_for() -> None:
    response = answer(delta(role="assistant"), delta(role="assistant", index=1), delta("stop", content="a")).response
    assert [choice.finish_reason for choice in response.choices] == ["stop", None]


def test_nothing_is_read_after_the_end() -> None:
    reader = FLAVOR.reader(Request(body={}, is_stream=True))
    event = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
    assert read(reader, [event + b"data: [DONE]\n\n" + event, event, b"data: {bad\n\n"]) == Answer(
        read(FLAVOR.reader(Request(body={}, is_stream=True)), [event]).response
    )


def test_comments_alone_are_an_end_without_an_answer() -> None:
    reader = FLAVOR.reader(Request(body={}, is_stream=True))
    assert read(reader, [b": keep-alive\n\n", b": keep-alive\n\n"]).error is None


@pytest.mark.parametrize(
    ("error", "kind", "code"),
    [
        ({"message": "m", "type": "server_error"}, ProviderUnavailable, "server_error"),
        ({"message": "m", "type": "x", "code": "rate_limit_exceeded"}, ProviderRateLimited, "rate_limit_exceeded"),
        ({"message": "m", "type": "invalid_request_error", "code": None}, ProviderRejected, "invalid_request_error"),
        ({"message": "m", "code": 502}, ProviderUnavailable, "502"),
        ({"message": "m", "code": 429}, ProviderRateLimited, "429"),
        ({"message": "m", "type": "weather"}, ProviderError, "weather"),
        ("m", ProviderError, None),
    ],
)
def test_a_failure_in_the_stream_is_told_by_its_type_or_code(
    error: object, kind: type[ProviderError], code: str | None
) -> None:
    for is_stream in (True, False):
        reader = FLAVOR.reader(Request(body={"model": "gpt-4o"}, is_stream=is_stream))
        data = json.dumps({"error": error}).encode()
        caught = read(reader, [b"data: " + data + b"\n\n" if is_stream else data]).error
        assert type(caught) is kind
        assert caught.code == code
        assert caught.model == "gpt-4o"
        assert str(caught).endswith(": m")


def test_an_exhausted_quota_is_not_worth_another_try() -> None:
    caught = answer({"error": {"message": "m", "code": "insufficient_quota"}}).error
    assert type(caught) is ProviderRateLimited
    assert not caught.retryable


@pytest.mark.parametrize("data", [b"{}", b"[]", b"null", b"", b"<html>", b'{"choices":[]}', b'{"choices":7}', b"\xff"])
def test_a_whole_body_that_is_no_answer_is_an_error(data: bytes) -> None:
    reader = FLAVOR.reader(Request(body={}, is_stream=False))
    assert type(read(reader, [data]).error) is ProviderResponseError


@pytest.mark.parametrize("data", [b"{bad", b"[]", b'{"choices":7}', b"\xff", b"[" * 10_000])
def test_an_event_that_is_no_chunk_is_an_error_that_shows_its_beginning(data: bytes) -> None:
    reader = FLAVOR.reader(Request(body={}, is_stream=True))
    caught = read(reader, [b"data: " + data + b"\n\n"]).error
    assert type(caught) is ProviderResponseError
    assert len(str(caught)) < 500
