"""Unified parameters (see `core.parameters`) put into the words of a wire format: what several formats share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, get_args

import attrs

from freeplay_like.core.parameters import Layer, Parameters
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import ParameterError
from freeplay_like.flavors.base import Request

_LAYERS: Final[tuple[str, ...]] = get_args(Layer)
_NAME: Final = re.compile(r"[^a-zA-Z0-9_-]+")
_MAX_NAME: Final = 64
_FUNCTION_WORDS: Final = frozenset({"name", "description", "parameters", "input_schema", "strict"})


def finished(body: JsonObject, parameters: Parameters, *, is_stream: bool) -> Request:
    """The request of a body, with what `extra_body` adds to it.

    Raises:
        ParameterError: `extra_body` names what is in the body already.
    """
    extra = parameters.values.get("extra_body")
    if isinstance(extra, Mapping):
        for name, value in extra.items():
            if name in body:
                raise parameters.refusal(
                    "extra_body", f"names {name!r}, which the request has already: set it in one place"
                )
            body[name] = value
    if is_stream:
        body["stream"] = True
    return Request(body=body, is_stream=is_stream)


def renamed(body: JsonObject, parameters: Parameters, names: Mapping[str, str]) -> JsonObject:
    """The body with other formats' names (keys of `names`) replaced by its own.

    Where both are set the later layer wins, and a tie goes to the format's own name.
    """
    ranks = {own: _rank(parameters, own) for own in names.values()}
    for other, own in names.items():
        if other not in body:
            continue
        value, rank = body.pop(other), _rank(parameters, other)
        if own not in body or rank > ranks[own]:
            body[own], ranks[own] = value, rank
    return body


def _rank(parameters: Parameters, name: str) -> int:
    layer = parameters.layer_of(name)
    return -1 if layer is None else _LAYERS.index(layer)


def refuse_unsayable(parameters: Parameters, names: Iterable[str], flavor: str) -> None:
    """Refuse parameters that a wire format has no words for.

    Raises:
        ParameterError: names the first of `names` that is set.
    """
    for name in names:
        if name in parameters.values:
            raise parameters.refusal(name, f"cannot be said in {flavor}: leave it out or use another flavor")


def refuse_both(parameters: Parameters, unified: str, native: Iterable[str], body: Mapping[str, JsonValue]) -> None:
    """Refuse a unified parameter beside the wire format's own word for the same thing.

    Raises:
        ParameterError: one of `native` is in the body.
    """
    for name in native:
        if name in body:
            raise parameters.refusal(unified, f"says the same as {name!r}, which is set as well: keep one of the two")


# --- tools ------------------------------------------------------------------------------------------------


def function_of(tool: JsonValue) -> JsonObject | None:
    """The function that a tool is: `name`, and where said `description`, `parameters`, `strict`.

    Read from `{"type": "function", "function": {...}}` and from the plain `{"name", "description", "parameters"}`
    (`input_schema` says the same as `parameters`). None for an entry in a provider's own words.
    """
    if not isinstance(tool, Mapping):
        return None
    function = tool.get("function") if tool.get("type") == "function" and "function" in tool else tool
    if not isinstance(function, Mapping) or not isinstance(function.get("name"), str):
        return None
    if function is tool and (set(tool) - _FUNCTION_WORDS):
        return None
    own: JsonObject = {name: function[name] for name in function if name != "input_schema"}
    if "input_schema" in function:
        own.setdefault("parameters", function["input_schema"])
    return own


def chosen_function(choice: JsonValue) -> str | None:
    """The name in `{"name": ...}` or `{"type": "function", "function": {"name": ...}}`; None for anything else."""
    if not isinstance(choice, Mapping):
        return None
    function = choice.get("function") if choice.get("type") == "function" else choice
    name = function.get("name") if isinstance(function, Mapping) else None
    is_plain = function is not choice or set(choice) == {"name"}
    return name if isinstance(name, str) and is_plain else None


# --- output schema ----------------------------------------------------------------------------------------


def schema_name(schema: Mapping[str, JsonValue]) -> str:
    """A name for a schema, from its title, in the letters that names may have."""
    title = schema.get("title")
    return _NAME.sub("_", title if isinstance(title, str) else "").strip("_")[:_MAX_NAME] or "answer"


_NOT_STRICT: Final = frozenset(
    {"allOf", "oneOf", "not", "if", "dependentSchemas", "dependentRequired", "patternProperties"}
)


def is_strict(schema: JsonValue) -> bool:
    """Whether OpenAI's strict mode takes the schema: every object closed, all of its properties required, and none of
    the words that this mode does not know."""
    if isinstance(schema, list):
        return all(is_strict(item) for item in schema)
    if not isinstance(schema, Mapping):
        return True
    if not _NOT_STRICT.isdisjoint(schema):
        return False
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        required = schema.get("required", [])
        names = set(properties) if isinstance(properties, Mapping) else set()
        is_closed = schema.get("additionalProperties") is False
        if not is_closed or not isinstance(required, list) or names != set(required):
            return False
    return all(
        is_strict(value) for name, value in schema.items() if name not in ("enum", "const", "default", "required")
    )


# --- reasoning --------------------------------------------------------------------------------------------


@attrs.frozen(kw_only=True)
class Reasoning:
    """What the parameter `reasoning` asks for. `others` are its further words, which only some providers have."""

    is_on: bool
    effort: str | None = None
    max_tokens: int | None = None
    others: JsonObject = attrs.field(factory=dict)


def reasoning_of(parameters: Parameters) -> Reasoning | None:
    """What is asked for, None where nothing is."""
    value = parameters.values.get("reasoning")
    if isinstance(value, bool):
        return Reasoning(is_on=value)
    if not isinstance(value, Mapping):
        return None
    effort, max_tokens = value.get("effort"), value.get("max_tokens")
    return Reasoning(
        is_on=effort != "none",
        effort=effort if isinstance(effort, str) else None,
        max_tokens=max_tokens if isinstance(max_tokens, int) else None,
        others={name: said for name, said in value.items() if name not in ("effort", "max_tokens")},
    )


def refuse_words(parameters: Parameters, reasoning: Reasoning, *names: str, who: str) -> None:
    """Refuse the parts of `reasoning` that `who` has no words for: those of `names` that are set, and all others.

    Raises:
        ParameterError: names the part.
    """
    said = {"effort": reasoning.effort, "max_tokens": reasoning.max_tokens}
    for name in (*(name for name in names if said[name] is not None), *reasoning.others):
        raise unsayable_part(parameters, name, who)


def unsayable_part(parameters: Parameters, name: str, who: str) -> ParameterError:
    """The error for a part of `reasoning` that `who` has no words for."""
    return parameters.refusal("reasoning", f"names {name!r}, which cannot be said to {who}: leave it out")
