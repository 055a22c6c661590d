"""OpenAI's chat completions on Azure: the same words, another address and another way to sign."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TypedDict

from freeplay_like.core.messages import Message
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ConfigurationError
from freeplay_like.flavors.openai_chat import OpenAIChat
from freeplay_like.flavors.vendors import AZURE

if TYPE_CHECKING:
    from openai import AsyncAzureOpenAI, AzureOpenAI


class _AzureArguments(TypedDict):
    azure_endpoint: str
    azure_deployment: str | None
    api_version: str
    api_key: str | None
    azure_ad_token_provider: Callable[[], str] | None
    max_retries: int
    default_headers: Mapping[str, str]


class AzureOpenAIChat(OpenAIChat):
    """Chat completions of a deployment on Azure.

    Args:
        azure_api_key: by default AZURE_OPENAI_API_KEY.
        azure_endpoint: the resource's address; by default AZURE_OPENAI_ENDPOINT.
        api_version: of Azure's API, as in "2024-10-21"; by default OPENAI_API_VERSION.
        deployment: the deployment that is asked; by default the one named like the model.
        azure_ad_token_provider: asked for a token at each call, in place of a key.
        proxy: an address; "" is none at all, whatever the environment says; None is what the environment says.
        headers: sent with every request.
    """

    name = "azure_openai_chat"
    vendor = AZURE

    def __init__(
        self,
        azure_api_key: str | None = None,
        azure_endpoint: str | None = None,
        api_version: str | None = None,
        *,
        deployment: str | None = None,
        azure_ad_token_provider: Callable[[], str] | None = None,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not (azure_endpoint or os.environ.get(AZURE.base_variable)):
            raise ConfigurationError(f"AzureOpenAIChat: no azure_endpoint; pass it or set {AZURE.base_variable}")
        super().__init__(azure_api_key, azure_endpoint, proxy=proxy, headers=headers)
        # The words are Azure's at any address: a gateway of one's own stands in front of many a resource.
        self._answering = AZURE
        self._api_version = api_version or os.environ.get("OPENAI_API_VERSION", "")
        self._deployment = deployment
        self._token_provider = azure_ad_token_provider

    def check(self) -> None:
        """Say early what `open` would say: no key, or no version of the API."""
        if self._token_provider is None:
            self._key()
        if not self._api_version.strip():
            raise ConfigurationError("AzureOpenAIChat: no api_version; pass it or set OPENAI_API_VERSION")

    def _message(self, message: Message) -> JsonObject:
        chat = super()._message(message)
        # Many versions of Azure's API do not know the newer role.
        return {**chat, "role": "system"} if message.role == "developer" else chat

    def _azure_arguments(self) -> _AzureArguments:
        self.check()
        return {
            "azure_endpoint": self._api_base,
            "azure_deployment": self._deployment,
            "api_version": self._api_version,
            "api_key": None if self._token_provider is not None else self._key(),
            "azure_ad_token_provider": self._token_provider,
            "max_retries": 0,
            "default_headers": dict(self._headers),
        }

    def _make_client(self) -> AzureOpenAI:
        from openai import AzureOpenAI

        return AzureOpenAI(**self._azure_arguments(), http_client=self._http_client())

    def _make_async_client(self) -> AsyncAzureOpenAI:
        from openai import AsyncAzureOpenAI

        return AsyncAzureOpenAI(**self._azure_arguments(), http_client=self._async_http_client())
