from __future__ import annotations

import asyncio
import contextvars
import json
import logging
import subprocess
import sys
from collections.abc import Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from opentelemetry import context, trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

from freeplay_like import AsyncFreeplay, Freeplay, PromptTemplate, ProviderDenied, TemplateMessage
from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.limits import Attempt
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.parameters import merge
from freeplay_like.core.records import ErrorInfo, Record, TemplateRef
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.local.simulator import Simulator
from freeplay_like.session import spans
from freeplay_like.session.span_attributes import content_attributes
from freeplay_like.session.spans import CAPTURE_VARIABLE, NO_SPAN, CallSpan, start_span
from freeplay_like.testing import MemoryRecorder, StaticPrompts

STARTED = Record(
    record_id="0199-record",
    project_id="shop",
    session_id="0199-session",
    template=TemplateRef(name="greeting", version="3", version_id="v-3"),
    variables={"name": "Ann", "basket": {"bread": 2}},
    messages=(Message(role="system", content="Be short."), Message(role="user", content="Greet Ann.")),
    provider="openai",
    endpoint="api.openai.com:443",
    flavor="openai_chat",
    requested_model="gpt-4o",
    is_stream=True,
    request={"model": "gpt-4o", "temperature": 0.5, "max_completion_tokens": 50, "stop": "END", "n": 1, "seed": 7},
    started_at=datetime(2026, 6, 1, tzinfo=UTC),
)
ENDED = attrs.evolve(
    STARTED,
    outcome="complete",
    model="gpt-4o-2024-08-06",
    response_id="chatcmpl-1",
    choices=(Choice(text="Hello Ann!", finish_reason="stop", finish_reason_raw="stop"),),
    usage=Usage(input_tokens=10, output_tokens=3, cached_input_tokens=4, cache_write_tokens=2, reasoning_tokens=1),
    time_to_first_chunk_ms=250.0,
)


def failed(**changes: Any) -> Record:
    return attrs.evolve(ENDED, choices=(Choice(text="Hel"),), usage=None, **changes)


def provide(monkeypatch: pytest.MonkeyPatch, provider: object) -> None:
    """Put a provider where a program's own would be, and take it away again: the API lets one be set only once."""
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    monkeypatch.setattr(spans, "tracing", spans._Tracing())


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provide(monkeypatch, provider)
    monkeypatch.delenv(CAPTURE_VARIABLE, raising=False)
    yield exporter
    provider.shutdown()


def finished(exporter: InMemorySpanExporter) -> ReadableSpan:
    (span,) = exporter.get_finished_spans()
    return span


def attributes_of(exporter: InMemorySpanExporter) -> dict[str, object]:
    return dict(finished(exporter).attributes or {})


# --- what a span says -------------------------------------------------------------------------------------


def test_a_span_says_what_was_asked_for_and_what_came(exported: InMemorySpanExporter) -> None:
    start_span(STARTED).end(ENDED)
    span = finished(exported)
    assert (span.name, span.kind, span.status.status_code) == ("chat gpt-4o", SpanKind.CLIENT, StatusCode.UNSET)
    assert dict(span.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 50,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 7,
        "gen_ai.conversation.id": "0199-session",
        "gen_ai.prompt.name": "greeting",
        "gen_ai.prompt.version": "3",
        "server.address": "api.openai.com",
        "server.port": 443,
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.response.time_to_first_chunk": 0.25,
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 3,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.cache_write.input_tokens": 2,
        "gen_ai.usage.reasoning.output_tokens": 1,
        "freeplay_like.record.id": "0199-record",
        "freeplay_like.outcome": "complete",
    }


def test_a_sampler_sees_the_request_when_the_span_begins(exported: InMemorySpanExporter) -> None:
    span = start_span(STARTED)
    begun = span._span
    assert isinstance(begun, ReadableSpan)
    assert (begun.attributes or {})["gen_ai.request.model"] == "gpt-4o"
    span.end(ENDED)


@pytest.mark.parametrize(
    ("body", "attribute", "value"),
    [
        ({"max_tokens": 5}, "gen_ai.request.max_tokens", 5),
        ({"max_output_tokens": 6}, "gen_ai.request.max_tokens", 6),
        ({"stop_sequences": ["a", "b"]}, "gen_ai.request.stop_sequences", ("a", "b")),
        ({"top_k": 3}, "gen_ai.request.top_k", 3),
        ({"n": 2}, "gen_ai.request.choice.count", 2),
        ({"reasoning_effort": "low"}, "gen_ai.request.reasoning.level", "low"),
        ({"reasoning": {"effort": "high"}}, "gen_ai.request.reasoning.level", "high"),
        ({"output_config": {"effort": "max"}}, "gen_ai.request.reasoning.level", "max"),
        ({"response_format": {"type": "json_schema"}}, "gen_ai.output.type", "json"),
        ({"text": {"format": {"type": "json_object"}}}, "gen_ai.output.type", "json"),
        ({"temperature": True, "reasoning": "yes"}, "gen_ai.request.temperature", None),
    ],
)
def test_parameters_have_one_name_whatever_the_wire_format_calls_them(
    exported: InMemorySpanExporter, body: dict[str, object], attribute: str, value: object
) -> None:
    start_span(attrs.evolve(STARTED, request=body)).end(ENDED)
    assert attributes_of(exported).get(attribute) == value


def test_what_is_not_known_is_not_said(exported: InMemorySpanExporter) -> None:
    bare = Record(record_id="r", project_id="p", started_at=STARTED.started_at, flavor="openai_text", provider="azure")
    start_span(bare).end(attrs.evolve(bare, outcome="cancelled"))
    assert finished(exported).name == "text_completion"
    assert attributes_of(exported) == {
        "gen_ai.operation.name": "text_completion",
        "gen_ai.provider.name": "azure.ai.openai",
        "freeplay_like.record.id": "r",
        "freeplay_like.outcome": "cancelled",
    }


def test_an_address_may_be_of_version_6(exported: InMemorySpanExporter) -> None:
    start_span(attrs.evolve(STARTED, endpoint="::1:8080")).end(ENDED)
    found = attributes_of(exported)
    assert (found["server.address"], found["server.port"]) == ("::1", 8080)


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        (failed(outcome="error", error=ErrorInfo(type="ProviderRateLimited", message="429")), "ProviderRateLimited"),
        (failed(outcome="interrupted", error=ErrorInfo(type="StreamInterrupted", message="cut")), "StreamInterrupted"),
        (failed(outcome="interrupted"), "interrupted"),
    ],
)
def test_a_failure_has_its_type_and_not_its_message(exported: InMemorySpanExporter, record: Record, kind: str) -> None:
    start_span(STARTED).end(record)
    span = finished(exported)
    assert (span.status.status_code, span.status.description, list(span.events)) == (StatusCode.ERROR, None, [])
    found = attributes_of(exported)
    assert (found["error.type"], found["gen_ai.response.finish_reasons"]) == (kind, ("error",))


@pytest.mark.parametrize("outcome", ["truncated", "refused", "cancelled", "abandoned"])
def test_whoever_stops_a_stream_or_gets_a_short_answer_has_no_failure(
    exported: InMemorySpanExporter, outcome: Any
) -> None:
    start_span(STARTED).end(failed(outcome=outcome, error=ErrorInfo(type="CancelledError", message="")))
    assert finished(exported).status.status_code is StatusCode.UNSET
    found = attributes_of(exported)
    assert found["freeplay_like.outcome"] == outcome
    assert "error.type" not in found


def test_tries_that_failed_are_counted(exported: InMemorySpanExporter) -> None:
    tried = Attempt(number=1, started_ms=0, latency_ms=5, waited_ms=10, error="ProviderUnavailable", message="503")
    start_span(STARTED).end(attrs.evolve(ENDED, attempts=(tried, attrs.evolve(tried, number=2))))
    assert attributes_of(exported)["http.request.resend_count"] == 2


def test_text_that_no_exporter_can_encode_is_mended(exported: InMemorySpanExporter) -> None:
    start_span(attrs.evolve(STARTED, session_id="half \ud83d of it")).end(ENDED)
    assert attributes_of(exported)["gen_ai.conversation.id"] == "half ? of it"


# --- contents ---------------------------------------------------------------------------------------------


def test_contents_stay_off_the_span_unless_asked_for(exported: InMemorySpanExporter) -> None:
    start_span(STARTED).end(ENDED)
    assert "Ann" not in str(attributes_of(exported))


@pytest.mark.parametrize("value", ["true", "TRUE", "span_only", "SPAN_AND_EVENT"])
def test_contents_are_there_when_asked_for(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, value)
    start_span(STARTED).end(ENDED)
    found = attributes_of(exported)
    assert found["gen_ai.prompt.variable.name"] == "Ann"
    assert json.loads(str(found["gen_ai.prompt.variable.basket"])) == {"bread": 2}
    assert json.loads(str(found["gen_ai.input.messages"]))[1] == {
        "role": "user",
        "parts": [{"type": "text", "content": "Greet Ann."}],
    }
    assert json.loads(str(found["gen_ai.output.messages"])) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "Hello Ann!"}], "finish_reason": "stop"}
    ]


@pytest.mark.parametrize("value", ["", "false", "no_content", "event_only", "yes"])
def test_any_other_word_does_not_ask_for_contents(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, value)
    start_span(STARTED).end(ENDED)
    assert "Ann" not in str(attributes_of(exported))


def test_tools_and_media_are_told_in_parts() -> None:
    call = ToolCall(id="c1", name="weather", arguments='{"city": "Rome"}')
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
    found = content_attributes(
        attrs.evolve(
            ENDED,
            request={"tools": [{"type": "function"}]},
            messages=(
                Message(role="user", content=({"type": "text", "text": "Look:"}, picture)),
                Message(role="assistant", tool_calls=(call,)),
                Message(role="tool", content="sunny", tool_call_id="c1"),
            ),
            choices=(Choice(reasoning="hm", tool_calls=(call,), finish_reason="tool_calls"),),
        )
    )
    asked = {"type": "tool_call", "id": "c1", "name": "weather", "arguments": '{"city": "Rome"}'}
    assert json.loads(str(found["gen_ai.input.messages"])) == [
        {"role": "user", "parts": [{"type": "text", "content": "Look:"}, {"type": "image_url"}]},
        {"role": "assistant", "parts": [asked]},
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "sunny"}]},
    ]
    assert json.loads(str(found["gen_ai.output.messages"])) == [
        {
            "role": "assistant",
            "parts": [{"type": "reasoning", "content": "hm"}, asked],
            "finish_reason": "tool_calls",
        }
    ]
    assert json.loads(str(found["gen_ai.tool.definitions"])) == [{"type": "function"}]


def test_keys_and_what_a_hook_takes_out_never_reach_a_span(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, "true")
    key = "sk-abcdefghijklmnopqrstuvwxyz"
    told = attrs.evolve(ENDED, variables={"name": "Ann", "key": key}, messages=(Message(role="user", content=key),))
    start_span(STARTED, lambda record: attrs.evolve(record, choices=())).end(told)
    found = attributes_of(exported)
    assert "gen_ai.output.messages" not in found
    assert key not in str(found)
    assert found["gen_ai.prompt.variable.key"] == "[redacted]"


def _broken_hook(record: Record) -> Record:
    raise ZeroDivisionError


@pytest.mark.parametrize("hook", [_broken_hook, lambda record: None, lambda record: "no record"])
def test_a_hook_that_fails_lets_no_contents_through(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch, hook: Any
) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, "true")
    start_span(STARTED, hook).end(ENDED)
    found = attributes_of(exported)
    assert "Ann" not in str(found)
    assert found["freeplay_like.outcome"] == "complete"


def test_a_template_of_many_variables_does_not_push_the_model_off_the_span(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CAPTURE_VARIABLE, "true")
    start_span(STARTED).end(attrs.evolve(ENDED, variables={f"v{n}": "x" for n in range(500)}))
    assert attributes_of(exported)["gen_ai.request.model"] == "gpt-4o"


# --- its life ---------------------------------------------------------------------------------------------


def test_ids_are_those_of_the_span_in_hex(exported: InMemorySpanExporter) -> None:
    span = start_span(STARTED)
    span.end(ENDED)
    own = finished(exported).context
    assert own is not None
    assert (span.trace_id, span.span_id) == (f"{own.trace_id:032x}", f"{own.span_id:016x}")


def test_a_span_ends_once(exported: InMemorySpanExporter, caplog: pytest.LogCaptureFixture) -> None:
    span = start_span(STARTED)
    span.end(ENDED)
    span.end(failed(outcome="error"))
    assert attributes_of(exported)["freeplay_like.outcome"] == "complete"
    assert caplog.records == []


def test_it_is_a_child_of_what_the_program_traces(exported: InMemorySpanExporter) -> None:
    with trace.get_tracer("program").start_as_current_span("handler") as handler:
        start_span(STARTED).end(ENDED)
    call = exported.get_finished_spans()[0]
    assert call.parent is not None
    assert call.parent.span_id == handler.get_span_context().span_id


def test_it_is_current_only_while_the_call_is_opened(exported: InMemorySpanExporter) -> None:
    span = start_span(STARTED)
    before = context.get_current()
    current = ""

    def refuse() -> None:
        nonlocal current
        current = format(trace.get_current_span().get_span_context().span_id, "016x")
        raise ConnectionError

    with pytest.raises(ConnectionError), span.active():
        refuse()
    assert current == span.span_id
    assert context.get_current() is before
    span.end(ENDED)
    assert finished(exported).status.status_code is StatusCode.UNSET


class Never:
    """Something to wait for that never comes."""

    def __await__(self) -> Generator[None]:
        yield


def test_opening_that_is_thrown_away_in_another_context_says_nothing_about_it(
    exported: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    async def open_for_ever() -> None:
        with start_span(STARTED).active():
            await Never()

    opening = open_for_ever()
    contextvars.copy_context().run(opening.send, None)
    opening.close()
    assert caplog.records == []
    assert trace.get_current_span() is trace.INVALID_SPAN


async def test_calls_that_open_at_once_do_not_mix_their_spans(exported: InMemorySpanExporter) -> None:
    seen: dict[str | None, str] = {}

    async def call() -> None:
        span = start_span(STARTED)
        with span.active():
            await asyncio.sleep(0)
            seen[span.span_id] = format(trace.get_current_span().get_span_context().span_id, "016x")
        span.end(ENDED)

    await asyncio.gather(*(call() for _ in range(5)))
    assert len(seen) == 5
    assert all(own == current for own, current in seen.items())


def test_a_span_that_is_not_sampled_gives_its_ids_and_costs_no_contents(monkeypatch: pytest.MonkeyPatch) -> None:
    provide(monkeypatch, TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False))
    asked: list[Record] = []
    monkeypatch.setenv(CAPTURE_VARIABLE, "true")
    span = start_span(STARTED, asked.append)  # type: ignore[arg-type]
    span.end(ENDED)
    assert span.trace_id is not None
    assert asked == []


# --- where nobody traces, or badly ------------------------------------------------------------------------


@pytest.mark.parametrize("provider", [None, trace.NoOpTracerProvider()])
def test_without_a_provider_there_is_no_span(monkeypatch: pytest.MonkeyPatch, provider: object) -> None:
    provide(monkeypatch, provider)
    span = start_span(STARTED)
    with span.active():
        assert trace.get_current_span() is trace.INVALID_SPAN
    span.end(ENDED)
    assert span is NO_SPAN
    assert (span.trace_id, span.span_id) == (None, None)
    assert trace._TRACER_PROVIDER is provider


def test_a_provider_that_is_set_later_is_found(monkeypatch: pytest.MonkeyPatch, exported: InMemorySpanExporter) -> None:
    provider = trace._TRACER_PROVIDER
    provide(monkeypatch, None)
    assert start_span(STARTED) is NO_SPAN
    monkeypatch.setattr(trace, "_TRACER_PROVIDER", provider)
    start_span(STARTED).end(ENDED)
    assert finished(exported).name == "chat gpt-4o"


class BrokenSpan:
    """Every method raises, but for the one that it takes to begin."""

    def get_span_context(self) -> trace.SpanContext:
        return trace.INVALID_SPAN_CONTEXT

    def __getattr__(self, name: str) -> Any:
        raise ZeroDivisionError(name)


class BrokenTracer:
    def __init__(self, span: object = None) -> None:
        self._span = span

    def get_tracer(self, *_: object) -> BrokenTracer:
        return self

    def start_span(self, *_: object, **__: object) -> object:
        if self._span is None:
            raise ZeroDivisionError("start_span")
        return self._span


@pytest.mark.parametrize(
    ("provider", "failures"),
    [
        (object(), 1),  # it gives no tracer, and is not asked again
        (BrokenTracer(), 3),
        (BrokenTracer(object()), 3),
        (BrokenTracer(BrokenSpan()), 3),
    ],
)
def test_a_broken_tracer_is_logged_once_counted_and_never_raises(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, provider: object, failures: int
) -> None:
    provide(monkeypatch, provider)
    with caplog.at_level(logging.WARNING, "freeplay_like"):
        for _ in range(3):
            span = start_span(STARTED)
            with span.active():
                pass
            span.end(ENDED)
    assert [record.message for record in caplog.records] == [
        "tracing failed, and goes on failing in silence; calls are not affected"
    ]
    assert spans.tracing.failures == failures


def test_what_fails_while_a_span_is_described_still_ends_it(
    exported: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_: Record) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(spans, "response_attributes", broken)
    start_span(STARTED).end(ENDED)
    assert finished(exported).name == "chat gpt-4o"
    assert spans.tracing.failures == 1


def run_program(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "", **environment},
        cwd=Path(__file__).parents[3],
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


ONE_SPAN = """
import sys
from datetime import UTC, datetime
from freeplay_like.core.records import Record
from freeplay_like.session.spans import start_span
record = Record(record_id="r", project_id="p", started_at=datetime.now(UTC))
span = start_span(record)
with span.active():
    pass
span.end(record)
print("opentelemetry" in sys.modules, span.trace_id is not None)
"""


def test_nothing_is_loaded_for_a_program_that_does_not_trace() -> None:
    assert run_program(ONE_SPAN) == "False False"


def test_a_provider_that_the_environment_names_is_used() -> None:
    assert run_program(ONE_SPAN, OTEL_PYTHON_TRACER_PROVIDER="sdk_tracer_provider") == "True True"


def test_a_provider_that_the_environment_names_and_nobody_installed_is_left_alone() -> None:
    assert run_program(ONE_SPAN, OTEL_PYTHON_TRACER_PROVIDER="not-installed") == "True False"


# --- the provider client's own span -----------------------------------------------------------------------


def _anthropic_call(simulator: Simulator) -> tuple[AnthropicClaudeChat, Any, Record]:
    flavor = AnthropicClaudeChat("a key", simulator.anthropic_base)
    parameters = merge([("call", {"model": "claude-sim", "max_tokens": 10})])
    request = flavor.format([Message(role="user", content="Hi")], parameters, is_stream=True)
    record = attrs.evolve(
        STARTED, provider=flavor.provider, flavor=flavor.name, endpoint=flavor.endpoint, requested_model="claude-sim"
    )
    return flavor, request, record


def _assert_theirs_is_a_child_of_ours(exporter: InMemorySpanExporter, span: CallSpan) -> None:
    by_name = {one.name: one for one in exporter.get_finished_spans()}
    assert set(by_name) == {"anthropic.messages.create", "chat claude-sim"}
    theirs, ours = by_name["anthropic.messages.create"], by_name["chat claude-sim"]
    assert theirs.parent is not None
    assert ours.context is not None
    assert (theirs.parent.trace_id, theirs.parent.span_id) == (ours.context.trace_id, ours.context.span_id)
    assert (theirs.attributes or {}).get("freeplay_like.record.id") is None
    assert span.trace_id == f"{theirs.parent.trace_id:032x}"


def test_the_span_of_the_anthropic_client_is_a_child_of_ours(
    exported: InMemorySpanExporter, simulator: Simulator
) -> None:
    flavor, request, record = _anthropic_call(simulator)
    span = start_span(record)
    with span.active():
        connection = flavor.open(request)
    assert b"".join(connection)
    connection.close()
    span.end(ENDED)
    _assert_theirs_is_a_child_of_ours(exported, span)


async def test_the_span_of_the_async_anthropic_client_is_a_child_of_ours(
    exported: InMemorySpanExporter, simulator: Simulator
) -> None:
    flavor, request, record = _anthropic_call(simulator)
    span = start_span(record)
    with span.active():
        connection = await flavor.aopen(request)
    assert [data async for data in connection]
    await connection.aclose()
    span.end(ENDED)
    _assert_theirs_is_a_child_of_ours(exported, span)


# --- a whole call -----------------------------------------------------------------------------------------

GREETING = PromptTemplate(
    name="greeting", version="3", model="claude-sim", messages=(TemplateMessage(role="user", content="Hello"),)
)


def _assert_one_record_and_its_spans(exporter: InMemorySpanExporter, recorder: MemoryRecorder) -> None:
    (record,) = recorder.records
    ours = [one for one in exporter.get_finished_spans() if one.name == "chat claude-sim"]
    theirs = [one for one in exporter.get_finished_spans() if one.name == "anthropic.messages.create"]
    assert (len(ours), len(theirs)) == (1, 1)
    found, own = ours[0].attributes or {}, ours[0].context
    assert own is not None
    assert theirs[0].parent == own
    assert (record.otel_trace_id, record.otel_span_id) == (f"{own.trace_id:032x}", f"{own.span_id:016x}")
    assert recorder.started[record.record_id].otel_span_id == record.otel_span_id
    assert record.usage is not None
    assert (found["freeplay_like.record.id"], found["gen_ai.usage.output_tokens"], found["freeplay_like.outcome"]) == (
        record.record_id,
        record.usage.output_tokens,
        "complete",
    )


def test_a_call_is_one_record_one_span_and_the_clients_own_below_it(
    exported: InMemorySpanExporter, simulator: Simulator
) -> None:
    recorder = MemoryRecorder()
    flavor = AnthropicClaudeChat("a key", simulator.anthropic_base)
    fp = Freeplay(flavor, prompts=StaticPrompts(GREETING), recorder=recorder)
    with fp.get_completion_stream("shop", "greeting", {}) as stream:
        for _ in stream:
            assert trace.get_current_span() is trace.INVALID_SPAN
    _assert_one_record_and_its_spans(exported, recorder)


async def test_an_async_call_is_one_record_one_span_and_the_clients_own_below_it(
    exported: InMemorySpanExporter, simulator: Simulator
) -> None:
    recorder = MemoryRecorder()
    flavor = AnthropicClaudeChat("a key", simulator.anthropic_base)
    fp = AsyncFreeplay(flavor, prompts=StaticPrompts(GREETING), recorder=recorder)
    async with await fp.get_completion_stream("shop", "greeting", {}) as stream:
        async for _ in stream:
            assert trace.get_current_span() is trace.INVALID_SPAN
    _assert_one_record_and_its_spans(exported, recorder)


async def test_a_refused_call_has_one_span_that_says_so(exported: InMemorySpanExporter, simulator: Simulator) -> None:
    recorder = MemoryRecorder()
    flavor = AnthropicClaudeChat("a key", simulator.anthropic_base)
    fp = AsyncFreeplay(flavor, prompts=StaticPrompts(GREETING), recorder=recorder, model="sim:status=401")
    with pytest.raises(ProviderDenied):
        await fp.get_completion("shop", "greeting", {})
    (ours,) = [one for one in exported.get_finished_spans() if one.name == "chat sim:status=401"]
    assert (ours.status.status_code, (ours.attributes or {})["error.type"]) == (StatusCode.ERROR, "ProviderDenied")
    assert [record.outcome for record in recorder.records] == ["error"]
