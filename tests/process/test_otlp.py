"""Spans of real programs that know nothing of us, sent to a real backend: one record for each call they made."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import requests

import freeplay_like
from freeplay_like.local.simulator import Simulator
from support import otel_senders
from support.backend import BackendProcess
from support.environments import Environment, environment
from support.waiting import until

pytestmark = pytest.mark.over("sqlite", "postgres")

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "fixtures" / "otlp"
PROTOBUF = "application/x-protobuf"
START_NS = 1_795_000_000_000_000_000

OUR_SDK = """
from freeplay_like import AnthropicClaudeChat, Freeplay

with Freeplay(AnthropicClaudeChat("k", anthropic_base), key, url + "/api") as fp:
    with tracer.start_as_current_span("handle request") as span:
        answer = fp.get_completion(ARGS[5], "assistant", {"question": "Where is Lyon?"})
        stream = fp.get_completion_stream(ARGS[5], "assistant", {"question": "Where is Lyon?"})
        text = "".join(chunk.text for chunk in stream)
    trace_id = format(span.get_span_context().trace_id, "032x")
    if ARGS[6]:
        assert provider.force_flush()  # the spans first
    report = fp.flush(20)
finish({"trace_id": trace_id, "record_ids": [answer.record_id, stream.record_id]})
"""


@pytest.fixture(scope="module")
def senders() -> Environment:
    """An environment with the instrumentations of others."""
    return environment(*otel_senders.REQUIREMENTS)


def post(
    backend: BackendProcess, body: bytes, *, kind: str = PROTOBUF, path: str = "/v1/traces", **headers: str
) -> requests.Response:
    return requests.post(
        f"{backend.url}{path}", data=body, headers={**backend.headers, "Content-Type": kind, **headers}, timeout=30
    )


def trace_of(backend: BackendProcess, trace_id: str) -> list[dict[str, Any]]:
    answer = requests.get(f"{backend.project_base}/otel-traces/{trace_id}", headers=backend.headers, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.json()["spans"]


def records_of(backend: BackendProcess, trace_id: str) -> list[dict[str, Any]]:
    """The records that the spans of a trace belong to, in the order they began."""
    ids = {span["record_id"] for span in trace_of(backend, trace_id) if span["record_id"] is not None}
    found = [
        requests.get(f"{backend.project_base}/completions/{each}", headers=backend.headers, timeout=10) for each in ids
    ]
    assert {answer.status_code for answer in found} <= {200}, [answer.text for answer in found]
    return sorted((answer.json() for answer in found), key=lambda record: record["started_at"])


def a_span(**changes: object) -> dict[str, object]:
    return {
        "traceId": "1" * 32,
        "spanId": "1" * 16,
        "name": "chat m",
        "kind": 3,
        "startTimeUnixNano": str(START_NS),
        "endTimeUnixNano": str(START_NS + 10**9),
        **changes,
    }


def attributes(values: Mapping[str, str]) -> list[dict[str, object]]:
    return [{"key": key, "value": {"stringValue": value}} for key, value in values.items()]


def a_body(*spans: dict[str, object]) -> bytes:
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"scope": {"name": "lib"}, "spans": spans}]}]}).encode()


# --- real senders -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "who", ["genai", "openinference", "traceloop", "genai json", "openinference traceloop", "genai openinference"]
)
def test_each_call_of_an_instrumented_program_is_one_record(
    senders: Environment, backend: BackendProcess, simulator: Simulator, who: str
) -> None:
    said = senders.program(
        otel_senders.PREPARE + otel_senders.CALLS,
        who,
        simulator.openai_base,
        simulator.anthropic_base,
        backend.url,
        backend.api_key,
    )
    assert isinstance(said, dict)
    spans = trace_of(backend, said["trace_id"])
    assert len(spans) > otel_senders.CALLS_MADE + 1  # the anthropic client makes spans of its own
    records = records_of(backend, said["trace_id"])
    assert len(records) == otel_senders.CALLS_MADE
    assert [record["outcome"] for record in records] == ["complete"] * 3 + ["error"] + ["complete"] * 3
    assert [record["provider"] for record in records] == ["openai"] * 4 + ["anthropic"] * 3
    texts = [record["choices"][0]["text"] for record in records if record["choices"]]
    assert texts == ["In France.", "In France.", "", "In France.", "In France.", "In France."]
    assert records[0]["messages"][-1]["content"] == "Where is Lyon?"
    assert records[0]["usage"]["input_tokens"] == 9


def test_without_any_instrumentation_the_anthropic_clients_own_spans_are_recorded(
    senders: Environment, backend: BackendProcess, simulator: Simulator
) -> None:
    said = senders.program(
        otel_senders.PREPARE + otel_senders.CALLS,
        "nobody",
        simulator.openai_base,
        simulator.anthropic_base,
        backend.url,
        backend.api_key,
    )
    assert isinstance(said, dict)
    records = records_of(backend, said["trace_id"])
    assert [record["model"] for record in records] == ["claude-sim"] * 3


@pytest.mark.parametrize("is_spans_first", [True, False])
def test_a_call_that_our_sdk_made_under_other_instrumentation_is_one_record(
    senders: Environment, backend: BackendProcess, simulator: Simulator, tmp_path: Path, is_spans_first: bool
) -> None:
    made = requests.post(
        f"{backend.project_base}/prompt-templates/name/assistant/versions",
        json={
            "template_messages": [{"role": "user", "content": "{{question}}"}],
            "model": "sim:text=In France.",
            "provider": "anthropic",
            "flavor": "anthropic_chat",
            "llm_parameters": {"max_tokens": 50},
            "environments": ["latest"],
        },
        headers=backend.headers,
        timeout=10,
    )
    assert made.status_code == 201, made.text
    # the package that is tested, without the others beside it where it is installed
    packages = tmp_path / "packages"
    packages.mkdir()
    (packages / "freeplay_like").symlink_to(Path(freeplay_like.__file__).parent)
    said = senders.program(
        otel_senders.PREPARE + OUR_SDK,
        "openinference",
        simulator.openai_base,
        simulator.anthropic_base,
        backend.url,
        backend.api_key,
        backend.project_id,
        is_spans_first,
        env={"PYTHONPATH": str(packages), "FREEPLAY_LIKE_SPOOL_DIR": str(tmp_path / "spool")},
    )
    assert isinstance(said, dict)
    records = until(
        lambda: (found := records_of(backend, said["trace_id"])) and len(found) == 2 and found, what="both records"
    )
    assert [record["record_id"] for record in records] == said["record_ids"]
    roles = [span["role"] for span in trace_of(backend, said["trace_id"])]
    assert roles.count("own") == 2
    assert roles.count("call") >= 2


@pytest.mark.parametrize("sender", ["genai", "openinference", "traceloop"])
def test_spans_that_come_again_are_stored_once(backend: BackendProcess, sender: str) -> None:
    body = (FIXTURES / f"{sender}.bin").read_bytes()
    for encoding, data in (("identity", body), ("gzip", gzip.compress(body))):
        answer = post(backend, data, **{"Content-Encoding": encoding})
        assert (answer.status_code, answer.content, answer.headers["content-type"]) == (200, b"", PROTOBUF)


# --- the protocol -------------------------------------------------------------------------------------------


def test_spans_are_taken_at_freeplays_address_too_and_json_is_answered_in_json(backend: BackendProcess) -> None:
    body = a_body(a_span(traceId="2" * 32, attributes=attributes({"gen_ai.request.model": "m"})))
    answer = post(backend, body, kind="application/json; charset=utf-8", path="/api/v0/otel/v1/traces")
    assert (answer.status_code, answer.json()) == (200, {})
    (record,) = records_of(backend, "2" * 32)
    assert record["requested_model"] == "m"


def test_what_cannot_be_kept_is_told_and_the_rest_is_kept(backend: BackendProcess) -> None:
    body = a_body(a_span(traceId="3" * 32), a_span(spanId="nonsense"), a_span(traceId="0" * 32))
    answer = post(backend, body, kind="application/json")
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "2"
    assert "spanId is 'nonsense'" in answer.json()["partialSuccess"]["errorMessage"]
    assert [span["span_id"] for span in trace_of(backend, "3" * 32)] == ["1" * 16]


def test_a_partial_success_in_protobuf_is_what_its_package_reads(backend: BackendProcess) -> None:
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
        ExportTraceServiceRequest,
        ExportTraceServiceResponse,
    )

    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    for index in range(300):
        spans.add(name=str(index))
    answer = post(backend, request.SerializeToString())
    said = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, said.rejected_spans) == (200, 300)
    assert "traceId" in said.error_message


@pytest.mark.parametrize(
    ("body", "kind", "headers", "status", "message"),
    [
        (b"{}", "text/plain", {}, 415, "is not OTLP"),
        (b"{}", "", {}, 415, "is not OTLP"),
        (b"{", "application/json", {}, 400, "not what OTLP sends"),
        (b"\xff\xff", PROTOBUF, {}, 400, "not what OTLP sends"),
        (b"{}", "application/json", {"Content-Encoding": "br"}, 415, "br"),
        (b"{}", "application/json", {"Content-Encoding": "gzip"}, 400, "not gzip"),
        (gzip.compress(b"{}")[:-9], "application/json", {"Content-Encoding": "gzip"}, 400, "ends too early"),
        (gzip.compress(bytes(200 * 2**20)), PROTOBUF, {"Content-Encoding": "gzip"}, 413, "decompressed"),
        (bytes(17 * 2**20), PROTOBUF, {}, 413, "bytes"),
        (b"{}", "application/json", {"Authorization": "Bearer nonsense"}, 401, "API key"),
        (b"{}", "application/json", {"Authorization": ""}, 401, "API key"),
    ],
    ids=lambda value: value.decode("latin-1")[:12] if isinstance(value, bytes) else None,
)
def test_a_request_that_is_none_is_refused(
    backend: BackendProcess, body: bytes, kind: str, headers: dict[str, str], status: int, message: str
) -> None:
    answer = post(backend, body, kind=kind, **headers)
    assert answer.status_code == status
    assert message in answer.text
    if kind == PROTOBUF:
        assert answer.headers["content-type"] == PROTOBUF
        assert answer.content[:1] == b"\x12"  # google.rpc.Status, its message
    else:
        assert answer.json()["message"]


@pytest.mark.parametrize(("signal", "name"), [("metrics", "rejectedDataPoints"), ("logs", "rejectedLogRecords")])
def test_metrics_and_logs_are_declined_so_that_nobody_sends_them_again(
    backend: BackendProcess, signal: str, name: str
) -> None:
    bodies = {
        "metrics": {"resourceMetrics": [{"scopeMetrics": [{"metrics": [{"sum": {"dataPoints": [{}, {}]}}]}]}]},
        "logs": {"resourceLogs": [{"scopeLogs": [{"logRecords": [{}, {}]}]}]},
    }
    answer = post(backend, json.dumps(bodies[signal]).encode(), kind="application/json", path=f"/v1/{signal}")
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"][name] == "2"
    assert "not kept here" in answer.json()["partialSuccess"]["errorMessage"]
    assert post(backend, b"", path=f"/v1/{signal}").content == b""


def test_hostile_attributes_are_kept_as_they_came(backend: BackendProcess) -> None:
    hostile = {"__proto__": "x", "__class__": "x", "a": "1", "a.b": "2", "." * 1_000: "dots", "nul\0": "\0"}
    span = a_span(traceId="4" * 32, attributes=attributes({"gen_ai.request.model": "m\0", **hostile}))
    assert post(backend, a_body(span), kind="application/json").json() == {}
    (kept,) = trace_of(backend, "4" * 32)
    assert {name: kept["span"]["attributes"][name] for name in hostile} == hostile
    (record,) = records_of(backend, "4" * 32)
    assert record["requested_model"] == "m\N{REPLACEMENT CHARACTER}"


def test_what_was_acknowledged_is_there_after_the_process_was_killed(own_backend: BackendProcess) -> None:
    assert post(own_backend, (FIXTURES / "traceloop.bin").read_bytes()).status_code == 200
    own_backend.kill()
    own_backend.start()
    headers = own_backend.headers
    calls = requests.get(f"{own_backend.url}/healthz", headers=headers, timeout=10)
    assert calls.status_code == 200
    assert post(own_backend, (FIXTURES / "traceloop.bin").read_bytes()).content == b""
    assert own_backend.log.count("Traceback") == 0


# --- reading and adding -------------------------------------------------------------------------------------


def test_feedback_and_scores_find_a_call_by_its_span(backend: BackendProcess) -> None:
    span = a_span(traceId="5" * 32, spanId="5" * 16, attributes=attributes({"gen_ai.request.model": "m"}))
    assert post(backend, a_body(span), kind="application/json").json() == {}
    answer = requests.patch(
        f"{backend.project_base}/traces/otel-span-id/{'5' * 16}",
        json={"feedback": {"freeplay_feedback": "positive", "why": "short"}, "eval_results": {"good": True}},
        headers=backend.headers,
        timeout=10,
    )
    assert answer.status_code == 200, answer.text
    (record,) = records_of(backend, "5" * 32)
    assert answer.json() == {"completion_id": record["record_id"]}
    (said,) = record["amendments"]
    assert (said["feedback"], said["comments"], said["scores"]) == ("positive", {"why": "short"}, {"good": True})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "otel-traces/nonsense", None, 400),
        ("GET", f"otel-traces/{'9' * 32}", None, 404),
        ("PATCH", "traces/otel-span-id/nonsense", {"eval_results": {"a": 1}}, 400),
        ("PATCH", f"traces/otel-span-id/{'9' * 16}", {"eval_results": {"a": 1}}, 404),
        ("PATCH", f"traces/otel-span-id/{'5' * 16}", {}, 400),
        ("PATCH", f"traces/otel-span-id/{'5' * 16}", {"feedback": {"freeplay_feedback": "great"}}, 400),
        ("PATCH", f"traces/otel-span-id/{'5' * 16}", {"eval_results": {str(n): 1 for n in range(101)}}, 400),
    ],
)
def test_a_wrong_question_is_told_so(
    backend: BackendProcess, method: str, path: str, body: dict[str, object] | None, status: int
) -> None:
    answer = requests.request(method, f"{backend.project_base}/{path}", json=body, headers=backend.headers, timeout=10)
    assert (answer.status_code, [*answer.json()]) == (status, ["message"])
