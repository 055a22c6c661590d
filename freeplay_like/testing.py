"""For tests of programs that use this package: a flavor that asks nobody, templates at hand, records in a list.

recorder = MemoryRecorder()
fp = Freeplay(FakeFlavor("Hello!"), prompts=StaticPrompts(template), recorder=recorder)
assert fp.get_completion("project", "greeting", {}).content == "Hello!"
assert recorder.records[0].outcome == "complete"
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TypeAlias

from freeplay_like.core.chunks import CompletionChunk, Usage
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonValue, from_wire, to_wire
from freeplay_like.errors import TemplateNotFoundError
from freeplay_like.flavors.base import Request
from freeplay_like.recording.memory import MemoryRecorder

__all__ = ["CUT", "FakeAnswer", "FakeConnection", "FakeFlavor", "MemoryRecorder", "StaticPrompts"]

CUT = CompletionChunk(finish_reason_raw="cut")
"""In a fake answer: the provider ends the stream here, without a finish reason."""

FakeAnswer: TypeAlias = str | BaseException | Sequence[str | CompletionChunk | BaseException]
"""A text, an error on opening, or the pieces of a stream: texts, whole chunks, `CUT`, or an error raised there."""


class FakeConnection:
    """An answer of a `FakeFlavor`, sync and async at once. `is_closed` says whether it was let go of."""

    request_id: str | None = "fake-request"

    def __init__(self, pieces: Sequence[str | CompletionChunk | BaseException]) -> None:
        self._pieces = pieces
        self.is_closed = False

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if piece is CUT:
                return
            if isinstance(piece, BaseException):
                raise piece
            chunk = CompletionChunk(text=piece) if isinstance(piece, str) else piece
            yield to_wire(chunk)
        if not any(isinstance(piece, CompletionChunk) and piece.finish_reason for piece in self._pieces):
            words = sum(isinstance(piece, str) for piece in self._pieces)
            usage = Usage(input_tokens=words, output_tokens=words)
            yield to_wire(CompletionChunk(finish_reason="stop", finish_reason_raw="stop", usage=usage, model="fake-1"))

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for data in self:
            yield data

    def close(self) -> None:
        """Let go."""
        self.is_closed = True

    async def aclose(self) -> None:
        """Let go."""
        self.is_closed = True


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

    def open(self, request: Request) -> FakeConnection:
        """The next answer; raises it where it is an error."""
        answer = self.answers[min(len(self.requests), len(self.answers) - 1)]
        self.requests.append(request)
        if isinstance(answer, BaseException):
            raise answer
        connection = FakeConnection([answer] if isinstance(answer, str) else answer)
        self.connections.append(connection)
        return connection

    async def aopen(self, request: Request) -> FakeConnection:
        """The async twin of `open`."""
        return self.open(request)


class StaticPrompts:
    """Templates that are given by hand; the environment is not looked at."""

    def __init__(self, *templates: PromptTemplate) -> None:
        self.templates = {template.name: template for template in templates}

    def get(self, project_id: str, name: str, environment: str) -> PromptTemplate:
        """The template of that name."""
        template = self.templates.get(name)
        if template is None:
            raise TemplateNotFoundError(
                f"no template {name!r}; there are: {', '.join(sorted(self.templates)) or 'none'}", template=name
            )
        return template

    def at_hand(self, project_id: str, name: str, environment: str) -> PromptTemplate | None:
        """The same, None where there is none."""
        return self.templates.get(name)

    def close(self) -> None:
        """Nothing to let go of."""
