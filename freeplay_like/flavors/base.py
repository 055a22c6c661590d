"""What a flavor is: it formats a call for one wire format, opens it, and reads what comes back.

Formatting and reading are pure; opening is the only provider I/O. The provider's own client authenticates, pools
connections and raises; trying again is the session's work. The bytes of the answer are read here, because building the
client's typed object for every token costs several times what reading the bytes does.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable

import attrs

from freeplay_like.core.chunks import CompletionChunk
from freeplay_like.core.limits import DEFAULT_TIMEOUT, Timeout
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Parameters
from freeplay_like.core.wire import JsonObject, JsonValue


@attrs.frozen(kw_only=True)
class Request:
    """A call in the provider's own words: `body` is the JSON that is sent."""

    body: JsonObject
    is_stream: bool

    @property
    def model(self) -> str | None:
        """The model asked for."""
        model = self.body.get("model")
        return model if isinstance(model, str) else None


class Reader(Protocol):
    """Reads one answer. Pure: bytes in, chunks out, in whatever pieces the bytes come."""

    def feed(self, data: bytes) -> Iterator[CompletionChunk]:
        """The chunks that these bytes complete. An error that the provider sent is raised after the chunks before it.

        Raises:
            ProviderError: the provider reported a failure in its stream, or sent what cannot be read.
        """
        ...

    def end(self) -> Iterator[CompletionChunk]:
        """The chunks that only the end of the answer completes. Finish reason and usage are read by then, or never."""
        ...


class Connection(Protocol):
    """An answer that has begun: status and headers are there, the body is read by iterating.

    Errors of the transport come out as `ProviderError` with their cause. `close` may be called at any time, more
    than once, from any thread, and ends the provider's connection at once.
    """

    request_id: str | None
    headers: Mapping[str, str]
    """The head of the answer, names in lower case."""

    def __iter__(self) -> Iterator[bytes]: ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


class AsyncConnection(Protocol):
    """The async twin of `Connection`."""

    request_id: str | None
    headers: Mapping[str, str]

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None:
        """Let go of the connection."""
        ...


@runtime_checkable
class Flavor(Protocol):
    """One wire format, and the way to one provider that speaks it.

    `name` is what templates and records call it (`openai_chat`), `provider` who answers (`openai`), `endpoint`
    the host asked. `default_parameters` is the lowest layer of every call.
    """

    name: str

    @property
    def takes_output_schema(self) -> bool:
        """Whether `output_schema` binds the model's answer; where False, the schema can only be asked for in words."""
        ...

    @property
    def provider(self) -> str:
        """Who answers."""
        ...

    @property
    def endpoint(self) -> str | None:
        """Host and port of the provider, None where nobody is asked."""
        ...

    @property
    def default_parameters(self) -> Mapping[str, JsonValue]:
        """What the wire format cannot do without, for those who say nothing."""
        ...

    def check(self) -> None:
        """Say early what `open` would say: no key.

        Raises:
            APIKeyMissingError: the provider wants a key and none was given.
        """
        ...

    def warm(self) -> None:
        """Load the provider's client now, so that the first call does not pay for it (1 to 2.5 s)."""
        ...

    def format(self, messages: Sequence[Message], parameters: Parameters, *, is_stream: bool) -> Request:
        """The request in the provider's words. Pure.

        Raises:
            ConfigurationError: no model, or something that this wire format cannot say.
        """
        ...

    def reader(self, request: Request) -> Reader:
        """A fresh reader for the answer to `request`."""
        ...

    def open(self, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> Connection:
        """Send the request, once; return once the status is known to be good.

        Of `timeout` it holds `connect_s` and `read_s`, and `head_s` until the status is there.

        Raises:
            ProviderError: the provider refused, failed or was not reached.
        """
        ...

    async def aopen(self, request: Request, timeout: Timeout = DEFAULT_TIMEOUT) -> AsyncConnection:  # noqa: ASYNC109  # more limits than one
        """The async twin of `open`."""
        ...
