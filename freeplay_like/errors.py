"""The error tree: everything this package raises on purpose.

One base, `FreeplayError` (the name the 0.1.6 SDK used), and a branch for each moment a call can fail in.
Every branch carries fields, so that nobody has to read a message to know what happened.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from freeplay_like.core.completion import CompletionResponse
    from freeplay_like.core.limits import Attempt


class FreeplayError(Exception):
    """The base of every error in this package."""


# --- before any I/O ---------------------------------------------------------------------------------------


class ConfigurationError(FreeplayError):
    """Something was set up wrongly; nothing was sent."""


class APIKeyMissingError(ConfigurationError):
    """A key that the call needs is missing or blank."""


class ParameterError(ConfigurationError):
    """A parameter of the merged call is not acceptable.

    `parameter` is its name, `layer` the layer that set it (`flavor`, `template`, `client`, `session`, `call`).
    """

    def __init__(self, message: str, *, parameter: str, layer: str | None = None) -> None:
        super().__init__(message)
        self.parameter = parameter
        self.layer = layer


class MessageError(ConfigurationError):
    """A message is not acceptable. `index` is its place in the list, counted from 0."""

    def __init__(self, message: str, *, index: int | None = None) -> None:
        super().__init__(message)
        self.index = index


class SessionBusyError(FreeplayError):
    """A chat session was asked for a second call while one of its calls still runs; `session_id` names it."""

    def __init__(self, message: str, *, session_id: str) -> None:
        super().__init__(message)
        self.session_id = session_id


# --- templates --------------------------------------------------------------------------------------------


class TemplateError(FreeplayError):
    """A prompt template could not be used. `template` names it, `variables` the names concerned."""

    def __init__(self, message: str, *, template: str | None = None, variables: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.template = template
        self.variables = tuple(variables)


class TemplateNotFoundError(TemplateError):
    """No template of that name in that project and environment."""


class TemplateSyntaxError(TemplateError):
    """The template's text does not parse, or rendering it would pass a limit."""


class MissingVariablesError(TemplateError):
    """The template needs variables that were not given; `variables` holds all of them."""


# --- the provider -----------------------------------------------------------------------------------------


class ProviderError(FreeplayError):
    """The provider refused, failed or could not be reached. `__cause__` is the provider SDK's own error.

    `status` is the HTTP status or None where none came; `request_id` the provider's; `retryable` whether the
    same request may succeed later; `retry_after_s` what the provider asked for; `partial` the completion so
    far where the failure came in the middle of a stream; `attempts` the tries of the same call that failed before.
    """

    def __init__(
        self,
        message: str,
        *,
        provider: str | None = None,
        model: str | None = None,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.model = model
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retryable = retryable
        self.retry_after_s = retry_after_s
        self.partial: CompletionResponse | None = None
        self.attempts: tuple[Attempt, ...] = ()


class ProviderTimeout(ProviderError):
    """The provider did not answer in time."""


class ProviderRateLimited(ProviderError):
    """The provider asks for fewer requests (429)."""


class ProviderRejected(ProviderError):
    """The provider will not take this request (400, 401, 403, 404, 413, 422): sending it again will not help."""


class ProviderDenied(ProviderRejected):
    """The provider does not take the key, or the key may not do this (401, 403)."""


class ContextLengthExceeded(ProviderRejected):
    """Messages and answer together are longer than the model's context."""


class ProviderUnavailable(ProviderError):
    """The provider could not be reached, broke the connection, or answered 5xx."""


class ProviderResponseError(ProviderError):
    """The provider answered 2xx with something that is not an answer."""


# --- the stream -------------------------------------------------------------------------------------------


class StreamError(FreeplayError):
    """A stream did not end well. `partial` is the completion as far as it was delivered."""

    def __init__(self, message: str, *, partial: CompletionResponse | None = None) -> None:
        super().__init__(message)
        self.partial = partial


class StreamConsumed(StreamError):
    """The stream was read already; its result is in `.result()`."""


class StreamAbandoned(StreamError):
    """The stream was dropped before its end."""


class StreamCancelled(StreamError):
    """The stream was closed, or the task that read it cancelled, before its end."""


class StreamInterrupted(StreamError):
    """The provider ended the stream without saying that it was finished."""


class IncompleteResponse(StreamError):
    """An answer is still truncated after every continuation that was allowed, or a continuation failed.

    `partial` is the answer so far, all parts joined; `continue_count` how many continuations were made of
    `max_continues`; `__cause__` the error that ended it, None where the limit did.
    """

    def __init__(
        self, message: str, *, partial: CompletionResponse | None = None, continue_count: int, max_continues: int
    ) -> None:
        super().__init__(message, partial=partial)
        self.continue_count = continue_count
        self.max_continues = max_continues


class StructuredOutputError(FreeplayError):
    """An answer does not fit its schema, after the repairs that were allowed.

    `text` is the answer as it came, `problems` what is wrong with it, `response` the last answer as a whole.
    """

    def __init__(
        self,
        message: str,
        *,
        text: str = "",
        problems: Sequence[str] = (),
        response: CompletionResponse | None = None,
    ) -> None:
        super().__init__(message)
        self.text = text
        self.problems = tuple(problems)
        self.response = response


# --- the backend ------------------------------------------------------------------------------------------


class BackendError(FreeplayError):
    """The backend could not answer. `status` is the HTTP status or None where it was not reached."""

    def __init__(self, message: str, *, status: int | None = None, url: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.url = url


class AuthorizationError(BackendError):
    """The backend does not take the API key (401, 403)."""
