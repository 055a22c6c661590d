"""What both clients share: how they are set up, and how they prepare a call. No I/O."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Self

import attrs

from freeplay_like.backend_link import BackendLink
from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.chunks import Usage
from freeplay_like.core.completion import ChatCompletionResponse, CompletionResponse
from freeplay_like.core.limits import Retry, Timeout
from freeplay_like.core.messages import Message, MessageLike, MessagesLike, messages_from
from freeplay_like.core.records import Feedback, Outcome, ScoreValue
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
from freeplay_like.session.calls import Call, Options, Setting, prepare
from freeplay_like.session.rate_limit import RateLimit
from freeplay_like.session.restoring import Restored, restore
from freeplay_like.session.test_cases import TestCases
from freeplay_like.session.thin import amendment, finished_record

API_KEY_VARIABLE = "FREEPLAY_LIKE_API_KEY"
API_BASE_VARIABLE = "FREEPLAY_LIKE_API_BASE"
DEFAULT_API_BASE = "http://127.0.0.1:8000/api"
RESTORE_FLUSH_S = 5.0
"""How long a session that is read back waits for records of this process that are still on their way."""


class Client:
    """A flavor, a prompt source, a recorder, the client's own parameters, and how its calls are made."""

    def __init__(
        self,
        flavor: Flavor | None = None,
        freeplay_api_key: str | None = None,
        api_base: str | None = None,
        *,
        prompts: PromptSource | None = None,
        recorder: Recorder | None = None,
        retry: Retry | None = None,
        timeout: Timeout | None = None,
        rate_limit: RateLimit | tuple[int, float] | None = None,
        allow_incomplete: bool = False,
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
        self._options = Options(redact=redact).with_given(
            retry=retry, timeout=timeout, rate_limit=rate_limit, allow_incomplete=allow_incomplete
        )
        self._clock = clock or SystemClock()
        self._flavor = flavor
        self._flavors: dict[str, Flavor] = {}
        self._parameters = dict(parameters)
        self._backend = BackendLink(base, key) if key.strip() else None
        self._prompts = prompts or CachedPrompts(BackendPrompts(base, key))
        self._recorder = recorder or JournalRecorder(base, key, redact=redact)
        self._owned: list[PromptSource | Recorder | BackendLink] = [
            owner
            for owner, given in ((self._prompts, prompts), (self._recorder, recorder), (self._backend, None))
            if given is None and owner is not None
        ]

    def with_options(
        self,
        *,
        flavor: Flavor | None = None,
        retry: Retry | None = None,
        timeout: Timeout | None = None,
        rate_limit: RateLimit | tuple[int, float] | None = None,
        allow_incomplete: bool | None = None,
        **parameters: JsonValue,
    ) -> Self:
        """A client like this one, where these differ: `fp.with_options(retry=Retry(attempts=6))`.

        It shares the recorder, the templates and the connections, and closing it closes nothing. Parameters go over
        this client's own ones.
        """
        other = copy.copy(self)
        other._owned = []
        other._flavor = flavor or self._flavor
        other._parameters = self._parameters | parameters
        other._options = self._options.with_given(
            retry=retry, timeout=timeout, rate_limit=rate_limit, allow_incomplete=allow_incomplete
        )
        return other

    # --- the thin path: calls made elsewhere, and what is said of a call afterwards -----------------------------

    def record(
        self,
        project_id: str,
        messages: MessagesLike,
        answer: str | MessageLike | CompletionResponse | None,
        *,
        record_id: str | None = None,
        session_id: str | None = None,
        parent_id: str | None = None,
        template: PromptTemplate | None = None,
        variables: Mapping[str, JsonValue] | None = None,
        provider: str = "",
        model: str | None = None,
        parameters: Mapping[str, JsonValue] | None = None,
        usage: Usage | None = None,
        outcome: Outcome = "complete",
        started_at: datetime | None = None,
        latency_ms: float | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
    ) -> str:
        """Keep a call that you made yourself; its record id. Kept as surely as a call of this client, and as quickly.

        `answer` is None where there is none yet (a batch): `update_record` adds it.

        Raises:
            ConfigurationError: a message, a parameter or a time is not right; names it.
        """
        record = finished_record(
            clock=self._clock,
            project_id=project_id,
            messages=messages,
            answer=answer,
            record_id=record_id,
            session_id=session_id,
            parent_id=parent_id,
            template=template,
            variables=variables,
            provider=provider,
            model=model,
            parameters=parameters,
            usage=usage,
            outcome=outcome,
            started_at=started_at,
            latency_ms=latency_ms,
            metadata=metadata,
        )
        self._recorder.submit(record)
        return record.record_id

    def feedback(
        self, project_id: str, record_id: str, feedback: Feedback | None = None, **comments: JsonValue
    ) -> None:
        """What a person says of an answer: a thumb ("positive" or "negative"), and any fields beside it.

        Kept as surely as a record is; may be said at any time, also before the record has arrived.

        Raises:
            ConfigurationError: nothing was said, or a thumb of another name.
        """
        self._amend(project_id, record_id, feedback=feedback, comments=dict(comments))

    def score(self, project_id: str, record_id: str, name: str, value: ScoreValue) -> None:
        """What a check or a judge says of an answer; the same name again replaces the score."""
        self._amend(project_id, record_id, scores={name: value})

    def update_record(
        self,
        project_id: str,
        record_id: str,
        *,
        new_messages: MessagesLike | None = None,
        scores: Mapping[str, ScoreValue] | None = None,
    ) -> None:
        """Add messages that came after the call (the answer of a batch, a tool's result), or scores."""
        messages = () if new_messages is None else messages_from(new_messages)
        self._amend(project_id, record_id, new_messages=messages, scores=dict(scores or {}))

    def _amend(
        self,
        project_id: str,
        record_id: str,
        *,
        feedback: Feedback | None = None,
        comments: JsonObject | None = None,
        scores: dict[str, ScoreValue] | None = None,
        new_messages: tuple[Message, ...] = (),
    ) -> None:
        self._recorder.amend(
            amendment(
                clock=self._clock,
                project_id=project_id,
                record_id=record_id,
                feedback=feedback,
                comments=comments or {},
                scores=scores or {},
                new_messages=new_messages,
            )
        )

    # --- for the twins ------------------------------------------------------------------------------------------

    def _link(self) -> BackendLink:
        if self._backend is None:
            raise APIKeyMissingError(
                f"this needs the backend, and no key was given: pass freeplay_api_key or set {API_KEY_VARIABLE}"
            )
        return self._backend

    def _restored(self, project_id: str, session_id: str) -> Restored:
        """A session as the backend has it, what this process has recorded included. Blocks."""
        link = self._link()
        self._recorder.flush(RESTORE_FLUSH_S)
        return restore(link, self._prompts, project_id, session_id)

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
        test_cases: TestCases | None = None,
    ) -> Setting:
        kept: JsonObject = copy.deepcopy(dict(metadata or {}))
        return Setting(
            project_id=project_id,
            environment=environment,
            session_id=session_id or self._clock.new_id(),
            metadata=kept,
            parameters=dict(parameters or {}),
            test_cases=test_cases,
        )

    def _flavor_for(self, template: PromptTemplate, chosen: Flavor | None) -> Flavor:
        """The call's own flavor, else the client's, else the one the template names."""
        flavor = chosen or self._flavor
        if flavor is not None:
            return flavor
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
        flavor: Flavor | None,
        parent_id: str | None,
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
            options=self._options,
            parent_id=parent_id,
        )


def chat_response(response: CompletionResponse, sent: Sequence[Message]) -> ChatCompletionResponse:
    """An answer together with the conversation that it closes."""
    fields = {field.name: getattr(response, field.name) for field in attrs.fields(CompletionResponse)}
    return ChatCompletionResponse(**fields, messages=(*sent, response.message))
