"""Reads the events of OpenAI's responses: just the fields that a chunk needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs
import msgspec

from freeplay_like.core.chunks import CompletionChunk, FinishReason, ToolCallDelta, Usage
from freeplay_like.core.sse import SseEvent
from freeplay_like.core.wire import JsonObject, JsonValue, from_wire, to_wire
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.reading import AnswerReader, count, part

FINISH_REASONS: Final[dict[str, FinishReason]] = {
    "completed": "stop",
    "max_output_tokens": "length",
    "content_filter": "content_filter",
}
"""Of a status, or of the reason why an answer is incomplete. Of a completed one with tool calls it is `tool_calls`."""

_PARTS_APART: Final = "\n\n"
"""Between the parts of a summary of reasoning: each is a paragraph with a title of its own."""

_TEXT: Final = "response.output_text.delta"
_REFUSAL: Final = "response.refusal.delta"
_REASONING: Final = frozenset({"response.reasoning_text.delta", "response.reasoning_summary_text.delta"})
_CALL_INPUT: Final = frozenset({"response.function_call_arguments.delta", "response.custom_tool_call_input.delta"})
_ENDS: Final = frozenset({"response.completed", "response.incomplete", "response.failed", "response.cancelled"})
_CALLS: Final = frozenset({"function_call", "custom_tool_call"})


class _Part(msgspec.Struct, gc=False):
    type: str | None = None
    text: object = None
    refusal: object = None
    logprobs: object = None


class _Item(msgspec.Struct, gc=False):
    type: str | None = None
    id: object = None
    call_id: object = None
    name: object = None
    arguments: object = None
    input: object = None
    content: list[_Part] | None = None
    summary: list[_Part] | None = None
    encrypted_content: object = None


class _Response(msgspec.Struct, gc=False):
    id: object = None
    model: object = None
    status: object = None
    output: list[_Item] | None = None
    incomplete_details: object = None
    usage: dict[str, object] | None = None
    error: object = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    output_index: int | None = None
    summary_index: int | None = None
    item_id: object = None
    delta: object = None
    logprobs: object = None
    item: _Item | None = None
    response: _Response | None = None
    error: object = None


_events: Final = msgspec.json.Decoder(_Event)
_responses: Final = msgspec.json.Decoder(_Response)


@attrs.define
class _Output:
    """An item of the output while it streams: its place among the tool calls, and whether any of it has come."""

    call: int | None = None
    has_come: bool = False


class ResponsesReader(AnswerReader):
    """Reads the events of a response, and whole responses.

    An answer has one choice; the texts of its messages follow one another. Reasoning and summaries of reasoning are
    both reasoning. A chunk's tool calls are counted from 0, in the order they began; of a custom tool the arguments
    are its input as it is, which need not be JSON.
    """

    def __init__(self, request: Request, provider: str) -> None:
        super().__init__(request, provider)
        self._answering_model: str | None = None
        self._response_id: str | None = None
        self._outputs: dict[object, _Output] = {}
        self._call_count = 0

    def _read_event(self, event: SseEvent) -> Sequence[CompletionChunk]:
        data = event.data
        if data.startswith(b"[DONE]"):
            self._is_done = True
            return ()
        value = self._decoded(event, _events)
        kind = value.type
        if kind == _TEXT:
            return self._content(value, data, text=_text(value.delta), logprobs=_logprobs(value.logprobs))
        if kind in _REASONING:
            return self._content(value, data, reasoning=_text(value.delta))
        if kind == _REFUSAL:
            return self._content(value, data, refusal=_text(value.delta))
        if kind in _CALL_INPUT:
            return self._call_input(value, data)
        if kind == "error" or value.error is not None:
            raise self._failure(data)
        return self._other(value, data)

    def _other(self, value: _Event, data: bytes) -> Sequence[CompletionChunk]:
        """Events that are not pieces: beginnings and ends. Those of types that are not known here say nothing."""
        if value.response is not None:
            if value.type is not None and value.type in _ENDS:
                self._is_done = True
                return self._end(value.response, data, value.type.removeprefix("response."))
            if value.type == "response.created":
                self._learn(value.response)
                return [self._chunk(data)]
        elif value.item is not None:
            if value.type == "response.output_item.added":
                return self._begun(value, value.item, data)
            if value.type == "response.output_item.done":
                return self._done(value, value.item, data)
        elif value.type == "response.reasoning_summary_part.added" and value.summary_index:
            return self._content(value, data, reasoning=_PARTS_APART)
        return ()

    # --- chunks ---

    def _chunk(
        self,
        data: bytes,
        *,
        text: str = "",
        reasoning: str = "",
        refusal: str = "",
        tool_calls: tuple[ToolCallDelta, ...] = (),
        logprobs: JsonObject | None = None,
        reasoning_blocks: tuple[JsonObject, ...] = (),
        finish: str | None = None,
        usage: Usage | None = None,
    ) -> CompletionChunk:
        reason = None if finish is None else FINISH_REASONS.get(finish, "other")
        return CompletionChunk(
            text=text,
            reasoning=reasoning,
            refusal=refusal,
            tool_calls=tool_calls,
            logprobs=logprobs,
            reasoning_blocks=reasoning_blocks,
            finish_reason="tool_calls" if reason == "stop" and self._call_count else reason,
            finish_reason_raw=finish,
            usage=usage,
            model=self._answering_model,
            response_id=self._response_id,
            data=data,
        )

    def _content(
        self,
        value: _Event,
        data: bytes,
        *,
        text: str = "",
        reasoning: str = "",
        refusal: str = "",
        logprobs: JsonObject | None = None,
    ) -> Sequence[CompletionChunk]:
        if not (text or reasoning or refusal):
            return ()
        self._output(value.output_index, value.item_id).has_come = True
        return [self._chunk(data, text=text, reasoning=reasoning, refusal=refusal, logprobs=logprobs)]

    def _call_input(self, value: _Event, data: bytes) -> Sequence[CompletionChunk]:
        output, piece = self._output(value.output_index, value.item_id), _text(value.delta)
        if not piece:
            return ()
        output.has_come = True
        return [self._chunk(data, tool_calls=(ToolCallDelta(index=self._call_of(output), arguments=piece),))]

    def _begun(self, value: _Event, item: _Item, data: bytes) -> Sequence[CompletionChunk]:
        """An item's beginning; a tool call says its name and id there."""
        output = self._output(value.output_index, item.id, item.call_id)
        if item.type not in _CALLS:
            return ()
        return [self._chunk(data, tool_calls=(_call(self._call_of(output), item),))]

    def _done(self, value: _Event, item: _Item, data: bytes) -> Sequence[CompletionChunk]:
        """An item's end, with all of it: for servers that send no pieces."""
        output = self._output(value.output_index, item.id, item.call_id)
        chunks = () if output.has_come else self._whole(output, item, data)
        if item.encrypted_content is None:
            return chunks
        return [*chunks, self._chunk(data, reasoning_blocks=_encrypted([from_wire(data, dict).get("item")]))]

    def _whole(self, output: _Output, item: _Item, data: bytes) -> Sequence[CompletionChunk]:
        """An item in one piece. Items of types that are not known here say nothing."""
        output.has_come = True
        if item.type in _CALLS:
            return [self._chunk(data, tool_calls=(_call(self._call_of(output), item, _input(item)),))]
        parts = item.content or []
        text = "".join(_text(p.text) for p in parts if p.type == "output_text")
        refusal = "".join(_text(p.refusal) for p in parts)
        reasoning = _reasoning(item)
        logprobs = _logprobs([entry for p in parts if isinstance(p.logprobs, list) for entry in p.logprobs])
        if not (text or refusal or reasoning):
            return ()
        return [self._chunk(data, text=text, refusal=refusal, reasoning=reasoning, logprobs=logprobs)]

    def _end(self, response: _Response, data: bytes, status: object) -> list[CompletionChunk]:
        """The response as it ended; what nothing of has come before is taken out of its output."""
        if response.error is not None or status == "failed":
            raise self._failure(to_wire({"error": response.error}))
        self._learn(response)
        chunks: list[CompletionChunk] = []
        if not any(output.has_come for output in self._outputs.values()):
            for index, item in enumerate(response.output or ()):
                chunks += self._whole(self._output(index, item.id, item.call_id), item, data)
            if any(item.encrypted_content is not None for item in response.output or ()):
                raw = from_wire(data, dict)
                whole = part(raw, "response") or raw
                chunks.append(self._chunk(data, reasoning_blocks=_encrypted(whole.get("output"))))
        usage = None if response.usage is None else _usage(response.usage)
        return [*chunks, self._chunk(data, finish=_finish_word(response, status), usage=usage)]

    def _read_body(self, body: bytes) -> Sequence[CompletionChunk]:
        response = self._decoded_body(body, _responses)
        if response.output is None and response.error is None:
            raise self._not_an_answer(body)
        return self._end(response, body, response.status or "completed")

    # --- what is known so far ---

    def _learn(self, response: _Response) -> None:
        self._answering_model = response.model if isinstance(response.model, str) else self._answering_model
        self._response_id = response.id if isinstance(response.id, str) else self._response_id

    def _output(self, *keys: object) -> _Output:
        """The item that goes by any of these keys (its place, its id, its call's id), from now on by all of them.

        Servers disagree on which of them an event carries. Where one carries none, the item that began last is meant.
        """
        known: list[str | int | None] = [key for key in keys if isinstance(key, (str, int))]
        output = next((self._outputs[key] for key in known if key in self._outputs), None)
        if output is None and not known and self._outputs:
            output = next(reversed(self._outputs.values()))
        output = output or _Output()
        for key in known or [None]:
            self._outputs.setdefault(key, output)
        return output

    def _call_of(self, output: _Output) -> int:
        """The place of an item among the tool calls."""
        if output.call is None:
            output.call, self._call_count = self._call_count, self._call_count + 1
        return output.call


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _logprobs(value: object) -> JsonObject | None:
    """Tokens with their probabilities, in the shape they have in chat."""
    return {"content": value} if isinstance(value, list) and value else None


def _reasoning(item: _Item) -> str:
    if item.type != "reasoning":
        return ""
    summary = _PARTS_APART.join(_text(p.text) for p in item.summary or ())
    return summary + "".join(_text(p.text) for p in item.content or ())


def _input(item: _Item) -> str:
    return _text(item.arguments if item.type == "function_call" else item.input)


def _call(index: int, item: _Item, arguments: str = "") -> ToolCallDelta:
    """A tool call as it begins, or as a whole. Its id is the one that the result is sent back under."""
    call_id = item.call_id if isinstance(item.call_id, str) else item.id
    return ToolCallDelta(
        index=index,
        id=call_id if isinstance(call_id, str) else None,
        name=item.name if isinstance(item.name, str) else None,
        arguments=arguments,
    )


def _encrypted(items: JsonValue) -> tuple[JsonObject, ...]:
    """The reasoning among raw items that can be sent back: it is whole in itself, stored or not."""
    return tuple(
        item
        for item in (items if isinstance(items, list) else ())
        if isinstance(item, dict) and item.get("type") == "reasoning" and isinstance(item.get("encrypted_content"), str)
    )


def _finish_word(response: _Response, status: object) -> str | None:
    """The provider's word for why it stopped; None where the response has not ended (a background one) or was
    cancelled."""
    if status == "incomplete":
        reason = part({"details": response.incomplete_details}, "details").get("reason")
        return reason if isinstance(reason, str) and reason else "incomplete"
    return "completed" if status == "completed" else None


def _usage(raw: JsonObject) -> Usage:
    of_input, of_output = part(raw, "input_tokens_details"), part(raw, "output_tokens_details")
    return Usage(
        input_tokens=count(raw.get("input_tokens")),
        output_tokens=count(raw.get("output_tokens")),
        cached_input_tokens=count(of_input.get("cached_tokens")),
        cache_write_tokens=count(of_input.get("cache_write_tokens")),
        reasoning_tokens=count(of_output.get("reasoning_tokens")),
        raw=raw,
    )
