"""What all flavors over OpenAI's client have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from freeplay_like.errors import ProviderRateLimited, ProviderResponseError, ProviderTimeout, ProviderUnavailable
from freeplay_like.flavors.connections import ErrorTable, transport_errors
from freeplay_like.flavors.transport import ProviderFlavor
from freeplay_like.flavors.vendors import OPENAI

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI


class OpenAIFlavor(ProviderFlavor["OpenAI", "AsyncOpenAI"]):
    """A flavor over OpenAI's client, for OpenAI or a compatible server under `openai_api_base`.

    Args:
        openai_api_key: by default the environment variable of the vendor at that host (OPENAI_API_KEY for OpenAI, and
            for a host that is nobody's, which may not want one).
        openai_api_base: by default OPENAI_BASE_URL, else OpenAI's own address.
        proxy: an address; "" is none at all, whatever the environment says; None is what the environment says.
        headers: sent with every request.
    """

    vendor = OPENAI

    def __init__(
        self,
        openai_api_key: str | None = None,
        openai_api_base: str | None = None,
        *,
        proxy: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(openai_api_key, openai_api_base, proxy=proxy, headers=headers)

    def _make_client(self) -> OpenAI:
        from openai import OpenAI

        return OpenAI(**self._client_arguments(), http_client=self._http_client())

    def _make_async_client(self) -> AsyncOpenAI:
        from openai import AsyncOpenAI

        return AsyncOpenAI(**self._client_arguments(), http_client=self._async_http_client())

    def _errors(self) -> ErrorTable:
        import openai

        return (
            (openai.APITimeoutError, ProviderTimeout),
            (openai.APIConnectionError, ProviderUnavailable),
            (openai.RateLimitError, ProviderRateLimited),
            (openai.APIStatusError, None),
            (openai.APIResponseValidationError, ProviderResponseError),
            *transport_errors(),
        )
