"""One try a call, limits of our own, proxies: what the flavors' ways to their providers promise, on loopback."""

import asyncio
import json

import pytest

from freeplay_like.core.limits import Timeout
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.errors import (
    ContextLengthExceeded,
    ProviderDenied,
    ProviderError,
    ProviderRejected,
    ProviderTimeout,
    ProviderUnavailable,
)
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.base import Flavor, Request
from freeplay_like.flavors.openai_chat import OpenAIChat
from freeplay_like.local.scripts import Script
from freeplay_like.local.simulator import Simulator
from support.scripted_http import Asked, Reply, scripted_server

KINDS = {"openai": OpenAIChat, "anthropic": AnthropicClaudeChat}
both_kinds = pytest.mark.parametrize("kind", KINDS)
HELLO = (Message(role="user", content="Hello"),)
WHOLE = {
    "openai": {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]},
    "anthropic": {"type": "message", "content": [{"type": "text", "text": "Hi"}], "stop_reason": "end_turn"},
}


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


def simulated(kind: str, simulator: Simulator) -> OpenAIChat | AnthropicClaudeChat:
    return KINDS[kind]("a key", simulator.openai_base if kind == "openai" else simulator.anthropic_base)


def request(flavor: Flavor, script: str = "", *, is_stream: bool = True) -> Request:
    layers = [("flavor", flavor.default_parameters), ("call", {"model": f"sim:{script}"})]
    return flavor.format(HELLO, merge(layers), is_stream=is_stream)


# --- limits ---


@both_kinds
async def test_the_head_is_waited_for_only_so_long(kind: str, simulator: Simulator) -> None:
    flavor = simulated(kind, simulator)
    for limits in (Timeout(first_chunk_s=0.05), Timeout(total_s=0.05), Timeout(read_s=0.05)):
        with pytest.raises(ProviderTimeout, match="failed: ") as sync:
            flavor.open(request(flavor, "hang"), limits)
        with pytest.raises(ProviderTimeout, match="failed: ") as asynchronous:
            await flavor.aopen(request(flavor, "hang"), limits)
        assert sync.value.retryable
        assert asynchronous.value.retryable
        assert asynchronous.value.provider == flavor.provider
    assert len(simulator.requests) == 6


@both_kinds
async def test_the_limit_of_the_head_does_not_hold_for_the_body(kind: str, simulator: Simulator) -> None:
    flavor = simulated(kind, simulator)
    asked = request(flavor, "chunks=1,delay_ms=1300,batch=100")
    limits = Timeout(first_chunk_s=1, read_s=60)

    async def slowly() -> bytes:
        connection = await flavor.aopen(asked, limits)
        return b"".join([data async for data in connection])

    sync, asynchronous = await asyncio.gather(asyncio.to_thread(lambda: b"".join(flavor.open(asked, limits))), slowly())
    assert b"tok0" in sync
    assert b"tok0" in asynchronous


@both_kinds
async def test_the_limit_of_the_body_holds_after_a_head(kind: str, simulator: Simulator) -> None:
    flavor = simulated(kind, simulator)
    limits = Timeout(read_s=0.05)
    connection = flavor.open(request(flavor, "hang_after=1"), limits)
    aconnection = await flavor.aopen(request(flavor, "hang_after=1"), limits)
    with pytest.raises(ProviderTimeout) as sync:
        b"".join(connection)
    with pytest.raises(ProviderTimeout) as asynchronous:
        async for _ in aconnection:
            pass
    for error in (sync.value, asynchronous.value):
        assert error.request_id


@both_kinds
def test_one_calls_limits_are_not_anothers(kind: str, simulator: Simulator) -> None:
    flavor = simulated(kind, simulator)
    patient = flavor.open(request(flavor, "chunks=2,delay_ms=300,batch=100"), Timeout(read_s=30))
    with pytest.raises(ProviderTimeout):
        flavor.open(request(flavor, "hang"), Timeout(read_s=0.05))
    assert b"tok1" in b"".join(patient)


@both_kinds
async def test_a_call_is_tried_once(kind: str, simulator: Simulator) -> None:
    flavor = simulated(kind, simulator)
    simulator.default = Script(status=503, retry_after="0", fail_times=1, chunks=1)
    plain = Request(
        body={"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]}, is_stream=False
    )
    with pytest.raises(ProviderUnavailable) as caught:
        flavor.open(plain)
    assert caught.value.status == 503
    simulator.default = Script(status=429, retry_after="0", fail_times=3, chunks=1)
    with pytest.raises(ProviderError):
        await flavor.aopen(plain)
    assert len(simulator.requests) == 2


@both_kinds
async def test_the_head_of_the_answer_is_kept_in_lower_case(kind: str) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(body=b"{}", headers={"X-RateLimit-Remaining": "7", "X-Request-Id": "r1", "Request-Id": "r1"})

    with scripted_server(answer) as server:
        flavor = KINDS[kind]("a key", server.base)
        connection = flavor.open(request(flavor))
        aconnection = await flavor.aopen(request(flavor))
        for opened in (connection, aconnection):
            assert opened.request_id == "r1"
            assert opened.headers["x-ratelimit-remaining"] == "7"
            assert all(name == name.lower() for name in opened.headers)
        connection.close()
        await aconnection.aclose()


# --- refusals ---


@both_kinds
@pytest.mark.parametrize(
    ("status", "error", "expected", "is_retryable"),
    [
        (401, {"message": "no", "type": "x"}, ProviderDenied, False),
        (403, {"message": "no", "type": "x"}, ProviderDenied, False),
        (404, {"message": "no", "type": "x"}, ProviderRejected, False),
        (425, {"message": "early", "type": "x"}, ProviderUnavailable, True),
        (408, {"message": "slow", "type": "x"}, ProviderUnavailable, True),
        (529, {"message": "full", "type": "overloaded_error"}, ProviderUnavailable, True),
        (400, {"message": "no", "type": "x", "code": "context_length_exceeded"}, ContextLengthExceeded, False),
        (400, {"message": "m", "type": "exceed_context_size_error", "code": 400}, ContextLengthExceeded, False),
        (400, {"message": "prompt is too long: 9 > 8", "type": "invalid_request_error"}, ContextLengthExceeded, False),
        (400, {"message": "This model's maximum context length is 8", "type": "x"}, ContextLengthExceeded, False),
        (413, {"message": "too large", "type": "request_too_large"}, ProviderRejected, False),
    ],
)
def test_refusals_are_told_apart(
    kind: str, status: int, error: dict[str, object], expected: type[ProviderError], *, is_retryable: bool
) -> None:
    def answer(asked: Asked) -> Reply:
        body = json.dumps({"type": "error", "error": error}).encode()
        return Reply(status=status, body=body, headers={"Content-Type": "application/json"})

    with scripted_server(answer) as server:
        flavor = KINDS[kind]("a key", server.base)
        with pytest.raises(ProviderError) as caught:
            flavor.open(request(flavor))
        assert len(server.asked) == 1
    assert type(caught.value) is expected
    assert (caught.value.status, caught.value.retryable) == (status, is_retryable)
    assert str(error["message"]) in str(caught.value)


# --- proxies ---


@both_kinds
async def test_a_proxy_is_taken_from_the_argument_the_environment_or_not_at_all(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(body=json.dumps(WHOLE[kind]).encode(), headers={"Content-Type": "application/json"})

    async def call(base: str, proxy: str | None) -> None:
        flavor = KINDS[kind]("a key", base, proxy=proxy)
        for _ in flavor.open(request(flavor, is_stream=False)):
            pass
        async for _ in await flavor.aopen(request(flavor, is_stream=False)):
            pass

    with scripted_server(answer) as proxy, scripted_server(answer) as other, scripted_server(answer) as provider:
        address, environment = proxy.base.removesuffix("/api"), other.base.removesuffix("/api")
        far = "http://provider.invalid/v1"
        await call(far, address)
        assert [seen.path.startswith(far) for seen in proxy.asked] == [True, True]
        monkeypatch.setenv("http_proxy", environment)
        await call(far, None)
        assert [seen.path.startswith(far) for seen in other.asked] == [True, True]
        await call(far, address)
        assert (len(proxy.asked), len(other.asked)) == (4, 2)
        await call(provider.base, "")
        assert (len(proxy.asked), len(other.asked), len(provider.asked)) == (4, 2, 2)
