"""What every flavor promises of its connections, clients and keys, over a loopback provider."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
import warnings

import pytest

from freeplay_like.errors import APIKeyMissingError, StreamCancelled
from freeplay_like.local.simulator import SeenRequest, Simulator
from support.flavor_calls import KINDS, acall, adrained, call, formatted
from support.waiting import until
from support.wire import API_VERSION, OpenFlavor, flavor_of, read


@pytest.fixture(params=KINDS)
def flavor(request: pytest.FixtureRequest, simulator: Simulator) -> OpenFlavor:
    return flavor_of(request.param, simulator)


def left(seen: SeenRequest) -> bool:
    """Whether the provider saw the client go."""
    return seen.client_left.wait(5)


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
    connection = flavor.open(formatted(flavor, "hang_after=1"))
    assert next(iter(connection))
    connection.close()
    connection.close()
    assert left(simulator.requests[0])


async def test_aclose_closes_the_connection_at_once(flavor: OpenFlavor, simulator: Simulator) -> None:
    connection = await flavor.aopen(formatted(flavor, "hang_after=1"))
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
    reader = asyncio.create_task(adrained(flavor, request, connection))
    await asyncio.to_thread(until, lambda: simulator.requests[0].sent_chunks == 1)
    reader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reader
    await connection.aclose()
    assert await asyncio.to_thread(left, simulator.requests[0])


async def test_a_call_that_is_cancelled_before_its_head_lets_go(flavor: OpenFlavor, simulator: Simulator) -> None:
    opening = asyncio.create_task(flavor.aopen(formatted(flavor, "hang")))
    await asyncio.to_thread(simulator.wait_for_requests, 1)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert await asyncio.to_thread(left, simulator.requests[0])


async def test_fifty_streams_at_once_stay_apart(flavor: OpenFlavor) -> None:
    answers = await asyncio.gather(*(acall(flavor, f"text=answer {n} of many,chunks=5") for n in range(50)))
    assert [answer.response.text for answer in answers] == [f"answer {n} of many" for n in range(50)]


# --- clients ---


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_read_on_when_its_flavor_is_gone(kind: str, simulator: Simulator) -> None:
    flavor = flavor_of(kind, simulator)
    request = formatted(flavor, "chunks=3,delay_ms=5")
    reader, connection = flavor.reader(request), flavor.open(request)
    del flavor
    gc.collect()
    assert read(reader, connection).response.finish_reason == "stop"


def test_every_event_loop_has_a_client_of_its_own(flavor: OpenFlavor, simulator: Simulator) -> None:
    for _ in range(3):
        assert asyncio.run(acall(flavor, "chunks=2")).response.text == " tok0 tok1"
    assert simulator.connections == 3


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_is_closed_with_its_flavor(kind: str, simulator: Simulator) -> None:
    flavor = flavor_of(kind, simulator)
    call(flavor, "chunks=1")
    client = flavor._clients.of_process(flavor._make_client)
    del flavor
    gc.collect()
    assert client.is_closed()


@pytest.mark.parametrize("kind", KINDS)
def test_a_client_found_in_a_cycle_is_closed_as_well(kind: str, simulator: Simulator) -> None:
    """The garbage collector would end its connections in any order, and warn that they were not closed."""

    async def use_one_in_a_cycle() -> None:
        flavor = flavor_of(kind, simulator)
        flavor.itself = flavor
        await acall(flavor, "chunks=1")

    with warnings.catch_warnings(record=True) as warned, asyncio.Runner() as runner:
        warnings.simplefilter("always")
        runner.run(use_one_in_a_cycle())
        gc.collect()
    assert [str(each.message) for each in warned] == []


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


def test_a_forked_process_makes_a_client_of_its_own(flavor: OpenFlavor, simulator: Simulator) -> None:
    command = [sys.executable, "-c", FORKING, flavor.name, flavor._api_base]
    environment = {**os.environ, "OPENAI_API_VERSION": API_VERSION}
    assert subprocess.run(command, check=False, timeout=60, env=environment).returncode == 0
    assert len(simulator.requests) == 3
    assert simulator.connections == 2


# --- keys ---


@pytest.mark.parametrize("kind", KINDS)
def test_flavors_with_different_keys_never_mix(kind: str, simulator: Simulator) -> None:
    first, second = flavor_of(kind, simulator, "key-1"), flavor_of(kind, simulator, "key-2")
    for flavor in (first, second, first):
        call(flavor, "chunks=1")
    header, prefix = ("api-key", "") if kind == "azure" else ("authorization", "Bearer ")
    keys = [seen.headers[header] for seen in simulator.requests]
    assert keys == [f"{prefix}key-1", f"{prefix}key-2", f"{prefix}key-1"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("key", ["", "  ", None])
async def test_a_missing_key_is_said_before_any_request(
    kind: str, key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    flavor = flavor_of(kind, None, key)
    wanted = {"azure": "AZURE_OPENAI_API_KEY"}.get(kind, f"{kind.partition('_')[0].upper()}_API_KEY")
    with pytest.raises(APIKeyMissingError, match=wanted):
        flavor.check()
    with pytest.raises(APIKeyMissingError):
        flavor.open(formatted(flavor))
    with pytest.raises(APIKeyMissingError):
        await flavor.aopen(formatted(flavor))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "azure"])
def test_a_server_of_ones_own_needs_no_key(kind: str, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    flavor = flavor_of(kind, simulator, "")
    flavor.check()
    assert call(flavor, "chunks=1").error is None
    assert simulator.requests[0].headers["authorization"] == "Bearer not-needed"
