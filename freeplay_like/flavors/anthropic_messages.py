"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire
from freeplay_like.errors import (
    ConfigurationError,
    MessageError,
    ProviderRateLimited,
    ProviderResponseError,
    ProviderTimeout,
    ProviderUnavailable,
)
from freeplay_like.flavors.anthropic_reader import AnthropicReader
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.connections import AsyncOpened, ErrorTable, SyncOpened, transport_errors
from freeplay_like.flavors.transport import ProviderFlavor, Vendor, body_of, known_values

if TYPE_CHECKING:
    from anthropic import Anthropic, AsyncAnthropic

ANTHROPIC: Final = Vendor(
    name="anthropic",
    host="api.anthropic.com",
    default_base="https://api.anthropic.com",
    key_variable="ANTHROPIC_API_KEY",
    base_variable="ANTHROPIC_BASE_URL",
)

DEFAULT_MAX_TOKENS: Final = 4096

_ARGUMENTS: Final = frozenset({"model", "messages", "max_tokens", "system", "stream"})
"""Arguments that every version of the client has; all else (temperature too) is sent beside them as it is."""

_OTHER_NAMES: Final = {
    "max_completion_tokens": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "stop": "stop_sequences",
}
"""Parameters of other wire formats that this one has under another name."""

_LAYERS: Final = ("flavor", "template", "client", "session", "call")


class AnthropicClaudeChat(ProviderFlavor["Anthropic", "AsyncAnthropic"]):
    """Messages of Anthropic, or of a compatible server under `anthropic_api_base`.

    Args:
        anthropic_api_key: by default the environment variable ANTHROPIC_API_KEY. Another server may not want one.
        anthropic_api_base: by default ANTHROPIC_BASE_URL, else Anthropic's own address.
        timeout_s: for connecting and between two pieces of an answer; by default the client's own (5 and 600).
        max_retries: how often the provider's client asks again before the answer begins.
        headers: sent with every request.
    """

    name = "anthropic_chat"
    vendor = ANTHROPIC

    def __init__(
        self,
        anthropic_api_key: str | None = None,
        anthropic_api_base: str | None = None,
        *,
        timeout_s: float | None = None,
        max_retries: int = 2,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            anthropic_api_key, anthropic_api_base, timeout_s=timeout_s, max_retries=max_retries, headers=headers
        )

    @property
    def default_parameters(self) -> Mapping[str, JsonValue]:
        """The API takes no request without a limit."""
        return {"max_tokens": DEFAULT_MAX_TOKENS}

    def format(self, messages: Sequence[Message], parameters: Parameters, *, is_stream: bool) -> Request:
        """System text apart, tool calls and their results as content blocks, and the parameters beside them."""
        body = _renamed(body_of(parameters, self.name), parameters)
        if isinstance(body.get("stop_sequences"), str):
            body["stop_sequences"] = [body["stop_sequences"]]
        if isinstance(body.get("tools"), (list, tuple)):
            body["tools"] = [_tool(tool) for tool in cast("Sequence[object]", body["tools"])]
        if "tool_choice" in body:
            body["tool_choice"] = _tool_choice(body["tool_choice"])
        system = _system(messages)
        if system:
            body["system"] = system
        body["messages"] = _turns(messages)
        if is_stream:
            body["stream"] = True
        return Request(body=body, is_stream=is_stream)

    def reader(self, request: Request) -> AnthropicReader:
        """A fresh reader for the answer to `request`."""
        return AnthropicReader(request, self.provider)

    def _make_client(self) -> Anthropic:
        from anthropic import Anthropic

        return Anthropic(**self._client_arguments())

    def _make_async_client(self) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic

        return AsyncAnthropic(**self._client_arguments())

    def _send(self, client: Anthropic, request: Request) -> SyncOpened:
        arguments, extra = known_values(request.body, _ARGUMENTS)
        create = client.messages.with_streaming_response.create
        return cast("SyncOpened", create(**arguments, extra_body=extra))  # type: ignore[call-overload]

    def _asend(self, client: AsyncAnthropic, request: Request) -> AsyncOpened:
        arguments, extra = known_values(request.body, _ARGUMENTS)
        create = client.messages.with_streaming_response.create
        return cast("AsyncOpened", create(**arguments, extra_body=extra))  # type: ignore[call-overload]

    def _errors(self) -> ErrorTable:
        import anthropic

        return (
            (anthropic.APITimeoutError, ProviderTimeout),
            (anthropic.APIConnectionError, ProviderUnavailable),
            (anthropic.RateLimitError, ProviderRateLimited),
            (anthropic.APIStatusError, None),
            (anthropic.APIResponseValidationError, ProviderResponseError),
            *transport_errors(),
        )


# --- parameters -------------------------------------------------------------------------------------------


def _renamed(body: JsonObject, parameters: Parameters) -> JsonObject:
    """The body with other formats' names replaced. Where both are set the later layer wins, and a tie its own name."""
    for other, own in _OTHER_NAMES.items():
        if other not in body:
            continue
        value = body.pop(other)
        if own not in body or _rank(parameters, other) > _rank(parameters, own):
            body[own] = value
    return body


def _rank(parameters: Parameters, name: str) -> int:
    layer = parameters.layer_of(name)
    return -1 if layer is None else _LAYERS.index(layer)


def _tool(tool: object) -> object:
    """A tool in this API's shape; one in OpenAI's (`{"type": "function", "function": {...}}`) is turned into it."""
    function = tool.get("function") if isinstance(tool, Mapping) and tool.get("type") == "function" else None
    if not isinstance(function, Mapping):
        return tool
    own: JsonObject = {"name": function.get("name")}
    if "description" in function:
        own["description"] = function["description"]
    own["input_schema"] = function.get("parameters", {"type": "object", "properties": {}})
    return own


def _tool_choice(choice: object) -> object:
    """A choice of tool in this API's shape; one in OpenAI's is turned into it."""
    if isinstance(choice, str):
        return {"type": "any" if choice == "required" else choice}
    function = choice.get("function") if isinstance(choice, Mapping) else None
    return {"type": "tool", "name": function.get("name")} if isinstance(function, Mapping) else choice


# --- messages ---------------------------------------------------------------------------------------------


def _system(messages: Sequence[Message]) -> str | list[JsonObject]:
    """The system text; as blocks where a message came in parts (they may carry cache marks)."""
    contents = [
        message.content if isinstance(message.content, str) else _text_blocks(message, index)
        for index, message in enumerate(messages)
        if message.role in ("system", "developer")
    ]
    texts = [content for content in contents if isinstance(content, str)]
    if len(texts) == len(contents):
        return "\n\n".join(texts)
    blocks: list[JsonObject] = []
    for content in contents:
        blocks.extend([{"type": "text", "text": content}] if isinstance(content, str) else content)
    return blocks


def _turns(messages: Sequence[Message]) -> list[JsonObject]:
    """The messages without the system's; results of tools that follow one another share one message of the user."""
    turns: list[JsonObject] = []
    results: list[JsonObject] | None = None
    for index, message in enumerate(messages):
        if message.role in ("system", "developer"):
            continue
        if message.role == "tool":
            if results is None:
                results = []
                turns.append({"role": "user", "content": results})
            results.append(_tool_result(message, index))
            continue
        results = None
        turns.append({"role": message.role, "content": _content(message, index)})
    if not turns:
        raise ConfigurationError("anthropic_chat needs a message that is not the system's; add one of the user")
    return turns


def _content(message: Message, index: int) -> str | list[JsonObject]:
    if isinstance(message.content, str) and not message.tool_calls:
        return message.content
    if message.content is None and not message.tool_calls:
        raise MessageError(f"message {index} ({message.role}) has no content, which anthropic_chat needs", index=index)
    blocks: list[JsonObject] = []
    if message.content:
        blocks.extend(_text_blocks(message, index))
    for call in message.tool_calls:
        try:
            arguments = from_wire(call.arguments, dict)
        except WireError as exc:
            raise MessageError(
                f"message {index} calls tool {call.name!r} with arguments that are not a JSON object: "
                f"{call.arguments[:200]!r}",
                index=index,
            ) from exc
        blocks.append({"type": "tool_use", "id": call.id, "name": call.name, "input": arguments})
    return blocks


def _tool_result(message: Message, index: int) -> JsonObject:
    if message.tool_call_id is None:
        raise MessageError(f"message {index} (tool) has no tool_call_id; it says which call it answers", index=index)
    content = message.content if isinstance(message.content, str) else _text_blocks(message, index)
    return {"type": "tool_result", "tool_use_id": message.tool_call_id, "content": content}


def _text_blocks(message: Message, index: int) -> list[JsonObject]:
    """The parts of a message, all of which must be text."""
    if message.content is None or isinstance(message.content, str):
        return [{"type": "text", "text": message.content or ""}]
    for part in message.content:
        if part.get("type") != "text":
            raise MessageError(
                f"message {index} ({message.role}) has a part of type {part.get('type')!r}; "
                "anthropic_chat sends text parts only",
                index=index,
            )
    return [dict(part) for part in message.content]
