"""What a template's provider and flavor tell of each other, where its author named only one of them."""

from __future__ import annotations

from typing import Final

import attrs

from freeplay_like.core.templates import PromptTemplate

FLAVOR_OF_PROVIDER: Final = {"openai": "openai_chat", "azure": "azure_openai_chat", "anthropic": "anthropic_chat"}
"""The flavor of a template whose author named only a provider, as Freeplay's client does."""

_PROVIDER_OF_FLAVOR: Final = {
    **{flavor: provider for provider, flavor in FLAVOR_OF_PROVIDER.items()},
    "openai_text": "openai",
    "openai_responses": "openai",
    "anthropic_text": "anthropic",
    "gemini_chat": "vertex",
    "gemini_api_chat": "gemini",
    "amazon_bedrock_converse": "bedrock",
    "perplexity_chat": "perplexity",
}

FLAVORS: Final = tuple(_PROVIDER_OF_FLAVOR)
"""The wire formats that a template can be written for."""

PROVIDERS: Final = tuple(dict.fromkeys(_PROVIDER_OF_FLAVOR.values()))
"""Those who answer in them."""


def with_flavor(template: PromptTemplate) -> PromptTemplate:
    """The template as a backend keeps it: provider and flavor each told by the other, where one is not named."""
    return attrs.evolve(
        template,
        flavor_name=template.flavor_name or FLAVOR_OF_PROVIDER.get(template.provider or ""),
        provider=template.provider or _PROVIDER_OF_FLAVOR.get(template.flavor_name or ""),
    )
