"""Recorded answers (`fixtures/wire/<provider>/<case>`), and how tests read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import attrs
import pytest

from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import Choice, CompletionBuilder, CompletionResponse
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ProviderError
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.anthropic_text import AnthropicClaudeText
from freeplay_like.flavors.azure_openai import AzureOpenAIChat
from freeplay_like.flavors.base import Reader, Request
from freeplay_like.flavors.openai_chat import OpenAIChat
from freeplay_like.flavors.openai_client import OpenAIFlavor
from freeplay_like.flavors.openai_responses import OpenAIResponses
from freeplay_like.flavors.openai_text import OpenAIText
from freeplay_like.local.simulator import Simulator

WIRE = Path(__file__).parents[2] / "fixtures" / "wire"

OpenFlavor = OpenAIFlavor | AnthropicClaudeChat

FLAVORS: dict[str, type[OpenFlavor]] = {
    "openai": OpenAIChat,
    "openai_text": OpenAIText,
    "openai_responses": OpenAIResponses,
    "azure": AzureOpenAIChat,
    "anthropic": AnthropicClaudeChat,
    "anthropic_text": AnthropicClaudeText,
}
"""By the folder of their recorded answers."""

API_VERSION = "2024-10-21"


def flavor_of(
    kind: str, simulator: Simulator | None = None, key: str | None = "a key", **options: object
) -> OpenFlavor:
    """A flavor that asks the simulator, or has the provider's own address where there is none."""
    if kind == "azure":
        address = "https://example.openai.azure.com" if simulator is None else simulator.azure_endpoint
        return AzureOpenAIChat(key, address, API_VERSION, **options)
    base = None
    if simulator is not None:
        base = simulator.anthropic_base if kind.startswith("anthropic") else simulator.openai_base
    return FLAVORS[kind](key, base, **options)


@attrs.frozen
class Case:
    """One recorded answer. `provider` is the folder's name, and a key of `FLAVORS`."""

    provider: str
    folder: Path

    @property
    def request(self) -> Request:
        body = json.loads((self.folder / "request.json").read_text())
        return Request(body=body, is_stream=body.get("stream", False))

    @property
    def response_file(self) -> Path:
        return self.folder / ("response.sse" if self.request.is_stream else "response.json")

    @property
    def record(self) -> JsonObject:
        record: JsonObject = json.loads((self.folder / "record.json").read_text())
        return record

    def reader(self) -> Reader:
        """A fresh reader for the answer, from a flavor with the provider's own address."""
        return flavor_of(self.provider).reader(self.request)


CASES = [Case(folder.parent.name, folder) for folder in sorted(WIRE.glob("*/*"))]


def of_cases(cases):  # type: ignore[no-untyped-def]
    """Run a test with each of these recorded answers."""
    return pytest.mark.parametrize("case", cases, ids=[f"{case.provider}-{case.folder.name}" for case in cases])


def all_cases(test):  # type: ignore[no-untyped-def]
    """Run a test with every recorded answer."""
    return of_cases(CASES)(test)


@attrs.frozen
class Answer:
    """What reading came to: the completion, and the error that ended it."""

    response: CompletionResponse
    error: ProviderError | None = None

    def as_record(self) -> JsonObject:
        """In the shape of `record.json`."""
        return {
            "model": self.response.model,
            "response_id": self.response.response_id,
            "choices": [_choice(choice) for choice in self.response.choices],
            "usage": None if self.response.usage is None else _usage(self.response.usage),
            "error": None if self.error is None else _error(self.error),
        }


def _choice(choice: Choice) -> JsonObject:
    value = attrs.asdict(choice)
    value["tool_calls"] = list(value["tool_calls"])
    own = {name: list(value.pop(name)) for name in ("logprobs", "reasoning_blocks")}
    return {**value, **{name: entries for name, entries in own.items() if entries}}


def _usage(usage: Usage) -> JsonObject:
    return {name: value for name, value in attrs.asdict(usage).items() if name != "raw"}


def _error(error: ProviderError) -> JsonObject:
    return {"type": type(error).__name__, "code": error.code, "message": str(error).rpartition(": ")[2]}


def read(reader: Reader, pieces: Iterable[bytes]) -> Answer:
    """Read an answer that comes in these pieces."""
    builder = CompletionBuilder()
    try:
        for chunk in _chunks(reader, pieces):
            builder.feed(chunk)
    except ProviderError as exc:
        return Answer(builder.build(), exc)
    return Answer(builder.build())


def _chunks(reader: Reader, pieces: Iterable[bytes]) -> Iterator:  # type: ignore[type-arg]
    for piece in pieces:
        yield from reader.feed(piece)
    yield from reader.end()
