from __future__ import annotations

from datetime import UTC, datetime

import pytest

from freeplay_like.core.chunks import CompletionChunk, Usage
from freeplay_like.core.completion import CompletionBuilder
from freeplay_like.core.ids import uuid7
from freeplay_like.core.records import TIMELINE_LIMIT, Record, RecordBuilder, outcome_of_finish
from freeplay_like.errors import ProviderRateLimited

START = datetime(2026, 1, 1, tzinfo=UTC)


def builder() -> RecordBuilder:
    return RecordBuilder(Record(record_id="r", project_id="p", requested_model="asked", started_at=START), 1_000_000)


def test_a_record_is_given_once() -> None:
    b = builder()
    b.feed(CompletionChunk(text="a", model="answered", finish_reason="stop"), 3_000_000)
    record = b.settle("complete", 11_000_000)
    assert record is not None
    assert (record.model, record.requested_model, record.text) == ("answered", "asked", "a")
    assert (record.latency_ms, record.time_to_first_chunk_ms) == (10.0, 2.0)
    assert record.ended_at is not None
    assert (record.ended_at - START).total_seconds() == 0.01
    assert b.settle("error", 12_000_000, RuntimeError()) is None


def test_the_first_chunk_is_the_first_that_carries_something() -> None:
    b = builder()
    b.feed(CompletionChunk(model="m"), 2_000_000)
    b.feed(CompletionChunk(reasoning="hm"), 5_000_000)
    record = b.settle("interrupted", 9_000_000)
    assert record is not None
    assert record.time_to_first_chunk_ms == 4.0
    assert record.chunk_count == 1


def test_an_error_is_kept_with_its_cause() -> None:
    error = ProviderRateLimited("slow down", status=429, code="rate_limit", retryable=True)
    error.__cause__ = OSError("socket")
    record = builder().settle("error", 2_000_000, error)
    assert record is not None
    assert record.error is not None
    assert (record.error.type, record.error.status, record.error.retryable) == ("ProviderRateLimited", 429, True)
    assert record.error.cause == "OSError: socket"


def test_a_long_stream_has_a_bounded_timeline_that_still_ends_at_its_end() -> None:
    b = builder()
    n = 10 * TIMELINE_LIMIT
    for i in range(n):
        b.feed(CompletionChunk(text="x"), 1_000_000 + i * 1_000_000)
    record = b.settle("complete", 10**10)
    assert record is not None
    assert record.chunk_count == n
    assert TIMELINE_LIMIT // 4 <= len(record.timeline) < TIMELINE_LIMIT
    assert list(record.timeline) == sorted(record.timeline)
    assert record.timeline[-1][1] > n * 0.9


@pytest.mark.parametrize(
    ("chunks", "outcome"),
    [
        ([CompletionChunk(finish_reason="stop")], "complete"),
        ([CompletionChunk(finish_reason="tool_calls")], "complete"),
        ([CompletionChunk(finish_reason="length")], "truncated"),
        ([CompletionChunk(finish_reason="content_filter")], "refused"),
        ([CompletionChunk(refusal="no"), CompletionChunk(finish_reason="stop")], "refused"),
        ([CompletionChunk(text="a")], "interrupted"),
        ([], "interrupted"),
        ([CompletionChunk(finish_reason="stop"), CompletionChunk(choice=1, finish_reason="length")], "truncated"),
    ],
)
def test_the_worst_choice_decides_the_outcome(chunks: list[CompletionChunk], outcome: str) -> None:
    b = CompletionBuilder()
    for chunk in chunks:
        b.feed(chunk)
    assert outcome_of_finish(b.build()) == outcome


def test_usage_that_comes_in_parts_is_kept_whole_and_zero_is_zero() -> None:
    b = CompletionBuilder()
    b.feed(CompletionChunk(usage=Usage(input_tokens=9, output_tokens=1)))
    b.feed(CompletionChunk(usage=Usage(output_tokens=0)))
    assert b.usage == Usage(input_tokens=9, output_tokens=0)
    assert b.usage.total_tokens == 9
    assert Usage(output_tokens=1).total_tokens is None


def test_ids_sort_by_time_and_are_version_7() -> None:
    low, high = uuid7(1, b"\xff" * 10), uuid7(2, b"\x00" * 10)
    assert low < high
    assert low[14] == "7"
    assert low[19] in "89ab"
