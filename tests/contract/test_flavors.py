"""What every flavor promises, over the provider's own client and a loopback provider."""

import asyncio
import gc
import subprocess
import sys
import threading

import pytest

from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.errors import (
    APIKeyMissingError,
    ConfigurationError,
    ProviderError,
    ProviderRateLimited,
    ProviderRejected,
    ProviderResponseError,
    ProviderTimeout,
    ProviderUnavailable,
    StreamCancelled,
)
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.base import AsyncConnection, Flavor, Request
from freeplay_like.flavors.openai_chat import OpenAIChat
from freeplay_like.local.scripts import Script
from freeplay_like.local.simulator import SeenRequest, Simulator
from support.waiting import until
from support.wire import Answer, OpenFlavor, read

MESSAGES = (Message(role="system", content="Be brief."), Message(role="user", content="Hello"))
PLAIN = Request(
    body={"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}], "stream": True},
    is_stream=True,
)
KINDS = {"openai": OpenAIChat, "anthropic": AnthropicClaudeChat}


@pytest.fixture(params=list(KINDS))
def flavor(request: pytest.FixtureRequest, simulator: Simulator) -> OpenFlavor:
    return make(request.param, simulator)


def make(kind: str, simulator: Simulator, key: str = "a key", **options: object) -> OpenFlavor:
    base = simulator.openai_base if kind == "openai" else simulator.anthropic_base
    return KINDS[kind](key, base, **{"max_retries": 0, **options})


def formatted(flavor: Flavor, script: str = "", *, is_stream: bool = True, **parameters: object) -> Request:
    layers = [("flavor", flavor.default_parameters), ("call", {"model": f"sim:{script}", **parameters})]
    return flavor.format(MESSAGES, merge(layers), is_stream=is_stream)


def call(flavor: Flavor, script: str = "", *, is_stream: bool = True) -> Answer:
    request = formatted(flavor, script, is_stream=is_stream)
    return read(flavor.reader(request), flavor.open(request))


async def acall(flavor: Flavor, script: str = "", *, is_stream: bool = True) -> Answer:
    request = formatted(flavor, script, is_stream=is_stream)
    return await aread(flavor, request, await flavor.aopen(request))


async def aread(flavor: Flavor, request: Request, connection: AsyncConnection) -> Answer:
    pieces: list[bytes] = []
    try:
        async for data in connection:
            pieces.append(data)
    except ProviderError as exc:
        return Answer(read(flavor.reader(request), pieces).response, exc)
    return read(flavor.reader(request), pieces)


def left(seen: SeenRequest) -> bool:
    """Whether the provider saw the client go within half a second."""
    return seen.client_left.wait(0.5)


def test_a_flavor_is_what_the_protocol_asks_for(flavor: OpenFlavor) -> None:
    assert isinstance(flavor, Flavor)


@pytest.mark.parametrize("is_stream", [True, False])
async def test_an_answer_comes_whole_sync_and_async(flavor: OpenFlavor, *, is_stream: bool) -> None:
    for answer in (call(flavor, "chunks=3", is_stream=is_stream), await acall(flavor, "chunks=3", is_stream=is_stream)):
        assert answer.error is None
        assert answer.response.text == " tok0 tok1 tok2"
        assert answer.response.finish_reason == "stop"
        assert answer.response.usage.input_tokens == 9
        assert answer.response.usage.cached_input_tokens == 4
        assert answer.response.usage.output_tokens == 3


@pytest.mark.parametrize("is_stream", [True, False])
async def test_the_body_is_sent_exactly_as_formatted(
    flavor: OpenFlavor, simulator: Simulator, *, is_stream: bool
) -> None:
    values = {"temperature": 0.5, "top_p": 0.9, "metadata": {"user_id": "ü"}, "something_new": [1, None, {"a": False}]}
    request = formatted(flavor, "chunks=1", is_stream=is_stream, **values)
    flavor.open(request).close()
    await (await flavor.aopen(request)).aclose()
    assert [seen.body for seen in simulator.requests] == [request.body, request.body]


@pytest.mark.parametrize(
    ("status", "kind", "is_retryable"),
    [
        (400, ProviderRejected, False),
        (401, ProviderRejected, False),
        (402, ProviderRejected, False),
        (403, ProviderRejected, False),
        (404, ProviderRejected, False),
        (408, ProviderUnavailable, True),
        (409, ProviderUnavailable, True),
        (413, ProviderRejected, False),
        (422, ProviderRejected, False),
        (429, ProviderRateLimited, True),
        (500, ProviderUnavailable, True),
        (503, ProviderUnavailable, True),
        (529, ProviderUnavailable, True),
    ],
)
async def test_a_refusal_is_raised_before_the_stream_begins(
    flavor: OpenFlavor, status: int, kind: type[ProviderError], *, is_retryable: bool
) -> None:
    request = formatted(flavor, f"status={status},retry_after=7")
    with pytest.raises(ProviderError) as sync:
        flavor.open(request)
    with pytest.raises(ProviderError) as asynchronous:
        await flavor.aopen(request)
    for error in (sync.value, asynchronous.value):
        assert type(error) is kind
        assert error.status == status
        assert error.retryable is is_retryable
        assert error.retry_after_s == 7
        assert error.provider == flavor.provider
        assert error.model == request.model
        assert error.request_id.startswith("req_sim_")
        assert error.code
        assert f"answered {status}: simulated status {status}" in str(error)
        assert error.__cause__ is not None


@pytest.mark.parametrize(
    ("written", "seconds"), [("0.5", 0.5), ("Wed%2C 21 Oct 2015 07:28:00 GMT", 0.0), ("soon", None)]
)
def test_retry_after_is_read_as_seconds_or_as_a_date(flavor: OpenFlavor, written: str, seconds: float | None) -> None:
    with pytest.raises(ProviderRateLimited) as caught:
        flavor.open(formatted(flavor, f"status=429,retry_after={written}"))
    assert caught.value.retry_after_s == seconds


async def test_a_provider_that_is_not_there_is_unavailable() -> None:
    with Simulator() as gone:
        flavors = [make(kind, gone) for kind in KINDS]
    for flavor in flavors:
        with pytest.raises(ProviderUnavailable, match=r"127\.0\.0\.1:\d+\) failed: Connection error") as caught:
            flavor.open(formatted(flavor))
        assert caught.value.retryable
        with pytest.raises(ProviderUnavailable):
            await flavor.aopen(formatted(flavor))


@pytest.mark.parametrize("kind", KINDS)
async def test_silence_past_the_timeout_is_a_timeout(kind: str, simulator: Simulator) -> None:
    flavor = make(kind, simulator, timeout_s=0.05)
    with pytest.raises(ProviderTimeout):
        flavor.open(formatted(flavor, "hang"))
    with pytest.raises(ProviderTimeout):
        await flavor.aopen(formatted(flavor, "hang"))
    with pytest.raises(ProviderTimeout):
        list(flavor.open(formatted(flavor, "hang_after=1")))


@pytest.mark.parametrize("kind", KINDS)
def test_the_providers_client_asks_again_before_the_answer_begins(kind: str, simulator: Simulator) -> None:
    flavor = make(kind, simulator, max_retries=1)
    simulator.default = Script(status=503, retry_after="0", fail_times=1, chunks=1)
    answer = read(flavor.reader(PLAIN), flavor.open(PLAIN))
    assert answer.response.text == " tok0"
    assert len(simulator.requests) == 2


@pytest.mark.parametrize("script", ["cut_after=2", "cut_after=2,batch=3"])
async def test_a_cut_connection_comes_after_the_text_before_it(flavor: OpenFlavor, script: str) -> None:
    for answer in (call(flavor, script), await acall(flavor, script)):
        assert answer.response.text == " tok0 tok1"
        assert type(answer.error) is ProviderUnavailable
        assert answer.error.retryable
        assert answer.error.request_id.startswith("req_sim_")
        assert answer.error.__cause__ is not None


async def test_a_failure_told_in_the_stream_comes_after_the_text_before_it(flavor: OpenFlavor) -> None:
    for answer in (call(flavor, "error_after=2"), await acall(flavor, "error_after=2")):
        assert answer.response.text == " tok0 tok1"
        assert type(answer.error) is ProviderUnavailable
        assert answer.error.status is None


def test_an_end_without_a_finish_reason_has_none(flavor: OpenFlavor) -> None:
    answer = call(flavor, "eof_after=2")
    assert answer.error is None
    assert answer.response.text == " tok0 tok1"
    assert answer.response.finish_reason is None


def test_json_that_does_not_parse_is_shown(flavor: OpenFlavor) -> None:
    answer = call(flavor, "bad_json_after=1")
    assert type(answer.error) is ProviderResponseError
    assert '{"id": "brok' in str(answer.error)


@pytest.mark.parametrize("is_stream", [True, False])
def test_a_page_of_html_is_no_answer(flavor: OpenFlavor, simulator: Simulator, tmp_path, *, is_stream: bool) -> None:
    page = tmp_path / "page.html"
    page.write_text("<html>\n\nlog in first</html>" + "x" * 1000)
    simulator.enqueue(f"raw={page}")
    answer = call(flavor, is_stream=is_stream)
    assert type(answer.error) is ProviderResponseError
    assert "log in first" in str(answer.error)
    assert len(str(answer.error)) < 700


def test_a_server_that_does_not_stream_when_asked_to_is_read_all_the_same(
    flavor: OpenFlavor, simulator: Simulator, tmp_path
) -> None:
    simulator.enqueue("chunks=2")
    whole = b"".join(flavor.open(formatted(flavor, is_stream=False)))
    (tmp_path / "whole.json").write_bytes(whole)
    simulator.enqueue(f"raw={tmp_path}/whole.json,split=50")
    assert call(flavor).response.text == " tok0 tok1"


def test_tool_calls_are_put_together(flavor: OpenFlavor) -> None:
    for is_stream in (True, False):
        calls = call(flavor, "tools=2", is_stream=is_stream).response.tool_calls
        assert [tool.arguments for tool in calls] == ['{"city":"Paris"}'] * 2
        assert len({tool.id for tool in calls}) == 2


# --- connections ---


def test_five_streams_share_one_connection(flavor: OpenFlavor, simulator: Simulator) -> None:
    for _ in range(5):
        assert call(flavor, "chunks=3").error is None
    assert simulator.connections == 1


async def test_five_async_streams_share_one_connection(flavor: OpenFlavor, simulator: Simulator) -> None:
    for _ in range(5):
        assert (await acall(flavor, "chunks=3")).error is None
    assert simulator.connections == 1


def test_close_closes_the_connection_at_once(flavor: OpenFlavor, simulator: Simulator) -> None:
    connection = flavor.open(formatted(flavor, "chunks=1000,delay_ms=5"))
    assert next(iter(connection))
    connection.close()
    connection.close()
    assert left(simulator.requests[0])


async def test_aclose_closes_the_connection_at_once(flavor: OpenFlavor, simulator: Simulator) -> None:
    connection = await flavor.aopen(formatted(flavor, "chunks=1000,delay_ms=5"))
    assert await anext(aiter(connection))
    await connection.aclose()
    await connection.aclose()
    assert await asyncio.to_thread(left, simulator.requests[0])


def test_close_after_the_end_leaves_the_connection_in_the_pool(flavor: OpenFlavor, simulator: Simulator) -> None:
    for _ in range(2):
        connection = flavor.open(formatted(flavor, "chunks=1"))
        assert b"".join(connection)
        connection.close()
    assert simulator.connections == 1
    assert not simulator.requests[0].client_left.is_set()


def test_close_wakes_another_thread_that_waits_for_bytes(flavor: OpenFlavor, simulator: Simulator) -> None:
    connection = flavor.open(formatted(flavor, "hang_after=1"))
    caught: list[BaseException] = []

    def drain() -> None:
        try:
            list(connection)
        except StreamCancelled as exc:
            caught.append(exc)

    reader = threading.Thread(target=drain)
    reader.start()
    until(lambda: simulator.requests[0].sent_chunks == 1)
    connection.close()
    assert left(simulator.requests[0])
    reader.join(5)
    assert len(caught) == 1


async def test_a_cancelled_reader_lets_go_of_the_connection(flavor: OpenFlavor, simulator: Simulator) -> None:
    request = formatted(flavor, "hang_after=1")
    connection = await flavor.aopen(request)
    reader = asyncio.create_task(aread(flavor, request, connection))
    await asyncio.to_thread(until, lambda: simulator.requests[0].sent_chunks == 1)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await connection.aclose()
    assert await asyncio.to_thread(left, simulator.requests[0])


def test_an_answer_is_read_on_when_its_flavor_is_gone(simulator: Simulator) -> None:
    for kind in KINDS:
        flavor = make(kind, simulator)
        request = formatted(flavor, "chunks=3,delay_ms=5")
        reader, connection = flavor.reader(request), flavor.open(request)
        del flavor
        gc.collect()
        assert read(reader, connection).response.finish_reason == "stop"


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_loop_has_a_client_of_its_own(kind: str, simulator: Simulator) -> None:
    flavor = make(kind, simulator)
    for _ in range(3):
        assert asyncio.run(acall(flavor, "chunks=2")).response.text == " tok0 tok1"
    assert simulator.connections == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_is_closed_with_its_flavor(kind: str, simulator: Simulator) -> None:
    flavor = make(kind, simulator)
    call(flavor, "chunks=1")
    client = flavor._clients.of_process(flavor._make_client)
    del flavor
    gc.collect()
    assert client.is_closed()


FORKING = """
import os, sys
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.flavors.registry import flavor_named
flavor = flavor_named(sys.argv[1])("key", sys.argv[2])
values = {**flavor.default_parameters, "model": "sim:chunks=1"}
request = flavor.format([Message(role="user", content="Hello")], merge([("call", values)]), is_stream=True)
assert b" tok0" in b"".join(flavor.open(request))
child = os.fork()
assert b" tok0" in b"".join(flavor.open(request))
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.parametrize("kind", KINDS)
def test_a_forked_process_makes_a_client_of_its_own(kind: str, simulator: Simulator) -> None:
    flavor = make(kind, simulator)
    command = [sys.executable, "-c", FORKING, flavor.name, flavor._api_base]
    assert subprocess.run(command, check=False, timeout=60).returncode == 0
    assert len(simulator.requests) == 3
    assert simulator.connections == 2


# --- keys ---


@pytest.mark.parametrize("kind", KINDS)
def test_flavors_with_different_keys_never_mix(kind: str, simulator: Simulator) -> None:
    first, second = make(kind, simulator, key="key-1"), make(kind, simulator, key="key-2")
    for flavor in (first, second, first):
        call(flavor, "chunks=1")
    assert [seen.headers["authorization"] for seen in simulator.requests] == [
        "Bearer key-1",
        "Bearer key-2",
        "Bearer key-1",
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["", "  ", None])
async def test_a_missing_key_is_said_before_any_request(
    kind: str, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    flavor = KINDS[kind](key)
    with pytest.raises(APIKeyMissingError, match=f"{kind.upper()}_API_KEY"):
        flavor.check()
    with pytest.raises(APIKeyMissingError):
        flavor.open(formatted(flavor))
    with pytest.raises(APIKeyMissingError):
        await flavor.aopen(formatted(flavor))


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_of_ones_own_needs_no_key(kind: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(f"{kind.upper()}_API_KEY", raising=False)
    flavor = make(kind, simulator, key="")
    flavor.check()
    assert call(flavor, "chunks=1").error is None
    assert simulator.requests[0].headers["authorization"] == "Bearer not-needed"


def test_what_the_client_refuses_to_send_is_a_configuration_error(simulator: Simulator) -> None:
    flavor = make("anthropic", simulator)
    with pytest.raises(ConfigurationError, match="Streaming is required"):
        flavor.open(formatted(flavor, is_stream=False, max_tokens=200_000))
    assert simulator.requests == []
