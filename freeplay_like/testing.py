"""For tests of programs that use this package: flavors that ask nobody, templates at hand, records in a list.

recorder = MemoryRecorder()
fp = Freeplay(FakeFlavor("Hello!"), prompts=StaticPrompts(template), recorder=recorder)
assert fp.get_completion("project", "greeting", {}).content == "Hello!"
assert recorder.records[0].outcome == "complete"
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import attrs

from freeplay_like.core.chunks import CompletionChunk, ToolCallDelta, Usage
from freeplay_like.core.limits import DEFAULT_TIMEOUT, Timeout
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue, from_wire, to_wire
from freeplay_like.errors import ConfigurationError, ProviderTimeout, StreamCancelled, TemplateNotFoundError
from freeplay_like.flavors.base import Flavor, Reader, Request
from freeplay_like.recording.memory import MemoryRecorder

__all__ = [
    "CUT",
    "HANG",
    "FakeAnswer",
    "FakeConnection",
    "FakeFlavor",
    "MemoryRecorder",
    "ReplayFlavor",
    "StaticPrompts",
    "replay",
    "tool_call",
]

CUT = CompletionChunk(finish_reason_raw="cut")
"""In a fake answer: the provider ends the stream here, without a finish reason."""

HANG = CompletionChunk(finish_reason_raw="hang")
"""In a fake answer: the provider falls silent here, until the call's `Timeout.read_s` is over or somebody closes it."""

FakeAnswer: TypeAlias = str | BaseException | Sequence[str | CompletionChunk | BaseException]
"""A text, an error on opening, or the pieces of a stream: texts, chunks, `CUT`, `HANG`, or an error raised there."""

_CLOSED: Final = "the connection was closed while its answer was being read"


def tool_call(name: str, arguments: JsonObject, *, id: str = "call-1", index: int = 0) -> CompletionChunk:
    """A piece of a fake answer: the model calls a tool. Several calls in one answer differ in `id` and `index`."""
    call = ToolCallDelta(index=index, id=id, name=name, arguments=to_wire(arguments).decode())
    return CompletionChunk(tool_calls=(call,), finish_reason="tool_calls", finish_reason_raw="tool_calls")


class FakeConnection:
    """An answer of a `FakeFlavor`, sync and async at once. `is_closed` says whether it was let go of."""

    request_id: str | None = "fake-request"
    headers: Mapping[str, str] = {"x-request-id": "fake-request"}

    def __init__(
        self, pieces: Sequence[str | CompletionChunk | BaseException], read_s: float = DEFAULT_TIMEOUT.read_s
    ) -> None:
        self._pieces = pieces
        self._read_s = read_s
        self._closed = threading.Event()
        self._aclosed = asyncio.Event()

    @property
    def is_closed(self) -> bool:
        """Whether it was let go of."""
        return self._closed.is_set()

    def __iter__(self) -> Iterator[bytes]:
        for data in self._steps():
            if data is not None:
                yield data
            elif self._closed.wait(self._read_s):
                raise StreamCancelled(_CLOSED)
            else:
                raise self._silence()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for data in self._steps():
            if data is not None:
                yield data
                continue
            try:
                async with asyncio.timeout(self._read_s):
                    await self._aclosed.wait()
            except TimeoutError as exc:
                raise self._silence() from exc
            raise StreamCancelled(_CLOSED)

    def _steps(self) -> Iterator[bytes | None]:
        """The bytes of the answer, None where it hangs."""
        for piece in self._pieces:
            if piece is CUT:
                return
            if piece is HANG:
                yield None
            if isinstance(piece, BaseException):
                raise piece
            yield to_wire(CompletionChunk(text=piece) if isinstance(piece, str) else piece)
        if not any(isinstance(piece, CompletionChunk) and piece.finish_reason for piece in self._pieces):
            words = sum(isinstance(piece, str) for piece in self._pieces)
            usage = Usage(input_tokens=words, output_tokens=words)
            yield to_wire(CompletionChunk(finish_reason="stop", finish_reason_raw="stop", usage=usage, model="fake-1"))

    def _silence(self) -> ProviderTimeout:
        return ProviderTimeout(f"fake: no bytes for {self._read_s:g} s", provider="fake", retryable=True)

    def close(self) -> None:
        """Let go."""
        self._closed.set()

    async def aclose(self) -> None:
        """Let go."""
        self._closed.set()
        self._aclosed.set()


class _FakeReader:
    def feed(self, data: bytes) -> Iterator[CompletionChunk]:
        yield from_wire(data, CompletionChunk)

    def end(self) -> Iterator[CompletionChunk]:
        return iter(())


class FakeFlavor:
    """Answers each call with the next of its answers, the last one for ever.

    `requests` holds what it was asked, `connections` what it opened.
    """

    name = "fake"
    provider = "fake"
    endpoint: str | None = None
    takes_output_schema = True

    def __init__(self, *answers: FakeAnswer, default_parameters: Mapping[str, JsonValue] | None = None) -> None:
        self.answers = answers or ("",)
        self.default_parameters: Mapping[str, JsonValue] = default_parameters or {}
        self.requests: list[Request] = []
        self.connections: list[FakeConnection] = []

    def check(self) -> None:
        """Nothing is missing."""

    def warm(self) -> None:
        """Nothing to load."""

    def format(self, messages: Sequence[Message], parameters: Parameters, *, is_stream: bool) -> Request:
        """The messages and parameters as they are."""
        body = {"messages": [message.to_chat() for message in messages], **parameters.values}
        return Request(body=body, is_stream=is_stream)

    def reader(self, request: Request) -> _FakeReader:
        """A reader of chunks."""
        return _FakeReader()

    def open(self, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> FakeConnection:
        """The next answer; raises it where it is an error."""
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, BaseException):
            raise answer
        connection = FakeConnection([answer] if isinstance(answer, str) else answer, timeout.read_s)
        self.connections.append(connection)
        return connection

    async def aopen(self, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> FakeConnection:  # noqa: ASYNC109  # more limits than one
        """The async twin of `open`."""
        return self.open(request, timeout)


# --- recorded answers -------------------------------------------------------------------------------------

_EVENT: Final = re.compile(rb".*?\n\r?\n|.+", re.DOTALL)
_STREAM_STARTS: Final = (b"data", b"event", b":")


def replay(
    *recordings: str | os.PathLike[str] | bytes,
    flavor: Flavor,
    piece_bytes: int | None = None,
    pause_s: float = 0.0,
    sleep: Callable[[float], None] = time.sleep,
    asleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> ReplayFlavor:
    """A flavor that plays what a provider once answered, through the reader of the flavor that reads that provider.

    Nobody is asked and no key is needed; parameters, messages and records are those of a real call.

    Args:
        recordings: bodies of answers (`bytes`) or files of them, as they came over the wire: the events of a stream,
            or the JSON of an answer that came whole. Each call gets the next, the last one for ever.
        flavor: the flavor for the wire format of these answers.
        piece_bytes: how many bytes come at a time; by default an event at a time.
        pause_s: how long to wait before each piece.
        sleep: what waits in sync code.
        asleep: what waits in async code.

    Raises:
        ConfigurationError: no recording, or `piece_bytes` below 1.
        OSError: a file cannot be read.
    """
    if not recordings:
        raise ConfigurationError("replay() needs at least one recording: the path of a file, or bytes")
    if piece_bytes is not None and piece_bytes < 1:
        raise ConfigurationError(f"replay(piece_bytes={piece_bytes!r}): a whole number from 1")
    bodies = [one if isinstance(one, bytes) else Path(one).read_bytes() for one in recordings]
    return ReplayFlavor(flavor, bodies, piece_bytes, _Pace(pause_s, sleep, asleep))


@attrs.frozen
class _Pace:
    """How long pieces take to come, and what waits for them."""

    pause_s: float
    sleep: Callable[[float], None]
    asleep: Callable[[float], Awaitable[None]]


class _ReplayConnection:
    """A recorded answer, sync and async at once."""

    request_id: str | None = None
    headers: Mapping[str, str] = {}

    def __init__(self, pieces: Sequence[bytes], pace: _Pace) -> None:
        self._pieces = pieces
        self._pace = pace
        self._is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if self._pace.pause_s:
                self._pace.sleep(self._pace.pause_s)
            yield self._unless_closed(piece)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if self._pace.pause_s:
                await self._pace.asleep(self._pace.pause_s)
            yield self._unless_closed(piece)

    def _unless_closed(self, piece: bytes) -> bytes:
        if self._is_closed:
            raise StreamCancelled(_CLOSED)
        return piece

    def close(self) -> None:
        """Let go."""
        self._is_closed = True

    async def aclose(self) -> None:
        """Let go."""
        self._is_closed = True


class ReplayFlavor:
    """What `replay` makes: another flavor in all but the asking. `requests` holds what it was asked."""

    def __init__(self, flavor: Flavor, bodies: Sequence[bytes], piece_bytes: int | None, pace: _Pace) -> None:
        self.name = flavor.name
        self.requests: list[Request] = []
        self._flavor = flavor
        self._bodies = bodies
        self._piece_bytes = piece_bytes
        self._pace = pace

    @property
    def takes_output_schema(self) -> bool:
        """As the flavor has it."""
        return self._flavor.takes_output_schema

    @property
    def provider(self) -> str:
        """As the flavor has it."""
        return self._flavor.provider

    @property
    def endpoint(self) -> str | None:
        """Nobody is asked."""
        return None

    @property
    def default_parameters(self) -> Mapping[str, JsonValue]:
        """As the flavor has them."""
        return self._flavor.default_parameters

    def check(self) -> None:
        """No key is needed."""

    def warm(self) -> None:
        """Nothing to load."""

    def format(self, messages: Sequence[Message], parameters: Parameters, *, is_stream: bool) -> Request:
        """As the flavor does it."""
        return self._flavor.format(messages, parameters, is_stream=is_stream)

    def reader(self, request: Request) -> Reader:
        """The flavor's own reader."""
        return self._flavor.reader(request)

    def open(self, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> _ReplayConnection:
        """The next recording.

        Raises:
            ConfigurationError: it is a stream, and the call did not ask for one.
        """
        body = self._bodies[min(len(self.requests), len(self._bodies) - 1)]
        self.requests.append(request)
        if not request.is_stream and body.lstrip().startswith(_STREAM_STARTS):
            raise ConfigurationError("the recording is a stream; replay it to a call that asks for one (..._stream)")
        return _ReplayConnection(self._pieces(body), self._pace)

    async def aopen(self, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> _ReplayConnection:  # noqa: ASYNC109  # more limits than one
        """The async twin of `open`."""
        return self.open(request, timeout)

    def _pieces(self, body: bytes) -> list[bytes]:
        size = self._piece_bytes
        if size is None:
            return _EVENT.findall(body)
        return [body[start : start + size] for start in range(0, len(body), size)]


# --- templates --------------------------------------------------------------------------------------------


class StaticPrompts:
    """Templates that are given by hand; project and environment are not looked at."""

    def __init__(self, *templates: PromptTemplate) -> None:
        self.templates = {template.name: template for template in templates}
        self._versions = {(template.template_id, template.version_id): template for template in templates}

    def get(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The template of that name."""
        template = self.templates.get(name)
        if template is None:
            raise TemplateNotFoundError(
                f"no template {name!r}; there are: {', '.join(sorted(self.templates)) or 'none'}", template=name
            )
        return template

    def version(self, project_id: str, template_id: str, version_id: str) -> PromptTemplate:
        """The template with these ids."""
        template = self._versions.get((template_id, version_id))
        if template is None:
            raise TemplateNotFoundError(f"no version {version_id!r} of a template {template_id!r}")
        return template

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        """The same as `get`, None where there is none."""
        return self.templates.get(name)

    def close(self) -> None:
        """Nothing to let go of."""
