"""Where the parameters of a call come from, and which layer wins.

Five layers, the later ones over the earlier ones: flavor defaults, template, client, session, call. `UNSET`
means "not said here"; `None` means "said: nothing", and takes a lower layer's value away. Nothing is sent that
nobody set.

Parameters are sent under the names they are given, but for a few that mean the same to every flavor, and that each
puts into its provider's words (what a wire format cannot say is a `ParameterError`, never left out in silence):

- `tools`: a list of `{"name", "description", "parameters"}`, of the same under `{"type": "function", "function"}`, or
  of a provider's own entries. `parameters` is a JSON Schema.
- `tool_choice`: `"auto"`, `"none"`, `"required"`, `{"name": ...}`, or a provider's own.
- `output_schema`: the JSON Schema that the answer must fit; its `title` names it.
- `reasoning`: True, False, or `{"effort": ..., "max_tokens": ...}` with either or both. Efforts are `none`, `minimal`,
  `low`, `medium`, `high`, `xhigh` and `max`, though few providers have all of them.
- `max_tokens` and `max_completion_tokens`, `stop` and `stop_sequences`: either name, where a format has only one.
- `extra_body`: an object whose names are put into the request as they are.

One of these beside the provider's own name for the same thing is refused: which one wins would be a guess.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final, Literal

import attrs

from freeplay_like.core.wire import MAX_DEPTH, JsonObject, JsonValue
from freeplay_like.errors import ParameterError

Layer = Literal["flavor", "template", "client", "session", "call"]
"""Who set a parameter, lowest first."""


class Unset(Enum):
    """The type of `UNSET`."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET
"""Not said here: let the next layer speak."""

RESERVED: Final = frozenset({"stream", "messages", "prompt", "input", "system"})
"""Names that the call itself sets; a parameter of that name would silently fight with it."""

_SHOWN: Final = 200


@attrs.frozen(kw_only=True)
class Overridden:
    """A value that a later layer replaced."""

    layer: Layer
    value: JsonValue


@attrs.frozen(kw_only=True)
class ParameterSetting:
    """One parameter of a call: its value, the layer that set it, and what that replaced (lowest first).

    `is_removed`: the layer said None, so nothing is sent under this name.
    """

    value: JsonValue
    layer: Layer
    is_removed: bool = False
    overrode: tuple[Overridden, ...] = ()


@attrs.frozen
class Parameters:
    """The merged parameters of a call, with the layer of each."""

    settings: dict[str, ParameterSetting] = attrs.field(factory=dict)

    @property
    def values(self) -> JsonObject:
        """What is sent: every name that ended with a value."""
        return {name: s.value for name, s in self.settings.items() if not s.is_removed}

    def layer_of(self, name: str) -> Layer | None:
        """The layer that set `name`, None where nobody did."""
        setting = self.settings.get(name)
        return setting.layer if setting else None

    def refusal(self, name: str, what: str) -> ParameterError:
        """The error for a value that cannot be sent: parameter, `what` is wrong with it, value and layer."""
        setting = self.settings.get(name)
        value, layer = (None, None) if setting is None else (setting.value, setting.layer)
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        said = "" if layer is None else f"; the {layer} set it to {shown}"
        return ParameterError(f"parameter {name!r} {what}{said}", parameter=name, layer=layer)


def merge(layers: Sequence[tuple[Layer, Mapping[str, JsonValue]]]) -> Parameters:
    """Merge layers, later ones over earlier ones, and keep who set what. The result shares no list with its sources.

    Raises:
        ParameterError: a name is reserved, or a value cannot be right for any provider; names parameter and layer.
    """
    settings: dict[str, ParameterSetting] = {}
    for layer, values in layers:
        for name, value in values.items():
            if value is UNSET:
                continue
            before = settings.get(name)
            if value is None and before is None:
                continue
            overrode = () if before is None else (*before.overrode, Overridden(layer=before.layer, value=before.value))
            own = copy.deepcopy(value) if isinstance(value, (list, dict)) else value
            settings[name] = ParameterSetting(value=own, layer=layer, is_removed=value is None, overrode=overrode)
    merged = Parameters(settings)
    validate(merged)
    return merged


# --- the one validator ------------------------------------------------------------------------------------


def _number(low: float, high: float) -> Callable[[JsonValue], str | None]:
    def check(value: JsonValue) -> str | None:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            return "a finite number"
        return None if low <= value <= high else f"between {low:g} and {high:g}"

    return check


def _whole(low: int) -> Callable[[JsonValue], str | None]:
    def check(value: JsonValue) -> str | None:
        if isinstance(value, bool) or not isinstance(value, int):
            return "a whole number"
        return None if value >= low else f"at least {low}"

    return check


def _name(value: JsonValue) -> str | None:
    return None if isinstance(value, str) and value.strip() else "a name (text that is not blank)"


def _stop(value: JsonValue) -> str | None:
    if isinstance(value, str):
        return None if value else "text that is not empty, or a list of such"
    if isinstance(value, (list, tuple)) and value and all(isinstance(s, str) and s for s in value):
        return None
    return "text that is not empty, or a list of such"


def _tools(value: JsonValue) -> str | None:
    if not isinstance(value, (list, tuple)) or not all(isinstance(tool, Mapping) for tool in value):
        return "a list of tools, each a mapping"
    names: set[str] = set()
    for tool in value:
        function = tool.get("function", tool)
        if tool.get("type", "function") != "function" or not isinstance(function, Mapping):
            continue
        name = function.get("name")
        if not isinstance(name, str) or not name.strip():
            return f"a list of tools; {dict(tool)!r:.100} has no name"
        if name in names:
            return f"a list of tools with names of their own; {name!r} comes twice"
        names.add(name)
    return None


def _tool_choice(value: JsonValue) -> str | None:
    is_right = bool(value.strip()) if isinstance(value, str) else isinstance(value, Mapping) and bool(value)
    return None if is_right else "'auto', 'none', 'required', {'name': ...} or a provider's own choice"


def _schema(value: JsonValue) -> str | None:
    return None if isinstance(value, Mapping) and value else "a JSON Schema (a mapping that is not empty)"


def _reasoning(value: JsonValue) -> str | None:
    if isinstance(value, bool):
        return None
    if not isinstance(value, Mapping) or not value:
        return "True, False or a mapping with 'effort' or 'max_tokens'"
    effort, max_tokens = value.get("effort"), value.get("max_tokens")
    if effort is not None and _name(effort):
        return "a mapping whose 'effort' is a word such as 'low' or 'high'"
    return (
        "a mapping whose 'max_tokens' is a whole number from 1"
        if max_tokens is not None and _whole(1)(max_tokens)
        else None
    )


def _extra_body(value: JsonValue) -> str | None:
    if not isinstance(value, Mapping):
        return "a mapping"
    taken = sorted(RESERVED.intersection(value))
    return f"without {taken[0]!r}, which the call itself sets" if taken else None


def _sendable(value: JsonValue, depth: int = 0) -> str | None:
    """JSON has no infinity and no NaN, at any depth."""
    if isinstance(value, float):
        return None if math.isfinite(value) else "free of infinity and NaN"
    if not isinstance(value, (dict, list, tuple, Mapping)):
        return None
    if depth >= MAX_DEPTH:
        return f"nested at most {MAX_DEPTH} deep"
    for item in value.values() if isinstance(value, (dict, Mapping)) else value:
        # Most of a tool or a schema is text, looked at in every call: not worth another function call each.
        wrong = None if type(item) is str else _sendable(item, depth + 1)
        if wrong:
            return wrong
    return None


_CHECKS: Final[dict[str, Callable[[JsonValue], str | None]]] = {
    "model": _name,
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "top_k": _whole(0),
    "max_tokens": _whole(1),
    "max_completion_tokens": _whole(1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "n": _whole(1),
    "stop": _stop,
    "stop_sequences": _stop,
    "tools": _tools,
    "tool_choice": _tool_choice,
    "output_schema": _schema,
    "reasoning": _reasoning,
    "extra_body": _extra_body,
}


def validate(parameters: Parameters) -> None:
    """Look at a merged result and refuse what no provider can take.

    Names that are not known here pass: providers have parameters of their own.

    Raises:
        ParameterError: names the parameter, its value and the layer that set it.
    """
    for name, setting in parameters.settings.items():
        if name in RESERVED:
            raise parameters.refusal(name, "is set by the call itself; leave it out and use the call's own argument")
        if setting.is_removed:
            continue
        check = _CHECKS.get(name, _sendable)
        wanted = check(setting.value) or _sendable(setting.value)
        if wanted is not None:
            raise parameters.refusal(name, f"must be {wanted}")
