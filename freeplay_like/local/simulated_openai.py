"""What the simulated provider says as OpenAI: chat (Azure's too) and text completions.

The shapes are those of the provider's documentation, as its own client (openai 3.52.0) read them on 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, TypeAlias

from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.local.scripts import (
    CACHED_TOKENS,
    CREATED,
    PROMPT_TOKENS,
    WEATHER,
    WEATHER_PIECES,
    Script,
    Step,
    choices_of,
)

STREAM_ERROR: Final = (
    b'data: {"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}\n\n'
)

_ERROR_TYPES: Final[dict[int, str]] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}

_Body: TypeAlias = Mapping[str, JsonValue]


def error_body(status: int) -> JsonObject:
    """The body of a refused request."""
    kind = "server_error" if status >= 500 else _ERROR_TYPES.get(status, "invalid_request_error")
    return {"error": {"message": f"simulated status {status}", "type": kind, "param": None, "code": f"sim_{status}"}}


def _usage(output: int, reasoning: int) -> JsonObject:
    return {
        "prompt_tokens": PROMPT_TOKENS,
        "completion_tokens": output,
        "total_tokens": PROMPT_TOKENS + output,
        "prompt_tokens_details": {"cached_tokens": CACHED_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def _events(
    script: Script, body: _Body, head: JsonObject, openings: Sequence[JsonObject], pieces: Iterator[JsonObject]
) -> Iterator[Step]:
    """The events of a stream: for each choice the openings, the pieces and a finish; and usage where it was asked for.

    What is given lacks the choice's index and finish reason.
    """
    options = body.get("stream_options")
    is_asked = isinstance(options, dict) and options.get("include_usage") is True
    place = script.usage if script.usage != "auto" else ("last" if is_asked else "none")
    sent = 0

    def event(choice: JsonObject | None, *, has_usage: bool) -> bytes:
        value: JsonObject = {**head, "choices": [] if choice is None else [choice]}
        if place != "none":
            value["usage"] = _usage(sent, script.reasoning) if has_usage else None
        return b"data: " + to_wire(value) + b"\n\n"

    choices = choices_of(body)
    for opening in openings:
        for index in choices:
            yield event({"index": index, **opening, "finish_reason": None}, has_usage=place == "every"), "open"
    for piece in pieces:
        for index in choices:
            sent += 1
            yield event({"index": index, **piece, "finish_reason": None}, has_usage=place == "every"), "content"
    for index in choices:
        last = {"index": index, **_nothing(head), "finish_reason": _finish(script, head)}
        yield event(last, has_usage=place in ("every", "finish")), "close"
    if place == "last":
        yield event(None, has_usage=True), "close"
    if not script.no_done:
        yield b"data: [DONE]\n\n", "close"


def _nothing(head: JsonObject) -> JsonObject:
    is_text = head["object"] == "text_completion"
    return {"text": "", "logprobs": None} if is_text else {"delta": {}, "logprobs": None}


def _finish(script: Script, head: JsonObject) -> str:
    has_tools = bool(script.tools) and head["object"] != "text_completion"
    return script.finish or ("tool_calls" if has_tools else "stop")


# --- chat -------------------------------------------------------------------------------------------------


def _chat_head(script: Script, kind: str) -> JsonObject:
    return {
        "id": "chatcmpl-sim1",
        "object": kind,
        "created": CREATED,
        "model": script.model or "gpt-sim",
        "system_fingerprint": "fp_sim",
    }


def _chat_logprobs(pieces: Sequence[str]) -> JsonObject:
    tokens = [{"token": p, "logprob": -0.1, "bytes": list(p.encode()), "top_logprobs": []} for p in pieces]
    return {"content": tokens, "refusal": None}


def _tool_deltas(count: int) -> Iterator[JsonObject]:
    for index in range(count):
        function = {"name": WEATHER, "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": f"call_{index + 1}", "type": "function", "function": function}]}
        for piece in WEATHER_PIECES:
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _chat_pieces(script: Script, body: _Body) -> Iterator[JsonObject]:
    """The pieces of one choice."""
    for thought in script.thoughts():
        yield {"delta": {script.reasoning_field: thought}, "logprobs": None}
    if script.tools:
        for delta in _tool_deltas(script.tools):
            yield {"delta": delta, "logprobs": None}
        return
    for piece in script.pieces(body):
        logprobs = _chat_logprobs([piece]) if body.get("logprobs") is True and not script.refusal else None
        yield {"delta": {"refusal" if script.refusal else "content": piece}, "logprobs": logprobs}


def chat_stream(script: Script, body: _Body) -> Iterator[Step]:
    """The events of a streamed chat answer."""
    opening: JsonObject = {"delta": {"role": "assistant", "content": "", "refusal": None}, "logprobs": None}
    yield from _events(script, body, _chat_head(script, "chat.completion.chunk"), [opening], _chat_pieces(script, body))


def chat_body(script: Script, body: _Body) -> JsonObject:
    """A chat answer that is not streamed."""
    pieces = script.pieces(body)
    message: JsonObject = {"role": "assistant", "content": "".join(pieces), "refusal": None}
    if script.reasoning:
        message[script.reasoning_field] = "".join(script.thoughts())
    if script.refusal:
        message |= {"content": None, "refusal": "".join(pieces)}
    if script.tools:
        function = {"name": WEATHER, "arguments": "".join(WEATHER_PIECES)}
        calls = [{"id": f"call_{i + 1}", "type": "function", "function": function} for i in range(script.tools)]
        message |= {"content": None, "tool_calls": calls}
    logprobs = _chat_logprobs(pieces) if body.get("logprobs") is True and message["content"] is not None else None
    head = _chat_head(script, "chat.completion")
    choice: JsonObject = {"message": message, "logprobs": logprobs, "finish_reason": _finish(script, head)}
    return _whole(script, body, head, choice, len(pieces))


def _whole(script: Script, body: _Body, head: JsonObject, choice: JsonObject, output: int) -> JsonObject:
    answer = {**head, "choices": [{"index": index, **choice} for index in choices_of(body)]}
    return answer if script.usage == "none" else {**answer, "usage": _usage(output, script.reasoning)}


# --- Azure's chat -----------------------------------------------------------------------------------------

_HARMLESS: Final[JsonObject] = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "violence")}


def azure_stream(script: Script, body: _Body) -> Iterator[Step]:
    """The same from Azure: with what its filters say of the prompt, first, and of the text, before the finish."""
    filtered: JsonObject = {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _HARMLESS}]}
    first = {"id": "", "object": "", "created": 0, "model": "", "choices": [], **filtered}
    yield b"data: " + to_wire(first) + b"\n\n", "open"
    said: JsonObject = {"index": 0, "finish_reason": None, "content_filter_results": _HARMLESS}
    offsets: JsonObject = {"content_filter_offsets": {"check_offset": 0, "start_offset": 0, "end_offset": 9}}
    later = {"id": "", "object": "", "created": 0, "model": "", "choices": [{**said, **offsets}]}
    is_first = True
    for data, kind in chat_stream(script, body):
        if kind == "close" and is_first:
            is_first = False
            yield b"data: " + to_wire(later) + b"\n\n", "close"
        yield data, kind


def azure_body(script: Script, body: _Body) -> JsonObject:
    """A chat answer of Azure's that is not streamed."""
    filtered = [{"prompt_index": 0, "content_filter_results": _HARMLESS}]
    return {**chat_body(script, body), "prompt_filter_results": filtered}


# --- text completions -------------------------------------------------------------------------------------


def _text_head(script: Script) -> JsonObject:
    return {"id": "cmpl-sim1", "object": "text_completion", "created": CREATED, "model": script.model or "gpt-sim-text"}


def _text_logprobs(pieces: Sequence[str], body: _Body, offset: int = 0) -> JsonObject | None:
    """In the text endpoint's shape: lists of one entry for each token."""
    if not isinstance(body.get("logprobs"), int):
        return None
    offsets = [offset + sum(map(len, pieces[:index])) for index in range(len(pieces))]
    top = [{piece: -0.1} for piece in pieces]
    return {
        "tokens": list(pieces),
        "token_logprobs": [-0.1] * len(pieces),
        "top_logprobs": top,
        "text_offset": offsets,
    }


def _text_pieces(script: Script, body: _Body) -> Iterator[JsonObject]:
    offset = 0
    for piece in script.pieces(body):
        yield {"text": piece, "logprobs": _text_logprobs([piece], body, offset)}
        offset += len(piece)


def text_stream(script: Script, body: _Body) -> Iterator[Step]:
    """The events of a streamed text completion."""
    yield from _events(script, body, _text_head(script), [], _text_pieces(script, body))


def text_body(script: Script, body: _Body) -> JsonObject:
    """A text completion that is not streamed."""
    pieces, head = script.pieces(body), _text_head(script)
    choice: JsonObject = {"text": "".join(pieces), "logprobs": _text_logprobs(pieces, body)}
    return _whole(script, body, head, {**choice, "finish_reason": _finish(script, head)}, len(pieces))
