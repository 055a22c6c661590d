"""Many chunks in one read: the first does not wait for the last."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from freeplay_like import CompletionChunk, PromptTemplate, ProviderUnavailable, TemplateMessage
from freeplay_like.flavors.base import Reader, Request
from freeplay_like.testing import FakeFlavor, MemoryRecorder, StaticPrompts
from support.twins import Twin

GREETING = PromptTemplate(
    name="greeting", model="fake-1", messages=(TemplateMessage(role="user", content="Greet {{name}}."),)
)


class BurstReader:
    """Finds four chunks and an error in whatever it is fed; `made` is how many were asked for."""

    def __init__(self) -> None:
        self.made = 0

    def feed(self, data: bytes) -> Iterator[CompletionChunk]:
        for piece in "abcd":
            self.made += 1
            yield CompletionChunk(text=piece)
        raise ProviderUnavailable("boom")

    def end(self) -> Iterator[CompletionChunk]:
        return iter(())


class BurstFlavor(FakeFlavor):
    def __init__(self) -> None:
        super().__init__("one read")
        self.readers: list[BurstReader] = []

    def reader(self, request: Request) -> Reader:
        self.readers.append(BurstReader())
        return self.readers[-1]


def test_a_burst_is_read_as_its_chunks_are_asked_for(twin: Twin) -> None:
    flavor, recorder = BurstFlavor(), MemoryRecorder()
    fp = twin.client(flavor, prompts=StaticPrompts(GREETING), recorder=recorder)
    stream = twin.do(fp.get_completion_stream("p", "greeting", {"name": "Ann"}))
    assert [(twin.next(stream).text, flavor.readers[0].made) for _ in range(2)] == [("a", 1), ("b", 2)]
    twin.close(stream)
    assert recorder.records[0].text == "ab"


def test_an_error_in_a_burst_comes_after_the_chunks_before_it(twin: Twin) -> None:
    recorder = MemoryRecorder()
    fp = twin.client(BurstFlavor(), prompts=StaticPrompts(GREETING), recorder=recorder)
    stream = twin.do(fp.get_completion_stream("p", "greeting", {"name": "Ann"}))
    assert "".join(twin.next(stream).text for _ in range(4)) == "abcd"
    with pytest.raises(ProviderUnavailable, match="boom") as caught:
        twin.next(stream)
    assert caught.value.partial.content == "abcd"
    assert (recorder.records[0].outcome, recorder.records[0].text) == ("error", "abcd")
