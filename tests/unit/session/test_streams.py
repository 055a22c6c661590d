"""Every way a stream can end, in both twins, from one table."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable

import attrs
import pytest

from freeplay_like import (
    AsyncCompletionStream,
    AsyncFreeplay,
    CompletionResponse,
    CompletionStream,
    Freeplay,
    PromptTemplate,
    ProviderRejected,
    ProviderUnavailable,
    Record,
    StreamAbandoned,
    StreamCancelled,
    StreamConsumed,
    StreamInterrupted,
    TemplateMessage,
)
from freeplay_like.core.chunks import CompletionChunk, ToolCallDelta, Usage
from freeplay_like.testing import CUT, FakeAnswer, FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin
from support.waiting import until

GREETING = PromptTemplate(
    name="greeting", model="fake-1", messages=(TemplateMessage(role="user", content="Greet {{name}}."),)
)
HELLO = ["Hel", "lo", " wor", "ld"]


class ConsumerError(Exception):
    """Raised by the code that reads a stream."""


@attrs.frozen(kw_only=True)
class Ending:
    """One way to end: what the provider sends, what the caller does, and what must come of it."""

    name: str
    answer: FakeAnswer
    act: str
    outcome: str
    text: str
    raises: type[BaseException] | None = None
    later: type[BaseException] | None = None
    """What `.result()` raises afterwards, every time."""


ENDINGS = [
    Ending(name="drained", answer=HELLO, act="drain", outcome="complete", text="Hello world"),
    Ending(name="drained by result", answer=HELLO, act="result", outcome="complete", text="Hello world"),
    Ending(name="drained by events", answer=HELLO, act="events", outcome="complete", text="Hello world"),
    Ending(
        name="truncated",
        answer=["Hel", CompletionChunk(finish_reason="length", finish_reason_raw="length")],
        act="drain",
        outcome="truncated",
        text="Hel",
    ),
    Ending(
        name="refused",
        answer=[CompletionChunk(refusal="I cannot"), CompletionChunk(finish_reason="stop")],
        act="drain",
        outcome="refused",
        text="",
    ),
    Ending(name="filtered", answer=["He", CompletionChunk(finish_reason="content_filter")], act="drain",
           outcome="refused", text="He"),
    Ending(name="break in a block", answer=HELLO, act="break in block", outcome="cancelled", text="Hel",
           later=StreamCancelled),
    Ending(name="closed", answer=HELLO, act="close", outcome="cancelled", text="Hel", later=StreamCancelled),
    Ending(name="closed before the first chunk", answer=HELLO, act="close unread", outcome="cancelled", text="",
           later=StreamCancelled),
    Ending(name="consumer fails in a block", answer=HELLO, act="consumer error", outcome="cancelled", text="Hel",
           raises=ConsumerError, later=StreamCancelled),
    Ending(name="provider refuses", answer=ProviderRejected("no", status=401), act="drain", outcome="error", text="",
           raises=ProviderRejected),
    Ending(name="provider fails midway", answer=["Hel", ProviderUnavailable("boom")], act="drain", outcome="error",
           text="Hel", raises=ProviderUnavailable, later=ProviderUnavailable),
    Ending(name="a bug midway", answer=["Hel", ZeroDivisionError("bug")], act="drain", outcome="error", text="Hel",
           raises=ZeroDivisionError, later=ZeroDivisionError),
    Ending(name="ends without a finish reason", answer=["Hel", CUT], act="drain", outcome="interrupted", text="Hel",
           raises=StreamInterrupted, later=StreamInterrupted),
    Ending(name="empty body", answer=[CUT], act="drain", outcome="interrupted", text="", raises=StreamInterrupted,
           later=StreamInterrupted),
    Ending(name="cancelled from outside", answer=["Hel", asyncio.CancelledError()], act="drain", outcome="cancelled",
           text="Hel", raises=asyncio.CancelledError, later=StreamCancelled),
    Ending(name="interrupted by the keyboard", answer=["Hel", KeyboardInterrupt()], act="drain", outcome="cancelled",
           text="Hel", raises=KeyboardInterrupt, later=StreamCancelled),
    Ending(name="web client gone", answer=HELLO, act="sse close", outcome="cancelled", text="Hel",
           later=StreamCancelled),
    Ending(name="web body dropped", answer=HELLO, act="sse drop", outcome="cancelled", text="Hel"),
    Ending(name="never iterated and dropped", answer=HELLO, act="drop unread", outcome="abandoned", text=""),
    Ending(name="dropped midway", answer=HELLO, act="drop", outcome="abandoned", text="Hel"),
    Ending(name="dropped events", answer=HELLO, act="drop events", outcome="abandoned", text="Hel"),
]  # fmt: skip


@attrs.define
class Seen:
    """What a caller got out of a stream."""

    delivered: list[str] = attrs.field(factory=list)
    raised: BaseException | None = None
    later: list[BaseException] = attrs.field(factory=list)
    response: CompletionResponse | None = None


def _sync(act: str, start: Callable[[], CompletionStream], seen: Seen) -> None:
    stream = start()
    if act == "drain":
        for chunk in stream:
            seen.delivered.append(chunk.text)
    elif act == "result":
        stream.result()
    elif act == "events":
        for event in stream.events():
            if event.type == "content.delta":
                seen.delivered.append(event.delta)
    elif act == "break in block":
        with stream:
            for chunk in stream:
                seen.delivered.append(chunk.text)
                break
    elif act == "close":
        seen.delivered.append(next(stream).text)
        stream.close()
        stream.close()
    elif act == "close unread":
        stream.close()
    elif act == "consumer error":
        with stream:
            seen.delivered.append(next(stream).text)
            raise ConsumerError
    elif act == "sse close":
        body = stream.sse()
        seen.delivered.append(next(body).decode().removeprefix("data: ").rstrip("\n"))
        body.close()
    elif act == "sse drop":
        body = stream.sse()
        del stream
        seen.delivered.append(next(body).decode().removeprefix("data: ").rstrip("\n"))
        return
    elif act == "drop":
        seen.delivered.append(next(stream).text)
        return
    elif act == "drop events":
        events = stream.events()
        del stream
        seen.delivered.extend(e.delta for e in (next(events), next(events)) if e.type == "content.delta")
        return
    elif act == "drop unread":
        return
    _ask_again(stream, seen)


def _ask_again(stream: CompletionStream, seen: Seen) -> None:
    for _ in range(2):
        try:
            seen.response = stream.result()
        except Exception as exc:  # noqa: BLE001
            seen.later.append(exc)


def run_sync(ending: Ending, flavor: FakeFlavor, recorder: MemoryRecorder) -> Seen:
    fp = Freeplay(flavor, prompts=StaticPrompts(GREETING), recorder=recorder)
    seen = Seen()
    held: list[CompletionStream] = []

    def start() -> CompletionStream:
        stream = fp.get_completion_stream("p", "greeting", {"name": "Ann"})
        if "drop" not in ending.act:
            held.append(stream)
        return stream

    try:
        _sync(ending.act, start, seen)
    except BaseException as exc:  # noqa: BLE001
        seen.raised = exc
        if held:
            _ask_again(held[0], seen)
    return seen


async def _async(act: str, start: Callable[[], object], seen: Seen) -> None:
    stream: AsyncCompletionStream = await start()  # type: ignore[misc]
    if act == "drain":
        async for chunk in stream:
            seen.delivered.append(chunk.text)
    elif act == "result":
        await stream
    elif act == "events":
        async for event in stream.events():
            if event.type == "content.delta":
                seen.delivered.append(event.delta)
    elif act == "break in block":
        async with stream:
            async for chunk in stream:
                seen.delivered.append(chunk.text)
                break
    elif act == "close":
        seen.delivered.append((await anext(stream)).text)
        await stream.aclose()
        await stream.aclose()
    elif act == "close unread":
        await stream.aclose()
    elif act == "consumer error":
        async with stream:
            seen.delivered.append((await anext(stream)).text)
            raise ConsumerError
    elif act == "sse close":
        body = stream.sse()
        seen.delivered.append((await anext(body)).decode().removeprefix("data: ").rstrip("\n"))
        await body.aclose()
    elif act == "sse drop":
        body = stream.sse()
        del stream
        seen.delivered.append((await anext(body)).decode().removeprefix("data: ").rstrip("\n"))
        return
    elif act == "drop":
        seen.delivered.append((await anext(stream)).text)
        return
    elif act == "drop events":
        events = stream.events()
        del stream
        seen.delivered.extend(e.delta for e in (await anext(events), await anext(events)) if e.type == "content.delta")
        await events.aclose()
        return
    elif act == "drop unread":
        return
    await _ask_again_async(stream, seen)


async def _ask_again_async(stream: AsyncCompletionStream, seen: Seen) -> None:
    for _ in range(2):
        try:
            seen.response = await stream.result()
        except Exception as exc:  # noqa: BLE001
            seen.later.append(exc)


async def run_async(ending: Ending, flavor: FakeFlavor, recorder: MemoryRecorder) -> Seen:
    fp = AsyncFreeplay(flavor, prompts=StaticPrompts(GREETING), recorder=recorder)
    seen = Seen()
    held: list[AsyncCompletionStream] = []

    async def start() -> AsyncCompletionStream:
        stream = await fp.get_completion_stream("p", "greeting", {"name": "Ann"})
        if "drop" not in ending.act:
            held.append(stream)
        return stream

    try:
        await _async(ending.act, start, seen)
    except BaseException as exc:  # noqa: BLE001
        seen.raised = exc
        if held:
            await _ask_again_async(held[0], seen)
    return seen


def _check(ending: Ending, seen: Seen, flavor: FakeFlavor, recorder: MemoryRecorder) -> None:
    gc.collect()
    until(lambda: recorder.records, what="a record")
    (record,) = recorder.records
    assert record.outcome == ending.outcome
    assert record.text == ending.text
    assert record.record_id in recorder.started
    if ending.act not in ("result", "close unread"):
        assert "".join(seen.delivered) == record.text, "recorded text equals delivered text"
    assert (type(seen.raised) if seen.raised else None) is ending.raises
    if ending.later is not None:
        assert [type(error) for error in seen.later] == [ending.later] * 2
        assert seen.later[0] is seen.later[1] or ending.later is StreamCancelled
        if isinstance(seen.later[0], (StreamCancelled, StreamInterrupted, ProviderUnavailable)):
            assert seen.later[0].partial is not None
            assert seen.later[0].partial.content == ending.text
    elif ending.raises is None and "drop" not in ending.act:
        assert seen.response is not None
        assert seen.response.content == ending.text
        assert seen.response.record_id == record.record_id
    until(lambda: all(connection.is_closed for connection in flavor.connections), what="a closed connection")
    assert record.latency_ms is not None
    assert record.latency_ms >= 0


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda e: e.name)
def test_every_ending_leaves_one_record(ending: Ending) -> None:
    flavor, recorder = FakeFlavor(ending.answer), MemoryRecorder()
    seen = run_sync(ending, flavor, recorder)
    _check(ending, seen, flavor, recorder)


@pytest.mark.parametrize("ending", ENDINGS, ids=lambda e: e.name)
def test_every_ending_leaves_one_record_async(ending: Ending) -> None:
    flavor, recorder = FakeFlavor(ending.answer), MemoryRecorder()

    async def main() -> Seen:
        seen = await run_async(ending, flavor, recorder)
        gc.collect()
        for _ in range(2000):
            if recorder.records and all(connection.is_closed for connection in flavor.connections):
                break
            await asyncio.sleep(0.002)
        return seen

    _check(ending, asyncio.run(main()), flavor, recorder)


def _stream(answer: FakeAnswer, recorder: MemoryRecorder | None = None) -> CompletionStream:
    fp = Freeplay(FakeFlavor(answer), prompts=StaticPrompts(GREETING), recorder=recorder or MemoryRecorder())
    return fp.get_completion_stream("p", "greeting", {"name": "Ann"})


def test_exactly_one_chunk_is_final_and_it_is_the_last() -> None:
    answer = [
        CompletionChunk(model="m"),
        "a",
        CompletionChunk(text="b", finish_reason="stop", finish_reason_raw="end"),
        CompletionChunk(usage=Usage(input_tokens=0, output_tokens=2)),
    ]
    chunks = list(_stream(answer))
    assert [chunk.text for chunk in chunks] == ["a", "b", ""]
    assert [chunk.is_final for chunk in chunks] == [False, False, True]
    assert [chunk.is_complete for chunk in chunks] == [False, False, True]
    assert chunks[-1].finish_reason_raw == "end"
    assert chunks[-1].usage == Usage(input_tokens=0, output_tokens=2)


def test_a_stream_is_read_once() -> None:
    stream = _stream(HELLO)
    assert "".join(chunk.text for chunk in stream) == "Hello world"
    with pytest.raises(StreamConsumed, match=r"in \.result\(\)"):
        list(stream)
    assert stream.result().content == "Hello world"


def test_reading_goes_on_where_a_loop_was_left() -> None:
    stream = _stream(HELLO)
    for _ in stream:
        break
    assert stream.text == "Hel"
    assert stream.partial.content == "Hel"
    assert "".join(chunk.text for chunk in stream) == "lo world"
    assert stream.until_done().get_final_completion().content == "Hello world"


def test_the_record_says_what_was_sent_and_what_came() -> None:
    recorder = MemoryRecorder()
    flavor = FakeFlavor(HELLO, default_parameters={"max_tokens": 10})
    fp = Freeplay(flavor, prompts=StaticPrompts(GREETING), recorder=recorder, temperature=0.5)
    session = fp.create_session("p", "prod", metadata={"user": "u-1"}, top_p=0.9)
    stream = session.get_completion_stream("greeting", {"name": "Ann"}, temperature=1.0, max_tokens=None)
    stream.result()
    (record,) = recorder.records
    assert record.project_id == "p"
    assert record.session_id == session.session_id
    assert record.template is not None
    assert (record.template.name, record.template.environment) == ("greeting", "prod")
    assert record.variables == {"name": "Ann"}
    assert [message.content for message in record.messages] == ["Greet Ann."]
    assert record.metadata == {"user": "u-1"}
    assert (record.requested_model, record.model) == ("fake-1", "fake-1")
    assert record.request == flavor.requests[0].body
    assert "max_tokens" not in flavor.requests[0].body
    layers = {name: setting.layer for name, setting in record.parameters.items()}
    assert layers == {"max_tokens": "call", "model": "template", "temperature": "call", "top_p": "session"}
    assert record.parameters["max_tokens"].is_removed
    assert [(o.layer, o.value) for o in record.parameters["temperature"].overrode] == [("client", 0.5)]
    assert record.chunk_count == 4
    assert [characters for _, characters in record.timeline] == [3, 5, 9, 11]
    assert record.time_to_first_chunk_ms is not None
    assert record.latency_ms is not None
    assert 0 <= record.time_to_first_chunk_ms <= record.latency_ms
    assert record.request_id == "fake-request"
    assert session.totals.calls == 1


def test_tool_calls_are_put_together_by_index() -> None:
    answer = [
        CompletionChunk(tool_calls=(ToolCallDelta(index=0, id="a", name="f", arguments='{"x"'),)),
        CompletionChunk(tool_calls=(ToolCallDelta(index=1, id="b", name="g"),)),
        CompletionChunk(tool_calls=(ToolCallDelta(index=0, arguments=":1}"),)),
        CompletionChunk(finish_reason="tool_calls"),
    ]
    events = list(_stream(answer).events())
    done = [(e.id, e.name, e.arguments) for e in events if e.type == "tool_calls.function.arguments.done"]
    assert done == [("a", "f", '{"x":1}'), ("b", "g", "{}")]
    assert [e.type for e in events][-1] == "completed"


def test_a_snapshot_does_not_change_later() -> None:
    snapshots = [event for event in _stream(HELLO).events() if event.type == "content.delta"]
    assert [event.snapshot for event in snapshots] == ["Hel", "Hello", "Hello wor", "Hello world"]


def test_events_name_each_choice() -> None:
    answer = [
        CompletionChunk(text="a", choice=0),
        CompletionChunk(text="x", choice=1, reasoning="hm"),
        CompletionChunk(text="b", choice=0, finish_reason="stop"),
        CompletionChunk(choice=1, finish_reason="stop"),
    ]
    events = list(_stream(answer).events())
    done = [(e.choice, e.content) for e in events if e.type == "content.done"]
    assert done == [(0, "ab"), (1, "x")]
    assert [(e.choice, e.reasoning) for e in events if e.type == "reasoning.done"] == [(1, "hm")]


def test_a_choice_without_a_finish_reason_is_not_complete() -> None:
    answer = [CompletionChunk(text="a", finish_reason="stop"), CompletionChunk(text="x", choice=1), CUT]
    with pytest.raises(StreamInterrupted):
        list(_stream(answer))


def test_progress_is_journalled_by_size() -> None:
    recorder = MemoryRecorder()
    stream = _stream(["x" * 5000, "y", "z" * 5000], recorder)
    next(stream)
    assert recorder.started[stream.record_id].outcome == "interrupted"
    assert recorder.progressed[stream.record_id] == ["x" * 5000]
    stream.result()
    assert recorder.records[0].text == "x" * 5000 + "y" + "z" * 5000


class BrokenRecorder(MemoryRecorder):
    """Breaks its promise not to raise."""

    def submit(self, record: Record) -> None:
        raise RuntimeError("disk on fire")


def test_a_broken_recorder_never_reaches_the_caller(caplog: pytest.LogCaptureFixture) -> None:
    assert _stream(HELLO, BrokenRecorder()).result().content == "Hello world"
    assert "the recorder failed" in caplog.text


def test_a_dropped_stream_of_a_closed_loop_is_recorded() -> None:
    recorder = MemoryRecorder()
    fp = AsyncFreeplay(FakeFlavor(HELLO), prompts=StaticPrompts(GREETING), recorder=recorder)
    stream = asyncio.run(fp.get_completion_stream("p", "greeting", {"name": "Ann"}))
    del stream
    until(lambda: recorder.records)
    assert recorder.records[0].outcome == "abandoned"


async def test_a_cancelled_task_leaves_a_cancelled_record() -> None:
    started = asyncio.Event()

    class SlowFlavor(FakeFlavor):
        async def aopen(self, request, *_):  # type: ignore[no-untyped-def]
            connection = self.open(request)

            async def body():  # type: ignore[no-untyped-def]
                for data in connection:
                    yield data
                    started.set()
                    await asyncio.Event().wait()

            connection.__class__ = type("Slow", (type(connection),), {"__aiter__": lambda _self: body()})
            return connection

    recorder, flavor = MemoryRecorder(), SlowFlavor(HELLO)
    fp = AsyncFreeplay(flavor, prompts=StaticPrompts(GREETING), recorder=recorder)
    stream = await fp.get_completion_stream("p", "greeting", {"name": "Ann"})
    task = asyncio.create_task(stream.until_done())
    await started.wait()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
    (record,) = recorder.records
    assert (record.outcome, record.text) == ("cancelled", "Hel")
    assert flavor.connections[0].is_closed
    with pytest.raises(StreamCancelled):
        await stream.result()


def test_sse_text_is_for_event_source() -> None:
    body = b"".join(_stream(["Hi", "\nthere", ""]).sse())
    head, _, tail = body.partition(b"event: done\n")
    assert head == b"data: Hi\n\ndata: \ndata: there\n\n"
    assert b'"finish_reason":"stop"' in tail


def test_sse_says_an_error_in_the_stream() -> None:
    body = b"".join(_stream(["Hi", ProviderUnavailable("the provider went away")]).sse())
    assert b"event: error\ndata: " in body
    assert b"the provider went away" in body


def test_sse_in_openai_form_ends_with_done() -> None:
    lines = b"".join(_stream(["Hi"]).sse("openai")).split(b"\n\n")
    assert b'"delta":{"content":"Hi"}' in lines[0]
    assert b'"finish_reason":"stop"' in lines[1]
    assert lines[2] == b"data: [DONE]"


def test_an_abandoned_stream_says_so() -> None:
    stream = _stream(HELLO)
    stream._drop()
    with pytest.raises(StreamAbandoned, match="dropped before its end"):
        stream.result()


def test_a_server_that_never_says_why_it_stopped_can_be_put_up_with(twin: Twin) -> None:
    recorder = MemoryRecorder()
    fp = twin.client(FakeFlavor(["Hel", "lo", CUT]), prompts=StaticPrompts(GREETING), recorder=recorder)
    with pytest.raises(StreamInterrupted):
        twin.do(fp.get_completion("p", "greeting", {"name": "Ann"}))
    patient = fp.with_options(allow_incomplete=True)
    stream = twin.do(patient.get_completion_stream("p", "greeting", {"name": "Ann"}))
    assert [chunk.text for chunk in twin.chunks(stream)] == ["Hel", "lo", ""]
    response = twin.do(stream.result())
    assert (response.content, response.is_complete, response.finish_reason) == ("Hello", False, None)
    assert [record.outcome for record in recorder.records] == ["interrupted", "interrupted"]
