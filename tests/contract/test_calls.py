"""What a caller sees of a call over real sockets: whole or streamed, sync or async, it is the same."""

from __future__ import annotations

import pytest

from freeplay_like import (
    Freeplay,
    OpenAIChat,
    PromptTemplate,
    ProviderDenied,
    ProviderRateLimited,
    ProviderRejected,
    ProviderUnavailable,
    Retry,
    TemplateMessage,
)
from freeplay_like.local.simulator import Simulator
from freeplay_like.testing import MemoryRecorder, StaticPrompts
from support.twins import Twin

pytestmark = pytest.mark.timeout(60)

HELLO = (TemplateMessage(role="user", content="Hello"),)

REFUSALS = {
    400: ProviderRejected,
    401: ProviderDenied,
    403: ProviderDenied,
    404: ProviderRejected,
    408: ProviderUnavailable,
    422: ProviderRejected,
    429: ProviderRateLimited,
    500: ProviderUnavailable,
    503: ProviderUnavailable,
}


def greeting(script: str = "", flavor_name: str | None = None) -> StaticPrompts:
    template = PromptTemplate(name="greeting", model=f"sim:{script}", flavor_name=flavor_name, messages=HELLO)
    return StaticPrompts(template)


@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "streamed"])
def test_a_refused_call_raises_and_leaves_its_record_in_every_form(
    twin: Twin, simulator: Simulator, *, is_stream: bool
) -> None:
    recorder, flavor = MemoryRecorder(), OpenAIChat("sk-test", simulator.openai_base)
    for status, kind in REFUSALS.items():
        prompts = greeting(f"status={status}")
        fp = twin.client(flavor, prompts=prompts, recorder=recorder, retry=Retry(attempts=1))
        ask = fp.get_completion_stream if is_stream else fp.get_completion
        with pytest.raises(kind) as caught:
            twin.do(ask("p", "greeting", {}))
        assert type(caught.value) is kind
        assert caught.value.status == status
        record = recorder.records[-1]
        assert (record.outcome, record.text, record.is_stream) == ("error", "", is_stream)
        assert (record.error.type, record.error.status) == (kind.__name__, status)
    assert len(recorder.records) == len(simulator.requests) == len(REFUSALS)


def test_the_provider_has_the_request_before_anybody_reads(twin: Twin, simulator: Simulator) -> None:
    flavor = OpenAIChat("sk-test", simulator.openai_base)
    fp = twin.client(flavor, prompts=greeting("chunks=2"), recorder=MemoryRecorder())
    stream = twin.do(fp.get_completion_stream("p", "greeting", {}))
    assert len(simulator.requests) == 1
    assert [chunk.text for chunk in twin.chunks(stream)] == [" tok0", " tok1", ""]


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("openai_chat", "/v1/chat/completions"),
        ("openai_responses", "/v1/responses"),
        ("anthropic_chat", "/v1/messages"),
    ],
)
def test_a_template_says_which_flavor_it_is_for(
    twin: Twin, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, name: str, path: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.openai_base)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.anthropic_base)
    recorder = MemoryRecorder()
    fp = twin.client(prompts=greeting("chunks=1", name), recorder=recorder)
    assert twin.do(fp.get_completion("p", "greeting", {})).content == " tok0"
    assert simulator.requests[0].path == path
    assert recorder.records[0].flavor == name


async def test_the_sync_client_works_within_a_running_event_loop(simulator: Simulator) -> None:
    flavor = OpenAIChat("sk-test", simulator.openai_base)
    with Freeplay(flavor, prompts=greeting("chunks=2"), recorder=MemoryRecorder()) as fp:
        assert fp.get_completion("p", "greeting", {}).content == " tok0 tok1"
        assert "".join(chunk.text for chunk in fp.get_completion_stream("p", "greeting", {})) == " tok0 tok1"
