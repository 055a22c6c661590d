"""Both forms of OTLP lead to the same spans; what cannot be kept is refused span by span, or as a whole."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.wire import WireError
from freeplay_like.server.spans import otlp_json, otlp_protobuf
from freeplay_like.server.spans.calls import reading_of
from freeplay_like.server.spans.span import SPANS_LIMIT, Decoded

FIXTURES = Path(__file__).parents[4] / "fixtures" / "otlp"
START = "1795000000000000000"


def a_span(**changes: object) -> dict[str, object]:
    return {"traceId": "a" * 32, "spanId": "b" * 16, "name": "x", "startTimeUnixNano": START, **changes}


def a_body(*spans: dict[str, object], resource: dict[str, object] | None = None) -> bytes:
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": list(spans)}]}]}).encode()


def decoded(*spans: dict[str, object]) -> Decoded:
    return otlp_json.decode(a_body(*spans))


def as_json(body: bytes) -> bytes:
    """A recorded request in the JSON form: as protobuf's own JSON, but ids in hex."""
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    request = MessageToDict(ExportTraceServiceRequest.FromString(body), use_integers_for_enums=True)
    for resource_spans in request["resourceSpans"]:
        for scope_spans in resource_spans["scopeSpans"]:
            for span in scope_spans["spans"]:
                for name in {"traceId", "spanId", "parentSpanId"} & span.keys():
                    span[name] = base64.b64decode(span[name]).hex().upper()
    return json.dumps(request).encode()


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.bin")), ids=lambda path: path.stem)
def test_json_and_protobuf_say_the_same(path: Path) -> None:
    body = path.read_bytes()
    from_protobuf = otlp_protobuf.decode(body)
    assert len(from_protobuf.spans) >= 5
    assert otlp_json.decode(as_json(body)) == from_protobuf


def test_every_kind_of_value_is_read() -> None:
    values = [
        {"stringValue": "text"},
        {"boolValue": False},
        {"intValue": "-9007199254740993"},
        {"intValue": 7},
        {"doubleValue": 0.5},
        {"doubleValue": "NaN"},
        {"bytesValue": "AAE="},
        {"arrayValue": {"values": [{"stringValue": "a"}, {}]}},
        {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}},
        {},
    ]
    (span,) = decoded(a_span(attributes=[{"key": str(i), "value": v} for i, v in enumerate(values)])).spans
    assert [*span.attributes.values()] == [
        "text",
        False,
        -9007199254740993,
        7,
        0.5,
        "NaN",
        "AAE=",
        ["a", None],
        {"k": True},
        None,
    ]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"traceId": "0" * 32}, "traceId is"),
        ({"traceId": "abc"}, "32 hex digits"),
        ({"spanId": "g" * 16}, "16 hex digits"),
        ({"parentSpanId": "abc"}, "parentSpanId"),
        ({"startTimeUnixNano": "0"}, "startTimeUnixNano is 0"),
        ({"startTimeUnixNano": "1" * 1000}, "startTimeUnixNano is '1111"),
        ({"startTimeUnixNano": "-5"}, "after 1970"),
        ({"endTimeUnixNano": 2**80}, "64 bits"),
        ({"attributes": [{"key": "x" * 1001, "value": {}}]}, "key of an attribute has 1001"),
        ({"attributes": [{"key": str(i)} for i in range(4001)]}, "4001 attributes"),
        ({"attributes": [{"key": "a", "value": {"intValue": "1e5"}}]}, "intValue"),
        ({"events": [{}] * 4001}, "4001 events"),
    ],
)
def test_a_span_that_cannot_be_kept_is_refused_and_the_others_are_not(changes: dict[str, object], why: str) -> None:
    found = decoded(a_span(**changes), a_span())
    assert [span.span_id for span in found.spans] == ["b" * 16]
    (refusal,) = found.refusals
    assert why in refusal


def test_a_value_may_be_nested_but_not_without_end() -> None:
    def nested(depth: int) -> dict[str, object]:
        value: dict[str, object] = {"stringValue": "x"}
        for _ in range(depth):
            value = {"arrayValue": {"values": [value]}}
        return a_span(attributes=[{"key": "a", "value": value}])

    assert len(decoded(nested(32)).spans) == 1
    assert "nested deeper" in decoded(nested(33)).refusals[0]


def test_a_large_resource_would_be_kept_with_each_span_and_is_refused() -> None:
    resource = {"attributes": [{"key": "a", "value": {"stringValue": "x" * 20_000}}]}
    found = otlp_json.decode(a_body(a_span(), a_span(spanId="c" * 16), resource=resource))
    assert (len(found.spans), len(found.refusals)) == (0, 2)
    assert "16384 are kept" in found.refusals[0]


def test_no_more_than_so_many_spans_are_taken_at_once() -> None:
    found = decoded(*(a_span(spanId=f"{index:016x}") for index in range(1, SPANS_LIMIT + 3)))
    assert (len(found.spans), len(found.refusals)) == (SPANS_LIMIT, 2)


def test_half_an_emoji_does_not_keep_a_request_out() -> None:
    body = a_body(a_span()).replace(b'"x"', b'"\\ud83d"')
    (span,) = otlp_json.decode(body).spans
    assert span.name == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "body", [b"", b"[]", b'{"resourceSpans": 1}', b"\xff", b'{"resourceSpans":[{"scopeSpans":[1]}]}']
)
def test_what_is_no_request_is_told_so(body: bytes) -> None:
    with pytest.raises(WireError):
        otlp_json.decode(body)


def test_protobuf_that_is_none_is_told_so() -> None:
    with pytest.raises(WireError):
        otlp_protobuf.decode(b"\xff\xff")


def test_without_its_package_protobuf_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.proto.collector.trace.v1.trace_service_pb2", None)
    with pytest.raises(ImportError):
        otlp_protobuf.decode(b"")


@given(st.binary(max_size=300))
def test_no_bytes_lead_to_anything_but_spans_or_a_refusal(body: bytes) -> None:
    for decode in (otlp_json.decode, otlp_protobuf.decode):
        try:
            found = decode(body)
        except WireError:
            continue
        for span in found.spans:
            assert reading_of(span, "p").role in ("call", "own", "step", "plain")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    [
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "gen_ai.system_instructions",
        "gen_ai.tool.definitions",
        "gen_ai.prompt.0.content",
        "gen_ai.prompt.0.tool_calls.0.name",
        "gen_ai.response.finish_reasons",
        "gen_ai.usage.input_tokens",
        "gen_ai.request.max_tokens",
        "gen_ai.response.time_to_first_chunk",
        "server.port",
        "openinference.span.kind",
        "llm.input_messages.0.message.content",
        "llm.input_messages.0.message.contents.0.message_content.text",
        "llm.invocation_parameters",
        "llm.prompt_template.variables",
        "metadata",
        "input.value",
        "error.type",
        "traceloop.span.kind",
        "http.response.status_code",
    ]
)


@given(st.dictionaries(NAMES, JSON_VALUES, max_size=8))
def test_whatever_stands_in_known_attributes_a_call_is_read(attributes: dict[str, object]) -> None:
    text = [{"key": name, "value": {"stringValue": json.dumps(value)}} for name, value in attributes.items()]
    (span,) = decoded(a_span(attributes=[*text, {"key": "gen_ai.request.model", "value": {"stringValue": "m"}}])).spans
    for given_attributes in (span.attributes, {**attributes, "gen_ai.request.model": "m"}):
        reading = reading_of(attrs.evolve(span, attributes=given_attributes), "p")
        assert (reading.record is not None) is (reading.role == "call")
