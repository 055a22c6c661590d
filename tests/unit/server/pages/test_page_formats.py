"""How values are written for people."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
import pytest

from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import Choice
from freeplay_like.core.records import Record
from freeplay_like.server.pages import formats

NOW = datetime(2026, 3, 1, 12, 0, 0, 7000, tzinfo=UTC)
RECORD = Record(record_id="r", project_id="p", started_at=NOW)
STREAM = attrs.evolve(RECORD, usage=Usage(output_tokens=50), time_to_first_chunk_ms=500.0, is_stream=True)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "now"),
        (0.4, "now"),
        (1, "1 s ago"),
        (59.9, "59 s ago"),
        (60, "1 min ago"),
        (3599, "59 min ago"),
        (3600, "1 h ago"),
        (86400, "1 d ago"),
        (86400 * 29.9, "29 d ago"),
        (86400 * 59, "2026-01-01"),
    ],
)
def test_ages_are_said_in_the_largest_unit_that_fits(seconds: float, words: str) -> None:
    assert formats.ago(NOW - timedelta(seconds=seconds), NOW) == words


def test_times_are_exact_to_the_millisecond() -> None:
    assert formats.exact(NOW) == "2026-03-01 12:00:00.007 UTC"


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (None, formats.MISSING),
        (0, "0.0 ms"),
        (0.44, "0.4 ms"),
        (999.4, "999 ms"),
        (999.6, "1.00 s"),
        (1239, "1.24 s"),
        (59_994, "59.99 s"),
        (59_996, "1 min 00 s"),
        (123_000, "2 min 03 s"),
    ],
)
def test_durations_keep_about_three_digits(ms: float | None, words: str) -> None:
    assert formats.duration(ms) == words


def test_counts_and_rates_are_readable() -> None:
    assert formats.count(1234567) == "1,234,567"
    assert formats.count(None) == formats.MISSING
    assert formats.rate(7.44) == "7.4"
    assert formats.rate(123.6) == "124"
    assert formats.rate(None) == formats.MISSING


@pytest.mark.parametrize(
    ("record", "rate"),
    [
        (attrs.evolve(STREAM, latency_ms=1500.0), 50.0),
        (attrs.evolve(STREAM, latency_ms=500.0, is_stream=False), 100.0),
        (attrs.evolve(STREAM, latency_ms=500.0), None),
        (STREAM, None),
        (attrs.evolve(STREAM, latency_ms=1500.0, usage=None), None),
    ],
    ids=["stream", "not a stream", "all at once", "no latency", "no usage"],
)
def test_the_rate_of_a_stream_counts_from_its_first_chunk(record: Record, rate: float | None) -> None:
    assert formats.output_tokens_per_s(record) == rate


def test_a_killed_process_a_cut_stream_and_an_answer_to_come_are_told_apart() -> None:
    killed = formats.explanation_of(attrs.evolve(RECORD, choices=(Choice(text="half"),)))
    waiting = formats.explanation_of(RECORD)
    cut = formats.explanation_of(attrs.evolve(RECORD, ended_at=NOW))
    assert "process ended before the call did" in killed
    assert "still to come" in waiting
    assert "without saying" in cut


def test_tools_and_half_answers_are_explained() -> None:
    tools = attrs.evolve(RECORD, outcome="complete", choices=(Choice(finish_reason="tool_calls"),))
    half = attrs.evolve(RECORD, outcome="error", choices=(Choice(text="half"),))
    assert formats.explanation_of(tools) == "The model asked for tools."
    assert "in the middle" in formats.explanation_of(half)


def test_json_is_indented_and_what_is_not_json_is_left_alone() -> None:
    assert formats.pretty({"a": ["é"]}) == '{\n  "a": [\n    "é"\n  ]\n}'
    assert formats.pretty_text('{"a":1}') == '{\n  "a": 1\n}'
    assert formats.pretty_text('{"a":') == '{"a":'
    assert formats.inline("<b>") == "<b>"
    assert formats.inline([1, None]) == "[1,null]"


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_json_that_nests_too_deep_to_read_is_not_indented(opening: bytes) -> None:
    closing = b"]" if opening == b"[" else b"}"
    shallow = opening * 50 + b"[]" + closing * 50
    deep = opening * 800 + b"[]" + closing * 800
    assert formats.indented(shallow).count(b"\n") > 50
    assert formats.indented(deep) == deep
    assert formats.indented(b'{"text":"' + b"[" * 800 + b'"}').count(b"\n") == 2


@pytest.mark.parametrize(
    ("nano_usd", "words"),
    [
        (None, formats.MISSING),
        (0, "$0"),
        (1, "$0.0000000010"),
        (3_500_000, "$0.0035"),
        (99_600_000, "$0.100"),
        (123_400_000, "$0.12"),
        (12_304_000_000, "$12.30"),
        (1_234_567_000_000_000, "$1,234,567.00"),
    ],
)
def test_sums_of_money_keep_cents_or_two_digits(nano_usd: int | None, words: str) -> None:
    assert formats.dollars(nano_usd) == words
