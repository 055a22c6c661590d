"""What both clients share: how they are set up, and how they prepare a call. No I/O."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.completion import ChatCompletionResponse, CompletionResponse
from freeplay_like.core.messages import Message
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import APIKeyMissingError, ConfigurationError
from freeplay_like.flavors.base import Flavor
from freeplay_like.flavors.registry import flavor_named
from freeplay_like.prompts.backend import BackendPrompts
from freeplay_like.prompts.base import PromptSource
from freeplay_like.prompts.cache import CachedPrompts
from freeplay_like.recording.base import Recorder, Redact
from freeplay_like.recording.recorder import JournalRecorder
from freeplay_like.session.calls import Call, Setting, prepare

API_KEY_VARIABLE = "FREEPLAY_LIKE_API_KEY"
API_BASE_VARIABLE = "FREEPLAY_LIKE_API_BASE"
DEFAULT_API_BASE = "http://127.0.0.1:8000/api"


class Client:
    """A flavor, a prompt source, a recorder and the client's own parameters."""

    def __init__(
        self,
        flavor: Flavor | None = None,
        freeplay_api_key: str | None = None,
        api_base: str | None = None,
        *,
        prompts: PromptSource | None = None,
        recorder: Recorder | None = None,
        redact: Redact | None = None,
        clock: Clock | None = None,
        **parameters: JsonValue,
    ) -> None:
        key = os.environ.get(API_KEY_VARIABLE, "") if freeplay_api_key is None else freeplay_api_key
        base = (api_base or os.environ.get(API_BASE_VARIABLE) or DEFAULT_API_BASE).rstrip("/")
        if (prompts is None or recorder is None) and not key.strip():
            raise APIKeyMissingError(
                f"no key for the backend at {base}: pass freeplay_api_key or set {API_KEY_VARIABLE} "
                "(`freeplay-like init` prints one); without a backend pass both prompts= and recorder="
            )
        if redact is not None and recorder is not None:
            raise ConfigurationError("redact= belongs to the recorder that is made here; give it to your own recorder")
        self._clock = clock or SystemClock()
        self._flavor = flavor
        self._flavors: dict[str, Flavor] = {}
        self._parameters = dict(parameters)
        self._prompts = prompts or CachedPrompts(BackendPrompts(base, key))
        self._recorder = recorder or JournalRecorder(base, key, redact=redact)
        self._owned = [
            owner for owner, given in ((self._prompts, prompts), (self._recorder, recorder)) if given is None
        ]

    def _warm(self) -> None:
        if self._flavor is not None:
            self._flavor.warm()

    def _close(self) -> None:
        """Deliver what is pending, at most 2 s; what is left stays on disk for the next run."""
        for owned in self._owned:
            owned.close()

    def _setting(
        self,
        project_id: str,
        environment: str,
        session_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        parameters: Mapping[str, JsonValue] | None = None,
    ) -> Setting:
        kept: JsonObject = dict(metadata or {})
        return Setting(
            project_id=project_id,
            environment=environment,
            session_id=session_id or self._clock.new_id(),
            metadata=kept,
            parameters=dict(parameters or {}),
        )

    def _flavor_for(self, template: PromptTemplate, chosen: Flavor | None) -> Flavor:
        """The call's own flavor, else the client's, else the one the template names."""
        if chosen is not None or self._flavor is not None:
            return chosen or self._flavor  # type: ignore[return-value]  # one of them is there
        name = template.flavor_name
        if name is None:
            raise ConfigurationError(
                f"no flavor for template {template.name!r}: it names none; "
                "pass one to the client, e.g. Freeplay(OpenAIChat(key)), or set the template's flavor"
            )
        return self._flavors.setdefault(name, flavor_named(name)())

    def _prepare(
        self,
        setting: Setting,
        template: PromptTemplate,
        variables: Mapping[str, JsonValue],
        messages: Sequence[Message],
        parameters: Mapping[str, JsonValue],
        *,
        is_stream: bool,
        flavor: Flavor | None = None,
    ) -> Call:
        return prepare(
            clock=self._clock,
            flavor=self._flavor_for(template, flavor),
            setting=setting,
            template=template,
            messages=messages,
            variables=variables,
            client_parameters=self._parameters,
            call_parameters=parameters,
            is_stream=is_stream,
        )


def chat_response(response: CompletionResponse, sent: Sequence[Message]) -> ChatCompletionResponse:
    """An answer together with the conversation that it closes."""
    return ChatCompletionResponse(
        content=response.content,
        is_complete=response.is_complete,
        choices=response.choices,
        usage=response.usage,
        model=response.model,
        response_id=response.response_id,
        record_id=response.record_id,
        messages=(*sent, response.message),
    )
