"""Where the parameters of a call come from, and which layer wins.

Five layers, the later ones over the earlier ones: flavor defaults, template, client, session, call. `UNSET`
means "not said here"; `None` means "said: nothing", and takes a lower layer's value away. Nothing is sent that
nobody set.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Final, Literal

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue
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


def merge(layers: Sequence[tuple[Layer, Mapping[str, JsonValue]]]) -> Parameters:
    """Merge layers, later ones over earlier ones, and keep who set what.

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
            settings[name] = ParameterSetting(value=value, layer=layer, is_removed=value is None, overrode=overrode)
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
}


def validate(parameters: Parameters) -> None:
    """Look at a merged result and refuse what no provider can take.

    Names that are not known here pass: providers have parameters of their own.

    Raises:
        ParameterError: names the parameter, its value and the layer that set it.
    """
    for name, setting in parameters.settings.items():
        if name in RESERVED:
            raise ParameterError(
                f"parameter {name!r} (set by the {setting.layer}) is set by the call itself; "
                f"leave it out and use the call's own argument",
                parameter=name,
                layer=setting.layer,
            )
        check = _CHECKS.get(name)
        wanted = check(setting.value) if check and not setting.is_removed else None
        if wanted is not None:
            raise ParameterError(
                f"parameter {name!r} must be {wanted}; the {setting.layer} set it to {setting.value!r}",
                parameter=name,
                layer=setting.layer,
            )
