"""What a client of Freeplay's sends of a call becomes a record of ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import attrs
import pytest

from freeplay_like.core.chunks import Usage
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.records import Record, TemplateRef
from freeplay_like.core.wire import WireError, from_wire, to_wire
from freeplay_like.server.foreign.bodies import NewCompletion
from freeplay_like.server.foreign.records import Around, answered, is_waiting, record_of, split_answer

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
AROUND = Around(record_id="r", project_id="p", session_id="s", received_at=NOW)
ASKED = [{"role": "user", "content": "Q"}]
ANSWERED = [*ASKED, {"role": "assistant", "content": "A"}]


def record(body: dict[str, Any], **around: object) -> Record:
    said = from_wire(to_wire({"messages": ANSWERED, **body}), NewCompletion)
    made = record_of(said, attrs.evolve(AROUND, **around))
    assert from_wire(to_wire(made), Record) == made
    return made


def test_the_last_message_is_the_answer_and_the_rest_the_prompt() -> None:
    made = record({})
    assert (made.messages, made.text, made.outcome) == ((Message(role="user", content="Q"),), "A", "complete")
    assert (made.started_at, made.ended_at, made.latency_ms) == (NOW, NOW, None)
    assert made.request == {"messages": ANSWERED}


def test_everything_that_is_said_of_a_call_finds_its_place() -> None:
    made = record(
        {
            "inputs": {"question": "Q"},
            "media_inputs": {"pic": {"type": "url", "url": "u"}},
            "tool_schema": [{"name": "f"}],
            "output_schema": {"type": "object"},
            "session_info": {"custom_metadata": {"user": "u-1", "n": 3}},
            "custom_metadata": {"n": 4},
            "call_info": {
                "start_time": 1795226499.5,
                "end_time": 1795226500.75,
                "model": "gpt-4o",
                "provider": "openai",
                "provider_info": {"region": "eu"},
                "llm_parameters": {"temperature": 0.25, "seed": None},
                "usage": {"prompt_tokens": 123, "completion_tokens": 45},
                "api_style": "default",
            },
            "test_run_info": {"test_run_id": "run", "test_case_id": "case"},
            "trace_info": {"trace_id": "t"},
            "parent_id": "parent",
        },
        template=TemplateRef(name="n"),
        parent_is_record=True,
        sdk="Freeplay/0.6.1",
    )
    assert made.variables == {"question": "Q", "pic": {"type": "url", "url": "u"}}
    assert made.metadata == {"user": "u-1", "n": 4}
    assert {name: (each.value, each.layer) for name, each in made.parameters.items()} == {
        "model": ("gpt-4o", "call"),
        "temperature": (0.25, "call"),
        "tools": ([{"name": "f"}], "call"),
        "output_schema": ({"type": "object"}, "call"),
    }
    assert (made.provider, made.flavor, made.model, made.requested_model) == (
        "openai",
        "openai_chat",
        "gpt-4o",
        "gpt-4o",
    )
    assert made.started_at == datetime(2026, 11, 21, 2, 1, 39, 500_000, tzinfo=UTC)
    assert (made.latency_ms, made.usage) == (1250.0, Usage(input_tokens=123, output_tokens=45))
    assert (made.test_run_id, made.test_case_id, made.trace_id, made.parent_id) == ("run", "case", "t", "parent")
    assert made.request == {"messages": ANSWERED, "provider_info": {"region": "eu"}, "api_style": "default"}
    assert (made.sdk, made.template) == ("Freeplay/0.6.1", TemplateRef(name="n"))


def test_a_parent_that_is_no_record_is_a_trace() -> None:
    assert record({"parent_id": "x"}).trace_id == "x"
    assert record({"parent_id": "x"}, parent_is_record=True).trace_id is None


def test_a_call_without_an_answer_waits_for_it_and_gets_it_later() -> None:
    waiting = record({"messages": ASKED, "call_info": {"start_time": 1.0, "end_time": 2.0}})
    assert (waiting.outcome, waiting.ended_at, waiting.choices, is_waiting(waiting)) == ("interrupted", None, (), True)
    later = {"role": "assistant", "content": None, "refusal": "No."}
    whole = answered(waiting, Message(role="assistant", content="No."), later, NOW)
    assert (whole.outcome, whole.ended_at, whole.choices[0].refusal, whole.text) == ("refused", NOW, "No.", "")
    assert not is_waiting(whole)


def test_details_of_ours_are_taken_over() -> None:
    details = {
        "outcome": "error",
        "error": {"type": "ProviderTimeout", "message": "late"},
        "flavor": "anthropic_text",
        "requested_model": "asked",
        "parameters": {"top_p": {"value": 1, "layer": "template", "overrode": [{"layer": "flavor", "value": 0}]}},
        "is_stream": True,
        "latency_ms": 5.5,
        "time_to_first_chunk_ms": 1.5,
        "timeline": [[1.5, 3]],
        "response_id": "resp",
    }
    made = record({"details": details, "call_info": {"model": "answered"}})
    assert (made.outcome, made.error and made.error.type, made.text) == ("error", "ProviderTimeout", "A")
    assert (made.flavor, made.requested_model, made.model) == ("anthropic_text", "asked", "answered")
    assert (made.is_stream, made.latency_ms, made.time_to_first_chunk_ms) == (True, 5.5, 1.5)
    assert (made.timeline, made.response_id, made.parameters["top_p"].layer) == (((1.5, 3),), "resp", "template")


def test_a_call_that_failed_before_it_answered_does_not_wait() -> None:
    made = record({"messages": ASKED, "details": {"outcome": "cancelled"}, "call_info": {"end_time": 5}})
    assert (made.outcome, is_waiting(made)) == ("cancelled", False)
    assert made.ended_at == datetime(1970, 1, 1, 0, 0, 5, tzinfo=UTC)


def test_an_answer_of_parts_is_readable_text_without_the_bytes_of_media() -> None:
    blob = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgoA" * 300}}
    made = record({"messages": [*ASKED, {"role": "model", "parts": [{"text": "Here:"}, blob, {"code": 1}]}]})
    assert made.text == 'Here:\n\n[image_url]\n\n{"code":1}'


def test_a_function_call_beside_the_message_is_a_tool_call_of_the_answer() -> None:
    called = {"function_call_response": {"name": "f", "arguments": '{"a":1}'}}
    made = record({"messages": [*ASKED, {"role": "assistant", "content": None}], "response_info": called})
    assert made.choices[0].tool_calls == (ToolCall(id="f", name="f", arguments='{"a":1}'),)
    assert made.choices[0].finish_reason == "tool_calls"
    own = {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":1}'}}
    assert record({"messages": [*ASKED, own], "response_info": called}).choices == made.choices


def test_an_answer_that_was_cut_is_truncated() -> None:
    made = record({"response_info": {"is_complete": False}})
    assert (made.outcome, made.choices[0].finish_reason) == ("truncated", "length")


def test_times_the_wrong_way_round_are_kept_in_order() -> None:
    made = record({"call_info": {"start_time": 9.0, "end_time": 3.0}})
    assert made.ended_at is not None
    assert made.started_at < made.ended_at
    assert made.latency_ms == 0.0


def test_new_messages_begin_with_an_answer_or_not() -> None:
    answer, question = Message(role="assistant", content="A"), Message(role="user", content="Q")
    assert split_answer([answer, question]) == (answer, (question,))
    assert split_answer([question, answer]) == (None, (question, answer))
    assert split_answer([]) == (None, ())


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"messages": []}, "$.messages"),
        ({"messages": "Q"}, "$.messages"),
        ({"call_info": {"start_time": -1}}, "$.call_info.start_time"),
        ({"call_info": {"start_time": 1e300}}, "$.call_info.start_time"),
        ({"call_info": {"start_time": "2026-11-21"}}, "$.call_info.start_time"),
        ({"call_info": {"usage": {"prompt_tokens": 2**63}}}, "$.call_info.usage.prompt_tokens"),
        ({"call_info": {"usage": {"prompt_tokens": 1.5}}}, "$.call_info.usage.prompt_tokens"),
        ({"call_info": {"model": "m" * 1_001}}, "$.call_info.model"),
        ({"eval_results": {"a": [1]}}, "$.eval_results"),
        ({"eval_results": {"a": 2**64}}, "$.eval_results"),
        ({"test_run_info": {"test_case_id": "c"}}, "test_run_id"),
        ({"details": {"outcome": "splendid"}}, "$.details.outcome"),
        ({"inputs": ["a"]}, "$.inputs"),
    ],
)
def test_a_body_of_wrong_types_is_refused_by_its_field(body: dict[str, Any], field: str) -> None:
    with pytest.raises(WireError) as caught:
        from_wire(to_wire({"messages": ANSWERED, **body}), NewCompletion)
    assert field in str(caught.value)
