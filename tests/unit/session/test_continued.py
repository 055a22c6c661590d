"""An answer that hits its length limit is continued: whole and streamed, in both twins, by one table."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest

from freeplay_like import (
    Continuation,
    ContinueState,
    IncompleteResponse,
    PromptTemplate,
    ProviderRejected,
    ProviderUnavailable,
    Retry,
    StreamAbandoned,
    StreamCancelled,
    TemplateMessage,
)
from freeplay_like.core.chunks import CompletionChunk, ToolCallDelta, Usage
from freeplay_like.errors import ConfigurationError
from freeplay_like.testing import FakeAnswer, FakeFlavor, MemoryRecorder, StaticPrompts
from support.clocks import SleeplessClock
from support.twins import Twin

STORY = PromptTemplate(
    name="story", model="fake-1", messages=(TemplateMessage(role="user", content="A story of {{what}}."),)
)


def part(*texts: str, finish: str = "length", tokens: int | None = 3) -> list[str | CompletionChunk]:
    usage = None if tokens is None else Usage(input_tokens=7, output_tokens=tokens)
    return [*texts, CompletionChunk(finish_reason=finish, finish_reason_raw=finish, usage=usage, model="fake-1")]


ONE, TWO, THREE = part("one ", "and "), part("two "), part("three", finish="stop")
BROKEN = ProviderUnavailable("boom", status=500)
TOOL = [
    CompletionChunk(tool_calls=(ToolCallDelta(index=0, id="c", name="f", arguments='{"a'),)),
    CompletionChunk(finish_reason="length", finish_reason_raw="length"),
]


class Scene:
    """A session of one twin, whole or streamed."""

    def __init__(self, twin: Twin, *answers: FakeAnswer) -> None:
        self.twin = twin
        self.flavor, self.recorder, self.clock = FakeFlavor(*answers), MemoryRecorder(), SleeplessClock()
        self.fp = twin.client(
            self.flavor,
            prompts=StaticPrompts(STORY),
            recorder=self.recorder,
            clock=self.clock,
            retry=Retry(attempts=1),
        )
        self.session = self.fp.create_session("p")

    def answer(self, is_stream: bool, **options: object) -> tuple[object, str]:
        """The joined answer, and the text as it was delivered."""
        continuation = Continuation(**options)
        if not is_stream:
            response = self.twin.do(self.session.complete("story", {"what": "tides"}, continuation=continuation))
            return response, response.content
        stream = self.twin.do(self.session.complete_stream("story", {"what": "tides"}, continuation=continuation))
        delivered = self.twin.chunks(stream)
        assert [chunk.is_final for chunk in delivered] == [False] * (len(delivered) - 1) + [True]
        return self.twin.do(stream.result()), "".join(chunk.text for chunk in delivered)

    def asked(self, number: int) -> list[tuple[str, str]]:
        return [(m["role"], m["content"]) for m in self.flavor.requests[number].body["messages"]]


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def is_stream(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def test_parts_become_one_answer(twin: Twin, is_stream: bool) -> None:
    scene = Scene(twin, ONE, TWO, THREE)
    response, delivered = scene.answer(is_stream)
    assert response.content == delivered == "one and two three"
    assert response.finish_reason == "stop"
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (21, 9, 30)
    assert scene.asked(2) == [("user", "A story of tides."), ("assistant", "one and two "), ("user", "continue")]
    first, second, third = scene.recorder.records
    assert [record.outcome for record in scene.recorder.records] == ["truncated", "truncated", "complete"]
    assert [record.parent_id for record in scene.recorder.records] == [None, first.record_id, first.record_id]
    assert [p.record_id for p in response.parts] == [first.record_id, second.record_id, third.record_id]
    assert response.record_id == first.record_id
    assert scene.session.totals.calls == 3
    assert scene.session.totals.output_tokens == 9


@attrs.frozen(kw_only=True)
class Ending:
    """A case of the table: what the provider does, what was asked, and what comes of it."""

    name: str
    answers: Sequence[FakeAnswer]
    options: dict[str, object] = attrs.field(factory=dict)
    text: str
    calls: int
    raises: type[Exception] | None = None
    count: int = 0
    cause: type[Exception] | None = None


ENDINGS = [
    Ending(name="too long", answers=[ONE, TWO], options={"max_continues": 1}, text="one and two ", calls=2,
           raises=IncompleteResponse, count=1),
    Ending(name="too long, errors give partial", answers=[ONE, TWO], text="one and two ", calls=2, count=1,
           options={"max_continues": 1, "on_error": "return_partial"}, raises=IncompleteResponse),
    Ending(name="too long is fine", answers=[ONE, TWO], options={"max_continues": 1, "ensure_complete": False},
           text="one and two ", calls=2),
    Ending(name="none allowed", answers=[ONE], options={"max_continues": 0}, text="one and ", calls=1,
           raises=IncompleteResponse),
    Ending(name="second continuation refused", answers=[ONE, TWO, BROKEN], text="one and two ", calls=3, count=2,
           raises=IncompleteResponse, cause=ProviderUnavailable),
    Ending(name="second continuation refused, incomplete is fine", answers=[ONE, TWO, BROKEN], text="one and two ",
           options={"ensure_complete": False}, calls=3, count=2, raises=IncompleteResponse, cause=ProviderUnavailable),
    Ending(name="second continuation refused, errors give partial", answers=[ONE, TWO, BROKEN],
           options={"on_error": "return_partial"}, text="one and two ", calls=3),
    Ending(name="a continuation breaks off", answers=[ONE, ["tw", BROKEN]], text="one and tw", calls=2, count=1,
           raises=IncompleteResponse, cause=ProviderUnavailable),
    Ending(name="made again", answers=[ONE, BROKEN, THREE], options={"on_failure": lambda *_: "retry"},
           text="one and three", calls=3),
    Ending(name="made again without end", answers=[ONE, BROKEN], options={"on_failure": lambda *_: "retry"}, count=1,
           text="one and ", calls=5, raises=IncompleteResponse, cause=ProviderUnavailable),
    Ending(name="on_failure gives partial", answers=[ONE, BROKEN], options={"on_failure": lambda *_: "return_partial"},
           text="one and ", calls=2),
    Ending(name="on_failure fails", answers=[ONE, BROKEN], options={"on_failure": lambda *_: 1 / 0}, text="one and ",
           calls=2, count=1, raises=IncompleteResponse, cause=ProviderUnavailable),
    Ending(name="the prompt fails", answers=[ONE], options={"prompt": lambda _: 1 / 0}, text="one and ", calls=1,
           raises=IncompleteResponse, cause=ZeroDivisionError),
    Ending(name="a cut tool call", answers=[TOOL], text="", calls=1, raises=IncompleteResponse),
    Ending(name="the first call refused", answers=[ProviderRejected("no", status=400)], text="", calls=1,
           raises=ProviderRejected),
    Ending(name="the first call breaks off", answers=[["on", BROKEN]], text="on", calls=1, raises=ProviderUnavailable),
    Ending(name="filtered", answers=[ONE, part("tw", finish="content_filter")], text="one and tw", calls=2),
]  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.name.replace(" ", "_"))
def test_every_ending_keeps_the_text_the_count_and_the_cause(twin: Twin, is_stream: bool, ending: Ending) -> None:
    scene = Scene(twin, *ending.answers)
    if ending.raises is None:
        response, delivered = scene.answer(is_stream, **ending.options)
        assert response.content == delivered == ending.text
    else:
        with pytest.raises(ending.raises) as caught:
            scene.answer(is_stream, **ending.options)
        partial = caught.value.partial
        assert (partial.content if partial else "") == ending.text
        if isinstance(caught.value, IncompleteResponse):
            assert caught.value.continue_count == ending.count
            assert type(caught.value.__cause__) is (ending.cause or type(None))
    assert len(scene.flavor.requests) == ending.calls
    assert len(scene.recorder.records) == ending.calls


def test_a_failure_is_the_same_every_time(twin: Twin) -> None:
    scene = Scene(twin, ONE, ["tw", BROKEN])
    stream = twin.do(scene.session.complete_stream("story", {"what": "tides"}))
    errors = []
    for _ in range(2):
        with pytest.raises(IncompleteResponse) as caught:
            twin.do(stream.result())
        errors.append(caught.value)
    assert errors[0] is errors[1]
    assert stream.partial.content == "one and tw"


def test_progress_is_told_and_cannot_hurt(twin: Twin, is_stream: bool, caplog: pytest.LogCaptureFixture) -> None:
    told: list[ContinueState] = []

    def on_progress(state: ContinueState) -> None:
        told.append(state)
        raise RuntimeError("the caller's own bug")

    response, _ = Scene(twin, ONE, TWO, THREE).answer(is_stream, on_progress=on_progress)
    assert response.content == "one and two three"
    assert [(state.count, state.text) for state in told] == [(1, "one and "), (2, "one and two ")]
    assert "the caller's own bug" in caplog.text


def test_every_continuation_waits(twin: Twin, is_stream: bool) -> None:
    scene = Scene(twin, ONE, TWO, THREE)
    scene.answer(is_stream, delay_s=(0.1, 0.3))
    assert len(scene.clock.slept) == 2
    assert all(0.1 <= slept <= 0.3 for slept in scene.clock.slept)


def test_the_prompt_may_be_made_and_the_answer_be_prefilled(twin: Twin, is_stream: bool) -> None:
    scene = Scene(twin, ONE, THREE)
    scene.answer(is_stream, prompt=lambda state: f"go on, {state.count} of {state.max_continues}")
    assert scene.asked(1)[-1] == ("user", "go on, 1 of 5")
    scene = Scene(twin, ONE, THREE)
    assert scene.answer(is_stream, mode="assistant_prefill")[0].content == "one and three"
    assert scene.asked(1)[-1] == ("assistant", "one and")


def test_what_a_part_repeats_is_left_out(twin: Twin, is_stream: bool) -> None:
    answers = [part("the tide comes in"), part("tide ", "comes in ", "and goes", finish="stop")]
    response, delivered = Scene(twin, *answers).answer(is_stream, trim_overlap=True)
    assert response.content == delivered == "the tide comes in and goes"


def test_an_answer_left_early_closes_its_call(twin: Twin) -> None:
    scene = Scene(twin, ONE, ["two ", "more"])
    stream = twin.do(scene.session.complete_stream("story", {"what": "tides"}))
    assert [twin.next(stream).text for _ in range(3)] == ["one ", "and ", "two "]
    twin.close(stream)
    with pytest.raises((StreamCancelled, StreamAbandoned)) as caught:
        twin.do(stream.result())
    assert caught.value.partial.content == "one and two "
    assert [record.outcome for record in scene.recorder.records] == ["truncated", "cancelled"]
    assert scene.flavor.connections[1].is_closed


def test_several_choices_are_refused_before_anything_is_sent(twin: Twin) -> None:
    scene = Scene(twin, ONE)
    with pytest.raises(ConfigurationError, match="n=2"):
        twin.do(scene.session.complete("story", {"what": "tides"}, n=2))
    assert scene.flavor.requests == []


def test_a_continued_stream_goes_to_a_browser_and_has_events(twin: Twin) -> None:
    scene = Scene(twin, ONE, THREE)
    stream = twin.do(scene.session.complete_stream("story", {"what": "tides"}))
    body = b"".join(twin.chunks(stream.sse()))
    assert body.count(b"event: done") == 1
    assert b"data: three" in body
    scene = Scene(twin, ONE, THREE)
    stream = twin.do(scene.session.complete_stream("story", {"what": "tides"}))
    events = twin.chunks(stream.events())
    assert [event.content for event in events if event.type == "content.done"] == ["one and three"]
    assert events[-1].response.content == "one and three"
