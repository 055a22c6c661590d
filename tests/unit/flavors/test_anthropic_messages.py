import json

import pytest

from freeplay_like.core.messages import Message, ToolCall, message_from
from freeplay_like.core.parameters import merge
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ConfigurationError, MessageError, ParameterError, ProviderResponseError
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.base import Request
from support.wire import Answer, read

FLAVOR = AnthropicClaudeChat("a key")
USER = Message(role="user", content="Hello")


def body(*messages: Message, is_stream: bool = True, **values: object) -> JsonObject:
    layers = [("flavor", FLAVOR.default_parameters), ("call", {"model": "claude", **values})]
    return FLAVOR.format(messages or (USER,), merge(layers), is_stream=is_stream).body


def answer(*events: JsonObject) -> Answer:
    reader = FLAVOR.reader(Request(body={"model": "claude"}, is_stream=True))
    return read(reader, [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events])


def finish(reason: object) -> JsonObject:
    return {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 3}}


# --- formatting ---


def test_the_limit_that_the_api_wants_has_a_default() -> None:
    assert body() == {
        "model": "claude",
        "max_tokens": 4096,
        "messages": [{"role": "user", "content": "Hello"}],
        "stream": True,
    }
    assert "stream" not in body(is_stream=False)


def test_system_and_developer_messages_become_the_system_text() -> None:
    sent = body(Message(role="system", content="A"), USER, Message(role="developer", content="B"))
    assert sent["system"] == "A\n\nB"
    assert sent["messages"] == [{"role": "user", "content": "Hello"}]


def test_system_parts_stay_blocks_and_keep_their_marks() -> None:
    marked = {"type": "text", "text": "A", "cache_control": {"type": "ephemeral"}}
    sent = body(Message(role="system", content=(marked,)), Message(role="system", content="B"), USER)
    assert sent["system"] == [marked, {"type": "text", "text": "B"}]


def test_tool_calls_and_their_results_become_blocks() -> None:
    sent = body(
        USER,
        Message(
            role="assistant",
            content="Wait.",
            tool_calls=(ToolCall(id="1", name="f", arguments='{"a":1}'), ToolCall(id="2", name="g")),
        ),
        Message(role="tool", content="x", tool_call_id="1"),
        Message(role="tool", content=({"type": "text", "text": "y"},), tool_call_id="2"),
        USER,
    )
    assert sent["messages"] == [
        {"role": "user", "content": "Hello"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Wait."},
                {"type": "tool_use", "id": "1", "name": "f", "input": {"a": 1}},
                {"type": "tool_use", "id": "2", "name": "g", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "1", "content": "x"},
                {"type": "tool_result", "tool_use_id": "2", "content": [{"type": "text", "text": "y"}]},
            ],
        },
        {"role": "user", "content": "Hello"},
    ]


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (
            Message(role="user", content=({"type": "image_url"},)),
            "message 1 .* part that is of type 'image_url'; expected",
        ),
        (Message(role="assistant"), "message 1 .* has no content"),
        (Message(role="tool", content="x"), "message 1 .* no tool_call_id"),
        (Message(role="assistant", tool_calls=(ToolCall(id="1", name="f", arguments="[1]"),)), "not a JSON object"),
    ],
)
def test_what_the_format_cannot_say_is_refused_with_its_place(message: Message, said: str) -> None:
    with pytest.raises(MessageError, match=said) as caught:
        body(USER, message)
    assert caught.value.index == 1


def test_a_system_text_alone_is_no_conversation() -> None:
    with pytest.raises(ConfigurationError, match="not the system's"):
        body(Message(role="system", content="A"))


def test_other_formats_names_are_understood() -> None:
    sent = body(stop="x", max_completion_tokens=7)
    assert sent["stop_sequences"] == ["x"]
    assert sent["max_tokens"] == 7
    assert "stop" not in sent
    assert "max_completion_tokens" not in sent


def test_of_two_names_for_one_thing_the_later_layer_wins() -> None:
    def limit(*layers: tuple[str, dict[str, object]]) -> object:
        merged = merge([("flavor", FLAVOR.default_parameters), ("template", {"model": "claude"}), *layers])
        return FLAVOR.format((USER,), merged, is_stream=True).body["max_tokens"]

    assert limit(("client", {"max_completion_tokens": 7}), ("call", {"max_tokens": 8})) == 8
    assert limit(("client", {"max_tokens": 8}), ("call", {"max_completion_tokens": 7})) == 7
    assert limit(("call", {"max_tokens": 8, "max_completion_tokens": 7})) == 8


def test_tools_in_openais_shape_are_turned_into_this_one() -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    own = {"name": "g", "input_schema": schema}
    function = {"name": "f", "description": "d", "parameters": schema}
    sent = body(tools=[{"type": "function", "function": function}, own], tool_choice="required")
    assert sent["tools"] == [{"name": "f", "description": "d", "input_schema": schema}, own]
    assert sent["tool_choice"] == {"type": "any"}


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("auto", {"type": "auto"}),
        ("none", {"type": "none"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "tool", "name": "f"}),
        ({"type": "tool", "name": "f"}, {"type": "tool", "name": "f"}),
    ],
)
def test_a_choice_of_tool_is_understood_in_both_shapes(choice: object, sent: object) -> None:
    assert body(tool_choice=choice)["tool_choice"] == sent


# --- reading ---


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "refusal"),
        ("pause_turn", "pause"),
        ("something_new", "other"),
    ],
)
def test_finish_reasons_are_ours_and_the_providers_word_is_kept(raw: str, reason: str) -> None:
    choice = answer(finish(raw)).response.choices[0]
    assert (choice.finish_reason, choice.finish_reason_raw) == (reason, raw)


def test_the_end_of_the_message_alone_is_no_finish_reason() -> None:
    assert answer({"type": "message_stop"}).response.finish_reason is None


def test_counts_that_come_again_replace_those_before() -> None:
    usage = {"input_tokens": 5, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3, "output_tokens": 1}
    start = {"type": "message_start", "message": {"id": "m", "model": "claude-1", "usage": usage}}
    details = {"output_tokens_details": {"thinking_tokens": 4}}
    later = {**finish("end_turn"), "usage": {"output_tokens": 0, "input_tokens": None, **details}}
    response = answer(start, finish(None), later).response
    assert response.usage.input_tokens == 10
    assert response.usage.cached_input_tokens == 3
    assert response.usage.cache_write_tokens == 2
    assert response.usage.output_tokens == 0
    assert response.usage.reasoning_tokens == 4
    assert (response.model, response.response_id) == ("claude-1", "m")


def test_text_in_the_beginning_of_a_block_is_kept() -> None:
    block = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "A"}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "B"}}
    assert answer(block, delta).response.text == "AB"


def test_events_and_deltas_of_unknown_types_say_nothing() -> None:
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "new_delta", "news": 1}}
    assert answer({"type": "new_event"}, delta, {"type": "ping"}, finish("end_turn")).response.text == ""


@pytest.mark.parametrize("data", [b"{}", b"null", b"<html>", b'{"content":7}'])
def test_a_whole_body_that_is_no_message_is_an_error(data: bytes) -> None:
    reader = FLAVOR.reader(Request(body={}, is_stream=False))
    assert type(read(reader, [data]).error) is ProviderResponseError


# --- unified parameters ---


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        (True, {"thinking": {"type": "adaptive"}}),
        (False, {"thinking": {"type": "disabled"}}),
        ({"effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"max_tokens": 2000}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}),
        ({"effort": "high"}, {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}}),
        (
            {"effort": "low", "max_tokens": 2000},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "output_config": {"effort": "low"}},
        ),
    ],
)
def test_reasoning_is_thinking_and_effort(asked: object, sent: JsonObject) -> None:
    formatted = body(reasoning=asked)
    assert {name: formatted[name] for name in ("thinking", "output_config") if name in formatted} == sent
    assert "reasoning" not in formatted


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"reasoning": {"max_tokens": 4096}}, r"max_tokens=4096, .* max_tokens=4096 \(set by the flavor\)"),
        ({"reasoning": {"max_tokens": 9}, "max_tokens": 5}, r"max_tokens=9, .* max_tokens=5 \(set by the call\)"),
        ({"reasoning": {"max_tokens": 9}, "max_completion_tokens": 5}, r"max_tokens=5 \(set by the call\)"),
        ({"reasoning": {"effort": "minimal"}}, "an effort of low, medium, high, xhigh, max"),
        ({"reasoning": {"summary": "auto"}}, "names 'summary'"),
        ({"reasoning": True, "thinking": {"type": "disabled"}}, "says the same as 'thinking'"),
        (
            {"reasoning": {"effort": "low"}, "output_config": {"effort": "max"}},
            "says the same as 'output_config.effort'",
        ),
    ],
)
def test_reasoning_that_cannot_be_is_refused(values: dict[str, object], said: str) -> None:
    with pytest.raises(ParameterError, match=said) as caught:
        body(**values)
    assert (caught.value.parameter, caught.value.layer) == ("reasoning", "call")


def test_a_schema_binds_the_answer_beside_what_was_configured() -> None:
    schema = {"type": "object", "title": "Trip"}
    sent = body(output_schema=schema, output_config={"effort": "low"})
    assert sent["output_config"] == {"effort": "low", "format": {"type": "json_schema", "schema": schema}}
    with pytest.raises(ParameterError, match=r"output_config\.format"):
        body(output_schema=schema, output_config={"format": {}})


def test_a_callers_configuration_is_left_as_it_was() -> None:
    config: dict[str, object] = {}
    body(reasoning={"effort": "low"}, output_config=config)
    assert config == {}


def test_plain_and_server_tools_are_understood() -> None:
    schema = {"type": "object"}
    server = {"type": "web_search_20250305", "name": "web_search"}
    sent = body(tools=[{"name": "f", "parameters": schema}, server, {"name": "g"}], tool_choice={"name": "f"})
    assert sent["tools"] == [
        {"name": "f", "input_schema": schema},
        server,
        {"name": "g", "input_schema": {"type": "object", "properties": {}}},
    ]
    assert sent["tool_choice"] == {"type": "tool", "name": "f"}


# --- reasoning that is wanted back ---

SIGNED = {"type": "thinking", "thinking": "Let me see.", "signature": "c2ln"}
REDACTED = {"type": "redacted_thinking", "data": "enc"}


def block_events(index: int, block: JsonObject, *deltas: JsonObject) -> list[JsonObject]:
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def test_signed_reasoning_is_kept_and_sent_back_before_the_tool_call() -> None:
    events = [
        *block_events(
            0,
            {"type": "thinking", "thinking": "", "signature": ""},
            {"type": "thinking_delta", "thinking": "Let me "},
            {"type": "thinking_delta", "thinking": "see."},
            {"type": "signature_delta", "signature": "c2ln"},
        ),
        *block_events(1, REDACTED),
        *block_events(2, {"type": "tool_use", "id": "t", "name": "f", "input": {}}),
        finish("tool_use"),
    ]
    response = answer(*events).response
    assert response.choices[0].reasoning == "Let me see."
    assert response.choices[0].reasoning_blocks == (SIGNED, REDACTED)
    again = message_from(response.message.to_chat())
    assert again == response.message
    sent = body(USER, again, Message(role="tool", content="x", tool_call_id="t"))
    assert sent["messages"][1]["content"] == [
        SIGNED,
        REDACTED,
        {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    ]


def test_reasoning_is_kept_from_a_whole_answer_too() -> None:
    whole = {"type": "message", "content": [SIGNED, REDACTED, {"type": "text", "text": "a"}], "stop_reason": "end_turn"}
    reader = FLAVOR.reader(Request(body={}, is_stream=False))
    response = read(reader, [json.dumps(whole).encode()]).response
    assert (response.text, response.choices[0].reasoning_blocks) == ("a", (SIGNED, REDACTED))


def test_reasoning_that_nobody_signed_is_not_sent_back() -> None:
    events = block_events(0, {"type": "thinking", "thinking": "hm"}, {"type": "thinking_delta", "thinking": "!"})
    response = answer(*events, finish("end_turn")).response
    assert (response.choices[0].reasoning, response.choices[0].reasoning_blocks) == ("hm!", ())


def test_blocks_of_other_providers_are_left_out() -> None:
    foreign = Message(role="assistant", content="a", reasoning_blocks=({"type": "reasoning", "id": "r"},))
    assert body(USER, foreign)["messages"][1] == {"role": "assistant", "content": "a"}
