"""Handlers get every piece of text, and whatever they do the stream goes on."""

from __future__ import annotations

import pytest

from freeplay_like import PromptTemplate, ProviderUnavailable, TemplateMessage
from freeplay_like.core.chunks import CompletionChunk, Usage
from freeplay_like.testing import FakeAnswer, FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin

GREETING = PromptTemplate(name="greeting", model="fake-1", messages=(TemplateMessage(role="user", content="Greet."),))
HELLO = [CompletionChunk(model="m"), "Hé", CompletionChunk(reasoning="hm"), "llo", CompletionChunk(usage=Usage())]


def stream_of(twin: Twin, answer: FakeAnswer, recorder: MemoryRecorder) -> object:
    fp = twin.client(FakeFlavor(answer), prompts=StaticPrompts(GREETING), recorder=recorder)
    return twin.do(fp.get_completion_stream("p", "greeting", {}))


def test_they_get_text_bytes_and_the_answer(twin: Twin) -> None:
    texts, pieces, done = [], [], []
    stream = stream_of(twin, HELLO, MemoryRecorder())
    response = twin.do(stream.deliver(texts.append, on_bytes=pieces.append, on_done=done.append))
    assert texts == ["Hé", "llo"]
    assert pieces == ["Hé".encode(), b"llo"]
    assert done == [response]
    assert response.content == "Héllo"


def test_one_that_fails_is_counted_and_the_answer_is_whole(twin: Twin, caplog: pytest.LogCaptureFixture) -> None:
    recorder = MemoryRecorder()

    def broken(text: str) -> None:
        raise RuntimeError(f"no room for {text}")

    stream = stream_of(twin, HELLO, recorder)
    assert twin.do(stream.deliver(broken, on_done=broken)).content == "Héllo"
    (record,) = recorder.records
    assert (record.outcome, record.text, record.handler_errors) == ("complete", "Héllo", 2)
    assert "no room for llo" in caplog.text


async def test_the_async_twin_awaits_what_can_be_awaited() -> None:
    from freeplay_like import AsyncFreeplay

    recorder, seen = MemoryRecorder(), []

    async def slow(text: str) -> None:
        seen.append(text)
        if text == "llo":
            raise RuntimeError("later")

    fp = AsyncFreeplay(FakeFlavor(HELLO), prompts=StaticPrompts(GREETING), recorder=recorder)
    stream = await fp.get_completion_stream("p", "greeting", {})
    assert (await stream.deliver(slow)).content == "Héllo"
    assert seen == ["Hé", "llo"]
    assert recorder.records[0].handler_errors == 1


def test_what_the_provider_does_wrong_is_still_raised(twin: Twin) -> None:
    texts: list[str] = []
    stream = stream_of(twin, ["Hé", ProviderUnavailable("boom")], MemoryRecorder())
    with pytest.raises(ProviderUnavailable):
        twin.do(stream.deliver(texts.append))
    assert texts == ["Hé"]
