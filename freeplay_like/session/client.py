"""The clients: `Freeplay` and `AsyncFreeplay`.

The call shapes are those of Freeplay's 0.1.6 SDK, so that its users can change the import and go on. `tag` is its word
for the environment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from freeplay_like.core.completion import ChatCompletionResponse, CompletionResponse
from freeplay_like.core.messages import ChatMessage
from freeplay_like.core.wire import JsonValue
from freeplay_like.flavors.base import Flavor
from freeplay_like.recording.base import FlushReport
from freeplay_like.session.base import Client
from freeplay_like.session.chat import AsyncChatSession, ChatSession
from freeplay_like.session.completions import AsyncSession, Session
from freeplay_like.session.streams import AsyncCompletionStream, CompletionStream
from freeplay_like.session.test_cases import TestCases
from freeplay_like.session.test_runs import AsyncTestRun, TestRun, begin_test_run


class Freeplay(Client):
    """Calls providers with the templates of a project, and records every call.

    Args:
        flavor: how to speak to the provider, e.g. `OpenAIChat(key)`; None lets each template's own flavor decide.
        freeplay_api_key: the key of the logging backend; else `FREEPLAY_LIKE_API_KEY`.
        api_base: the backend's API, e.g. `http://127.0.0.1:8000/api`; else `FREEPLAY_LIKE_API_BASE`.
        prompts: where templates come from; else the backend, cached.
        recorder: what keeps the records; else a journal on disk that is delivered to the backend.
        retry: how calls that failed before they delivered anything are tried again; by default up to three tries.
        timeout: how long a call may take, limit by limit; by default 5 s to connect, and 600 s of silence.
        rate_limit: `(calls, seconds)`, or a `RateLimit` that several clients share.
        allow_incomplete: a stream that ends without a finish reason (some servers never send one) is an answer,
            recorded as `interrupted`; by default it raises `StreamInterrupted`.
        redact: sees each record before it is kept, and returns what to keep instead.
        parameters: the client's layer of every call's parameters, e.g. `temperature=0.2`.

    Raises:
        APIKeyMissingError: no key for the backend.
    """

    def create_session(
        self,
        project_id: str,
        tag: str = "latest",
        *,
        session_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        **parameters: JsonValue,
    ) -> Session:
        """A session for completions that belong together. No round trip.

        `metadata` is kept with each of its records; `parameters` are the session's layer.
        """
        return self._session(project_id, tag, session_id=session_id, metadata=metadata, parameters=parameters)

    def get_completion(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> CompletionResponse:
        """Render a template, call the provider, return the whole answer.

        Raises:
            TemplateError, ConfigurationError: nothing was sent.
            BackendError: the template could not be fetched, and no copy is at hand.
            ProviderError, StreamError: the call failed; it is recorded.
        """
        return self.create_session(project_id, tag).get_completion(template_name, variables, flavor, **parameters)

    def get_completion_stream(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> CompletionStream:
        """The same, as a stream; the provider has accepted the request when this returns."""
        session = self.create_session(project_id, tag)
        return session.get_completion_stream(template_name, variables, flavor, **parameters)

    def create_chat_session(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        flavor: Flavor | None = None,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        **parameters: JsonValue,
    ) -> ChatSession:
        """A conversation that has not begun: `start_chat` or `start_chat_stream` makes its first call. No round trip.

        `metadata` is kept with each of its records; `parameters` are the session's layer.
        """
        setting = self._setting(project_id, tag, session_id, metadata, parameters)
        return ChatSession(self, setting, template_name, variables, flavor)

    def start_chat(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        **parameters: JsonValue,
    ) -> tuple[ChatSession, ChatCompletionResponse]:
        """Begin a conversation with a template's messages: the session, and the whole first answer."""
        session = self.create_chat_session(project_id, template_name, variables, tag)
        return session, session.start_chat(**parameters)

    def start_chat_stream(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        **parameters: JsonValue,
    ) -> tuple[ChatSession, list[ChatMessage], CompletionStream]:
        """Begin a conversation with a template's messages: the session, the messages sent, the first answer's stream.

        The provider has accepted the request when this returns, so a web handler can still choose its status.
        """
        session = self.create_chat_session(project_id, template_name, variables, tag)
        stream, messages = session.start_chat_stream(**parameters)
        return session, messages, stream

    def restore_session(self, project_id: str, session_id: str) -> ChatSession:
        """A conversation as the backend has it, to be continued with `send` or `send_stream`.

        It stands after the last turn that ended well, and goes on with the version of the template that it had.

        Raises:
            BackendError: the backend does not know the session, or does not answer.
            ConfigurationError: there is no turn to go on from.
        """
        restored = self._restored(project_id, session_id)
        record = restored.record
        setting = self._setting(project_id, restored.environment, session_id, restored.metadata)
        session = ChatSession(self, setting, restored.template.name, record.variables)
        session._take_over(restored)
        return session

    def create_test_run(
        self, project_id: str, playlist: str, *, name: str | None = None, description: str | None = None
    ) -> TestRun:
        """Begin a test run over a dataset (0.1.6 called it a playlist) of the project.

        Raises:
            BackendError: no such dataset, or the backend does not answer.
        """
        cases = begin_test_run(self._link(), project_id, playlist, name=name, description=description)
        return TestRun(self, cases)

    def _session(
        self,
        project_id: str,
        tag: str,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        parameters: Mapping[str, JsonValue] | None = None,
        test_cases: TestCases | None = None,
    ) -> Session:
        return Session(self, self._setting(project_id, tag, session_id, metadata, parameters, test_cases))

    def flush(self, timeout_s: float = 10.0) -> FlushReport:
        """Wait until every record so far is stored, at most `timeout_s`, and say where they stand."""
        return self._recorder.flush(timeout_s)

    def warm(self) -> None:
        """Load the provider's client ahead of the first call, which would otherwise pay 1 to 2.5 s for it."""
        self._warm()

    def close(self) -> None:
        """Deliver what is pending, at most 2 s; what is left stays on disk for the next run. Safe to repeat."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncFreeplay(Client):
    """The async twin of `Freeplay`: the same arguments, the same names, awaited."""

    def create_session(
        self,
        project_id: str,
        tag: str = "latest",
        *,
        session_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        **parameters: JsonValue,
    ) -> AsyncSession:
        """A session for completions that belong together. No round trip, so nothing to await.

        `metadata` is kept with each of its records; `parameters` are the session's layer.
        """
        return self._session(project_id, tag, session_id=session_id, metadata=metadata, parameters=parameters)

    async def get_completion(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> CompletionResponse:
        """Render a template, call the provider, return the whole answer. Errors as in `Freeplay.get_completion`."""
        session = self.create_session(project_id, tag)
        return await session.get_completion(template_name, variables, flavor, **parameters)

    async def get_completion_stream(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> AsyncCompletionStream:
        """The same, as a stream; the provider has accepted the request when this returns."""
        session = self.create_session(project_id, tag)
        return await session.get_completion_stream(template_name, variables, flavor, **parameters)

    def create_chat_session(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        flavor: Flavor | None = None,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        **parameters: JsonValue,
    ) -> AsyncChatSession:
        """A conversation that has not begun: `start_chat` or `start_chat_stream` makes its first call. No round trip.

        `metadata` is kept with each of its records; `parameters` are the session's layer.
        """
        setting = self._setting(project_id, tag, session_id, metadata, parameters)
        return AsyncChatSession(self, setting, template_name, variables, flavor)

    async def start_chat(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        **parameters: JsonValue,
    ) -> tuple[AsyncChatSession, ChatCompletionResponse]:
        """Begin a conversation with a template's messages: the session, and the whole first answer."""
        session = self.create_chat_session(project_id, template_name, variables, tag)
        return session, await session.start_chat(**parameters)

    async def start_chat_stream(
        self,
        project_id: str,
        template_name: str,
        variables: Mapping[str, JsonValue],
        tag: str = "latest",
        **parameters: JsonValue,
    ) -> tuple[AsyncChatSession, list[ChatMessage], AsyncCompletionStream]:
        """Begin a conversation with a template's messages: the session, the messages sent, the first answer's stream.

        The provider has accepted the request when this returns, so a web handler can still choose its status.
        """
        session = self.create_chat_session(project_id, template_name, variables, tag)
        stream, messages = await session.start_chat_stream(**parameters)
        return session, messages, stream

    async def restore_session(self, project_id: str, session_id: str) -> AsyncChatSession:
        """A conversation as the backend has it, to be continued with `send` or `send_stream`.

        It stands after the last turn that ended well, and goes on with the version of the template that it had.

        Raises:
            BackendError: the backend does not know the session, or does not answer.
            ConfigurationError: there is no turn to go on from.
        """
        restored = await asyncio.to_thread(self._restored, project_id, session_id)
        record = restored.record
        setting = self._setting(project_id, restored.environment, session_id, restored.metadata)
        session = AsyncChatSession(self, setting, restored.template.name, record.variables)
        session._take_over(restored)
        return session

    async def create_test_run(
        self, project_id: str, playlist: str, *, name: str | None = None, description: str | None = None
    ) -> AsyncTestRun:
        """Begin a test run over a dataset (0.1.6 called it a playlist) of the project.

        Raises:
            BackendError: no such dataset, or the backend does not answer.
        """
        cases = await asyncio.to_thread(
            begin_test_run, self._link(), project_id, playlist, name=name, description=description
        )
        return AsyncTestRun(self, cases)

    def _session(
        self,
        project_id: str,
        tag: str,
        *,
        session_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        parameters: Mapping[str, JsonValue] | None = None,
        test_cases: TestCases | None = None,
    ) -> AsyncSession:
        return AsyncSession(self, self._setting(project_id, tag, session_id, metadata, parameters, test_cases))

    async def flush(self, timeout_s: float = 10.0) -> FlushReport:
        """Wait until every record so far is stored, at most `timeout_s`, and say where they stand."""
        return await asyncio.to_thread(self._recorder.flush, timeout_s)

    async def warm(self) -> None:
        """Load the provider's client ahead of the first call, which would otherwise pay 1 to 2.5 s for it."""
        await asyncio.to_thread(self._warm)

    async def close(self) -> None:
        """Deliver what is pending, at most 2 s; what is left stays on disk for the next run. Safe to repeat."""
        await asyncio.to_thread(self._close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
