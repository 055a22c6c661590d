"""What the simulated provider says as Anthropic.

The shapes are those of the provider's documentation, as its own client (anthropic 2.11.0) read them on 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.local.scripts import CACHED_TOKENS, PROMPT_TOKENS, WEATHER, WEATHER_PIECES, Script, Step


def _event(name: str, value: Mapping[str, JsonValue]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + to_wire({"type": name, **value}) + b"\n\n"


STREAM_ERROR: Final = _event(
    "error", {"error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_sim"}
)

_SIGNATURE: Final = "c2lnbmVkIGJ5IG5vYm9keQ=="

_ERROR_TYPES: Final[dict[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def error_body(status: int) -> JsonObject:
    """The body of a refused messages request."""
    error = {"type": _ERROR_TYPES.get(status, "api_error"), "message": f"simulated status {status}"}
    return {"type": "error", "error": error, "request_id": "req_sim"}


def _finish(script: Script) -> str:
    return script.finish or ("tool_use" if script.tools else "refusal" if script.refusal else "end_turn")


def _blocks(script: Script, body: Mapping[str, JsonValue]) -> Iterator[tuple[JsonObject, str, list[tuple[str, str]]]]:
    """The blocks of an answer: how it starts, the type of its deltas, the pieces as (field, text)."""
    if script.reasoning:
        pieces = [("thinking", thought) for thought in script.thoughts()]
        yield {"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", pieces
    if not script.tools:
        text = [("text", piece) for piece in script.pieces(body)]
        yield {"type": "text", "text": ""}, "text_delta", text
    for index in range(script.tools):
        arguments = [("partial_json", piece) for piece in ("", *WEATHER_PIECES)]
        tool: JsonObject = {"type": "tool_use", "id": f"toolu_{index + 1}", "name": WEATHER, "input": {}}
        yield tool, "input_json_delta", arguments


def _message(script: Script, usage: JsonObject) -> JsonObject:
    message: JsonObject = {
        "id": "msg_sim1",
        "type": "message",
        "role": "assistant",
        "model": script.model or "claude-sim",
    }
    message |= {"content": [], "stop_reason": None, "stop_sequence": None}
    return message if script.usage == "none" else {**message, "usage": usage}


def _usage(output: int) -> JsonObject:
    return {
        "input_tokens": PROMPT_TOKENS - CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": CACHED_TOKENS,
        "output_tokens": output,
    }


def messages_stream(script: Script, body: Mapping[str, JsonValue]) -> Iterator[Step]:
    """The events of a streamed messages answer."""
    yield _event("message_start", {"message": _message(script, _usage(1))}), "open"
    sent = 0
    for index, (block, delta_type, pieces) in enumerate(_blocks(script, body)):
        yield _event("content_block_start", {"index": index, "content_block": block}), "open"
        if index == 0:
            yield _event("ping", {}), "open"
        for field, piece in pieces:
            sent += 1
            delta = {"type": delta_type, field: piece}
            yield _event("content_block_delta", {"index": index, "delta": delta}), "content"
        if block["type"] == "thinking":
            signed = {"type": "signature_delta", "signature": _SIGNATURE}
            yield _event("content_block_delta", {"index": index, "delta": signed}), "close"
        yield _event("content_block_stop", {"index": index}), "close"
    last: JsonObject = {"delta": {"stop_reason": _finish(script), "stop_sequence": None}}
    if script.usage != "none":
        last["usage"] = {"output_tokens": sent}
    yield _event("message_delta", last), "close"
    yield _event("message_stop", {}), "close"


def messages_body(script: Script, body: Mapping[str, JsonValue]) -> JsonObject:
    """A messages answer that is not streamed."""
    content: list[JsonObject] = []
    count = 0
    for block, _, pieces in _blocks(script, body):
        count += len(pieces)
        text = "".join(piece for _, piece in pieces)
        field = pieces[0][0] if pieces else "text"
        whole = {"input": {"city": "Paris"}} if field == "partial_json" else {field: text}
        signed = {"signature": _SIGNATURE} if block["type"] == "thinking" else {}
        content.append({**block, **whole, **signed})
    message = _message(script, _usage(count))
    return {**message, "content": content, "stop_reason": _finish(script)}
