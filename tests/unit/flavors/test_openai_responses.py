import json

import pytest

from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.parameters import merge
from freeplay_like.errors import ConfigurationError, MessageError, ParameterError
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.openai_responses import OpenAIResponses
from support.wire import Answer, read

FLAVOR = OpenAIResponses("a key")
HELLO = Message(role="user", content="Hello")
CLOSED = {"title": "A city", "type": "object", "properties": {"n": {"type": "string"}}}
CLOSED |= {"required": ["n"], "additionalProperties": False}


def said(*messages: Message, is_stream: bool = False, **parameters: object) -> dict[str, object]:
    layers = [("flavor", FLAVOR.default_parameters), ("call", {"model": "m", **parameters})]
    return FLAVOR.format(messages or (HELLO,), merge(layers), is_stream=is_stream).body


def events(*values: dict[str, object]) -> Answer:
    data = b"".join(f"event: {v['type']}\ndata: {json.dumps(v)}\n\n".encode() for v in values)
    return read(FLAVOR.reader(Request(body={"model": "m"}, is_stream=True)), [data])


def whole(**values: object) -> Answer:
    return read(FLAVOR.reader(Request(body={"model": "m"}, is_stream=False)), [json.dumps(values).encode()])


# --- messages ---


def test_what_comes_before_the_conversation_is_its_instructions() -> None:
    body = said(Message(role="system", content="Be brief."), Message(role="developer", content="Be kind."), HELLO)
    assert body == {
        "model": "m",
        "instructions": "Be brief.\n\nBe kind.",
        "input": [{"role": "user", "content": "Hello"}],
    }


@pytest.mark.parametrize(
    ("messages", "parameters"),
    [
        ([Message(role="system", content="Be brief."), HELLO], {"instructions": "Be long."}),
        ([Message(role="system", content=({"type": "text", "text": "Be brief."},)), HELLO], {}),
        ([HELLO, Message(role="developer", content="Be brief.")], {}),
        ([Message(role="system", content="Be brief.")], {}),
    ],
)
def test_instructions_that_cannot_stand_apart_stay_in_the_input(
    messages: list[Message], parameters: dict[str, object]
) -> None:
    body = said(*messages, **parameters)
    assert body.get("instructions") == parameters.get("instructions")
    assert [item["role"] for item in body["input"]] == [message.role for message in messages]


def test_tool_calls_and_their_results_are_items() -> None:
    calls = (
        ToolCall(id="c1", name="weather", arguments='{"city":"Lyon"}'),
        ToolCall(id="c2", name="run", arguments="x"),
    )
    body = said(
        HELLO,
        Message(role="assistant", content="Let me look.", tool_calls=calls),
        Message(role="tool", content="Sunny", tool_call_id="c1"),
        Message(role="tool", content=({"type": "text", "text": "done"},), tool_call_id="c2"),
        tools=[{"name": "weather", "description": "", "parameters": {}}, {"type": "custom", "name": "run"}],
    )
    look = {"type": "output_text", "text": "Let me look.", "annotations": []}
    assert body["input"][1:] == [
        {"type": "message", "role": "assistant", "content": [look]},
        {"type": "function_call", "call_id": "c1", "name": "weather", "arguments": '{"city":"Lyon"}'},
        {"type": "custom_tool_call", "call_id": "c2", "name": "run", "input": "x"},
        {"type": "function_call_output", "call_id": "c1", "output": "Sunny"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "done"}]},
    ]


def test_encrypted_reasoning_goes_back_before_the_calls_it_led_to() -> None:
    block = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    foreign = {"type": "thinking", "thinking": "hm", "signature": "x"}
    message = Message(
        role="assistant", tool_calls=(ToolCall(id="c1", name="f"),), reasoning="hm", reasoning_blocks=(foreign, block)
    )
    items = said(HELLO, message, Message(role="tool", content="1", tool_call_id="c1"))["input"]
    assert [item.get("type") for item in items] == [None, "reasoning", "function_call", "function_call_output"]
    assert items[1] == block


@pytest.mark.parametrize(
    ("part", "sent"),
    [
        ({"type": "text", "text": "a"}, {"type": "input_text", "text": "a"}),
        (
            {"type": "image_url", "image_url": {"url": "https://example.org/x.png", "detail": "low"}},
            {"type": "input_image", "image_url": "https://example.org/x.png", "detail": "low"},
        ),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
        ),
        (
            {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA", "filename": "x.pdf"}},
            {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "x.pdf"},
        ),
        (
            {"type": "file", "file": {"file_url": "https://example.org/x.pdf"}},
            {"type": "input_file", "file_url": "https://example.org/x.pdf"},
        ),
        ({"type": "file", "file": {"file_id": "file-1"}}, {"type": "input_file", "file_id": "file-1"}),
        ({"type": "input_image", "file_id": "file-2"}, {"type": "input_image", "file_id": "file-2"}),
    ],
)
def test_content_parts_are_put_into_this_apis_words(part: dict[str, object], sent: dict[str, object]) -> None:
    assert said(Message(role="user", content=(part,)))["input"] == [{"role": "user", "content": [sent]}]


@pytest.mark.parametrize(
    "message",
    [
        Message(role="user", content=({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}},)),
        Message(role="assistant", content=({"type": "image_url", "image_url": {"url": "https://example.org/x"}},)),
        Message(role="assistant"),
        Message(role="tool", content="42"),
    ],
)
def test_what_the_format_cannot_say_is_refused_with_its_place(message: Message) -> None:
    with pytest.raises(MessageError) as caught:
        said(HELLO, message)
    assert caught.value.index == 1


def test_no_message_at_all_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="needs a message"):
        FLAVOR.format((), merge([("call", {"model": "m"})]), is_stream=True)


# --- parameters ---


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_limit_has_a_name_of_its_own(name: str) -> None:
    body = said(**{name: 5})
    assert body["max_output_tokens"] == 5
    assert name not in body


def test_nothing_is_sent_that_nobody_set() -> None:
    assert set(said(is_stream=True)) == {"model", "input", "stream"}
    assert said(store=False)["store"] is False


def test_tools_are_sent_without_chats_nesting() -> None:
    function = {"name": "f", "description": "F", "parameters": CLOSED}
    native = {"type": "web_search"}
    body = said(tools=[{"type": "function", "function": {**function, "strict": True}}, {"name": "g"}, native])
    assert body["tools"] == [
        {"type": "function", **function, "strict": True},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": False},
        native,
    ]


@pytest.mark.parametrize(
    ("choice", "sent"),
    [
        ("required", "required"),
        ({"name": "f"}, {"type": "function", "name": "f"}),
        ({"type": "function", "function": {"name": "f"}}, {"type": "function", "name": "f"}),
        ({"name": "run"}, {"type": "custom", "name": "run"}),
        ({"type": "web_search"}, {"type": "web_search"}),
    ],
)
def test_a_choice_of_tool_is_understood_in_every_shape(choice: object, sent: object) -> None:
    assert said(tools=[{"name": "f"}, {"type": "custom", "name": "run"}], tool_choice=choice)["tool_choice"] == sent


@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        (
            {"output_schema": CLOSED},
            {"format": {"type": "json_schema", "name": "A_city", "schema": CLOSED, "strict": True}},
        ),
        (
            {"output_schema": {"type": "object"}, "text": {"verbosity": "low"}},
            {
                "verbosity": "low",
                "format": {"type": "json_schema", "name": "answer", "schema": {"type": "object"}, "strict": False},
            },
        ),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "c", "schema": {"type": "object"}}}},
            {"format": {"type": "json_schema", "name": "c", "schema": {"type": "object"}}},
        ),
        ({"response_format": {"type": "json_object"}}, {"format": {"type": "json_object"}}),
    ],
)
def test_a_schema_becomes_the_format_of_the_text(parameters: dict[str, object], sent: object) -> None:
    body = said(**parameters)
    assert body["text"] == sent
    assert not {"output_schema", "response_format"} & set(body)


@pytest.mark.parametrize(
    ("parameters", "sent"),
    [
        ({"reasoning": True}, {"effort": "medium"}),
        ({"reasoning": False}, {"effort": "none"}),
        ({"reasoning": {"effort": "high"}}, {"effort": "high"}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"effort": "low", "summary": "auto"}),
        ({"reasoning": {"summary": "auto"}}, {"summary": "auto"}),
        ({"reasoning_effort": "low"}, {"effort": "low"}),
    ],
)
def test_reasoning_is_an_effort(parameters: dict[str, object], sent: object) -> None:
    body = said(**parameters)
    assert body["reasoning"] == sent
    assert "reasoning_effort" not in body


def test_log_probabilities_are_things_to_be_included() -> None:
    wanted = "message.output_text.logprobs"
    assert said(logprobs=True, top_logprobs=2, include=["x"])["include"] == ["x", wanted]
    assert said(logprobs=True, include=[wanted])["include"] == [wanted]
    assert not {"include", "logprobs"} & set(said(logprobs=False))


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"n": 2}, "n"),
        ({"stop": "x"}, "stop"),
        ({"reasoning": {"max_tokens": 100}}, "reasoning"),
        ({"reasoning": True, "reasoning_effort": "low"}, "reasoning"),
        ({"output_schema": CLOSED, "text": {"format": {"type": "text"}}}, "output_schema"),
        ({"output_schema": CLOSED, "response_format": {"type": "json_object"}}, "output_schema"),
        ({"response_format": {"type": "json_object"}, "text": {"format": {"type": "text"}}}, "response_format"),
    ],
)
def test_what_cannot_be_said_or_is_said_twice_is_refused_with_its_layer(
    parameters: dict[str, object], named: str
) -> None:
    with pytest.raises(ParameterError) as caught:
        said(**parameters)
    assert (caught.value.parameter, caught.value.layer) == (named, "call")


# --- reading ---


def test_pieces_are_put_together_whatever_their_events_say_of_their_item() -> None:
    """llama.cpp names the item of a call by the call's id, and gives no places."""
    call = {"type": "function_call", "call_id": "fc_1", "name": "f", "arguments": ""}
    answer = events(
        {"type": "response.output_item.added", "item": call},
        {"type": "response.function_call_arguments.delta", "item_id": "fc_1", "delta": '{"a"'},
        {"type": "response.function_call_arguments.delta", "delta": ":1}"},
        {"type": "response.output_item.done", "item": {**call, "arguments": '{"a":1}'}},
        {"type": "response.completed", "response": {"id": "r", "output": [{**call, "arguments": '{"a":1}'}]}},
    )
    assert [(c.id, c.name, c.arguments) for c in answer.response.tool_calls] == [("fc_1", "f", '{"a":1}')]


def test_an_answer_without_pieces_is_taken_from_its_last_event() -> None:
    item = {"type": "message", "content": [{"type": "output_text", "text": "Loire"}]}
    block = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}
    last = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": [block, item]}}
    choice = events({"type": "response.created", "response": {"id": "r"}}, last).response.choices[0]
    assert (choice.text, choice.finish_reason, choice.reasoning_blocks) == ("Loire", "stop", (block,))


def test_a_response_that_has_not_ended_has_no_finish_reason() -> None:
    for status in ("queued", "in_progress", "cancelled"):
        answer = whole(id="r", status=status, output=[])
        assert (answer.error, answer.response.finish_reason, answer.response.response_id) == (None, None, "r")


@pytest.mark.parametrize(
    ("details", "raw", "reason"),
    [
        ({"reason": "max_output_tokens"}, "max_output_tokens", "length"),
        ({"reason": "content_filter"}, "content_filter", "content_filter"),
        ({"reason": "steered"}, "steered", "other"),
        (None, "incomplete", "other"),
    ],
)
def test_an_incomplete_response_says_why(details: object, raw: str, reason: str) -> None:
    choice = whole(status="incomplete", incomplete_details=details, output=[]).response.choices[0]
    assert (choice.finish_reason_raw, choice.finish_reason) == (raw, reason)


@pytest.mark.parametrize(
    "value",
    [
        {"type": "error", "code": "server_error", "message": "boom"},
        {"type": "error", "error": {"code": "server_error", "message": "boom"}},
        {"type": "response.failed", "response": {"error": {"code": "server_error", "message": "boom"}}},
    ],
)
def test_a_failure_is_raised_after_the_text_before_it(value: dict[str, object]) -> None:
    answer = events({"type": "response.output_text.delta", "output_index": 0, "delta": "Loi"}, value)
    assert answer.response.text == "Loi"
    assert type(answer.error).__name__ == "ProviderUnavailable"
    assert "boom" in str(answer.error)


def test_nothing_is_read_after_the_end() -> None:
    last = {"type": "response.completed", "response": {"id": "r", "status": "completed", "output": []}}
    more = {"type": "response.output_text.delta", "output_index": 0, "delta": "more"}
    assert events(last, more).response.text == ""


def test_names_of_the_wrong_type_are_not_looked_at() -> None:
    item = {"type": "function_call", "id": [1], "call_id": {}, "name": 5, "arguments": None}
    answer = events(
        {"type": "response.output_item.added", "item": item},
        {"type": "response.output_text.delta", "item_id": {"a": 1}, "delta": "Loire", "logprobs": {}},
        {"type": "response.output_text.delta", "item_id": ["a"], "delta": 7},
    )
    assert (answer.error, answer.response.text) == (None, "Loire")
    assert [(call.id, call.name) for call in answer.response.tool_calls] == [("", "")]
