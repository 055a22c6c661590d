"""The limits of a call, each alone, against a provider that stalls; both twins, over real connections."""

from __future__ import annotations

import pytest

from freeplay_like import (
    AnthropicClaudeChat,
    OpenAIChat,
    PromptTemplate,
    ProviderTimeout,
    Retry,
    TemplateMessage,
    Timeout,
)
from freeplay_like.local.simulator import Simulator
from freeplay_like.testing import MemoryRecorder, StaticPrompts
from support.twins import Twin

GREETING = PromptTemplate(name="greeting", messages=(TemplateMessage(role="user", content="Greet."),))

pytestmark = pytest.mark.timeout(30)


class Scene:
    def __init__(self, twin: Twin, simulator: Simulator, timeout: Timeout, retry: Retry | None = None) -> None:
        self.twin, self.recorder = twin, MemoryRecorder()
        self.fp = twin.client(
            OpenAIChat("k", simulator.openai_base),
            prompts=StaticPrompts(GREETING),
            recorder=self.recorder,
            timeout=timeout,
            retry=retry or Retry(attempts=1),
        )

    def stream(self, script: str) -> object:
        return self.twin.do(self.fp.get_completion_stream("p", "greeting", {}, model=f"sim:{script}"))


def test_a_head_that_does_not_come_is_not_waited_for(twin: Twin, simulator: Simulator) -> None:
    scene = Scene(twin, simulator, Timeout(first_chunk_s=0.2))
    with pytest.raises(ProviderTimeout):
        scene.stream("hang")
    assert scene.recorder.records[0].outcome == "error"


def test_a_first_chunk_that_does_not_come_is_not_waited_for(twin: Twin, simulator: Simulator) -> None:
    scene = Scene(twin, simulator, Timeout(first_chunk_s=0.3))
    stream = scene.stream("hang_after=0")
    with pytest.raises(ProviderTimeout, match=r"no first chunk within 0.3 s \(Timeout.first_chunk_s\)") as caught:
        twin.chunks(stream)
    assert caught.value.retryable
    (record,) = scene.recorder.records
    assert (record.outcome, record.error.type) == ("error", "ProviderTimeout")


def test_silence_between_chunks_is_not_waited_out(twin: Twin, simulator: Simulator) -> None:
    scene = Scene(twin, simulator, Timeout(between_chunks_s=0.3))
    stream = scene.stream("hang_after=2")
    seen = [twin.next(stream).text, twin.next(stream).text]
    with pytest.raises(ProviderTimeout, match=r"no further chunk within 0.3 s") as caught:
        twin.next(stream)
    assert caught.value.partial.content == "".join(seen) == scene.recorder.records[0].text


def test_the_whole_has_a_limit_however_steadily_it_comes(twin: Twin, simulator: Simulator) -> None:
    scene = Scene(twin, simulator, Timeout(total_s=0.4, between_chunks_s=5))
    stream = scene.stream("chunks=1000,delay_ms=20")
    with pytest.raises(ProviderTimeout, match=r"not done within 0.4 s \(Timeout.total_s\)"):
        twin.chunks(stream)
    assert 0 < scene.recorder.records[0].chunk_count < 1000


def test_a_slow_reader_is_not_the_providers_fault(twin: Twin, simulator: Simulator) -> None:
    scene = Scene(twin, simulator, Timeout(between_chunks_s=0.25, first_chunk_s=0.25))
    stream = scene.stream("chunks=5")
    scene.fp._clock.sleep(0.4)
    first = twin.next(stream)
    scene.fp._clock.sleep(0.4)
    assert first.text
    assert twin.chunks(stream)[-1].finish_reason == "stop"


def test_a_late_first_chunk_is_tried_again(twin: Twin, simulator: Simulator) -> None:
    simulator.enqueue("hang_after=0", "chunks=3")
    scene = Scene(twin, simulator, Timeout(first_chunk_s=0.3), Retry(wait_s=0))
    stream = twin.do(scene.fp.get_completion_stream("p", "greeting", {}, model="m"))
    assert twin.chunks(stream)[-1].is_final
    (record,) = scene.recorder.records
    assert [(a.error, a.phase) for a in record.attempts] == [("ProviderTimeout", "first_chunk")]
    assert len(simulator.requests) == 2


def test_the_other_clients_stream_has_the_same_limits(twin: Twin, simulator: Simulator) -> None:
    scene = Scene(twin, simulator, Timeout(between_chunks_s=0.3))
    other = scene.fp.with_options(flavor=AnthropicClaudeChat("k", simulator.anthropic_base))
    stream = twin.do(other.get_completion_stream("p", "greeting", {}, model="sim:hang_after=2"))
    with pytest.raises(ProviderTimeout, match="no further chunk"):
        twin.chunks(stream)
