"""Sessions: completions that belong together.

A session holds no connection and makes no round trip: its id is made here. A template is looked up once a session, so a
prompt does not change in the middle of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TypeVar, overload

from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.continuation import Continuation, refuse_choices
from freeplay_like.core.messages import Message
from freeplay_like.core.schemas import SchemaLike
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonValue
from freeplay_like.flavors.base import Flavor
from freeplay_like.session.calls import Call
from freeplay_like.session.continued import AsyncContinuedStream, ContinuedStream
from freeplay_like.session.state import SessionState
from freeplay_like.session.streams import AsyncCompletionStream, CompletionStream
from freeplay_like.session.structured import Structured

T = TypeVar("T")


class Session(SessionState):
    """Completions that belong together; see `Freeplay.create_session`."""

    def get_completion(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> CompletionResponse:
        """Render a template, call the provider, return the whole answer. Errors as in `Freeplay.get_completion`."""
        call = self._plan(self._template(template_name), variables, parameters, flavor=flavor, is_stream=False)
        return self._open(call).result()

    def get_completion_stream(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> CompletionStream:
        """The same, as a stream; the provider has accepted the request when this returns."""
        call = self._plan(self._template(template_name), variables, parameters, flavor=flavor, is_stream=True)
        return self._open(call)

    def complete(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
        *,
        continuation: Continuation | None = None,
        **parameters: JsonValue,
    ) -> CompletionResponse:
        """The whole answer, continued with further calls where it hits its length limit.

        `.parts` of the answer are those of the single calls, each with its record; `continuation` says how often and
        how they are asked for.

        Raises:
            IncompleteResponse: still truncated at the end, or a further call failed; `.partial` is all text so far.
            Errors of the first call are those of `get_completion`.
        """
        stream = self._continued(template_name, variables, flavor, continuation, parameters, is_stream=False)
        return stream.result()

    def complete_stream(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
        *,
        continuation: Continuation | None = None,
        **parameters: JsonValue,
    ) -> ContinuedStream:
        """The same, as one stream over all parts; the provider has accepted the first request when this returns."""
        return self._continued(template_name, variables, flavor, continuation, parameters, is_stream=True)

    @overload
    def structured(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        schema: type[T],
        flavor: Flavor | None = None,
        *,
        repairs: int = 1,
        **parameters: JsonValue,
    ) -> Structured[T]: ...
    @overload
    def structured(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        schema: Mapping[str, object],
        flavor: Flavor | None = None,
        *,
        repairs: int = 1,
        **parameters: JsonValue,
    ) -> Structured[JsonValue]: ...
    def structured(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        schema: SchemaLike,
        flavor: Flavor | None = None,
        *,
        repairs: int = 1,
        **parameters: JsonValue,
    ) -> Structured[object]:
        """An answer as a value of `schema` (a class with typed fields, or JSON Schema), validated.

        A flavor that can binds the model to the schema, others ask for it in words. An answer that does not fit is
        shown to the model with what is wrong, at most `repairs` times; each repair's record names the first one.

        Raises:
            StructuredOutputError: the last answer does not fit either; `.text` and `.problems` say how.
            Errors of the calls are those of `get_completion`.
        """
        template = self._template(template_name)
        asking = self._asking(template, variables, schema, flavor, repairs, parameters)
        while True:
            call = self._plan_asking(asking, template, variables)
            response = self._open(call).result()
            if asking.take(call, response):
                return asking.answer()

    def _continued(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None,
        continuation: Continuation | None,
        parameters: Mapping[str, JsonValue],
        *,
        is_stream: bool,
    ) -> ContinuedStream:
        template = self._template(template_name)

        def plan(messages: tuple[Message, ...] | None, parent_id: str | None) -> Call:
            return self._plan(
                template,
                variables,
                parameters,
                messages=messages,
                flavor=flavor,
                is_stream=is_stream,
                parent_id=parent_id,
            )

        def open_part(messages: tuple[Message, ...], parent_id: str) -> CompletionStream:
            return self._open(plan(messages, parent_id))

        first = plan(None, None)
        refuse_choices(first.request.body)
        return ContinuedStream(continuation or Continuation(), self._open(first), open_part, self._client._clock)

    def _template(self, name: str) -> PromptTemplate:
        return self._at_hand(name) or self._fetch(name)

    def _open(self, call: Call) -> CompletionStream:
        listener = self._conversation.count(call.record)
        return CompletionStream.open(call, self._client._recorder, self._client._clock, listener)


class AsyncSession(SessionState):
    """The async twin of `Session`."""

    async def get_completion(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> CompletionResponse:
        """Render a template, call the provider, return the whole answer. Errors as in `Freeplay.get_completion`."""
        template = await self._template(template_name)
        call = self._plan(template, variables, parameters, flavor=flavor, is_stream=False)
        return await (await self._open(call)).result()

    async def get_completion_stream(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> AsyncCompletionStream:
        """The same, as a stream; the provider has accepted the request when this returns."""
        template = await self._template(template_name)
        return await self._open(self._plan(template, variables, parameters, flavor=flavor, is_stream=True))

    async def complete(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
        *,
        continuation: Continuation | None = None,
        **parameters: JsonValue,
    ) -> CompletionResponse:
        """The whole answer, continued with further calls where it hits its length limit.

        `.parts` of the answer are those of the single calls, each with its record; `continuation` says how often and
        how they are asked for.

        Raises:
            IncompleteResponse: still truncated at the end, or a further call failed; `.partial` is all text so far.
            Errors of the first call are those of `get_completion`.
        """
        stream = await self._continued(template_name, variables, flavor, continuation, parameters, is_stream=False)
        return await stream.result()

    async def complete_stream(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
        *,
        continuation: Continuation | None = None,
        **parameters: JsonValue,
    ) -> AsyncContinuedStream:
        """The same, as one stream over all parts; the provider has accepted the first request when this returns."""
        return await self._continued(template_name, variables, flavor, continuation, parameters, is_stream=True)

    @overload
    async def structured(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        schema: type[T],
        flavor: Flavor | None = None,
        *,
        repairs: int = 1,
        **parameters: JsonValue,
    ) -> Structured[T]: ...
    @overload
    async def structured(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        schema: Mapping[str, object],
        flavor: Flavor | None = None,
        *,
        repairs: int = 1,
        **parameters: JsonValue,
    ) -> Structured[JsonValue]: ...
    async def structured(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        schema: SchemaLike,
        flavor: Flavor | None = None,
        *,
        repairs: int = 1,
        **parameters: JsonValue,
    ) -> Structured[object]:
        """An answer as a value of `schema` (a class with typed fields, or JSON Schema), validated.

        A flavor that can binds the model to the schema, others ask for it in words. An answer that does not fit is
        shown to the model with what is wrong, at most `repairs` times; each repair's record names the first one.

        Raises:
            StructuredOutputError: the last answer does not fit either; `.text` and `.problems` say how.
            Errors of the calls are those of `get_completion`.
        """
        template = await self._template(template_name)
        asking = self._asking(template, variables, schema, flavor, repairs, parameters)
        while True:
            call = self._plan_asking(asking, template, variables)
            response = await (await self._open(call)).result()
            if asking.take(call, response):
                return asking.answer()

    async def _continued(
        self,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None,
        continuation: Continuation | None,
        parameters: Mapping[str, JsonValue],
        *,
        is_stream: bool,
    ) -> AsyncContinuedStream:
        template = await self._template(template_name)

        def plan(messages: tuple[Message, ...] | None, parent_id: str | None) -> Call:
            return self._plan(
                template,
                variables,
                parameters,
                messages=messages,
                flavor=flavor,
                is_stream=is_stream,
                parent_id=parent_id,
            )

        async def open_part(messages: tuple[Message, ...], parent_id: str) -> AsyncCompletionStream:
            return await self._open(plan(messages, parent_id))

        first = plan(None, None)
        refuse_choices(first.request.body)
        return AsyncContinuedStream(
            continuation or Continuation(), await self._open(first), open_part, self._client._clock
        )

    async def _template(self, name: str) -> PromptTemplate:
        template = self._at_hand(name)
        return template if template is not None else await asyncio.to_thread(self._fetch, name)

    async def _open(self, call: Call) -> AsyncCompletionStream:
        listener = self._conversation.count(call.record)
        return await AsyncCompletionStream.open(call, self._client._recorder, self._client._clock, listener)
