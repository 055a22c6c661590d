"""A stream as server-sent events, for a browser at the other end of a web handler.

Format "text": every chunk's text as `data:` lines, ready for `EventSource` (`event.data` is the text); then one
`event: done` whose data is JSON (`record_id`, `finish_reason`), or one `event: error` (`message`, `record_id`).
Format "openai": the chunks of the OpenAI chat endpoint, closed by `[DONE]`, for clients that speak that already.
"""

from __future__ import annotations

import re
from typing import Literal

from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.wire import JsonObject, to_wire

SseFormat = Literal["text", "openai"]

_LINE_END = re.compile("\r\n|\r|\n")


def _event(data: str, name: str | None = None) -> bytes:
    head = f"event: {name}\n" if name else ""
    lines = "".join(f"data: {line}\n" for line in _LINE_END.split(data))
    return f"{head}{lines}\n".encode("utf-8", "replace")


def _json(value: JsonObject) -> str:
    return to_wire(value).decode()


def sse_chunk(chunk: CompletionChunk, record_id: str, format: SseFormat) -> bytes:
    """One chunk that is not the last; empty where this format has nothing to say of it."""
    if format == "text":
        return _event(chunk.text) if chunk.text else b""
    delta: JsonObject = {"content": chunk.text} if chunk.text else {}
    if chunk.reasoning:
        delta["reasoning_content"] = chunk.reasoning
    if chunk.refusal:
        delta["refusal"] = chunk.refusal
    if chunk.tool_calls:
        delta["tool_calls"] = [
            {"index": c.index, "id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in chunk.tool_calls
        ]
    return _openai(record_id, chunk, delta, None)


def sse_end(response: CompletionResponse, record_id: str, format: SseFormat) -> bytes:
    """The end of a stream that went well."""
    if format == "text":
        return _event(_json({"record_id": record_id, "finish_reason": response.finish_reason}), "done")
    ends = [
        _openai(record_id, CompletionChunk(choice=choice.index, model=response.model), {}, choice.finish_reason)
        for choice in response.choices
    ]
    return b"".join([*ends, _event("[DONE]")])


def sse_error(error: BaseException, record_id: str, format: SseFormat) -> bytes:
    """The end of a stream that failed: the status is long sent, so the message has to say it."""
    if format == "text":
        return _event(_json({"message": str(error), "record_id": record_id}), "error")
    return _event(_json({"error": {"message": str(error), "type": type(error).__name__, "code": None}}))


def _openai(record_id: str, chunk: CompletionChunk, delta: JsonObject, finish_reason: str | None) -> bytes:
    return _event(
        _json(
            {
                "id": record_id,
                "object": "chat.completion.chunk",
                "model": chunk.model,
                "choices": [{"index": chunk.choice, "delta": delta, "finish_reason": finish_reason}],
            }
        )
    )
