"""Flavors by name: templates say `openai_chat`, and a third party adds its own.

An entry point in the group `freeplay_like.flavors` names a class or function that is called without arguments and
gives a flavor.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from freeplay_like.errors import ConfigurationError
from freeplay_like.flavors.base import Flavor

if TYPE_CHECKING:
    from freeplay_like.flavors.transport import AsyncClient, Client, ProviderFlavor

FlavorFactory: TypeAlias = Callable[[], Flavor]

ENTRY_POINT_GROUP: Final = "freeplay_like.flavors"

_BUILT_IN: Final[dict[str, tuple[str, str]]] = {
    "openai_chat": ("freeplay_like.flavors.openai_chat", "OpenAIChat"),
    "openai_text": ("freeplay_like.flavors.openai_text", "OpenAIText"),
    "openai_responses": ("freeplay_like.flavors.openai_responses", "OpenAIResponses"),
    "azure_openai_chat": ("freeplay_like.flavors.azure_openai", "AzureOpenAIChat"),
    "anthropic_chat": ("freeplay_like.flavors.anthropic_messages", "AnthropicClaudeChat"),
    "anthropic_text": ("freeplay_like.flavors.anthropic_text", "AnthropicClaudeText"),
}


def flavor_names() -> list[str]:
    """Every name that `flavor_named` knows."""
    return sorted({*_BUILT_IN, *entry_points(group=ENTRY_POINT_GROUP).names})


def flavor_named(name: str) -> FlavorFactory:
    """What makes the flavor of that name, with the provider's key from its environment variable.

    Raises:
        ConfigurationError: nobody registered the name (the message lists those that are), or its package fails to load.
    """
    built_in = _BUILT_IN.get(name)
    if built_in is not None:
        module, attribute = built_in
        return cast("FlavorFactory", getattr(import_module(module), attribute))
    found = next(iter(entry_points(group=ENTRY_POINT_GROUP, name=name)), None)
    if found is None:
        raise ConfigurationError(f"no flavor named {name!r}; known: {', '.join(flavor_names())}")
    try:
        return cast("FlavorFactory", found.load())
    except (ImportError, AttributeError) as exc:
        raise ConfigurationError(f"flavor {name!r} ({found.value}) cannot be loaded: {exc}") from exc


def flavor_connected(name: str, api_key: str, api_base: str | None, api_version: str | None = None) -> Flavor:
    """A built-in flavor that asks the environment for nothing and follows no redirect: for a server, which calls where
    others tell it to, with keys that others gave it.

    `api_key` "" is none, `api_base` None the vendor's own address; `api_version` is Azure's.

    Raises:
        ConfigurationError: no built-in flavor has the name, or the address is none.
    """
    if name not in _BUILT_IN:
        raise ConfigurationError(f"no built-in flavor {name!r}; there are {', '.join(sorted(_BUILT_IN))}")
    make = cast("type[ProviderFlavor[Client, AsyncClient]]", flavor_named(name))
    arguments = [api_key, api_base or make.vendor.default_base, *([] if api_version is None else [api_version])]
    flavor = make(*arguments)  # each takes a key, an address, and Azure a version
    flavor.follows_redirects = False
    return cast("Flavor", flavor)
