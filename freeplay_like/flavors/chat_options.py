"""Unified parameters in the words of chat completions, and of the vendors that speak them with words of their own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, cast

from freeplay_like.core.parameters import Parameters
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.flavors.options import (
    Reasoning,
    chosen_function,
    function_of,
    is_strict,
    reasoning_of,
    refuse_both,
    refuse_words,
    renamed,
    schema_name,
)
from freeplay_like.flavors.vendors import ReasoningDialect, Vendor

_OTHER_NAMES: Final = {"stop_sequences": "stop", "max_tokens_to_sample": "max_tokens"}
"""Parameters of other wire formats that this one has under another name."""


def chat_options(body: JsonObject, parameters: Parameters, vendor: Vendor | None, provider: str) -> JsonObject:
    """The body with every unified parameter in the words of the vendor, None for a host that is nobody's.

    Raises:
        ParameterError: something that the vendor has no words for, or that is said twice.
    """
    body = renamed(body, parameters, _OTHER_NAMES)
    _check_stop(body, parameters, vendor)
    if "tools" in body:
        body["tools"] = [_tool(tool) for tool in cast("Sequence[JsonValue]", body["tools"])]
    chosen = chosen_function(body.get("tool_choice"))
    if chosen is not None:
        body["tool_choice"] = {"type": "function", "function": {"name": chosen}}
    if "output_schema" in body:
        refuse_both(parameters, "output_schema", ("response_format",), body)
        if vendor is not None and not vendor.takes_output_schema:
            raise parameters.refusal("output_schema", f"cannot be said to {provider}: ask for JSON in the messages")
        body["response_format"] = _response_format(cast("Mapping[str, JsonValue]", body.pop("output_schema")))
    reasoning = reasoning_of(parameters)
    if reasoning is not None:
        del body["reasoning"]
        dialect = None if vendor is None else vendor.reasoning
        if dialect is None:
            raise parameters.refusal(
                "reasoning", f"cannot be put into words for {provider}: pass the parameter that the server itself has"
            )
        refuse_both(parameters, "reasoning", _NATIVE, body)
        body.update(_DIALECTS[dialect](reasoning, parameters, provider))
    return body


def _check_stop(body: JsonObject, parameters: Parameters, vendor: Vendor | None) -> None:
    stop, most = body.get("stop"), None if vendor is None else vendor.max_stops
    if most is not None and isinstance(stop, (list, tuple)) and len(stop) > most:
        name = "stop" if parameters.values.get("stop") == stop else "stop_sequences"
        raise parameters.refusal(name, f"may hold at most {most} texts for {vendor.name if vendor else ''}")


def _tool(tool: JsonValue) -> JsonValue:
    function = function_of(tool)
    return tool if function is None else {"type": "function", "function": function}


def _response_format(schema: Mapping[str, JsonValue]) -> JsonObject:
    said: JsonObject = {"name": schema_name(schema), "schema": dict(schema)}
    if is_strict(schema):
        said["strict"] = True
    return {"type": "json_schema", "json_schema": said}


# --- reasoning --------------------------------------------------------------------------------------------

_NATIVE: Final = ("reasoning_effort", "thinking", "enable_thinking", "thinking_budget")


def _effort(reasoning: Reasoning, parameters: Parameters, who: str) -> JsonObject:
    refuse_words(parameters, reasoning, "max_tokens", who=who)
    return {"reasoning_effort": reasoning.effort or ("medium" if reasoning.is_on else "none")}


def _effort_only(reasoning: Reasoning, parameters: Parameters, who: str) -> JsonObject:
    refuse_words(parameters, reasoning, "max_tokens", who=who)
    if reasoning.effort is None:
        raise parameters.refusal("reasoning", f"must say an effort to {who}, as in {{'effort': 'low'}}")
    return {"reasoning_effort": reasoning.effort}


def _thinking(reasoning: Reasoning, parameters: Parameters, who: str) -> JsonObject:
    refuse_words(parameters, reasoning, *(("effort",) if reasoning.is_on else ()), "max_tokens", who=who)
    return {"thinking": {"type": "enabled" if reasoning.is_on else "disabled"}}


def _thinking_effort(reasoning: Reasoning, parameters: Parameters, who: str) -> JsonObject:
    refuse_words(parameters, reasoning, "max_tokens", who=who)
    said: JsonObject = {"thinking": {"type": "enabled" if reasoning.is_on else "disabled"}}
    if reasoning.is_on and reasoning.effort is not None:
        said["reasoning_effort"] = reasoning.effort
    return said


def _thinking_budget(reasoning: Reasoning, parameters: Parameters, who: str) -> JsonObject:
    refuse_words(parameters, reasoning, *(("effort",) if reasoning.is_on else ()), who=who)
    said: JsonObject = {"enable_thinking": reasoning.is_on}
    if reasoning.max_tokens is not None:
        said["thinking_budget"] = reasoning.max_tokens
    return said


def _object(reasoning: Reasoning, parameters: Parameters, who: str) -> JsonObject:
    """OpenRouter's own shape; what else it has (`exclude`) passes."""
    if reasoning.effort is not None and reasoning.max_tokens is not None:
        raise parameters.refusal("reasoning", f"may say either 'effort' or 'max_tokens' to {who}")
    said = dict(reasoning.others)
    if reasoning.effort is not None:
        said["effort"] = reasoning.effort
    elif reasoning.max_tokens is not None:
        said["max_tokens"] = reasoning.max_tokens
    elif not said:
        said.update({"enabled": True} if reasoning.is_on else {"effort": "none"})
    return {"reasoning": said}


_DIALECTS: Final[Mapping[ReasoningDialect, Callable[[Reasoning, Parameters, str], JsonObject]]] = {
    "effort": _effort,
    "effort_only": _effort_only,
    "thinking": _thinking,
    "thinking_effort": _thinking_effort,
    "thinking_budget": _thinking_budget,
    "object": _object,
}
