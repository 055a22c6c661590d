"""Every way a call can end, for every flavor, in both twins: over the providers' own clients and real connections.

One table. `tests/unit/session/test_streams.py` has the same endings without a network; here the question is what the
provider sees, what its errors become, and that a record comes of each, once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import attrs
import pytest

from freeplay_like import (
    AsyncCompletionStream,
    CompletionStream,
    FreeplayError,
    PromptTemplate,
    ProviderDenied,
    ProviderError,
    ProviderRateLimited,
    ProviderResponseError,
    ProviderTimeout,
    ProviderUnavailable,
    Record,
    Retry,
    StreamCancelled,
    StreamError,
    StreamInterrupted,
    TemplateMessage,
    Timeout,
)
from freeplay_like.core.records import Outcome
from freeplay_like.local.simulator import SeenRequest, Simulator
from freeplay_like.testing import MemoryRecorder, StaticPrompts
from support.flavor_calls import KINDS
from support.twins import Async, Twin
from support.waiting import until
from support.wire import flavor_of

GREETING = PromptTemplate(name="greeting", messages=(TemplateMessage(role="user", content="Greet {{name}}."),))
WHOLE = " tok0 tok1 tok2 tok3 tok4"

TOO_LONG = {
    "openai": "finish=length",
    "openai_text": "finish=length",
    "openai_responses": "finish=max_output_tokens",
    "azure": "finish=length",
    "anthropic": "finish=max_tokens",
    "anthropic_text": "finish=max_tokens",
}
DECLINED = dict.fromkeys(KINDS, "refusal") | {"openai_text": "finish=content_filter"}
"""How a provider says it; the text endpoint knows no refusal, only a filter."""

REFUSAL_APART = ("openai", "openai_responses", "azure")
"""Whose refusal is not text."""

Stream = CompletionStream | AsyncCompletionStream


class ConsumerError(Exception):
    """Raised by the code that reads a stream."""


@attrs.define
class Seen:
    """What a caller got: text as it came, and what was raised, at first and when asked for the answer afterwards."""

    delivered: list[str] = attrs.field(factory=list)
    raised: BaseException | None = None
    later: list[FreeplayError] = attrs.field(factory=list)
    answer: str | None = None

    @property
    def text(self) -> str:
        return "".join(self.delivered)


# --- what a caller does with a stream ----------------------------------------------------------------------

Act = Callable[[Twin, Stream, Seen], None]


def drain(twin: Twin, stream: Stream, seen: Seen) -> None:
    with suppress(StopIteration, StopAsyncIteration):
        while True:
            seen.delivered.append(twin.next(stream).text)


def ask_for_the_result(twin: Twin, stream: Stream, seen: Seen) -> None:
    twin.do(stream.result())
    seen.delivered.append(stream.text)


def read_events(twin: Twin, stream: Stream, seen: Seen) -> None:
    events = twin.chunks(stream.events())
    seen.delivered += [event.delta for event in events if event.type == "content.delta"]


def deliver(twin: Twin, stream: Stream, seen: Seen) -> None:
    twin.do(stream.deliver(seen.delivered.append))


def deliver_to_a_handler_that_fails(twin: Twin, stream: Stream, seen: Seen) -> None:
    def on_text(text: str) -> None:
        seen.delivered.append(text)
        raise ConsumerError

    twin.do(stream.deliver(on_text))


@contextmanager
def block(twin: Twin, stream: Stream) -> Iterator[None]:
    """`with stream:` or `async with stream:`."""
    if isinstance(stream, CompletionStream):
        with stream:
            yield
        return
    twin.do(stream.__aenter__())
    try:
        yield
    except BaseException as exc:
        twin.do(stream.__aexit__(type(exc), exc, exc.__traceback__))
        raise
    twin.do(stream.__aexit__(None, None, None))


def leave_its_block(twin: Twin, stream: Stream, seen: Seen) -> None:
    with block(twin, stream):
        seen.delivered.append(twin.next(stream).text)


def fail_in_its_block(twin: Twin, stream: Stream, seen: Seen) -> None:
    with block(twin, stream):
        seen.delivered.append(twin.next(stream).text)
        raise ConsumerError


def close_midway(twin: Twin, stream: Stream, seen: Seen) -> None:
    seen.delivered += [twin.next(stream).text, twin.next(stream).text]
    twin.close(stream)
    twin.close(stream)


def close_unread(twin: Twin, stream: Stream, _: Seen) -> None:
    twin.close(stream)


def close_its_web_body(twin: Twin, stream: Stream, seen: Seen) -> None:
    body = stream.sse()
    seen.delivered.append(twin.next(body).decode().removeprefix("data: ").removesuffix("\n\n"))
    twin.close(body)


def drop(twin: Twin, stream: Stream, seen: Seen) -> None:
    seen.delivered.append(twin.next(stream).text)


def cancel_while_it_waits(twin: Twin, stream: Stream, seen: Seen) -> None:
    """An async reader's task is cancelled; a thread that waits for bytes has its stream closed by another one."""
    seen.delivered.append(twin.next(stream).text)
    if isinstance(stream, AsyncCompletionStream):
        twin.do(_cancelled(stream))
    else:
        closing = threading.Thread(target=_close_under_its_reader, args=(stream,))
        closing.start()
        try:
            next(stream)
        finally:
            closing.join()


def _close_under_its_reader(stream: CompletionStream) -> None:
    until(lambda: stream._connection._is_reading, what="a thread that waits for bytes")
    stream.close()


async def _cancelled(stream: AsyncCompletionStream) -> None:
    reading = asyncio.ensure_future(anext(stream))
    await asyncio.sleep(0)
    reading.cancel()
    await reading


# --- the table ---------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Ending:
    """One way to end: what the provider does, what the caller does, and what must come of it.

    `scripts` are what the simulator plays, one a try. `later` is what `.result()` raises afterwards, every time.
    """

    name: str
    scripts: tuple[str | dict[str, str], ...] = ("",)
    act: Act = drain
    outcome: Outcome
    text: str = WHOLE
    raises: type[BaseException] | None = None
    raises_in_async: type[BaseException] | None = None
    later: type[FreeplayError] | None = None
    status: int | None = None
    is_left: bool = False
    is_whole: bool = False
    handler_errors: int = 0
    timeout: Timeout | None = None

    @property
    def is_opened(self) -> bool:
        """Whether a stream comes of it at all."""
        return self.status is None and not self.is_whole

    def expected(self, twin: Twin) -> type[BaseException] | None:
        """What hits the caller."""
        return self.raises_in_async if self.raises_in_async and isinstance(twin, Async) else self.raises


def left(name: str, act: Act, **more: object) -> Ending:
    """The caller has enough after the first chunk, while the provider has not."""
    base = Ending(name=name, act=act, outcome="cancelled", scripts=("hang_after=2",), text=" tok0",
                  later=StreamCancelled, is_left=True)  # fmt: skip
    return attrs.evolve(base, **more)


def refused(status: int, error: type[ProviderError]) -> Ending:
    """The provider does not even begin."""
    script = f"status={status}"
    return Ending(name=f"refused with {status}", scripts=(script,), outcome="error", text="", raises=error,
                  status=status)  # fmt: skip


def broken(name: str, script: str, error: type[FreeplayError], **more: object) -> Ending:
    """The provider fails after two chunks."""
    base = Ending(name=name, scripts=(script,), outcome="error", text=" tok0 tok1", raises=error, later=error)
    return attrs.evolve(base, **more)


ENDINGS = [
    Ending(name="drained", outcome="complete"),
    Ending(name="result only", act=ask_for_the_result, outcome="complete"),
    Ending(name="events", act=read_events, outcome="complete"),
    Ending(name="delivered", act=deliver, outcome="complete"),
    Ending(name="delivered to a handler that fails", act=deliver_to_a_handler_that_fails, outcome="complete",
           handler_errors=5),
    Ending(name="whole", is_whole=True, outcome="complete"),
    Ending(name="truncated by length", scripts=(TOO_LONG,), outcome="truncated"),
    Ending(name="declined", scripts=(DECLINED,), outcome="refused"),
    Ending(name="retried, then fine", scripts=("status=503", "status=429,retry_after=0", ""), outcome="complete"),
    Ending(name="failed before its first chunk, then fine", scripts=("error_after=0", ""), outcome="complete"),
    left("left its block", leave_its_block),
    left("failed in its block", fail_in_its_block, raises=ConsumerError),
    left("closed midway", close_midway, text=" tok0 tok1"),
    left("closed unread", close_unread, text="", scripts=("hang_after=0",)),
    left("web client gone", close_its_web_body),
    left("cancelled while it waits", cancel_while_it_waits, scripts=("hang_after=1",), raises=StreamCancelled,
         raises_in_async=asyncio.CancelledError),
    left("dropped", drop, outcome="abandoned", later=None),
    refused(401, ProviderDenied),
    refused(429, ProviderRateLimited),
    refused(500, ProviderUnavailable),
    refused(529, ProviderUnavailable),
    broken("cut midway", "cut_after=2", ProviderUnavailable),
    broken("whole, cut midway", "cut_after=2", ProviderUnavailable, is_whole=True, text="", later=None),
    broken("ended without a finish reason", "eof_after=2,no_done", StreamInterrupted, outcome="interrupted"),
    broken("error event midway", "error_after=2", ProviderUnavailable),
    broken("bad JSON midway", "bad_json_after=2", ProviderResponseError),
    broken("silent between chunks", "hang_after=1", ProviderTimeout, text=" tok0", is_left=True,
           timeout=Timeout(between_chunks_s=0.05)),
]  # fmt: skip


@attrs.frozen
class Scene:
    """A client of one flavor and twin against the simulator."""

    kind: str
    twin: Twin
    ending: Ending
    simulator: Simulator
    recorder: MemoryRecorder

    def play(self) -> Seen:
        """Make the call, and end it so; nothing holds its stream afterwards but the caller of `held`."""
        scripts = [each if isinstance(each, str) else each[self.kind] for each in self.ending.scripts]
        self.simulator.enqueue(*scripts)
        fp = self.twin.client(
            flavor_of(self.kind, self.simulator),
            prompts=StaticPrompts(GREETING),
            recorder=self.recorder,
            retry=Retry(attempts=len(scripts), wait_s=0),
            timeout=self.ending.timeout,
            model="some-model",
        )
        seen = Seen()
        call = fp.get_completion if self.ending.is_whole else fp.get_completion_stream
        stream: Stream | None = None
        try:
            opened = self.twin.do(call("p", "greeting", {"name": "Ann"}))
            if self.ending.is_whole:
                seen.delivered.append(opened.content)
            else:
                stream = opened
                del opened
                self.ending.act(self.twin, stream, seen)
        except BaseException as exc:  # noqa: BLE001 - kept, and looked at by the test
            seen.raised = exc
        if stream is not None and self.ending.act is not drop:
            self._ask_again(stream, seen)
        return seen

    def _ask_again(self, stream: Stream, seen: Seen) -> None:
        for _ in range(2):
            try:
                seen.answer = self.twin.do(stream.result()).content
            except FreeplayError as exc:
                seen.later.append(exc)

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait in a thread, so that the loop of the async twin goes on."""
        if isinstance(self.twin, Async):
            self.twin.do(asyncio.to_thread(until, condition, 20, what))
        else:
            until(condition, 20, what)

    def record(self) -> Record:
        """The record, once there is one, and there is no other."""
        self.wait(lambda: self.recorder.records, "a record")
        (record,) = self.recorder.records
        return record

    def provider_saw(self) -> SeenRequest:
        """The last try as the provider saw it, once it is over."""
        request = self.simulator.wait_for_requests(len(self.ending.scripts))[-1]
        self.wait(lambda: request.ended.is_set() or request.client_left.is_set(), "an end at the provider's")
        return request


@pytest.fixture
def scene(kind: str, twin: Twin, ending: Ending, simulator: Simulator) -> Scene:
    return Scene(kind, twin, ending, simulator, MemoryRecorder())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("ending", ENDINGS, ids=lambda ending: ending.name)
def test_a_call_that_ends_so_leaves_this_behind(scene: Scene) -> None:
    seen = scene.play()
    record, request = scene.record(), scene.provider_saw()
    check_record(scene, record, seen)
    check_errors(scene, record, seen)
    check_usage(scene, record)
    assert len(scene.simulator.requests) == len(scene.ending.scripts)
    assert request.client_left.is_set() or not scene.ending.is_left
    if record.outcome == "complete":
        assert not request.client_left.is_set(), "a connection whose answer was read goes back to its pool"
    assert len(scene.recorder.records) == 1


def check_record(scene: Scene, record: Record, seen: Seen) -> None:
    ending = scene.ending
    is_apart = ending.outcome == "refused" and scene.kind in REFUSAL_APART
    assert record.outcome == ending.outcome
    assert record.text == ("" if is_apart else ending.text)
    assert record.text == seen.text, "recorded text equals delivered text"
    assert record.choices[0].refusal == (ending.text if is_apart else "")
    assert record.is_stream is not ending.is_whole
    assert record.request_id == (None if ending.status else f"req_sim_{len(ending.scripts)}")
    assert len(record.attempts) == len(ending.scripts) - 1
    assert record.handler_errors == ending.handler_errors
    assert list(scene.recorder.started) == [record.record_id]


def check_errors(scene: Scene, record: Record, seen: Seen) -> None:
    ending, error = scene.ending, seen.raised
    assert (None if error is None else type(error)) is ending.expected(scene.twin)
    if ending.later is None:
        assert seen.later == []
        assert seen.answer == (seen.text if ending.is_opened and ending.outcome != "abandoned" else None)
    else:
        assert [type(each) for each in seen.later] == [ending.later] * 2
        assert seen.later[0] is seen.later[1]
        assert seen.later[0].partial.content == record.text
    if isinstance(error, (ProviderError, StreamError)):
        assert error.partial.content == record.text
    if record.outcome in ("error", "interrupted"):
        assert record.error.type == type(error).__name__
    if isinstance(error, ProviderError):
        assert (error.status, error.model) == (ending.status or error.status, "some-model")
        assert error.provider == record.provider
        assert error.request_id.startswith("req_sim")


def check_usage(scene: Scene, record: Record) -> None:
    """Whole where the provider came to its end; Anthropic tells what went in at the beginning."""
    is_told_first = scene.kind.startswith("anthropic")
    if record.outcome in ("complete", "truncated", "refused"):
        assert (record.usage.input_tokens, record.usage.output_tokens) == (9, 5)
    elif is_told_first and record.text:
        assert record.usage.input_tokens == 9
    else:
        assert record.usage is None
