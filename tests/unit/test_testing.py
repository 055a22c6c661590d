from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from freeplay_like.core.chunks import CompletionChunk, Usage
from freeplay_like.core.completion import CompletionBuilder, CompletionResponse
from freeplay_like.core.limits import DEFAULT_TIMEOUT, Timeout
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import merge
from freeplay_like.core.templates import PromptTemplate, TemplateMessage
from freeplay_like.errors import (
    ConfigurationError,
    ProviderError,
    ProviderTimeout,
    StreamCancelled,
    TemplateNotFoundError,
)
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.base import Flavor, Request
from freeplay_like.flavors.openai_chat import OpenAIChat
from freeplay_like.prompts.base import PromptSource
from freeplay_like.testing import CUT, HANG, FakeFlavor, StaticPrompts, replay, tool_call
from support.waiting import until

WIRE = Path(__file__).parents[2] / "fixtures" / "wire"
STREAM = WIRE / "openai" / "text" / "response.sse"

Caller = Callable[..., CompletionResponse]


def asked(flavor: Flavor, *, is_stream: bool = True) -> Request:
    parameters = merge([("call", {"model": "any", "max_tokens": 9})])
    return flavor.format([Message(role="user", content="Hi")], parameters, is_stream=is_stream)


def call(flavor: Flavor, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> CompletionResponse:
    """What a session does, without one."""
    builder, reader = CompletionBuilder(), flavor.reader(request)
    for data in flavor.open(request, timeout):
        for chunk in reader.feed(data):
            builder.feed(chunk)
    for chunk in reader.end():
        builder.feed(chunk)
    return builder.build()


def acall(flavor: Flavor, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> CompletionResponse:
    """The same in async code."""

    async def main() -> CompletionResponse:
        builder, reader = CompletionBuilder(), flavor.reader(request)
        async for data in await flavor.aopen(request, timeout):
            for chunk in reader.feed(data):
                builder.feed(chunk)
        for chunk in reader.end():
            builder.feed(chunk)
        return builder.build()

    return asyncio.run(main())


twins: Any = pytest.mark.parametrize("call_with", [call, acall])


# --- FakeFlavor -------------------------------------------------------------------------------------------


def test_the_fakes_are_what_a_session_takes() -> None:
    assert isinstance(FakeFlavor(), Flavor)
    assert isinstance(replay(b"", flavor=OpenAIChat()), Flavor)
    source: PromptSource = StaticPrompts()
    assert source is not None


@twins
def test_each_call_gets_the_next_answer_and_the_last_for_ever(call_with: Caller) -> None:
    flavor = FakeFlavor("one", ["t", "wo"])
    texts = [call_with(flavor, asked(flavor)).content for _ in range(3)]
    assert texts == ["one", "two", "two"]
    assert len(flavor.requests) == 3


@twins
def test_an_answer_may_be_cut_or_break_or_be_refused(call_with: Caller) -> None:
    flavor = FakeFlavor(["half", CUT, "never"], ["ok", ConnectionError("broken")], ProviderTimeout("late"))
    assert call_with(flavor, asked(flavor)).finish_reason is None
    for error in (ConnectionError, ProviderTimeout):
        with pytest.raises(error):
            call_with(flavor, asked(flavor))


@twins
def test_an_answer_may_call_tools_and_count_tokens(call_with: Caller) -> None:
    counted = CompletionChunk(usage=Usage(input_tokens=7, output_tokens=2))
    second = tool_call("book", {"seat": 1}, id="call-2", index=1)
    flavor = FakeFlavor([tool_call("weather", {"city": "Rome"}), second, counted])
    response = call_with(flavor, asked(flavor))
    assert [(c.id, c.name, c.arguments) for c in response.tool_calls] == [
        ("call-1", "weather", '{"city":"Rome"}'),
        ("call-2", "book", '{"seat":1}'),
    ]
    assert response.finish_reason == "tool_calls"
    assert response.usage == Usage(input_tokens=7, output_tokens=2)


@twins
def test_silence_ends_with_the_read_limit(call_with: Caller) -> None:
    flavor = FakeFlavor(["Hel", HANG, "lo"])
    with pytest.raises(ProviderTimeout, match=r"0\.01 s"):
        call_with(flavor, asked(flavor), Timeout(read_s=0.01))


def test_silence_ends_when_another_thread_closes_the_connection() -> None:
    flavor = FakeFlavor([HANG])
    ended: list[BaseException] = []

    def read() -> None:
        try:
            call(flavor, asked(flavor))
        except StreamCancelled as exc:
            ended.append(exc)

    reader = threading.Thread(target=read)
    reader.start()
    until(lambda: flavor.connections)
    flavor.connections[0].close()
    reader.join(30)
    assert len(ended) == 1
    assert flavor.connections[0].is_closed


async def test_silence_ends_when_another_task_closes_the_connection() -> None:
    connection = await FakeFlavor([HANG]).aopen(asked(FakeFlavor()))
    reading = asyncio.create_task(anext(aiter(connection)))
    await asyncio.sleep(0)
    await connection.aclose()
    with pytest.raises(StreamCancelled):
        await reading


# --- replay -----------------------------------------------------------------------------------------------


@twins
@pytest.mark.parametrize("piece_bytes", [None, 1, 7, 10_000])
def test_a_recorded_stream_is_read_by_the_reader_of_its_flavor(call_with: Caller, piece_bytes: int | None) -> None:
    flavor = replay(STREAM, flavor=OpenAIChat(), piece_bytes=piece_bytes)
    response = call_with(flavor, asked(flavor))
    assert response.finish_reason == "stop"
    assert response.content
    assert response.usage is not None
    assert flavor.requests[0].body["messages"] == [{"role": "user", "content": "Hi"}]


def test_a_stream_comes_an_event_at_a_time() -> None:
    body = b"data: 1\n\ndata: 2\r\n\r\n: a comment\ndata: 3\n\ndata: cut"
    pieces = list(replay(body, flavor=OpenAIChat()).open(asked(OpenAIChat())))
    assert pieces == [b"data: 1\n\n", b"data: 2\r\n\r\n", b": a comment\ndata: 3\n\n", b"data: cut"]


@twins
def test_a_whole_answer_is_replayed_to_a_call_that_is_not_a_stream(call_with: Caller) -> None:
    flavor = replay(str(WIRE / "anthropic" / "whole" / "response.json"), flavor=AnthropicClaudeChat())
    response = call_with(flavor, asked(flavor, is_stream=False))
    assert (response.content, response.finish_reason) == ("I will look.", "tool_calls")


@twins
def test_a_stream_is_not_replayed_to_a_call_that_wants_a_whole_answer(call_with: Caller) -> None:
    flavor = replay(STREAM, flavor=OpenAIChat())
    with pytest.raises(ConfigurationError, match="is a stream"):
        call_with(flavor, asked(flavor, is_stream=False))


@twins
def test_a_recorded_failure_fails_again(call_with: Caller) -> None:
    flavor = replay(WIRE / "openai" / "error_midstream" / "response.sse", flavor=OpenAIChat())
    with pytest.raises(ProviderError):
        call_with(flavor, asked(flavor))


@twins
def test_each_call_gets_the_next_recording(call_with: Caller) -> None:
    tools = WIRE / "openai" / "tool_call" / "response.sse"
    flavor = replay(tools, STREAM, flavor=OpenAIChat())
    first, second, third = (call_with(flavor, asked(flavor)) for _ in range(3))
    assert first.finish_reason == "tool_calls"
    assert second.content == third.content != ""


def test_it_is_the_flavor_in_all_but_the_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    own = OpenAIChat()
    flavor = replay(STREAM, flavor=own)
    flavor.check()
    flavor.warm()
    assert (flavor.name, flavor.provider, flavor.endpoint) == ("openai_chat", "openai", None)
    assert flavor.default_parameters == own.default_parameters
    assert flavor.takes_output_schema == own.takes_output_schema


async def test_pieces_come_at_the_pace_that_was_asked_for() -> None:
    pauses: list[float] = []

    async def asleep(seconds: float) -> None:
        pauses.append(-seconds)

    flavor = replay(b"abcd", flavor=OpenAIChat(), piece_bytes=2, pause_s=0.5, sleep=pauses.append, asleep=asleep)
    request = asked(flavor)
    assert list(flavor.open(request)) == [b"ab", b"cd"]
    assert [piece async for piece in await flavor.aopen(request)] == [b"ab", b"cd"]
    assert pauses == [0.5, 0.5, -0.5, -0.5]


async def test_a_closed_replay_gives_no_more() -> None:
    flavor = replay(STREAM, flavor=OpenAIChat())
    connection = flavor.open(asked(flavor))
    body = iter(connection)
    assert next(body)
    connection.close()
    with pytest.raises(StreamCancelled):
        next(body)
    later = await flavor.aopen(asked(flavor))
    await later.aclose()
    with pytest.raises(StreamCancelled):
        await anext(aiter(later))


@pytest.mark.parametrize(
    ("recordings", "options", "said"),
    [((), {}, "at least one"), ((b"x",), {"piece_bytes": 0}, "piece_bytes=0")],
)
def test_what_cannot_be_replayed_is_said_at_once(recordings: Any, options: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        replay(*recordings, flavor=OpenAIChat(), **options)


def test_a_file_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"missing\.sse"):
        replay(tmp_path / "missing.sse", flavor=OpenAIChat())


# --- StaticPrompts ----------------------------------------------------------------------------------------


def test_templates_are_found_by_name_and_by_version() -> None:
    old, new = (
        PromptTemplate(
            name="trip",
            template_id="t-1",
            version_id=version,
            messages=(TemplateMessage(role="user", content=version),),
        )
        for version in ("v-1", "v-2")
    )
    prompts = StaticPrompts(old, new)
    assert prompts.get("any", "trip", "prod") is new
    assert prompts.at_hand("any", "trip", "prod") is new
    assert prompts.version("any", "t-1", "v-1") is old
    for template_id, version_id in (("t-1", "v-3"), ("t-2", "v-1")):
        with pytest.raises(TemplateNotFoundError, match=repr(version_id)):
            prompts.version("any", template_id, version_id)
