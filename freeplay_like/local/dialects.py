"""How the simulated provider speaks at which address."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import attrs

from freeplay_like.core.wire import JsonObject
from freeplay_like.local import simulated_anthropic, simulated_openai, simulated_responses
from freeplay_like.local.scripts import Script, Step


@attrs.frozen
class Dialect:
    """How one provider says things: streamed, whole, refused, failing midway; and the header with its request's id."""

    stream: Callable[[Script, JsonObject], Iterator[Step]]
    body: Callable[[Script, JsonObject], JsonObject]
    error: Callable[[int], JsonObject]
    stream_error: bytes
    id_header: str


def _openai(
    stream: Callable[[Script, JsonObject], Iterator[Step]], body: Callable[[Script, JsonObject], JsonObject]
) -> Dialect:
    return Dialect(stream, body, simulated_openai.error_body, simulated_openai.STREAM_ERROR, "x-request-id")


_AZURE: Final = _openai(simulated_openai.azure_stream, simulated_openai.azure_body)

_DIALECTS: Final[dict[str, Dialect]] = {
    "/chat/completions": _openai(simulated_openai.chat_stream, simulated_openai.chat_body),
    "/completions": _openai(simulated_openai.text_stream, simulated_openai.text_body),
    "/responses": attrs.evolve(
        _openai(simulated_responses.responses_stream, simulated_responses.responses_body),
        stream_error=simulated_responses.STREAM_ERROR,
    ),
    "/v1/messages": Dialect(
        simulated_anthropic.messages_stream,
        simulated_anthropic.messages_body,
        simulated_anthropic.error_body,
        simulated_anthropic.STREAM_ERROR,
        "request-id",
    ),
}
"""By the end of the address; the first that fits."""


def dialect_of(path: str) -> Dialect | None:
    """What is spoken at an address, None where nothing is."""
    path = path.partition("?")[0]
    if "/openai/deployments/" in path and path.endswith("/chat/completions"):
        return _AZURE
    return next((dialect for end, dialect in _DIALECTS.items() if path.endswith(end)), None)
