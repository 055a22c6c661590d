from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest

from freeplay_like.core.chunks import CompletionChunk, ToolCallDelta, Usage
from freeplay_like.core.completion import CompletionBuilder, CompletionResponse
from freeplay_like.core.events import (
    ChunkEvent,
    Completed,
    ContentDelta,
    ContentDone,
    Event,
    EventBuilder,
    LogprobsContentDelta,
    LogprobsContentDone,
    LogprobsRefusalDelta,
    LogprobsRefusalDone,
    ToolArgumentsDelta,
    ToolArgumentsDone,
)
from freeplay_like.core.schemas import SchemaLike, schema_of
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import StructuredOutputError


@attrs.frozen
class Person:
    name: str
    tags: list[str] = attrs.field(factory=list)


def events_of(chunks: Sequence[CompletionChunk], schema: SchemaLike | None = None) -> list[Event]:
    builder, completion = EventBuilder(None if schema is None else schema_of(schema)), CompletionBuilder()
    events: list[Event] = []
    for chunk in chunks:
        completion.feed(chunk)
        events += builder.feed(chunk)
    response = completion.build(record_id="r")
    final = CompletionChunk(is_final=True, finish_reason=response.finish_reason, usage=response.usage)
    return events + builder.end(final, response)


def texts(*pieces: str, choice: int = 0) -> list[CompletionChunk]:
    return [CompletionChunk(text=piece, choice=choice) for piece in pieces]


STOP = CompletionChunk(finish_reason="stop", finish_reason_raw="stop")


def token(text: str) -> JsonObject:
    return {"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": []}


def test_the_events_of_an_answer_come_in_order() -> None:
    chunks = [
        CompletionChunk(reasoning="hm"),
        *texts("a", "b"),
        CompletionChunk(finish_reason="stop", usage=Usage(input_tokens=1, output_tokens=2)),
    ]
    events = events_of(chunks)
    assert [event.type for event in events] == [
        *("chunk", "reasoning.delta", "chunk", "content.delta", "chunk", "content.delta", "chunk"),
        *("chunk", "reasoning.done", "content.done", "usage", "completed"),
    ]


def test_a_snapshot_tells_what_there_was_at_its_moment_whenever_it_is_looked_at() -> None:
    deltas = [event for event in events_of(texts("a", "b", "c")) if isinstance(event, ContentDelta)]
    assert [(event.delta, event.snapshot) for event in deltas] == [("a", "a"), ("b", "ab"), ("c", "abc")]
    assert [event.snapshot for event in reversed(deltas)] == ["abc", "ab", "a"]


def test_choices_are_told_apart() -> None:
    chunks = [chunk for pair in zip(texts("a", "b"), texts("x", "y", choice=1), strict=True) for chunk in pair]
    events = events_of(chunks)
    deltas = [(e.choice, e.delta, e.snapshot) for e in events if isinstance(e, ContentDelta)]
    assert deltas == [(0, "a", "a"), (1, "x", "x"), (0, "b", "ab"), (1, "y", "xy")]
    assert [(e.choice, e.content) for e in events if isinstance(e, ContentDone)] == [(0, "ab"), (1, "xy")]


def test_a_chunks_snapshot_is_the_completion_so_far() -> None:
    chunks = [
        CompletionChunk(model="m", response_id="id", data=b"{}"),
        CompletionChunk(text="a", model="m", response_id="id", data=b"{}"),
        CompletionChunk(text="x", choice=1),
        CompletionChunk(tool_calls=(ToolCallDelta(index=0, id="c", name="f", arguments="{"),)),
        CompletionChunk(text="b", model="m2"),
        CompletionChunk(reasoning_blocks=({"type": "thinking"},)),
        CompletionChunk(refusal="no"),
        CompletionChunk(logprobs={"content": [token("b")]}),
        CompletionChunk(text="c", finish_reason="stop", usage=Usage(output_tokens=3)),
    ]
    kept = [event for event in events_of(chunks) if isinstance(event, ChunkEvent)]
    builder = CompletionBuilder()
    expected: list[CompletionResponse] = []
    for chunk in chunks:
        builder.feed(chunk)
        expected.append(builder.build())
    assert [event.snapshot for event in kept[:-1]] == expected
    assert kept[-1].snapshot == attrs.evolve(expected[-1], record_id="r")


def test_log_probabilities_have_events_of_their_own_for_text_and_refusal() -> None:
    a, b, c, no = token("a"), token("b"), token("c"), token("no")
    events = events_of(
        [
            CompletionChunk(text="a", logprobs={"content": [a], "refusal": None}),
            CompletionChunk(text="bc", logprobs={"content": [b, c], "refusal": None}),
            CompletionChunk(text="x", choice=1, logprobs={"content": [a]}),
            CompletionChunk(refusal="no", logprobs={"content": None, "refusal": [no]}),
            CompletionChunk(logprobs={"content": []}),
        ]
    )
    deltas = [(e.choice, e.content, e.snapshot) for e in events if isinstance(e, LogprobsContentDelta)]
    assert deltas == [(0, (a,), (a,)), (0, (b, c), (a, b, c)), (1, (a,), (a,))]
    refusals = [(e.choice, e.refusal, e.snapshot) for e in events if isinstance(e, LogprobsRefusalDelta)]
    assert refusals == [(0, (no,), (no,))]
    assert [(e.choice, e.content) for e in events if isinstance(e, LogprobsContentDone)] == [(0, (a, b, c)), (1, (a,))]
    assert [(e.choice, e.refusal) for e in events if isinstance(e, LogprobsRefusalDone)] == [(0, (no,))]


def test_tool_calls_keep_their_index_and_get_their_id_when_it_comes() -> None:
    events = events_of(
        [
            CompletionChunk(tool_calls=(ToolCallDelta(index=2, name="f", arguments='{"ci'),)),
            CompletionChunk(tool_calls=(ToolCallDelta(index=2, id="c2", arguments='ty": "Ro'),)),
            CompletionChunk(tool_calls=(ToolCallDelta(index=2, arguments='me"}'), ToolCallDelta(index=4, id="c4"))),
        ]
    )
    deltas = [event for event in events if isinstance(event, ToolArgumentsDelta)]
    assert [(e.index, e.id, e.name, e.arguments, e.parsed_arguments) for e in deltas] == [
        (2, None, "f", '{"ci', {}),
        (2, "c2", "f", '{"city": "Ro', {"city": "Ro"}),
        (2, "c2", "f", '{"city": "Rome"}', {"city": "Rome"}),
        (4, "c4", None, "", None),
    ]
    done = [event for event in events if isinstance(event, ToolArgumentsDone)]
    assert [(e.index, e.id, e.name, e.parsed_arguments) for e in done] == [
        (2, "c2", "f", {"city": "Rome"}),
        (4, "c4", "", {}),
    ]


def test_arguments_that_are_not_json_are_told_when_they_are_looked_at() -> None:
    (done,) = [
        e
        for e in events_of([CompletionChunk(tool_calls=(ToolCallDelta(index=0, id="c", name="f", arguments="{a"),))])
        if isinstance(e, ToolArgumentsDone)
    ]
    assert done.arguments == "{a"
    with pytest.raises(StructuredOutputError, match="arguments of the call of 'f'") as raised:
        _ = done.parsed_arguments
    assert raised.value.text == "{a"


def test_the_text_is_parsed_as_it_comes_and_as_a_value_at_its_end() -> None:
    events = events_of([*texts('{"name": "A', 'da", "ta', 'gs": ["x"]}'), STOP], Person)
    deltas = [event for event in events if isinstance(event, ContentDelta)]
    assert [event.parsed for event in deltas] == [{"name": "A"}, {"name": "Ada"}, {"name": "Ada", "tags": ["x"]}]
    (done,) = [event for event in events if isinstance(event, ContentDone)]
    assert done.parsed == Person("Ada", ["x"])
    assert isinstance(events[-1], Completed)
    assert events[-1].parsed == Person("Ada", ["x"])


def test_each_choice_is_parsed_by_itself() -> None:
    events = events_of([*texts('{"name": "a"}'), *texts('{"name": "x"}', choice=1)], Person)
    assert [e.parsed for e in events if isinstance(e, ContentDone)] == [Person("a"), Person("x")]


def test_a_json_schema_gives_plain_values_and_a_list_comes_out_of_its_object() -> None:
    plain = events_of([*texts('{"a": ', "[1]}"), STOP], {"type": "object"})
    assert [e.parsed for e in plain if isinstance(e, ContentDelta)] == [{}, {"a": [1]}]
    assert [e.parsed for e in plain if isinstance(e, ContentDone)] == [{"a": [1]}]
    listed = events_of([*texts('{"va', 'lue": ["a", "', 'b"]}'), STOP], list[str])
    assert [e.parsed for e in listed if isinstance(e, ContentDelta)] == [None, ["a", ""], ["a", "b"]]
    assert [e.parsed for e in listed if isinstance(e, ContentDone)] == [["a", "b"]]


def test_a_text_that_does_not_fit_is_told_when_it_is_looked_at() -> None:
    events = events_of([*texts('{"name": 1}'), STOP], Person)
    (done,) = [event for event in events if isinstance(event, ContentDone)]
    assert done.content == '{"name": 1}'
    with pytest.raises(StructuredOutputError) as raised:
        _ = done.parsed
    assert raised.value.problems == ("$.name: must be a string, not 1",)
    completed = events[-1]
    assert isinstance(completed, Completed)
    with pytest.raises(StructuredOutputError):
        _ = completed.parsed


def test_without_a_schema_nothing_is_parsed() -> None:
    events = events_of([*texts('{"name": "Ada"}'), STOP])
    assert [e.parsed for e in events if isinstance(e, (ContentDelta, ContentDone, Completed))] == [None, None, None]


def test_what_a_reader_does_to_a_parsed_value_is_not_seen_at_the_next_look() -> None:
    (delta,) = [e for e in events_of(texts('{"a": [1'), {"type": "object"}) if isinstance(e, ContentDelta)]
    assert isinstance(delta.parsed, dict)
    delta.parsed.clear()
    assert delta.parsed == {"a": [1]}


def test_an_event_shows_its_fields_and_no_parts_of_the_stream() -> None:
    (delta,) = [e for e in events_of(texts("a")) if isinstance(e, ContentDelta)]
    assert repr(delta) == "ContentDelta(delta='a', choice=0, type='content.delta')"
