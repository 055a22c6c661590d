"""Programs that know nothing of us: a provider's clients, instrumented by others, that export their spans by OTLP."""

from __future__ import annotations

REQUIREMENTS = (
    "opentelemetry-instrumentation-genai-openai==1.3b0",
    "opentelemetry-instrumentation-genai-anthropic==1.3b0",
    "openinference-instrumentation-openai==0.1.66",
    "openinference-instrumentation-anthropic==3.1.0",
    "opentelemetry-instrumentation-openai==0.62.4",
    "opentelemetry-instrumentation-anthropic==0.62.4",
    "opentelemetry-exporter-otlp-proto-http==1.45.1",
    "opentelemetry-exporter-otlp-json-http==0.66b1",
    "openai==3.52.0",
    "anthropic==2.11.0",
    "attrs>=25.1",
    "msgspec>=0.20",
)
"""The instrumentations of OpenTelemetry itself, of OpenInference and of traceloop; the last two for our own SDK."""

PREPARE = """
import os
who, openai_base, anthropic_base, url, key = ARGS[:5]
os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = url
os.environ["OTEL_EXPORTER_OTLP_HEADERS"] = "Authorization=Bearer%20" + key
os.environ["OTEL_EXPORTER_OTLP_COMPRESSION"] = "gzip"
os.environ["OTEL_SERVICE_NAME"] = "shop"
os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
os.environ.setdefault("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

if "json" in who:
    from opentelemetry.exporter.otlp.json.http.trace_exporter import OTLPSpanExporter
else:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
trace.set_tracer_provider(provider)
tracer = trace.get_tracer("shop")

if "genai" in who:
    from opentelemetry.instrumentation.genai.anthropic import AnthropicInstrumentor as GenAIAnthropic
    from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor as GenAIOpenAI
    GenAIOpenAI().instrument(); GenAIAnthropic().instrument()
if "traceloop" in who:
    from opentelemetry.instrumentation.anthropic import AnthropicInstrumentor as TraceloopAnthropic
    from opentelemetry.instrumentation.openai import OpenAIInstrumentor as TraceloopOpenAI
    TraceloopOpenAI().instrument(); TraceloopAnthropic().instrument()
if "openinference" in who:
    from openinference.instrumentation.anthropic import AnthropicInstrumentor as InferenceAnthropic
    from openinference.instrumentation.openai import OpenAIInstrumentor as InferenceOpenAI
    InferenceOpenAI().instrument(); InferenceAnthropic().instrument()

def finish(said):
    assert provider.force_flush()
    provider.shutdown()
    print(json.dumps(said))
"""
"""Sets up tracing and whichever instrumentations `who` names; defines `tracer` and `finish`."""

CALLS = """
import anthropic, openai

chat = openai.OpenAI(api_key="k", base_url=openai_base, max_retries=0)
claude = anthropic.Anthropic(api_key="k", base_url=anthropic_base, max_retries=0)
SYSTEM = {"role": "system", "content": "You are brief."}
USER = {"role": "user", "content": "Where is Lyon?"}
TOOL = {"name": "get_weather", "description": "of a city", "parameters": {"type": "object"}}
ASKED = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Lyon"}'}}
TOLD = [{"role": "assistant", "tool_calls": [ASKED]}, {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}]

def refused():
    try:
        chat.chat.completions.create(model="sim:status=400", messages=[USER])
    except openai.BadRequestError:
        pass

def spoken():
    with claude.messages.stream(model="sim:text=In France.", max_tokens=50, messages=[USER]) as stream:
        list(stream)

with tracer.start_as_current_span("handle request") as span:
    chat.chat.completions.create(model="sim:text=In France.", messages=[SYSTEM, USER], temperature=0.2, max_tokens=50)
    list(chat.chat.completions.create(
        model="sim:text=In France.", messages=[USER], stream=True, stream_options={"include_usage": True}))
    chat.chat.completions.create(
        model="sim:tools=1", messages=[USER, *TOLD], tools=[{"type": "function", "function": TOOL}])
    refused()
    claude.messages.create(model="sim:text=In France.", max_tokens=50, system="You are brief.", messages=[USER])
    list(claude.messages.create(model="sim:text=In France.", max_tokens=50, messages=[USER], stream=True))
    spoken()
    trace_id = format(span.get_span_context().trace_id, "032x")
finish({"trace_id": trace_id})
"""
"""Four calls of openai's client and three of anthropic's, under one span."""

CALLS_MADE = 7
