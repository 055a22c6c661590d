from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from freeplay_like.core.chunks import CompletionChunk, ToolCallDelta
from freeplay_like.core.completion import CompletionBuilder
from freeplay_like.core.events import ChunkEvent, ContentDelta, Event, EventBuilder, ReasoningDelta, ToolArgumentsDelta
from freeplay_like.core.partial_json import partial_json
from freeplay_like.core.schemas import schema_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(min_value=-(10**6), max_value=10**6) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
ANSWERS = st.tuples(st.dictionaries(st.text(max_size=5), JSON, max_size=4), st.text(max_size=20))
PLACES = st.lists(st.integers(min_value=0, max_value=100_000), max_size=12)
Script = list[CompletionChunk]


def cut(text: str, places: list[int]) -> list[str]:
    edges = [0, *sorted(place % (len(text) + 1) for place in places), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


@st.composite
def chunked(draw: st.DrawFn, answers: list[tuple[dict[str, object], str]]) -> Script:
    """Answers of several choices, each of its texts cut anywhere, the choices interleaved in any way."""
    queues: list[Script] = []
    for choice, (value, reasoning) in enumerate(answers):
        text = json.dumps(value)
        queue = [CompletionChunk(choice=choice, reasoning=piece) for piece in cut(reasoning, draw(PLACES))]
        queue += [CompletionChunk(choice=choice, text=piece) for piece in cut(text, draw(PLACES))]
        queue += [
            CompletionChunk(choice=choice, tool_calls=(ToolCallDelta(index=1, id="c", name="f", arguments=piece),))
            for piece in cut(text, draw(PLACES))
        ]
        queues.append([*queue, CompletionChunk(choice=choice, finish_reason="stop")])
    script: Script = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        script.append(queue.pop(0))
    return script


def told(script: Script) -> tuple[list[Event], list[Event]]:
    """The events of the chunks, and those of the end."""
    builder, completion = EventBuilder(schema_of({"type": "object"})), CompletionBuilder()
    events: list[Event] = []
    for chunk in script:
        completion.feed(chunk)
        events += builder.feed(chunk)
    return events, builder.end(CompletionChunk(is_final=True), completion.build())


@given(st.data(), st.lists(ANSWERS, min_size=1, max_size=3))
def test_any_chunking_gives_the_same_events_at_the_end(
    data: st.DataObject, answers: list[tuple[dict[str, object], str]]
) -> None:
    _, one = told(data.draw(chunked(answers)))
    _, other = told(data.draw(chunked(answers)))
    assert one == other
    assert [event.parsed for event in one if event.type == "content.done"] == [value for value, _ in answers]


@given(st.data(), st.lists(ANSWERS, min_size=1, max_size=3))
def test_a_snapshot_is_what_its_choice_has_said_so_far(
    data: st.DataObject, answers: list[tuple[dict[str, object], str]]
) -> None:
    script = data.draw(chunked(answers))
    events, _ = told(script)
    so_far: dict[tuple[str, int], str] = {}
    for event in events:
        if isinstance(event, (ContentDelta, ReasoningDelta, ToolArgumentsDelta)):
            key = (event.type, event.choice)
            delta = event.arguments_delta if isinstance(event, ToolArgumentsDelta) else event.delta
            so_far[key] = so_far.get(key, "") + delta
            assert event.snapshot == so_far[key]
        if isinstance(event, ContentDelta):
            assert event.parsed == partial_json(event.snapshot)
    completion = CompletionBuilder()
    for chunk, event in zip(script, [e for e in events if isinstance(e, ChunkEvent)], strict=True):
        completion.feed(chunk)
        assert event.snapshot == completion.build()


@given(st.dictionaries(st.text(max_size=5), JSON, min_size=1, max_size=4))
def test_every_beginning_of_json_can_be_read(value: dict[str, object]) -> None:
    text = json.dumps(value, ensure_ascii=False)
    assert partial_json(text) == value
    for end in range(1, len(text)):
        partial = partial_json(text[:end])
        assert isinstance(partial, dict)
        assert list(partial) == list(value)[: len(partial)]
