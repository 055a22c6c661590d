"""Reads Anthropic's message events: just the fields that a chunk needs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from freeplay_like.core.chunks import CompletionChunk, FinishReason, ToolCallDelta, Usage
from freeplay_like.core.sse import SseEvent
from freeplay_like.core.wire import JsonObject, to_wire
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.reading import AnswerReader, count, part

FINISH_REASONS: Final[dict[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "refusal",
    "pause_turn": "pause",
}


class _Block(msgspec.Struct, gc=False):
    type: str | None = None
    id: object = None
    name: object = None
    text: object = None
    thinking: object = None
    signature: object = None
    data: object = None
    input: object = None


class _Delta(msgspec.Struct, gc=False):
    text: object = None
    thinking: object = None
    signature: object = None
    partial_json: object = None
    stop_reason: object = None


class _Message(msgspec.Struct, gc=False):
    type: str | None = None
    id: object = None
    model: object = None
    content: list[_Block] | None = None
    stop_reason: object = None
    usage: dict[str, object] | None = None
    error: object = None


class _Event(msgspec.Struct, gc=False):
    type: str | None = None
    index: int = 0
    delta: _Delta | None = None
    content_block: _Block | None = None
    message: _Message | None = None
    usage: dict[str, object] | None = None
    error: object = None


_events: Final = msgspec.json.Decoder(_Event)
_messages: Final = msgspec.json.Decoder(_Message)


class AnthropicReader(AnswerReader):
    """Reads the events of a message, and whole messages.

    A chunk's tool calls are counted by the content blocks they came in, from 0, in the order they began.
    """

    def __init__(self, request: Request, provider: str) -> None:
        super().__init__(request, provider)
        self._answering_model: str | None = None
        self._response_id: str | None = None
        self._usage: JsonObject = {}
        self._tools: dict[int, int] = {}
        self._thinking: dict[int, _Thinking] = {}

    def _read_event(self, event: SseEvent) -> Sequence[CompletionChunk]:
        data = event.data
        if event.event == "ping":
            return ()
        value = self._decoded(event, _events)
        kind = value.type
        if kind == "content_block_delta" and value.delta is not None:
            return self._delta(value.index, value.delta, data)
        if kind == "content_block_start" and value.content_block is not None:
            return self._block(value.index, value.content_block, data)
        if kind == "message_start" and value.message is not None:
            return self._start(value.message, data)
        if kind == "content_block_stop":
            thinking = self._thinking.pop(value.index, None)
            return () if thinking is None else self._signed(thinking.block(), data)
        if kind == "message_delta":
            return self._finish(value, data)
        if kind == "error" or value.error is not None:
            raise self._failure(data)
        self._is_done = kind == "message_stop"
        return ()

    def _chunk(
        self,
        data: bytes,
        *,
        text: str = "",
        reasoning: str = "",
        reasoning_blocks: tuple[JsonObject, ...] = (),
        tool_calls: tuple[ToolCallDelta, ...] = (),
        finish: str | None = None,
        usage: Usage | None = None,
    ) -> CompletionChunk:
        return CompletionChunk(
            text=text,
            reasoning=reasoning,
            reasoning_blocks=reasoning_blocks,
            tool_calls=tool_calls,
            finish_reason=None if finish is None else FINISH_REASONS.get(finish, "other"),
            finish_reason_raw=finish,
            usage=usage,
            model=self._answering_model,
            response_id=self._response_id,
            data=data,
        )

    def _start(self, message: _Message, data: bytes) -> Sequence[CompletionChunk]:
        self._answering_model = message.model if isinstance(message.model, str) else None
        self._response_id = message.id if isinstance(message.id, str) else None
        usage = self._newer_usage(message.usage)
        return [self._chunk(data, usage=usage)]

    def _delta(self, index: int, delta: _Delta, data: bytes) -> Sequence[CompletionChunk]:
        text, thinking, arguments = delta.text, delta.thinking, delta.partial_json
        if isinstance(text, str):
            return [self._chunk(data, text=text)] if text else ()
        if isinstance(thinking, str):
            if index in self._thinking:
                self._thinking[index].text.append(thinking)
            return [self._chunk(data, reasoning=thinking)] if thinking else ()
        if isinstance(delta.signature, str) and index in self._thinking:
            self._thinking[index].signature += delta.signature
            return ()
        if isinstance(arguments, str) and arguments and index in self._tools:
            call = ToolCallDelta(index=self._tools[index], arguments=arguments)
            return [self._chunk(data, tool_calls=(call,))]
        return ()

    def _block(self, index: int, block: _Block, data: bytes) -> Sequence[CompletionChunk]:
        """A block's beginning; it may bring text with it. Blocks of types that are not known here say nothing."""
        if block.type == "tool_use":
            position = self._tools.setdefault(index, len(self._tools))
            return [self._chunk(data, tool_calls=(_tool_call(position, block),))]
        if block.type == "redacted_thinking":
            return self._signed(_reasoning_block(block), data)
        text = block.text if block.type == "text" and isinstance(block.text, str) else ""
        thinking = block.thinking if block.type == "thinking" and isinstance(block.thinking, str) else ""
        if block.type == "thinking":
            self._thinking[index] = _Thinking(thinking, block.signature)
        return [self._chunk(data, text=text, reasoning=thinking)] if text or thinking else ()

    def _signed(self, block: JsonObject | None, data: bytes) -> Sequence[CompletionChunk]:
        return () if block is None else [self._chunk(data, reasoning_blocks=(block,))]

    def _finish(self, value: _Event, data: bytes) -> Sequence[CompletionChunk]:
        reason = value.delta.stop_reason if value.delta is not None else None
        usage = self._newer_usage(value.usage)
        return [self._chunk(data, finish=reason if isinstance(reason, str) and reason else None, usage=usage)]

    def _newer_usage(self, raw: JsonObject | None) -> Usage | None:
        """The counts so far: they are totals, so a count that comes again replaces the one before."""
        if raw is None:
            return None
        self._usage = {**self._usage, **{name: value for name, value in raw.items() if value is not None}}
        return _usage(self._usage)

    def _read_body(self, body: bytes) -> Sequence[CompletionChunk]:
        message = self._decoded_body(body, _messages)
        if message.type == "error" or message.error is not None:
            raise self._failure(body)
        if message.content is None:
            raise self._not_an_answer(body)
        reason = message.stop_reason
        self._answering_model = message.model if isinstance(message.model, str) else None
        self._response_id = message.id if isinstance(message.id, str) else None
        calls = [block for block in message.content if block.type == "tool_use"]
        whole = self._chunk(
            body,
            text="".join(b.text for b in message.content if b.type == "text" and isinstance(b.text, str)),
            reasoning="".join(b.thinking for b in message.content if isinstance(b.thinking, str)),
            reasoning_blocks=tuple(made for b in message.content if (made := _reasoning_block(b)) is not None),
            tool_calls=tuple(_tool_call(position, block) for position, block in enumerate(calls)),
            finish=reason if isinstance(reason, str) and reason else None,
            usage=self._newer_usage(message.usage),
        )
        return [whole]


class _Thinking:
    """A block of reasoning as it comes: its text, and in the end the signature that proves it."""

    def __init__(self, text: str, signature: object) -> None:
        self.text = [text]
        self.signature = signature if isinstance(signature, str) else ""

    def block(self) -> JsonObject | None:
        return _reasoning_block(_Block(type="thinking", thinking="".join(self.text), signature=self.signature))


def _reasoning_block(block: _Block) -> JsonObject | None:
    """A block of reasoning to be sent back as it came; None for any other, and for one that nobody signed."""
    if block.type == "redacted_thinking" and isinstance(block.data, str):
        return {"type": "redacted_thinking", "data": block.data}
    if block.type != "thinking" or not isinstance(block.signature, str) or not block.signature:
        return None
    text = block.thinking if isinstance(block.thinking, str) else ""
    return {"type": "thinking", "thinking": text, "signature": block.signature}


def _tool_call(position: int, block: _Block) -> ToolCallDelta:
    """A tool call as it begins; `input` is empty there in a stream, and whole in a whole message."""
    return ToolCallDelta(
        index=position,
        id=block.id if isinstance(block.id, str) else None,
        name=block.name if isinstance(block.name, str) else None,
        arguments=to_wire(block.input).decode() if block.input else "",
    )


def _usage(raw: JsonObject) -> Usage:
    """Counts in our sense: the input's total holds what came from a cache and what was written to one."""
    parts = [
        count(raw.get(name)) for name in ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
    ]
    return Usage(
        input_tokens=None if parts[0] is None else sum(n for n in parts if n is not None),
        output_tokens=count(raw.get("output_tokens")),
        cached_input_tokens=parts[2],
        cache_write_tokens=parts[1],
        reasoning_tokens=count(part(raw, "output_tokens_details").get("thinking_tokens")),
        raw=raw,
    )
