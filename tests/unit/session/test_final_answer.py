"""The final answer can be had at any time, any number of times, from anywhere, and asking for it never hangs."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator

import pytest

from freeplay_like import (
    AsyncCompletionStream,
    AsyncFreeplay,
    Freeplay,
    PromptTemplate,
    ProviderUnavailable,
    StreamCancelled,
    StreamConsumed,
    TemplateMessage,
)
from freeplay_like.testing import FakeAnswer, FakeConnection, FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin

GREETING = PromptTemplate(name="greeting", model="fake-1", messages=(TemplateMessage(role="user", content="Greet."),))
HELLO = ["Hel", "lo", " wor", "ld"]

pytestmark = pytest.mark.timeout(20)


def stream_of(twin: Twin, answer: FakeAnswer, recorder: MemoryRecorder | None = None) -> object:
    fp = twin.client(FakeFlavor(answer), prompts=StaticPrompts(GREETING), recorder=recorder or MemoryRecorder())
    return twin.do(fp.get_completion_stream("p", "greeting", {}))


def texts(chunks: list[object]) -> list[str]:
    return [chunk.text for chunk in chunks]


def test_before_iterating_and_twice(twin: Twin) -> None:
    stream = stream_of(twin, HELLO)
    first = twin.do(stream.result())
    assert first.content == "Hello world"
    assert twin.do(stream.get_final_completion()) is first
    assert twin.do(stream.until_done()) is stream
    with pytest.raises(StreamConsumed) as caught:
        twin.chunks(stream)
    assert caught.value.partial.content == "Hello world"


def test_after_iterating(twin: Twin) -> None:
    stream = stream_of(twin, HELLO)
    assert texts(twin.chunks(stream)) == [*HELLO, ""]
    assert twin.do(stream.result()).content == "Hello world"
    with pytest.raises(StreamConsumed):
        twin.chunks(stream)


def test_an_iterator_that_was_made_and_not_advanced_is_no_reader(twin: Twin) -> None:
    stream = stream_of(twin, HELLO)
    iterator = aiter(stream) if twin.name == "async" else iter(stream)
    assert twin.do(stream.result()).content == "Hello world"
    assert iterator is stream


def test_in_the_middle_of_the_loop_the_rest_is_kept_for_it(twin: Twin) -> None:
    recorder = MemoryRecorder()
    stream = stream_of(twin, HELLO, recorder)
    seen = [twin.next(stream).text]
    assert twin.do(stream.result()).content == "Hello world"
    assert [record.text for record in recorder.records] == ["Hello world"]
    assert texts(twin.chunks(stream)) == ["lo", " wor", "ld", ""]
    assert seen == ["Hel"]
    with pytest.raises(StreamConsumed):
        twin.chunks(stream)


def test_an_error_met_by_the_answer_reaches_the_loop_too(twin: Twin) -> None:
    boom = ProviderUnavailable("boom")
    stream = stream_of(twin, ["Hel", "lo", boom])
    assert twin.next(stream).text == "Hel"
    for _ in range(2):
        with pytest.raises(ProviderUnavailable) as caught:
            twin.do(stream.result())
        assert caught.value is boom
    assert twin.next(stream).text == "lo"
    with pytest.raises(ProviderUnavailable) as caught:
        twin.next(stream)
    assert caught.value is boom
    assert boom.partial.content == "Hello"


def test_after_the_loop_was_left_the_rest_is_read(twin: Twin) -> None:
    stream = stream_of(twin, HELLO)
    assert twin.next(stream).text == "Hel"
    assert twin.do(stream.result()).content == "Hello world"


def test_after_the_loop_met_an_error(twin: Twin) -> None:
    stream = stream_of(twin, ["Hel", ProviderUnavailable("boom")])
    with pytest.raises(ProviderUnavailable):
        twin.chunks(stream)
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            twin.do(stream.result())


def test_after_it_was_closed(twin: Twin) -> None:
    stream = stream_of(twin, HELLO)
    twin.next(stream)
    twin.close(stream)
    for _ in range(2):
        with pytest.raises(StreamCancelled) as caught:
            twin.do(stream.result())
        assert caught.value.partial.content == "Hel"


class Gate(FakeConnection):
    """An answer whose second half waits for `opened`."""

    def __init__(self, opened: threading.Event | asyncio.Event) -> None:
        super().__init__(HELLO)
        self._opened = opened
        self.waiting = type(opened)()

    def __iter__(self) -> Iterator[bytes]:
        for number, data in enumerate(super().__iter__()):
            if number == 2:
                self.waiting.set()
                self._opened.wait()
            yield data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for number, data in enumerate(super().__iter__()):
            if number == 2:
                self.waiting.set()
                await self._opened.wait()
            yield data


class GatedFlavor(FakeFlavor):
    def __init__(self, opened: threading.Event | asyncio.Event) -> None:
        super().__init__("")
        self.gate = Gate(opened)

    def open(self, *_: object) -> Gate:
        return self.gate

    async def aopen(self, *_: object) -> Gate:
        return self.gate


async def gated() -> tuple[AsyncCompletionStream, Gate, asyncio.Event]:
    opened = asyncio.Event()
    flavor = GatedFlavor(opened)
    fp = AsyncFreeplay(flavor, prompts=StaticPrompts(GREETING), recorder=MemoryRecorder())
    return await fp.get_completion_stream("p", "greeting", {}), flavor.gate, opened


async def test_another_task_gets_it_and_the_loop_gets_every_chunk() -> None:
    stream, gate, opened = await gated()

    async def iterate() -> list[str]:
        return [chunk.text async for chunk in stream]

    loop_task = asyncio.create_task(iterate())
    await gate.waiting.wait()
    waiters = [asyncio.create_task(stream.result()) for _ in range(3)]
    await asyncio.sleep(0)
    opened.set()
    assert await loop_task == [*HELLO, ""]
    assert [(await waiter).content for waiter in waiters] == ["Hello world"] * 3


async def test_another_task_is_told_when_the_loops_task_is_cancelled() -> None:
    stream, gate, _ = await gated()

    async def iterate() -> None:
        async for _ in stream:
            pass

    loop_task = asyncio.create_task(iterate())
    await gate.waiting.wait()
    waiter = asyncio.create_task(stream.result())
    await asyncio.sleep(0)
    loop_task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await loop_task
    with pytest.raises(StreamCancelled) as caught:
        await waiter
    assert caught.value.partial.content == "Hello"
    with pytest.raises(StreamCancelled):
        await stream.result()


async def test_a_cancelled_wait_for_the_answer_does_not_end_the_loop() -> None:
    stream, gate, opened = await gated()

    async def iterate() -> list[str]:
        return [chunk.text async for chunk in stream]

    loop_task = asyncio.create_task(iterate())
    await gate.waiting.wait()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(stream.result(), 0.01)
    opened.set()
    assert await loop_task == [*HELLO, ""]


async def test_a_cancelled_answer_tells_the_loop_that_it_read_for() -> None:
    stream, gate, _ = await gated()
    assert (await anext(stream)).text == "Hel"
    reader = asyncio.create_task(stream.result())
    await gate.waiting.wait()
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    assert (await anext(stream)).text == "lo"
    with pytest.raises(StreamCancelled):
        await anext(stream)


def test_another_thread_gets_it_and_the_loop_gets_every_chunk() -> None:
    opened = threading.Event()
    flavor = GatedFlavor(opened)
    fp = Freeplay(flavor, prompts=StaticPrompts(GREETING), recorder=MemoryRecorder())
    stream = fp.get_completion_stream("p", "greeting", {})
    answers: list[str] = []
    seen: list[str] = []
    looping = threading.Thread(target=lambda: seen.extend(chunk.text for chunk in stream))
    looping.start()
    assert flavor.gate.waiting.wait(10)
    asking = [threading.Thread(target=lambda: answers.append(stream.result().content)) for _ in range(3)]
    for thread in asking:
        thread.start()
    opened.set()
    for thread in [looping, *asking]:
        thread.join(10)
        assert not thread.is_alive()
    assert seen == [*HELLO, ""]
    assert answers == ["Hello world"] * 3
