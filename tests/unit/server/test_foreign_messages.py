"""Messages of every provider become the same messages; what nobody knows stays readable."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.messages import Message, ToolCall, message_from
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.foreign.messages import messages_of, refusal_of

PNG = "iVBORw0KGgo="
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
LINKED = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
PDF = {"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PNG}", "filename": "bill"}}
WEATHER = ToolCall(id="c1", name="weather", arguments='{"city":"Ulm"}')
CALLED_OPENAI = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Ulm"}'}}

ASKED = (
    Message(role="system", content="Be short."),
    Message(role="user", content="And in Ulm?"),
    Message(role="assistant", content="Let me see.", tool_calls=(WEATHER,)),
    Message(role="tool", tool_call_id="c1", content="Rain"),
    Message(role="assistant", content="It rains."),
)
"""One conversation; below, as each provider writes it."""

CONVERSATIONS: dict[str, list[Any]] = {
    "openai chat": [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "And in Ulm?"}]},
        {"role": "assistant", "content": "Let me see.", "tool_calls": [CALLED_OPENAI], "refusal": None, "audio": None},
        {"role": "tool", "tool_call_id": "c1", "content": "Rain"},
        {"index": 0, "message": {"role": "assistant", "content": "It rains."}, "finish_reason": "stop"},
    ],
    "openai responses": [
        {"role": "system", "content": "Be short."},
        {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "And in Ulm?"}]},
        {
            "type": "message",
            "role": "assistant",
            "id": "msg_1",
            "status": "completed",
            "content": [{"type": "output_text", "text": "Let me see.", "annotations": []}],
        },
        {"type": "function_call", "call_id": "c1", "id": "fc_1", "name": "weather", "arguments": '{"city":"Ulm"}'},
        {"type": "function_call_output", "call_id": "c1", "output": "Rain"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It rains."}]},
    ],
    "anthropic": [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": [{"type": "text", "text": "And in Ulm?", "cache_control": {"type": "ephemeral"}}]},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_use", "id": "c1", "name": "weather", "input": {"city": "Ulm"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "Rain"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "text", "text": "It rains."}], "usage": {}},
    ],
    "gemini": [
        {"role": "system", "parts": [{"text": "Be short."}]},
        {"role": "user", "parts": [{"text": "And in Ulm?"}]},
        {
            "role": "model",
            "parts": [
                {"text": "Let me see."},
                {"functionCall": {"id": "c1", "name": "weather", "args": {"city": "Ulm"}}},
            ],
        },
        {
            "role": "function",
            "parts": [{"function_response": {"id": "c1", "name": "weather", "response": "Rain"}}],
        },
        {"content": {"role": "model", "parts": [{"text": "It rains."}]}, "finishReason": "STOP"},
    ],
    "bedrock": [
        {"role": "system", "content": [{"text": "Be short."}]},
        {"role": "user", "content": [{"text": "And in Ulm?"}]},
        {
            "role": "assistant",
            "content": [
                {"text": "Let me see."},
                {"toolUse": {"toolUseId": "c1", "name": "weather", "input": {"city": "Ulm"}}},
            ],
        },
        {"role": "user", "content": [{"toolResult": {"toolUseId": "c1", "content": [{"text": "Rain"}]}}]},
        {"role": "assistant", "content": [{"text": "It rains."}]},
    ],
    "freeplay": [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "And in Ulm?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "Let me see."},
                {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Ulm"}},
            ],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_call_id": "c1", "content": "Rain"}]},
        {"role": "assistant", "content": "It rains."},
    ],
    "opentelemetry": [
        {"role": "system", "parts": [{"type": "text", "content": "Be short."}]},
        {"role": "user", "parts": [{"type": "text", "content": "And in Ulm?"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "text", "content": "Let me see."},
                {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Ulm"}},
            ],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "Rain"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "It rains."}], "finish_reason": "stop"},
    ],
    "other names": [
        {"type": "system", "content": "Be short."},
        {"type": "human", "content": "And in Ulm?"},
        {
            "type": "ai",
            "content": "Let me see.",
            "tool_calls": [{"id": "c1", "name": "weather", "args": {"city": "Ulm"}}],
        },
        {"role": "ipython", "tool_call_id": "c1", "content": "Rain"},
        {"role": "ASSISTANT", "content": "It rains."},
    ],
}


@pytest.mark.parametrize("messages", CONVERSATIONS.values(), ids=CONVERSATIONS)
def test_a_conversation_reads_alike_in_every_providers_words(messages: list[Any]) -> None:
    assert messages_of(messages) == ASKED


@pytest.mark.parametrize(
    ("block", "part"),
    [
        (IMAGE, IMAGE),
        ({"type": "input_image", "image_url": IMAGE["image_url"]["url"]}, IMAGE),
        ({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, IMAGE),
        ({"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}}, LINKED),
        ({"inlineData": {"mimeType": "image/png", "data": PNG}}, IMAGE),
        ({"inline_data": {"mime_type": "image/png", "data": PNG}}, IMAGE),
        ({"fileData": {"mimeType": "image/png", "fileUri": "https://example.com/a.png"}}, LINKED),
        ({"image": {"format": "png", "source": {"bytes": PNG}}}, IMAGE),
        ({"type": "blob", "mime_type": "image/png", "content": PNG}, IMAGE),
        ({"type": "image", "media_reference": {"base64Data": PNG, "contentType": "image/png"}}, IMAGE),
        (
            {
                "type": "document",
                "title": "bill",
                "source": {"type": "base64", "media_type": "application/pdf", "data": PNG},
            },
            PDF,
        ),
        ({"document": {"format": "pdf", "name": "bill", "source": {"bytes": PNG}}}, PDF),
        ({"type": "input_file", "file_data": PDF["file"]["file_data"], "filename": "bill"}, PDF),
        ({"type": "web_search_tool_result", "tool_use_id": "s1"}, None),
        ({"cachePoint": 1}, {"type": "text", "text": '{"cachePoint":1}'}),
        ({"type": "image", "source": {"type": "base64", "media_type": "x", "data": PNG}}, None),
        ({"type": "text"}, {"type": "text", "text": '{"type":"text"}'}),
    ],
)  # fmt: skip
def test_a_block_is_put_into_the_one_form_or_kept(block: dict[str, Any], part: dict[str, Any] | None) -> None:
    (message,) = messages_of([{"role": "user", "content": ["Look:", block]}])
    assert message.content == ({"type": "text", "text": "Look:"}, part or block)


@pytest.mark.parametrize(
    ("item", "reasoning", "blocks"),
    [
        ({"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}, "hm", 1),
        ({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"}, "hm", 1),
        ({"role": "model", "parts": [{"text": "hm", "thought": True}]}, "hm", 1),
        ({"role": "assistant", "content": [{"reasoningContent": {"reasoningText": {"text": "hm"}}}]}, "hm", 1),
        ({"role": "assistant", "content": None, "reasoning_content": "hm"}, "hm", 0),
    ],
)
def test_reasoning_is_told_from_the_answer(item: dict[str, Any], reasoning: str, blocks: int) -> None:
    (message,) = messages_of([item])
    assert (message.role, message.text, message.reasoning) == ("assistant", "", reasoning)
    assert len(message.reasoning_blocks) == blocks


@pytest.mark.parametrize(
    ("value", "role", "text"),
    [
        ("just text", "user", "just text"),
        (7, "user", "7"),
        ({"king": "x"}, "user", '{"king":"x"}'),
        ({"role": "king", "content": "x"}, "user", "x"),
        ({"role": "user", "utterance": "x"}, "user", '{"role":"user","utterance":"x"}'),
        ({"role": "user", "content": {"a": 1}}, "user", '{"a":1}'),
        ({"role": "assistant", "content": None}, "assistant", ""),
        ({"role": "assistant", "content": None, "refusal": "No."}, "assistant", "No."),
        ({"role": "assistant", "audio": {"id": "a", "transcript": "spoken"}}, "assistant", "spoken"),
    ],
)
def test_what_is_no_message_of_any_provider_stays_readable(value: object, role: str, text: str) -> None:
    (message,) = messages_of([value])
    assert (message.role, message.text) == (role, text)


def test_the_old_function_call_and_its_answer_go_together() -> None:
    called = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert messages_of([called, {"role": "function", "name": "f", "content": "1"}]) == (
        Message(role="assistant", tool_calls=(ToolCall(id="f", name="f"),)),
        Message(role="tool", name="f", tool_call_id="f", content="1"),
    )


def test_results_and_words_of_one_message_keep_their_order() -> None:
    result = {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "a"}, {"x": 1}]}
    said = messages_of([{"role": "user", "content": ["before", result, "after"]}])
    assert [message.role for message in said] == ["user", "tool", "user"]
    assert [message.text for message in said] == ["before", 'a{"x":1}', "after"]


def test_a_refusal_is_found_beside_the_content_and_in_it() -> None:
    assert refusal_of({"role": "assistant", "content": None, "refusal": "No."}) == "No."
    assert refusal_of({"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}) == "No."
    assert refusal_of({"role": "assistant", "content": "Yes."}) == ""
    assert refusal_of("text") == ""


WORDS = st.sampled_from(
    [
        *("role", "content", "parts", "type", "text", "tool_calls", "function", "name", "arguments", "id", "message"),
        *("assistant", "user", "tool", "model", "function_call", "functionCall", "toolUse", "toolResult", "image"),
        *("source", "inlineData", "mimeType", "data", "tool_use", "tool_result", "input", "thinking", "reasoning"),
        *("function_call_output", "call_id", "media_reference", "base64Data", "contentType", "image/png", PNG, "file"),
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), WORDS, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(WORDS, inner, max_size=5)),
    max_leaves=20,
)


@given(st.lists(VALUES, max_size=4))
def test_any_json_becomes_messages_that_can_be_kept_and_sent(values: list[Any]) -> None:
    messages = messages_of(values)
    assert [message_from(message) for message in messages] == list(messages)
    assert from_wire(to_wire(messages), tuple[Message, ...]) == messages


def test_deep_nesting_is_kept_as_text() -> None:
    deep: Any = "x"
    for _ in range(300):
        deep = [deep]
    (message,) = messages_of(
        [{"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "x": deep}, {"a": deep}]}]
    )
    assert (message.reasoning, message.reasoning_blocks) == ("hm", ())
    assert message.text.startswith('{"a":[[[')
