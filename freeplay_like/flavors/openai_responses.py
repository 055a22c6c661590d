"""OpenAI's responses, and every server that speaks them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, cast

from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.flavors.base import Request
from freeplay_like.flavors.openai_client import OpenAIFlavor
from freeplay_like.flavors.options import (
    chosen_function,
    finished,
    function_of,
    is_strict,
    reasoning_of,
    refuse_both,
    refuse_unsayable,
    renamed,
    schema_name,
    unsayable_part,
)
from freeplay_like.flavors.responses_input import input_of
from freeplay_like.flavors.responses_reader import ResponsesReader
from freeplay_like.flavors.transport import body_of

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

_OTHER_NAMES: Final = {
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "max_tokens_to_sample": "max_output_tokens",
}
"""Parameters of other wire formats that this one has under another name."""

_UNSAYABLE: Final = ("n", "stop", "stop_sequences")

_LOGPROBS: Final = "message.output_text.logprobs"


class OpenAIResponses(OpenAIFlavor):
    """Responses of OpenAI, or of a compatible server under `openai_api_base`; arguments as in `OpenAIFlavor`.

    The whole conversation is sent each time, and `store` is left to the provider's default where nobody sets it.
    Encrypted reasoning (`include=["reasoning.encrypted_content"]`) goes back with the next turn.
    """

    name = "openai_responses"
    _arguments = frozenset({"model", "input", "stream"})

    @property
    def default_parameters(self) -> Mapping[str, JsonValue]:
        """None: usage comes without being asked for."""
        return {}

    def format(self, messages: Sequence[Message], parameters: Parameters, *, is_stream: bool) -> Request:
        """Instructions and input items, and the parameters beside them, in this API's words."""
        refuse_unsayable(parameters, _UNSAYABLE, self.name)
        body = renamed(body_of(parameters, self.name), parameters, _OTHER_NAMES)
        customs = _tools(body)
        _text_format(body, parameters)
        _reasoning(body, parameters, self.provider)
        _logprobs(body)
        instructions, items = input_of(messages, customs, has_instructions="instructions" in body)
        if instructions is not None:
            body["instructions"] = instructions
        body["input"] = items
        if not is_stream:
            body.pop("stream_options", None)
        return finished(body, parameters, is_stream=is_stream)

    def reader(self, request: Request) -> ResponsesReader:
        """A fresh reader for the answer to `request`."""
        return ResponsesReader(request, self.provider)

    def _create(self, client: OpenAI | AsyncOpenAI) -> Callable[..., object]:
        return client.responses.with_streaming_response.create


# --- parameters -------------------------------------------------------------------------------------------


def _tools(body: JsonObject) -> frozenset[str]:
    """Put tools and their choice into this API's words; the names of the custom tools, which take text and not JSON."""
    given = cast("Sequence[JsonValue]", body.get("tools", ()))
    customs = frozenset(
        str(tool.get("name")) for tool in given if isinstance(tool, Mapping) and tool.get("type") == "custom"
    )
    if "tools" in body:
        body["tools"] = [_tool(tool) for tool in given]
    chosen = chosen_function(body.get("tool_choice"))
    if chosen is not None:
        body["tool_choice"] = {"type": "custom" if chosen in customs else "function", "name": chosen}
    return customs


def _tool(tool: JsonValue) -> JsonValue:
    """A tool without the nesting of chat. `strict` is said, because this API takes its absence for True."""
    function = function_of(tool)
    if function is None:
        return tool
    whole: JsonObject = {"parameters": {"type": "object", "properties": {}}, "strict": False, **function}
    return {"type": "function", **whole}


def _text_format(body: JsonObject, parameters: Parameters) -> None:
    """`output_schema` and chat's `response_format` become `text.format`."""
    text = body.get("text")
    said: JsonObject = dict(text) if isinstance(text, Mapping) else {}
    for name in ("output_schema", "response_format"):
        if name not in body:
            continue
        value = cast("Mapping[str, JsonValue]", body.pop(name))
        refuse_both(parameters, name, ("response_format",), body)
        refuse_both(parameters, name, ("format",), said)
        said["format"] = _schema_format(value) if name == "output_schema" else _flat(value)
        body["text"] = said


def _schema_format(schema: Mapping[str, JsonValue]) -> JsonObject:
    said = {"type": "json_schema", "name": schema_name(schema), "schema": dict(schema)}
    return {**said, "strict": is_strict(schema)}


def _flat(response_format: JsonValue) -> JsonValue:
    """Chat's format without its nesting."""
    inner = response_format.get("json_schema") if isinstance(response_format, Mapping) else None
    return {"type": "json_schema", **inner} if isinstance(inner, Mapping) else response_format


def _reasoning(body: JsonObject, parameters: Parameters, provider: str) -> None:
    """The unified `reasoning` has this API's shape but for its switches; chat's `reasoning_effort` is put into it."""
    reasoning = reasoning_of(parameters)
    if reasoning is not None:
        refuse_both(parameters, "reasoning", ("reasoning_effort",), body)
        if reasoning.max_tokens is not None:
            raise unsayable_part(parameters, "max_tokens", provider)
        effort = reasoning.effort or (None if reasoning.others else "medium")
        said: JsonObject = {"effort": effort if reasoning.is_on else "none", **reasoning.others}
        body["reasoning"] = {name: value for name, value in said.items() if value is not None}
    elif "reasoning_effort" in body:
        body["reasoning"] = {"effort": body.pop("reasoning_effort")}


def _logprobs(body: JsonObject) -> None:
    """Chat's `logprobs` is one of the things to be included here."""
    if body.pop("logprobs", None) is True:
        include = body.get("include")
        before = list(include) if isinstance(include, (list, tuple)) else []
        body["include"] = [*before, *([] if _LOGPROBS in before else [_LOGPROBS])]
