"""What the simulated provider says as OpenAI's responses endpoint.

The shapes are those of the provider's documentation, as its own client (openai 3.52.0) read them on 2026-11-21.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.local.scripts import (
    CACHED_TOKENS,
    CREATED,
    PROMPT_TOKENS,
    WEATHER,
    WEATHER_PIECES,
    Script,
    Step,
    StepKind,
)

STREAM_ERROR: Final = (
    b'event: error\ndata: {"type":"error","sequence_number":0,"code":"server_error",'
    b'"message":"The server had an error","param":null}\n\n'
)

_LOGPROBS: Final = "message.output_text.logprobs"


class _Said:
    """The events of one response, numbered."""

    def __init__(self) -> None:
        self._number = 0

    def event(self, kind: str, **values: JsonValue) -> bytes:
        value = {"type": f"response.{kind}", "sequence_number": self._number, **values}
        self._number += 1
        return b"event: response." + kind.encode() + b"\ndata: " + to_wire(value) + b"\n\n"


def responses_stream(script: Script, body: Mapping[str, JsonValue]) -> Iterator[Step]:
    """The events of a streamed response."""
    said = _Said()
    begun = {**_response(script, body), "status": "in_progress", "output": [], "usage": None}
    yield said.event("created", response=begun), "open"
    yield said.event("in_progress", response=begun), "open"
    for index, item in enumerate(_items(script, body)):
        for kind, values, step in _item_events(script, body, item):
            yield said.event(kind, output_index=index, **values), step
    answer = _ended(script, body)
    yield said.event(str(answer["status"]), response=answer), "close"


def responses_body(script: Script, body: Mapping[str, JsonValue]) -> JsonObject:
    """A response that is not streamed."""
    return _ended(script, body)


# --- the response -----------------------------------------------------------------------------------------


def _response(script: Script, body: Mapping[str, JsonValue]) -> JsonObject:
    return {
        "id": "resp_sim1",
        "object": "response",
        "created_at": CREATED,
        "model": script.model or "gpt-sim",
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
    }


def _ended(script: Script, body: Mapping[str, JsonValue]) -> JsonObject:
    """The whole response; `finish` is `completed`, `failed`, or the reason why it is incomplete."""
    finish = script.finish or "completed"
    response = {**_response(script, body), "output": _items(script, body), "usage": _usage(script, body)}
    if finish == "failed":
        error = {"code": "server_error", "message": "The server had an error"}
        return {**response, "status": "failed", "error": error, "usage": None}
    if finish != "completed":
        return {**response, "status": "incomplete", "incomplete_details": {"reason": finish}}
    return {**response, "status": "completed"}


def _usage(script: Script, body: Mapping[str, JsonValue]) -> JsonObject | None:
    if script.usage == "none":
        return None
    output = script.reasoning + (len(WEATHER_PIECES) * script.tools or len(script.pieces(body)))
    return {
        "input_tokens": PROMPT_TOKENS,
        "input_tokens_details": {"cached_tokens": CACHED_TOKENS, "cache_write_tokens": 0},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": script.reasoning},
        "total_tokens": PROMPT_TOKENS + output,
    }


def _items(script: Script, body: Mapping[str, JsonValue]) -> list[JsonObject]:
    """The items of the output, whole."""
    items: list[JsonObject] = []
    if script.reasoning:
        text = "".join(script.thoughts())
        item: JsonObject = {"id": "rs_sim1", "type": "reasoning", "summary": []}
        if _is_summary(script):
            items.append({**item, "summary": [{"type": "summary_text", "text": text}]})
        else:
            items.append({**item, "content": [{"type": "reasoning_text", "text": text}]})
    for index in range(script.tools):
        call: JsonObject = {"id": f"fc_{index + 1}", "type": "function_call", "status": "completed"}
        arguments = "".join(WEATHER_PIECES)
        items.append({**call, "call_id": f"call_{index + 1}", "name": WEATHER, "arguments": arguments})
    if not script.tools:
        message: JsonObject = {"id": "msg_sim1", "type": "message", "role": "assistant", "status": "completed"}
        items.append({**message, "content": [_part(script, body)]})
    return items


def _part(script: Script, body: Mapping[str, JsonValue]) -> JsonObject:
    pieces = script.pieces(body)
    if script.refusal:
        return {"type": "refusal", "refusal": "".join(pieces)}
    logprobs = [_logprob(piece, body) for piece in pieces]
    return {"type": "output_text", "text": "".join(pieces), "annotations": [], "logprobs": [x for x in logprobs if x]}


def _is_summary(script: Script) -> bool:
    return script.reasoning_field == "summary"


def _logprob(piece: str, body: Mapping[str, JsonValue]) -> JsonObject | None:
    include = body.get("include")
    if not isinstance(include, list) or _LOGPROBS not in include:
        return None
    return {"token": piece, "logprob": -0.1, "bytes": list(piece.encode()), "top_logprobs": []}


# --- its items, as they stream ----------------------------------------------------------------------------


def _item_events(
    script: Script, body: Mapping[str, JsonValue], item: JsonObject
) -> Iterator[tuple[str, JsonObject, StepKind]]:
    """The events of one item: their type, what is in them beside the item's place, and what kind of step each is."""
    kind = item["type"]
    bare: JsonObject = {"arguments": ""} if kind == "function_call" else {"content": []}
    yield "output_item.added", {"item": {**item, **bare, "status": "in_progress"}}, "open"
    where: JsonObject = {"item_id": item["id"]}
    if kind == "function_call":
        for piece in WEATHER_PIECES:
            yield "function_call_arguments.delta", {**where, "delta": piece}, "content"
        whole = {"name": WEATHER, "arguments": item["arguments"]}
        yield "function_call_arguments.done", {**where, **whole}, "close"
    elif kind == "reasoning":
        yield from _reasoning_events(script, where)
    else:
        yield from _message_events(script, body, where)
    yield "output_item.done", {"item": item}, "close"


def _reasoning_events(script: Script, where: JsonObject) -> Iterator[tuple[str, JsonObject, StepKind]]:
    text = "".join(script.thoughts())
    if _is_summary(script):
        where = {**where, "summary_index": 0}
        yield "reasoning_summary_part.added", {**where, "part": {"type": "summary_text", "text": ""}}, "open"
        for thought in script.thoughts():
            yield "reasoning_summary_text.delta", {**where, "delta": thought}, "content"
        yield "reasoning_summary_text.done", {**where, "text": text}, "close"
        yield "reasoning_summary_part.done", {**where, "part": {"type": "summary_text", "text": text}}, "close"
        return
    where = {**where, "content_index": 0}
    for thought in script.thoughts():
        yield "reasoning_text.delta", {**where, "delta": thought}, "content"
    yield "reasoning_text.done", {**where, "text": text}, "close"


def _message_events(
    script: Script, body: Mapping[str, JsonValue], where: JsonObject
) -> Iterator[tuple[str, JsonObject, StepKind]]:
    where = {**where, "content_index": 0}
    part, pieces = _part(script, body), script.pieces(body)
    field = "refusal" if script.refusal else "text"
    yield "content_part.added", {**where, "part": {**part, field: ""}}, "open"
    for piece in pieces:
        if script.refusal:
            yield "refusal.delta", {**where, "delta": piece}, "content"
        else:
            logprob = _logprob(piece, body)
            yield "output_text.delta", {**where, "delta": piece, "logprobs": [logprob] if logprob else []}, "content"
    whole: JsonObject = {field: part[field]} if script.refusal else {"text": part["text"], "logprobs": part["logprobs"]}
    yield f"{'refusal' if script.refusal else 'output_text'}.done", {**where, **whole}, "close"
    yield "content_part.done", {**where, "part": part}, "close"
