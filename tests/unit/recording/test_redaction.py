"""What never reaches disk or wire."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
import pytest

from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.limits import Attempt
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import ParameterSetting
from freeplay_like.core.records import Amendment, ErrorInfo, Record
from freeplay_like.core.wire import to_wire
from freeplay_like.recording.recorder import JournalRecorder
from freeplay_like.recording.redaction import MASK, Redactor, mask_bytes, mask_text
from freeplay_like.recording.troubles import Troubles
from support.sink import KEY, Sink, make_amendment, make_record, make_start

SECRET = "sk-ant-seeded-0123456789abcdef"


def written(record: Record, **settings: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(Redactor(Troubles(), **settings).record_json(record))
    return values


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect API key provided: sk-abc*****wxyz.",
        "Authorization: Bearer abc.def",
        "{'x-api-key': 'abcdefg'}",
        "POST https://user:hunter2@host/v1?key=AIzaSyA&x=1",
        "AKIAIOSFODNN7EXAMPLE is not allowed",
        "https://host/?access_token=abc#top",
    ],
)
def test_error_texts_and_addresses_lose_their_keys(text: str) -> None:
    masked = mask_text(text)
    assert MASK in masked
    for secret in ("sk-abc", "abc.def", "abcdefg", "hunter2", "AIzaSyA", "AKIAIO", "=abc"):
        assert secret not in masked


@pytest.mark.parametrize(
    "text", ["a risk-assessment-of-everything", "the key is under the mat", "ask-me-anything-now-please"]
)
def test_prose_stays_as_it_is(text: str) -> None:
    assert mask_text(text) == text
    assert mask_bytes(text.encode()) == text.encode()


@pytest.mark.parametrize("before", ["", " ", "\n", "\t", "é", "\x01", '"', "key="])
def test_a_key_in_a_message_is_masked_whatever_stands_before_it(before: str) -> None:
    record = make_record(messages=(Message(role="user", content=f"{before}{SECRET} is mine"),))
    assert written(record)["messages"][0]["content"] == f"{before}{MASK} is mine"


def test_secret_headers_are_masked_wherever_a_request_or_metadata_holds_them() -> None:
    headers = {"Authorization": "Basic abc", "X-Api-Key": "abc", "cookie": ["abc"], "accept": "all"}
    settings = {
        "extra_headers": ParameterSetting(value=headers, layer="call"),
        "api_key": ParameterSetting(value="abc", layer="client"),
    }
    found = written(make_record(request={"headers": headers}, metadata={"a": [headers]}, parameters=settings))
    masked = {"Authorization": MASK, "X-Api-Key": MASK, "cookie": MASK, "accept": "all"}
    assert found["request"] == {"headers": masked}
    assert found["metadata"] == {"a": [masked]}
    assert found["parameters"]["extra_headers"]["value"] == masked
    assert found["parameters"]["api_key"] == {"value": MASK, "layer": "client", "is_removed": False, "overrode": []}


def test_errors_and_endpoint_are_masked() -> None:
    error = ErrorInfo(type="ProviderRejected", message="bad key sk-1234", cause="E: Bearer x.y")
    found = written(make_record(error=error, endpoint="https://me:pw@host/v1"))
    assert found["error"]["message"] == f"bad key {MASK}"
    assert found["error"]["cause"] == f"E: Bearer {MASK}"
    assert found["endpoint"] == f"https://{MASK}@host/v1"


def test_the_backends_own_key_is_masked_whatever_its_shape() -> None:
    assert written(make_record(metadata={"note": "it is hush"}), own_key="hush")["metadata"] == {
        "note": f"it is {MASK}"
    }


@pytest.mark.parametrize("failure", ["raises", "none", "not a record"])
def test_a_hook_that_fails_keeps_only_how_the_call_went(failure: str) -> None:
    def hook(record: Record) -> Record | None:
        if failure == "raises":
            raise LookupError("private")
        return None if failure == "none" else "text"  # type: ignore[return-value]

    record = make_record(
        messages=(Message(role="user", content="private"),),
        variables={"a": "private"},
        metadata={"a": "private"},
        request={"a": "private"},
        parameters={
            "temperature": ParameterSetting(value=0.5, layer="call"),
            "stop": ParameterSetting(value="private", layer="call"),
        },
        choices=(Choice(text="private", reasoning="private", finish_reason="stop"),),
        usage=Usage(input_tokens=3, raw={"a": "private"}),
        error=ErrorInfo(type="E", message="private", cause="private"),
    )
    found = written(record, hook=hook)
    assert "private" not in json.dumps(found)
    assert found["record_id"] == record.record_id
    assert (found["requested_model"], found["latency_ms"], found["outcome"]) == ("gpt-test", 12.0, "complete")
    assert found["usage"]["input_tokens"] == 3
    assert found["choices"][0]["finish_reason"] == "stop"
    assert list(found["parameters"]) == ["temperature"]
    assert "redact hook" in found["metadata"]["redaction"]


def test_a_hook_may_change_contents_but_not_whose_record_it_is() -> None:
    record = make_record()
    found = written(record, hook=lambda _: make_record(record_id="other", project_id="other", variables={"a": 1}))
    assert (found["record_id"], found["project_id"]) == (record.record_id, record.project_id)
    assert found["variables"] == {"a": 1}


def test_a_record_that_cannot_be_written_is_kept_without_its_contents() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise LookupError

    record = make_record(metadata={"value": Silent()})
    troubles = Troubles()
    found = json.loads(Redactor(troubles).record_json(record))
    assert found["record_id"] == record.record_id
    assert "LookupError" in found["metadata"]["redaction"]
    assert record.record_id in troubles.messages()[0]


def test_attempts_and_headers_of_a_provider_are_masked() -> None:
    attempt = Attempt(
        number=1, started_ms=0.0, latency_ms=1.0, waited_ms=2.0, error="E", message="bad key sk-1234", status=401
    )
    record = make_record(attempts=(attempt,), headers={"set-cookie": "abc", "x-request-id": "r"})
    found = written(record)
    assert found["attempts"][0]["message"] == f"bad key {MASK}"
    assert found["headers"] == {"set-cookie": MASK, "x-request-id": "r"}
    without = written(record, hook=lambda _: None)["attempts"][0]
    assert (without["message"], without["status"]) == (MASK, 401)


# --- amendments -------------------------------------------------------------------------------------------


def said(amendment: Amendment, **settings: Any) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(Redactor(Troubles(), **settings).amendment_json(amendment))
    return values


PRIVATE = make_amendment(
    feedback="negative",
    comments={"note": "private"},
    scores={"is_right": True, "closeness": 0.5, "label": "private"},
    new_messages=(Message(role="assistant", content="private"),),
)


def test_an_amendment_is_written_as_it_is_but_for_its_secrets() -> None:
    assert said(PRIVATE) == json.loads(to_wire(PRIVATE))
    comments = {"note": f"my key {SECRET} and hush", "headers": {"Authorization": "Basic abc"}}
    found = said(make_amendment(comments=comments, new_messages=PRIVATE.new_messages), own_key="hush")
    assert found["comments"] == {"note": f"my key {MASK} and {MASK}", "headers": {"Authorization": MASK}}
    assert found["new_messages"][0]["content"] == "private"


@pytest.mark.parametrize("failure", ["raises", "none"])
def test_a_hook_that_fails_keeps_the_thumb_and_the_numbers(failure: str) -> None:
    def hook(record: Record) -> Record | None:
        if failure == "raises":
            raise LookupError("private")
        return None

    found = said(PRIVATE, hook=hook)
    assert "private" not in json.dumps(found)
    assert (found["amendment_id"], found["record_id"]) == (PRIVATE.amendment_id, PRIVATE.record_id)
    assert (found["feedback"], found["scores"]) == ("negative", {"is_right": True, "closeness": 0.5})
    assert "redact hook" in found["comments"]["redaction"]


def test_a_hook_sees_what_is_free_in_an_amendment_and_may_change_it() -> None:
    seen: list[Record] = []

    def hook(record: Record) -> Record:
        seen.append(record)
        return attrs.evolve(record, record_id="other", metadata={"note": "kept"}, messages=(), variables={"new": "x"})

    found = said(PRIVATE, hook=hook)
    (shown,) = seen
    assert (shown.record_id, shown.messages, shown.metadata) == (
        PRIVATE.record_id,
        PRIVATE.new_messages,
        PRIVATE.comments,
    )
    assert shown.variables == {"label": "private"}
    assert (found["record_id"], found["comments"], found["new_messages"]) == (
        PRIVATE.record_id,
        {"note": "kept"},
        [],
    )
    assert found["scores"] == {"is_right": True, "closeness": 0.5}


def test_a_hook_is_not_asked_about_a_bare_thumb() -> None:
    amendment = make_amendment(comments={})
    assert said(amendment, hook=lambda _: None)["scores"] == amendment.scores


def test_an_amendment_that_cannot_be_written_is_kept_without_its_contents() -> None:
    class Silent:
        def __repr__(self) -> str:
            raise LookupError

    troubles = Troubles()
    amendment = make_amendment(comments={"value": Silent()})
    found = json.loads(Redactor(troubles).amendment_json(amendment))
    assert (found["amendment_id"], found["feedback"]) == (amendment.amendment_id, "positive")
    assert "LookupError" in found["comments"]["redaction"]
    assert amendment.record_id in troubles.messages()[0]


def test_a_seeded_secret_is_nowhere_on_disk_or_wire(tmp_path: Path) -> None:
    with Sink() as sink:
        sink.judge = lambda _: None
        recorder = JournalRecorder(sink.base, KEY, spool_dir=tmp_path)
        record = make_record(
            messages=(Message(role="user", content=f"my key:\n{SECRET}"),),
            request={"headers": {"x-api-key": SECRET}},
            endpoint=f"https://host/?key={SECRET}",
            error=ErrorInfo(type="E", message=f"{SECRET} and {KEY}"),
        )
        recorder.start(make_start(record))
        recorder.progress(record.record_id, f"it is {SECRET} and {KEY}")
        recorder.submit(record)
        recorder.amend(make_amendment(comments={"note": SECRET, "x-api-key": "short", "ours": KEY}))
        recorder.flush()
        assert len(sink.amendments) == 1
        written_bytes = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
        assert record.record_id.encode() in written_bytes
        assert b"it is [redacted] and [redacted]" in written_bytes
        for data in (written_bytes, json.dumps([sink.records, sink.amendments]).encode()):
            assert SECRET.encode() not in data
            assert KEY.encode() not in data
        recorder.close()


def test_with_a_hook_the_text_of_a_running_call_is_not_written(tmp_path: Path) -> None:
    recorder = JournalRecorder("http://127.0.0.1:9/api", KEY, spool_dir=tmp_path, redact=lambda record: record)
    record = make_record()
    recorder.start(make_start(record))
    recorder.progress(record.record_id, "half a thought")
    data = b"".join(path.read_bytes() for path in tmp_path.rglob("*.seg"))
    assert record.record_id.encode() in data
    assert b"half a thought" not in data
    recorder.close(0)
