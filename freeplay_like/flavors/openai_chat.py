"""OpenAI's chat completions, and every server that speaks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from freeplay_like.core.chunks import CompletionChunk, FinishReason, ToolCallDelta, Usage
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.sse import SseEvent
from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.chat_options import chat_options
from freeplay_like.flavors.openai_client import OpenAIFlavor
from freeplay_like.flavors.options import finished
from freeplay_like.flavors.reading import AnswerReader, count, part
from freeplay_like.flavors.transport import body_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

FINISH_REASONS: Final[dict[str, FinishReason]] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "function_call": "tool_calls",
    "content_filter": "content_filter",
}


class OpenAIChat(OpenAIFlavor):
    """Chat completions of OpenAI, or of a compatible server under `openai_api_base`; see `OpenAIFlavor`."""

    name = "openai_chat"
    _arguments = frozenset({"model", "messages", "stream"})

    @property
    def default_parameters(self) -> Mapping[str, JsonValue]:
        """Token counts of streams are sent only when they are asked for; `stream_options=None` takes that back."""
        return {"stream_options": {"include_usage": True}}

    def format(self, messages: Sequence[Message], parameters: Parameters, *, is_stream: bool) -> Request:
        """Messages in chat shape, and the parameters beside them."""
        body = chat_options(body_of(parameters, self.name), parameters, self._answering, self.provider)
        body["messages"] = [self._message(message) for message in messages]
        if not is_stream:
            body.pop("stream_options", None)
        return finished(body, parameters, is_stream=is_stream)

    def _message(self, message: Message) -> JsonObject:
        """A message in chat shape; reasoning goes back, beside the tool calls it led to, to vendors that want it."""
        chat: JsonObject = {**message.to_chat()}
        chat.pop("reasoning_blocks", None)
        reasoning = chat.pop("reasoning", None)
        if reasoning and message.tool_calls and self._answering and self._answering.wants_reasoning_back:
            chat["reasoning_content"] = reasoning
        return chat

    def reader(self, request: Request) -> OpenAIChatReader:
        """A fresh reader for the answer to `request`."""
        return OpenAIChatReader(request, self.provider)

    def _create(self, client: OpenAI | AsyncOpenAI) -> Callable[..., object]:
        return client.chat.completions.with_streaming_response.create


# --- reading: just the fields that a chunk needs; what servers disagree on is `object` and looked into ----


class _Function(msgspec.Struct, gc=False):
    name: object = None
    arguments: object = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: object = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: object = None
    reasoning_content: object = None
    reasoning: object = None
    refusal: object = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int | None = None
    delta: _Delta | None = None
    message: _Delta | None = None
    text: object = None
    finish_reason: object = None
    logprobs: object = None


class _Answer(msgspec.Struct, gc=False):
    id: object = None
    model: object = None
    choices: list[_Choice] | None = None
    usage: dict[str, object] | None = None
    error: object = None


_decoder: Final = msgspec.json.Decoder(_Answer)


class OpenAIChatReader(AnswerReader):
    """Reads the events and the whole bodies of chat completions and of text completions, whose choices have their text
    without a message around it."""

    def _read_event(self, event: SseEvent) -> Sequence[CompletionChunk]:
        data = event.data
        if data.startswith(b"[DONE]"):
            self._is_done = True
            return ()
        answer = self._decoded(event, _decoder)
        if answer.error is not None:
            raise self._failure(data)
        return _chunks(answer, data)

    def _read_body(self, body: bytes) -> Sequence[CompletionChunk]:
        answer = self._decoded_body(body, _decoder)
        if answer.error is not None:
            raise self._failure(body)
        if not answer.choices:
            raise self._not_an_answer(body)
        return _chunks(answer, body)


def _chunks(answer: _Answer, data: bytes) -> list[CompletionChunk]:
    """The chunks of one event: one for each choice, or one for the usage alone.

    A choice that has only said its role counts too: from then on its finish reason is waited for.
    """
    usage = None if answer.usage is None else _usage(answer.usage)
    model = answer.model if isinstance(answer.model, str) else None
    response_id = answer.id if isinstance(answer.id, str) else None
    if not answer.choices:
        if usage is None:
            return []
        return [CompletionChunk(usage=usage, model=model, response_id=response_id, data=data)]
    chunks = []
    for position, choice in enumerate(answer.choices):
        delta = choice.delta or choice.message or _NOTHING
        raw = choice.finish_reason if isinstance(choice.finish_reason, str) and choice.finish_reason else None
        chunks.append(
            CompletionChunk(
                text=_text(delta.content) or _text(choice.text),
                choice=position if choice.index is None else choice.index,
                reasoning=_text(delta.reasoning_content) or _text(delta.reasoning),
                refusal=_text(delta.refusal),
                tool_calls=() if not delta.tool_calls else _tool_calls(delta.tool_calls),
                logprobs=choice.logprobs if isinstance(choice.logprobs, dict) else None,
                finish_reason=None if raw is None else FINISH_REASONS.get(raw, "other"),
                finish_reason_raw=raw,
                usage=usage,
                model=model,
                response_id=response_id,
                data=data,
            )
        )
    return chunks


_NOTHING: Final = _Delta()


def _text(value: object) -> str:
    """Text, or the text of content parts (as some compatible servers send them)."""
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(item["text"] for item in value if isinstance(item, dict) and isinstance(item.get("text"), str))
    return ""


def _tool_calls(calls: Sequence[_ToolCall]) -> tuple[ToolCallDelta, ...]:
    return tuple(
        ToolCallDelta(
            index=position if call.index is None else call.index,
            id=call.id if isinstance(call.id, str) and call.id else None,
            name=call.function.name if call.function and isinstance(call.function.name, str) else None,
            arguments=_arguments(call.function.arguments) if call.function else "",
        )
        for position, call in enumerate(calls)
    )


def _arguments(value: object) -> str:
    """JSON text; some compatible servers send the object itself."""
    if isinstance(value, str):
        return value
    return "" if value is None else to_wire(value).decode()


def _usage(raw: JsonObject) -> Usage:
    """Token counts as the chat and text endpoints say them."""
    of_input, of_output = part(raw, "prompt_tokens_details"), part(raw, "completion_tokens_details")
    return Usage(
        input_tokens=count(raw.get("prompt_tokens")),
        output_tokens=count(raw.get("completion_tokens")),
        cached_input_tokens=count(of_input.get("cached_tokens")),
        cache_write_tokens=count(of_input.get("cache_write_tokens")),
        reasoning_tokens=count(of_output.get("reasoning_tokens")),
        raw=raw,
    )
