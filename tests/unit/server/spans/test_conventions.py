"""What real senders sent, and older forms made by hand, become the records of the calls that were made."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import pytest

from freeplay_like.core.records import Record
from freeplay_like.server.spans import otlp_protobuf
from freeplay_like.server.spans.calls import reading_of, record_id_of
from freeplay_like.server.spans.span import Span, SpanEvent

FIXTURES = Path(__file__).parents[4] / "fixtures" / "otlp"
START = 1_795_000_000_000_000_000

OPENAI_SCOPES = {
    "genai": "opentelemetry.instrumentation.genai.openai",
    "openinference": "openinference.instrumentation.openai",
    "traceloop": "opentelemetry.instrumentation.openai.v1",
}
ANTHROPIC_SCOPES = {
    "genai": "opentelemetry.instrumentation.genai.anthropic",
    "openinference": "openinference.instrumentation.anthropic",
    "traceloop": "opentelemetry.instrumentation.anthropic",
}


def recorded(sender: str, scope: str) -> list[Record]:
    """The records of the calls that one library saw, in the order they were made."""
    spans = otlp_protobuf.decode((FIXTURES / f"{sender}.bin").read_bytes()).spans
    found = [reading_of(span, "p").record for span in spans if span.scope == scope]
    return sorted((one for one in found if one is not None), key=lambda one: one.started_at)


def a_span(attributes: dict[str, object], *events: SpanEvent, **changes: object) -> Span:
    span = Span(
        trace_id="0" * 31 + "1",
        span_id="0" * 15 + "1",
        parent_id=None,
        name="a span",
        kind=3,
        started_ns=START,
        ended_ns=START + 250_000_000,
        is_error=False,
        status_message="",
        attributes=attributes,
        events=events,
        resource={"service.name": "shop"},
        scope="a library",
        scope_version="1.0",
    )
    return attrs.evolve(span, **changes)


def the_record(span: Span) -> Record:
    record = reading_of(span, "p").record
    assert record is not None
    return record


def said(record: Record) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in record.messages]


@pytest.mark.parametrize("sender", OPENAI_SCOPES)
def test_a_call_of_openai_is_recorded_alike_whoever_saw_it(sender: str) -> None:
    record = recorded(sender, OPENAI_SCOPES[sender])[0]
    assert (record.provider, record.flavor, record.outcome) == ("openai", "openai_chat", "complete")
    assert (record.requested_model, record.model) == ("sim:text=In France.", "gpt-sim")
    assert said(record) == [("system", "You are brief."), ("user", "Where is Lyon?")]
    assert (record.text, record.choices[0].finish_reason) == ("In France.", "stop")
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.output_tokens, record.usage.cached_input_tokens) == (9, 2, 4)
    assert {name: setting.value for name, setting in record.parameters.items()} == {
        "temperature": 0.2,
        "max_tokens": 50,
    }
    assert record.response_id == "chatcmpl-sim1"
    assert record.metadata == {"service.name": "shop"}
    assert record.latency_ms is not None


@pytest.mark.parametrize("sender", OPENAI_SCOPES)
def test_a_stream_tells_when_its_first_text_came(sender: str) -> None:
    record = recorded(sender, OPENAI_SCOPES[sender])[1]
    assert record.is_stream
    assert record.time_to_first_chunk_ms is not None
    assert record.latency_ms is not None
    assert 0 < record.time_to_first_chunk_ms <= record.latency_ms


@pytest.mark.parametrize("sender", OPENAI_SCOPES)
def test_tool_calls_are_read_on_both_sides(sender: str) -> None:
    record = recorded(sender, OPENAI_SCOPES[sender])[2]
    (call,) = record.choices[0].tool_calls
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Paris"})
    assert record.choices[0].finish_reason == "tool_calls"
    assert record.messages[-2].tool_calls[0].name == "get_weather"
    assert (record.messages[-1].role, record.messages[-1].text) == ("tool", "sunny")
    assert record.request is not None
    assert "get_weather" in json.dumps(record.request["tools"])


@pytest.mark.parametrize("sender", OPENAI_SCOPES)
def test_a_refused_request_is_an_error_with_its_question(sender: str) -> None:
    record = recorded(sender, OPENAI_SCOPES[sender])[3]
    assert record.outcome == "error"
    assert record.error is not None
    assert (record.error.type, record.error.message) == ("BadRequestError", "Error code: 400 - simulated status 400")
    assert said(record) == [("user", "Where is Lyon?")]


@pytest.mark.parametrize("sender", OPENAI_SCOPES)
def test_the_responses_api_is_told_from_chat(sender: str) -> None:
    record = recorded(sender, OPENAI_SCOPES[sender])[4]
    assert (record.flavor, record.text) == ("openai_responses", "In France.")
    assert said(record)[0] == ("system", "Be brief.")


@pytest.mark.parametrize("sender", OPENAI_SCOPES)
def test_an_embedding_is_no_record(sender: str) -> None:
    spans = otlp_protobuf.decode((FIXTURES / f"{sender}.bin").read_bytes()).spans
    (embedding,) = [span for span in spans if "embedding" in span.name.lower()]
    assert reading_of(embedding, "p").role == "step"


@pytest.mark.parametrize("sender", ANTHROPIC_SCOPES)
def test_a_call_of_anthropic_is_recorded_alike_whoever_saw_it(sender: str) -> None:
    record = recorded(sender, ANTHROPIC_SCOPES[sender])[0]
    assert (record.provider, record.flavor, record.outcome) == ("anthropic", "anthropic_chat", "complete")
    assert said(record) == [("system", "You are brief."), ("user", "Where is Lyon?")]
    assert (record.text, record.choices[0].finish_reason, record.model) == ("In France.", "stop", "claude-sim")


def test_the_clients_own_span_says_all_but_the_contents() -> None:
    record = recorded("anthropic_client", "com.anthropic.sdk.python")[0]
    assert (record.provider, record.requested_model, record.model) == ("anthropic", "sim:text=In France.", "claude-sim")
    assert (record.request_id, record.choices[0].finish_reason_raw) == ("req_sim_7", "end_turn")
    assert (record.messages, record.text) == ((), "")
    assert record.endpoint is not None
    assert record.endpoint.startswith("127.0.0.1:")


def test_openlit_puts_what_was_said_on_events() -> None:
    first, with_tool, *_ = recorded("openlit", "openlit.otel.tracing")
    assert said(first) == [("system", "You are brief."), ("user", "Where is Lyon?")]
    assert (first.text, first.metadata["environment"]) == ("In France.", "test")
    assert "max_tokens" not in with_tool.parameters  # it says -1 where nothing was asked for


# --- older forms, made by hand ---


def test_traceloops_older_form_lays_messages_flat() -> None:
    record = the_record(
        a_span(
            {
                "llm.request.type": "chat",
                "gen_ai.system": "OpenAI",
                "gen_ai.request.model": "gpt-4o",
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "Weather?",
                "gen_ai.prompt.10.role": "user",
                "gen_ai.prompt.10.content": "In Lyon, please.",
                "gen_ai.prompt.2.role": "assistant",
                "gen_ai.prompt.2.tool_calls.0.id": "c1",
                "gen_ai.prompt.2.tool_calls.0.name": "weather",
                "gen_ai.prompt.2.tool_calls.0.arguments": "{}",
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.content": "Sunny",
                "gen_ai.completion.0.finish_reason": "length",
                "gen_ai.usage.prompt_tokens": 7,
                "gen_ai.usage.completion_tokens": 1,
                "gen_ai.usage.cache_read_input_tokens": 3,
                "traceloop.association.properties.session_id": "s1",
                "traceloop.association.properties.user_id": "u1",
                "traceloop.association.properties.plan": "gold",
                "llm.is_streaming": True,
            }
        )
    )
    assert [message.role for message in record.messages] == ["user", "assistant", "user"]
    assert record.messages[1].tool_calls[0].name == "weather"
    assert (record.provider, record.text, record.outcome, record.is_stream) == ("openai", "Sunny", "truncated", True)
    assert record.usage is not None
    assert (record.usage.input_tokens, record.usage.cached_input_tokens) == (7, 3)
    assert (record.session_id, record.metadata["user_id"], record.metadata["plan"]) == ("s1", "u1", "gold")


def test_messages_as_events_are_read() -> None:
    events = (
        SpanEvent(name="gen_ai.user.message", at_ns=START, attributes={"content": "Where is Lyon?"}),
        SpanEvent(
            name="gen_ai.choice",
            at_ns=START + 1,
            attributes={"gen_ai.event.content": '{"finish_reason":"stop","message":{"content":"In France."}}'},
        ),
    )
    record = the_record(a_span({"gen_ai.system": "az.ai.openai", "gen_ai.request.model": "gpt-4o"}, *events))
    assert (said(record), record.text) == ([("user", "Where is Lyon?")], "In France.")
    assert (record.provider, record.flavor) == ("azure", "azure_openai_chat")


def test_the_details_event_is_read_as_if_its_attributes_were_the_spans() -> None:
    details = SpanEvent(
        name="gen_ai.client.inference.operation.details",
        at_ns=START,
        attributes={"gen_ai.input.messages": '[{"role":"user","parts":[{"type":"text","content":"Hi"}]}]'},
    )
    assert said(the_record(a_span({"gen_ai.request.model": "m"}, details))) == [("user", "Hi")]


def test_template_variables_and_session_are_taken_over() -> None:
    record = the_record(
        a_span(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.request.model": "m",
                "gen_ai.conversation.id": "s1",
                "gen_ai.prompt.name": "assistant",
                "gen_ai.prompt.version": "3",
                "gen_ai.prompt.variable.name": "Ann",
            }
        )
    )
    assert record.template is not None
    assert (record.template.name, record.template.version, record.session_id) == ("assistant", "3", "s1")
    assert record.variables == {"name": "Ann"}


def test_tokens_read_from_a_cache_are_counted_once() -> None:
    excluding = {"gen_ai.usage.input_tokens": 5, "gen_ai.usage.cache_read.input_tokens": 4_000}
    aliases = {"gen_ai.usage.input_tokens": 10, "gen_ai.usage.cache_creation.input_tokens": 4}
    first = the_record(a_span({"gen_ai.request.model": "m", **excluding})).usage
    second = the_record(a_span({"gen_ai.request.model": "m", **aliases})).usage
    assert first is not None
    assert second is not None
    assert (first.input_tokens, first.cached_input_tokens) == (4_005, 4_000)
    assert (second.input_tokens, second.cache_write_tokens) == (10, 4)


def test_a_cancelled_call_is_no_error_of_the_providers() -> None:
    record = the_record(
        a_span({"gen_ai.request.model": "m", "error.type": "asyncio.exceptions.CancelledError"}, is_error=True)
    )
    assert record.outcome == "cancelled"


def test_our_own_span_makes_no_record() -> None:
    reading = reading_of(a_span({"gen_ai.request.model": "m", "freeplay_like.record.id": "r1"}), "p")
    assert (reading.role, reading.record_id, reading.record) == ("own", "r1", None)


@pytest.mark.parametrize(
    ("attributes", "role"),
    [
        ({}, "plain"),
        ({"http.request.method": "POST"}, "plain"),
        ({"gen_ai.operation.name": "chat"}, "plain"),
        ({"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "m"}, "step"),
        ({"gen_ai.operation.name": "execute_tool"}, "step"),
        ({"openinference.span.kind": "CHAIN"}, "step"),
        ({"traceloop.span.kind": "workflow"}, "step"),
        ({"openinference.span.kind": "LLM", "llm.model_name": "m"}, "call"),
    ],
)
def test_only_a_call_that_names_a_model_is_recorded(attributes: dict[str, object], role: str) -> None:
    assert reading_of(a_span(attributes), "p").role == role


def test_the_same_span_makes_the_same_record_id_and_another_makes_another() -> None:
    span = a_span({})
    assert record_id_of(span) == record_id_of(attrs.evolve(span, name="renamed"))
    assert record_id_of(span) != record_id_of(attrs.evolve(span, span_id="2" * 16))


@pytest.mark.parametrize(
    "hostile",
    [
        {"__proto__": {"polluted": True}, "__class__": "x", "constructor.prototype.polluted": "x"},
        {"gen_ai": "x", "gen_ai.prompt": "x", "gen_ai.prompt.0": "x", "gen_ai.prompt.0.content.deep": "x"},
        {"gen_ai.prompt.99999999999999999999.content": "x", "gen_ai.prompt.-1.content": "x"},
        {"gen_ai.input.messages": "[" * 100_000, "llm.input_messages.0.message.contents.0": "x"},
        {"gen_ai.input.messages": "[[[]]]", "gen_ai.output.messages": "{}", "gen_ai.system_instructions": "[null]"},
        {"gen_ai.input.messages": ["text", 1, None, {"role": 5, "parts": {"a": 1}}]},
        {"gen_ai.usage.input_tokens": 2**63 - 1, "gen_ai.usage.output_tokens": -5, "server.port": "x"},
        {"gen_ai.usage.input_tokens": True, "gen_ai.response.time_to_first_chunk": -1.0, "url.full": "http://[bad"},
        {"gen_ai.conversation.id": "s\0" + "x" * 100_000, "gen_ai.prompt.name": "\0"},
        {"openinference.span.kind": "LLM", "llm.invocation_parameters": "[1]", "input.value": '{"model": 7}'},
        {"gen_ai.prompt.variable." + "." * 900: "x"},
    ],
)
def test_hostile_attributes_are_read_or_left_out_and_never_lead_anywhere(hostile: dict[str, object]) -> None:
    record = the_record(a_span({"gen_ai.request.model": "m", "llm.model_name": "m", **hostile}))
    assert record.requested_model == "m"
    assert record.session_id is None or ("\0" not in record.session_id and len(record.session_id) <= 1_000)
    assert not hasattr(Record, "polluted")
