"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import ProviderRateLimited, ProviderResponseError, ProviderTimeout, ProviderUnavailable
from freeplay_like.flavors.anthropic_content import system_of, turns_of
from freeplay_like.flavors.anthropic_reader import AnthropicReader
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.connections import ErrorTable, transport_errors
from freeplay_like.flavors.options import (
    chosen_function,
    finished,
    function_of,
    reasoning_of,
    refuse_both,
    refuse_words,
    renamed,
)
from freeplay_like.flavors.transport import ProviderFlavor, body_of
from freeplay_like.flavors.vendors import ANTHROPIC

if TYPE_CHECKING:
    from anthropic import Anthropic, AsyncAnthropic

DEFAULT_MAX_TOKENS: Final = 4096

_OTHER_NAMES: Final = {
    "max_completion_tokens": "max_tokens",
    "max_tokens_to_sample": "max_tokens",
    "stop": "stop_sequences",
}
"""Parameters of other wire formats that this one has under another name."""

_EFFORTS: Final = ("low", "medium", "high", "xhigh", "max")


class AnthropicClaudeChat(ProviderFlavor["Anthropic", "AsyncAnthropic"]):
    """Messages of Anthropic, or of a compatible server under `anthropic_api_base`.

    Args:
        anthropic_api_key: by default the environment variable of the vendor at that host (ANTHROPIC_API_KEY for
            Anthropic, and for a host that is nobody's, which may not want one).
        anthropic_api_base: by default ANTHROPIC_BASE_URL, else Anthropic's own address.
        proxy: an address; "" is none at all, whatever the environment says; None is what the environment says.
        headers: sent with every request.
    """

    name = "anthropic_chat"
    _arguments = frozenset({"model", "messages", "max_tokens", "system", "stream"})
    vendor = ANTHROPIC

    def __init__(
        self,
        anthropic_api_key: str | None = None,
        anthropic_api_base: str | None = None,
        *,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(anthropic_api_key, anthropic_api_base, proxy=proxy, headers=headers)

    @property
    def default_parameters(self) -> Mapping[str, JsonValue]:
        """The API takes no request without a limit."""
        return {"max_tokens": DEFAULT_MAX_TOKENS}

    def format(self, messages: Sequence[Message], parameters: Parameters, *, is_stream: bool) -> Request:
        """System text apart, tool calls and their results as content blocks, and the parameters beside them."""
        body = renamed(body_of(parameters, self.name), parameters, _OTHER_NAMES)
        if isinstance(body.get("stop_sequences"), str):
            body["stop_sequences"] = [body["stop_sequences"]]
        if "tools" in body:
            body["tools"] = [_tool(tool) for tool in cast("Sequence[JsonValue]", body["tools"])]
        if "tool_choice" in body:
            body["tool_choice"] = _tool_choice(body["tool_choice"])
        _say_reasoning(body, parameters, self.name)
        _say_schema(body, parameters)
        system = system_of(messages, self.name)
        if system:
            body["system"] = system
        body["messages"] = turns_of(messages, self.name)
        return finished(body, parameters, is_stream=is_stream)

    def reader(self, request: Request) -> AnthropicReader:
        """A fresh reader for the answer to `request`."""
        return AnthropicReader(request, self.provider)

    def _make_client(self) -> Anthropic:
        from anthropic import Anthropic

        return Anthropic(**self._client_arguments(), http_client=self._http_client())

    def _make_async_client(self) -> AsyncAnthropic:
        from anthropic import AsyncAnthropic

        return AsyncAnthropic(**self._client_arguments(), http_client=self._async_http_client())

    def _create(self, client: Anthropic | AsyncAnthropic) -> Callable[..., object]:
        return client.messages.with_streaming_response.create

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


def _tool(tool: JsonValue) -> JsonValue:
    """A tool in this API's shape; an entry in its own words (a server tool) passes as it is."""
    function = function_of(tool)
    if function is None:
        return tool
    schema = function.pop("parameters", {"type": "object", "properties": {}})
    return {**function, "input_schema": schema}


def _tool_choice(choice: JsonValue) -> JsonValue:
    """A choice of tool in this API's shape."""
    if isinstance(choice, str):
        return {"type": "any" if choice == "required" else choice}
    name = chosen_function(choice)
    return choice if name is None else {"type": "tool", "name": name}


def _say_reasoning(body: JsonObject, parameters: Parameters, who: str) -> None:
    """`thinking` for whether and how much, `output_config.effort` for how hard."""
    reasoning = reasoning_of(parameters)
    if reasoning is None:
        return
    del body["reasoning"]
    refuse_words(parameters, reasoning, who=who)
    refuse_both(parameters, "reasoning", ("thinking",), body)
    if not reasoning.is_on:
        body["thinking"] = {"type": "disabled"}
        return
    if reasoning.effort is not None:
        if reasoning.effort not in _EFFORTS:
            raise parameters.refusal("reasoning", f"may say to {who} an effort of {', '.join(_EFFORTS)}")
        _configure(body, parameters, "reasoning", "effort", reasoning.effort)
    if reasoning.max_tokens is None:
        body["thinking"] = {"type": "adaptive"}
        return
    most = body.get("max_tokens")
    if isinstance(most, int) and reasoning.max_tokens >= most:
        names = ("max_tokens", *_OTHER_NAMES)
        layer = next((parameters.layer_of(name) for name in names if parameters.values.get(name) == most), None)
        raise parameters.refusal(
            "reasoning",
            f"has max_tokens={reasoning.max_tokens}, which must be less than the whole answer's max_tokens={most}"
            + (f" (set by the {layer})" if layer else ""),
        )
    body["thinking"] = {"type": "enabled", "budget_tokens": reasoning.max_tokens}


def _say_schema(body: JsonObject, parameters: Parameters) -> None:
    if "output_schema" in body:
        schema = body.pop("output_schema")
        _configure(body, parameters, "output_schema", "format", {"type": "json_schema", "schema": schema})


def _configure(body: JsonObject, parameters: Parameters, unified: str, name: str, value: JsonValue) -> None:
    """Say something under `output_config`, beside what the caller put there."""
    config = body.get("output_config")
    own: JsonObject = {**config} if isinstance(config, Mapping) else {}
    if name in own:
        raise parameters.refusal(unified, f"says the same as 'output_config.{name}', which is set as well: keep one")
    body["output_config"] = {**own, name: value}
