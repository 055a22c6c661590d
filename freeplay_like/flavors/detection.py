"""The flavor for an address, where nobody names one.

Asked for only: a flavor that is given, or that a template names, is never looked at twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict, Unpack

from freeplay_like.errors import ConfigurationError
from freeplay_like.flavors.anthropic_messages import AnthropicClaudeChat
from freeplay_like.flavors.azure_openai import AzureOpenAIChat
from freeplay_like.flavors.base import Flavor
from freeplay_like.flavors.openai_chat import OpenAIChat
from freeplay_like.flavors.transport import address_of
from freeplay_like.flavors.vendors import ANTHROPIC, AZURE, OPENAI, vendor_of


class FlavorOptions(TypedDict, total=False):
    """What every flavor of a provider takes."""

    proxy: str | None
    headers: Mapping[str, str] | None


def flavor_for(api_base: str, api_key: str | None = None, **options: Unpack[FlavorOptions]) -> Flavor:
    """The flavor that speaks to `api_base`: Anthropic's and Azure's for their hosts, chat completions for any other.

    The key is by default the environment variable of the vendor at that host, and no other vendor's.

    Raises:
        ConfigurationError: `api_base` is not an http(s) address.
    """
    parts = address_of(api_base)
    if parts is None:
        raise ConfigurationError(f"api base {api_base!r} is not an address such as {OPENAI.default_base}")
    vendor = vendor_of(parts.hostname or "")
    if vendor is ANTHROPIC:
        return AnthropicClaudeChat(api_key, api_base, **options)
    # Azure's newer addresses speak plain chat completions, without versions and deployments.
    if vendor is AZURE and not parts.path.startswith("/openai/v1"):
        return AzureOpenAIChat(api_key, api_base, **options)
    return OpenAIChat(api_key, api_base, **options)
