"""What the simulated provider can be told to do, and the bytes it then says. Pure; `simulator` puts them on the wire.

A script is written as `key=value` pairs (`chunks=20,delay_ms=5,cut_after=3`; a value may be percent-encoded), in the
header `x-simulate` or behind `sim:` in the model name. The shapes are those of the providers' documentation, as their
own clients (openai 3.52.0, anthropic 2.11.0) read them on 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_type_hints
from urllib.parse import unquote

import attrs
import msgspec

from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.errors import ConfigurationError

UsagePlace = Literal["auto", "last", "finish", "every", "none"]
"""Where token counts are said: as the request asks, in an own last chunk, with the finish, on every chunk, nowhere."""

StepKind = Literal["open", "content", "close", "cut", "hang"]
"""What a step of an answer is: its beginning, a piece of it, its end; or a cut connection, or silence from here on."""

Step: TypeAlias = tuple[bytes, StepKind]

MODEL_PREFIX: Final = "sim:"
_PROMPT_TOKENS: Final = 9
_CACHED_TOKENS: Final = 4


@attrs.frozen(kw_only=True)
class Script:
    """How one answer goes. Counts of `*_after` are pieces of content sent before it happens.

    `text` is cut into `chunks` pieces (by default into words); without it the pieces are ` tok0`, ` tok1`, ... (5 of
    them). `echo` answers with the last message's text. `tools`, `reasoning` are numbers of tool calls and of pieces
    of reasoning. `delay_ms` passes before each piece, `first_delay_ms` before the response's head. `batch` events go
    into one write. `status` answers with an error, with `fail_times` only so often before it goes well; `retry_after`
    is sent with it. `hang` says nothing at all, `reset` resets the connection. `raw` is a file that is sent as it is
    (`.sse`, `.json` or other), `split` bytes at a time.
    """

    chunks: int | None = None
    text: str | None = None
    echo: bool = False
    model: str | None = None
    finish: str | None = None
    tools: int = 0
    reasoning: int = 0
    reasoning_field: str = "reasoning_content"
    refusal: bool = False
    usage: UsagePlace = "auto"
    no_done: bool = False
    comments: bool = False
    delay_ms: float = 0
    first_delay_ms: float = 0
    batch: int = 1
    error_after: int | None = None
    cut_after: int | None = None
    eof_after: int | None = None
    bad_json_after: int | None = None
    hang_after: int | None = None
    status: int | None = None
    retry_after: str | None = None
    fail_times: int | None = None
    hang: bool = False
    reset: bool = False
    raw: str | None = None
    split: int = 0

    @classmethod
    def parse(cls, text: str) -> Script:
        """A script out of `key=value,key=value`; a key alone means true.

        Raises:
            ConfigurationError: an unknown key, or a value of the wrong type.
        """
        values: dict[str, str] = {}
        for pair in filter(None, (part.strip() for part in text.split(","))):
            name, has_value, value = pair.partition("=")
            values[name] = unquote(value) if has_value else "true"
        unknown = values.keys() - _KINDS.keys()
        if unknown:
            raise ConfigurationError(f"unknown script keys {sorted(unknown)}; known: {', '.join(_KINDS)}")
        try:
            parsed = {name: msgspec.convert(value, _KINDS[name], strict=False) for name, value in values.items()}
        except msgspec.ValidationError as exc:
            raise ConfigurationError(f"script {text!r}: {exc}") from exc
        return cls(**parsed)

    def pieces(self, messages: JsonValue) -> list[str]:
        """The text of the answer, piece by piece."""
        text = _last_text(messages) if self.echo else self.text
        if text is None:
            return [f" tok{i}" for i in range(5 if self.chunks is None else self.chunks)]
        if self.chunks is None:
            words = text.split(" ")
            return [words[0], *(" " + word for word in words[1:])] if text else []
        size = max(1, -(-len(text) // max(1, self.chunks)))
        return [text[i : i + size] for i in range(0, len(text), size)]


_KINDS: Final[dict[str, object]] = get_type_hints(Script)


def _last_text(messages: JsonValue) -> str:
    """The text of the last message of a request."""
    last = messages[-1] if isinstance(messages, list) and messages else {}
    content = last.get("content") if isinstance(last, dict) else None
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def raw_steps(script: Script) -> Iterator[Step]:
    """The recorded bytes of `script.raw`, in pieces of `script.split` bytes.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        data = Path(script.raw or "").read_bytes()
    except OSError as exc:
        raise ConfigurationError(f"script raw={script.raw!r} cannot be read: {exc}") from exc
    size = script.split or len(data) or 1
    return ((data[i : i + size], "content") for i in range(0, len(data), size))


def with_faults(script: Script, steps: Iterator[Step], error_event: bytes) -> Iterator[Step]:
    """The steps of an answer, with what the script wants to go wrong in the middle of them."""
    faults: dict[int | None, str] = {
        script.error_after: "error",
        script.eof_after: "eof",
        script.bad_json_after: "bad_json",
        script.cut_after: "cut",
        script.hang_after: "hang",
    }
    faults.pop(None, None)
    sent = 0
    for data, kind in steps:
        fault = None if kind == "open" else faults.pop(sent, None)
        if fault == "bad_json":
            yield b'data: {"id": "brok\n\n', "content"
        elif fault == "error":
            yield error_event, "close"
            return
        elif fault == "cut":
            yield b"", "cut"
            return
        elif fault == "hang":
            yield b"", "hang"
            return
        elif fault == "eof":
            return
        if kind == "content":
            sent += 1
            if script.comments:
                yield b": keep-alive\n\n", "open"
        yield data, kind


# --- OpenAI chat ------------------------------------------------------------------------------------------

OPENAI_STREAM_ERROR: Final = (
    b'data: {"error":{"message":"The server had an error","type":"server_error","param":null,"code":null}}\n\n'
)


def openai_error(status: int) -> JsonObject:
    """The body of a refused chat request."""
    kind = {429: "rate_limit_error", 401: "authentication_error"}.get(status, "invalid_request_error")
    if status >= 500:
        kind = "server_error"
    return {"error": {"message": f"simulated status {status}", "type": kind, "param": None, "code": f"sim_{status}"}}


def _openai_usage(output: int, reasoning: int) -> JsonObject:
    return {
        "prompt_tokens": _PROMPT_TOKENS,
        "completion_tokens": output,
        "total_tokens": _PROMPT_TOKENS + output,
        "prompt_tokens_details": {"cached_tokens": _CACHED_TOKENS},
        "completion_tokens_details": {"reasoning_tokens": reasoning},
    }


def _openai_tool_deltas(count: int) -> Iterator[JsonObject]:
    for index in range(count):
        function = {"name": "get_weather", "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": f"call_{index + 1}", "type": "function", "function": function}]}
        for piece in ('{"ci', 'ty":"Paris"}'):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _openai_deltas(script: Script, body: Mapping[str, JsonValue]) -> Iterator[JsonObject]:
    """The pieces of one choice."""
    for index in range(script.reasoning):
        yield {script.reasoning_field: f" hm{index}"}
    if script.tools:
        yield from _openai_tool_deltas(script.tools)
        return
    for piece in script.pieces(body.get("messages")):
        yield {"refusal": piece} if script.refusal else {"content": piece}


def _openai_finish(script: Script) -> str:
    return script.finish or ("tool_calls" if script.tools else "stop")


def _logprobs(piece: JsonValue) -> JsonObject:
    token = {"token": piece, "logprob": -0.1, "bytes": list(str(piece).encode()), "top_logprobs": []}
    return {"content": [token], "refusal": None}


def openai_stream(script: Script, body: Mapping[str, JsonValue]) -> Iterator[Step]:
    """The events of a streamed chat answer."""
    options = body.get("stream_options")
    is_asked = isinstance(options, dict) and options.get("include_usage") is True
    place = script.usage if script.usage != "auto" else ("last" if is_asked else "none")
    n = body.get("n") if isinstance(body.get("n"), int) else 1
    choices = range(n if isinstance(n, int) else 1)
    head: JsonObject = {
        "id": "chatcmpl-sim1",
        "object": "chat.completion.chunk",
        "created": 1_795_000_000,
        "model": script.model or "gpt-sim",
        "system_fingerprint": "fp_sim",
    }
    sent = 0

    def event(choice: JsonObject | None, *, usage: bool) -> bytes:
        value: JsonObject = {**head, "choices": [] if choice is None else [choice]}
        if place != "none":
            value["usage"] = _openai_usage(sent, script.reasoning) if usage else None
        return b"data: " + to_wire(value) + b"\n\n"

    for index in choices:
        delta: JsonObject = {"role": "assistant", "content": "", "refusal": None}
        first: JsonObject = {"index": index, "delta": delta, "logprobs": None, "finish_reason": None}
        yield event(first, usage=place == "every"), "open"
    for delta in _openai_deltas(script, body):
        for index in choices:
            sent += 1
            logprobs = _logprobs(delta["content"]) if body.get("logprobs") is True and "content" in delta else None
            choice: JsonObject = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": None}
            yield event(choice, usage=place == "every"), "content"
    for index in choices:
        last: JsonObject = {"index": index, "delta": {}, "logprobs": None, "finish_reason": _openai_finish(script)}
        yield event(last, usage=place in ("every", "finish")), "close"
    if place == "last":
        yield event(None, usage=True), "close"
    if not script.no_done:
        yield b"data: [DONE]\n\n", "close"


def openai_body(script: Script, body: Mapping[str, JsonValue]) -> JsonObject:
    """A chat answer that is not streamed."""
    pieces = script.pieces(body.get("messages"))
    text = "".join(pieces)
    message: JsonObject = {"role": "assistant", "content": text, "refusal": None}
    if script.reasoning:
        message[script.reasoning_field] = "".join(f" hm{i}" for i in range(script.reasoning))
    if script.refusal:
        message |= {"content": None, "refusal": text}
    if script.tools:
        function = {"name": "get_weather", "arguments": '{"city":"Paris"}'}
        calls = [{"id": f"call_{i + 1}", "type": "function", "function": function} for i in range(script.tools)]
        message |= {"content": None, "tool_calls": calls}
    n = body.get("n")
    choices = [
        {"index": i, "message": message, "logprobs": None, "finish_reason": _openai_finish(script)}
        for i in range(n if isinstance(n, int) else 1)
    ]
    answer: JsonObject = {
        "id": "chatcmpl-sim1",
        "object": "chat.completion",
        "created": 1_795_000_000,
        "model": script.model or "gpt-sim",
        "choices": choices,
    }
    if script.usage != "none":
        answer["usage"] = _openai_usage(len(pieces), script.reasoning)
    return answer


# --- Anthropic messages -----------------------------------------------------------------------------------


def _anthropic_event(name: str, value: Mapping[str, JsonValue]) -> bytes:
    return b"event: " + name.encode() + b"\ndata: " + to_wire({"type": name, **value}) + b"\n\n"


ANTHROPIC_STREAM_ERROR: Final = _anthropic_event(
    "error", {"error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "req_sim"}
)

_ANTHROPIC_ERRORS: Final[dict[int, str]] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}


def anthropic_error(status: int) -> JsonObject:
    """The body of a refused messages request."""
    error = {"type": _ANTHROPIC_ERRORS.get(status, "api_error"), "message": f"simulated status {status}"}
    return {"type": "error", "error": error, "request_id": "req_sim"}


def _anthropic_finish(script: Script) -> str:
    return script.finish or ("tool_use" if script.tools else "refusal" if script.refusal else "end_turn")


def _anthropic_blocks(
    script: Script, body: Mapping[str, JsonValue]
) -> Iterator[tuple[JsonObject, str, list[tuple[str, str]]]]:
    """The blocks of an answer: how it starts, the type of its deltas, the pieces as (field, text)."""
    if script.reasoning:
        pieces = [("thinking", f" hm{i}") for i in range(script.reasoning)]
        yield {"type": "thinking", "thinking": "", "signature": ""}, "thinking_delta", pieces
    if not script.tools:
        text = [("text", piece) for piece in script.pieces(body.get("messages"))]
        yield {"type": "text", "text": ""}, "text_delta", text
    for index in range(script.tools):
        arguments = [("partial_json", piece) for piece in ("", '{"ci', 'ty":"Paris"}')]
        tool: JsonObject = {"type": "tool_use", "id": f"toolu_{index + 1}", "name": "get_weather", "input": {}}
        yield tool, "input_json_delta", arguments


def _anthropic_message(script: Script, usage: JsonObject) -> JsonObject:
    message: JsonObject = {
        "id": "msg_sim1",
        "type": "message",
        "role": "assistant",
        "model": script.model or "claude-sim",
    }
    message |= {"content": [], "stop_reason": None, "stop_sequence": None}
    return message if script.usage == "none" else {**message, "usage": usage}


def _anthropic_usage(output: int) -> JsonObject:
    return {
        "input_tokens": _PROMPT_TOKENS - _CACHED_TOKENS,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": _CACHED_TOKENS,
        "output_tokens": output,
    }


def anthropic_stream(script: Script, body: Mapping[str, JsonValue]) -> Iterator[Step]:
    """The events of a streamed messages answer."""
    yield _anthropic_event("message_start", {"message": _anthropic_message(script, _anthropic_usage(1))}), "open"
    sent = 0
    for index, (block, delta_type, pieces) in enumerate(_anthropic_blocks(script, body)):
        yield _anthropic_event("content_block_start", {"index": index, "content_block": block}), "open"
        if index == 0:
            yield _anthropic_event("ping", {}), "open"
        for field, piece in pieces:
            sent += 1
            delta = {"type": delta_type, field: piece}
            yield _anthropic_event("content_block_delta", {"index": index, "delta": delta}), "content"
        yield _anthropic_event("content_block_stop", {"index": index}), "close"
    last: JsonObject = {"delta": {"stop_reason": _anthropic_finish(script), "stop_sequence": None}}
    if script.usage != "none":
        last["usage"] = {"output_tokens": sent}
    yield _anthropic_event("message_delta", last), "close"
    yield _anthropic_event("message_stop", {}), "close"


def anthropic_body(script: Script, body: Mapping[str, JsonValue]) -> JsonObject:
    """A messages answer that is not streamed."""
    content: list[JsonObject] = []
    count = 0
    for block, _, pieces in _anthropic_blocks(script, body):
        count += len(pieces)
        text = "".join(piece for _, piece in pieces)
        field = pieces[0][0] if pieces else "text"
        content.append({**block, "input": {"city": "Paris"}} if field == "partial_json" else {**block, field: text})
    message = _anthropic_message(script, _anthropic_usage(count))
    return {**message, "content": content, "stop_reason": _anthropic_finish(script)}
