"""Sessions: completions that belong together, and chats that are continued.

A session holds no connection and makes no round trip: its id is made here. A template is looked up once a session, so
a prompt does not change in the middle of a conversation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from freeplay_like.core.completion import ChatCompletionResponse, CompletionResponse
from freeplay_like.core.messages import ChatMessage, Message, MessageLike, MessagesLike, messages_from, to_chat
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonValue
from freeplay_like.errors import ConfigurationError
from freeplay_like.flavors.base import Flavor
from freeplay_like.session.base import Client, chat_response
from freeplay_like.session.calls import Call, Setting
from freeplay_like.session.conversation import Conversation, Totals
from freeplay_like.session.streams import AsyncCompletionStream, CompletionStream


class _SessionState:
    """What both twins know. No I/O."""

    def __init__(self, client: Client, setting: Setting) -> None:
        self._client = client
        self._setting = setting
        self._conversation = Conversation()
        self._templates: dict[str, PromptTemplate] = {}

    @property
    def session_id(self) -> str:
        """The id of the session, a UUIDv7."""
        return self._setting.session_id

    @property
    def totals(self) -> Totals:
        """What the calls of this session have used so far."""
        return self._conversation.totals

    def _at_hand(self, name: str) -> PromptTemplate | None:
        return self._templates.get(name) or self._client._prompts.at_hand(
            self._setting.project_id, name, self._setting.environment
        )

    def _fetch(self, name: str) -> PromptTemplate:
        return self._client._prompts.get(self._setting.project_id, name, self._setting.environment)

    def _plan(
        self,
        template: PromptTemplate,
        variables: Mapping[str, JsonValue],
        parameters: Mapping[str, JsonValue],
        *,
        messages: tuple[Message, ...] | None = None,
        flavor: Flavor | None = None,
        is_stream: bool,
    ) -> Call:
        self._templates[template.name] = template
        return self._client._prepare(
            self._setting,
            template,
            variables,
            template.render(variables) if messages is None else messages,
            parameters,
            is_stream=is_stream,
            flavor=flavor,
        )


class _ChatState(_SessionState):
    """What both chat twins know."""

    def __init__(
        self,
        client: Client,
        setting: Setting,
        template_name: str,
        variables: Mapping[str, JsonValue],
        flavor: Flavor | None = None,
    ) -> None:
        super().__init__(client, setting)
        self._template_name = template_name
        self._variables = dict(variables)
        self._chat_flavor = flavor

    @property
    def history(self) -> list[ChatMessage]:
        """The conversation so far, as plain dicts of the caller's own.

        A turn is in it once the provider has ended its answer; a turn that failed or was left early is not.
        """
        return to_chat(self._conversation.messages)

    def _plan_chat(
        self,
        template: PromptTemplate,
        messages: tuple[Message, ...] | None,
        parameters: Mapping[str, JsonValue],
        *,
        is_stream: bool,
    ) -> Call:
        return self._plan(
            template,
            self._variables,
            parameters,
            messages=messages,
            flavor=self._chat_flavor,
            is_stream=is_stream,
        )

    def _next_messages(self, new: MessagesLike) -> tuple[Message, ...]:
        if not self._conversation.messages:
            raise ConfigurationError(
                "there is no conversation to continue: start it first (start_chat or start_chat_stream) "
                "and read its answer to the end"
            )
        return (*self._conversation.messages, *messages_from(new))


def _given(history: MessagesLike, new: MessageLike | MessagesLike | None) -> tuple[Message, ...]:
    return (*messages_from(history), *(() if new is None else messages_from(new)))


class Session(_SessionState):
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

    def _template(self, name: str) -> PromptTemplate:
        return self._at_hand(name) or self._fetch(name)

    def _open(self, call: Call) -> CompletionStream:
        listener = self._conversation.turn(call.record.messages)
        return CompletionStream.open(call, self._client._recorder, self._client._clock, listener)


class ChatSession(_ChatState, Session):
    """A conversation that began with a template; see `Freeplay.start_chat_stream`."""

    def start_chat(self, **parameters: JsonValue) -> ChatCompletionResponse:
        """Send the template's messages and return the whole answer."""
        return self._answer(None, parameters)

    def start_chat_stream(self, **parameters: JsonValue) -> tuple[CompletionStream, list[ChatMessage]]:
        """Send the template's messages; the stream, and the messages that were sent."""
        call = self._call(None, parameters, is_stream=True)
        return self._open(call), to_chat(call.record.messages)

    def continue_chat(
        self,
        message_history: MessagesLike,
        new_messages: MessagesLike | None = None,
        **parameters: JsonValue,
    ) -> ChatCompletionResponse:
        """Send a history that the caller keeps, and new messages after it."""
        return self._answer(_given(message_history, new_messages), parameters)

    def continue_chat_stream(
        self,
        message_history: MessagesLike,
        new_messages: MessagesLike | None = None,
        **parameters: JsonValue,
    ) -> CompletionStream:
        """The same, as a stream."""
        return self._open(self._call(_given(message_history, new_messages), parameters, is_stream=True))

    def send(self, new_messages: MessagesLike, **parameters: JsonValue) -> ChatCompletionResponse:
        """Continue the conversation that this session remembers; text alone is a message of the user."""
        return self._answer(self._next_messages(new_messages), parameters)

    def send_stream(self, new_messages: MessagesLike, **parameters: JsonValue) -> CompletionStream:
        """The same, as a stream."""
        return self._open(self._call(self._next_messages(new_messages), parameters, is_stream=True))

    def _call(
        self, messages: tuple[Message, ...] | None, parameters: Mapping[str, JsonValue], *, is_stream: bool
    ) -> Call:
        return self._plan_chat(self._template(self._template_name), messages, parameters, is_stream=is_stream)

    def _answer(
        self, messages: tuple[Message, ...] | None, parameters: Mapping[str, JsonValue]
    ) -> ChatCompletionResponse:
        call = self._call(messages, parameters, is_stream=False)
        return chat_response(self._open(call).result(), call.record.messages)


class AsyncSession(_SessionState):
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

    async def _template(self, name: str) -> PromptTemplate:
        template = self._at_hand(name)
        return template if template is not None else await asyncio.to_thread(self._fetch, name)

    async def _open(self, call: Call) -> AsyncCompletionStream:
        listener = self._conversation.turn(call.record.messages)
        return await AsyncCompletionStream.open(call, self._client._recorder, self._client._clock, listener)


class AsyncChatSession(_ChatState, AsyncSession):
    """The async twin of `ChatSession`."""

    async def start_chat(self, **parameters: JsonValue) -> ChatCompletionResponse:
        """Send the template's messages and return the whole answer."""
        return await self._answer(None, parameters)

    async def start_chat_stream(self, **parameters: JsonValue) -> tuple[AsyncCompletionStream, list[ChatMessage]]:
        """Send the template's messages; the stream, and the messages that were sent."""
        call = await self._call(None, parameters, is_stream=True)
        return await self._open(call), to_chat(call.record.messages)

    async def continue_chat(
        self,
        message_history: MessagesLike,
        new_messages: MessagesLike | None = None,
        **parameters: JsonValue,
    ) -> ChatCompletionResponse:
        """Send a history that the caller keeps, and new messages after it."""
        return await self._answer(_given(message_history, new_messages), parameters)

    async def continue_chat_stream(
        self,
        message_history: MessagesLike,
        new_messages: MessagesLike | None = None,
        **parameters: JsonValue,
    ) -> AsyncCompletionStream:
        """The same, as a stream."""
        return await self._open(await self._call(_given(message_history, new_messages), parameters, is_stream=True))

    async def send(self, new_messages: MessagesLike, **parameters: JsonValue) -> ChatCompletionResponse:
        """Continue the conversation that this session remembers; text alone is a message of the user."""
        return await self._answer(self._next_messages(new_messages), parameters)

    async def send_stream(self, new_messages: MessagesLike, **parameters: JsonValue) -> AsyncCompletionStream:
        """The same, as a stream."""
        return await self._open(await self._call(self._next_messages(new_messages), parameters, is_stream=True))

    async def _call(
        self, messages: tuple[Message, ...] | None, parameters: Mapping[str, JsonValue], *, is_stream: bool
    ) -> Call:
        template = await self._template(self._template_name)
        return self._plan_chat(template, messages, parameters, is_stream=is_stream)

    async def _answer(
        self, messages: tuple[Message, ...] | None, parameters: Mapping[str, JsonValue]
    ) -> ChatCompletionResponse:
        call = await self._call(messages, parameters, is_stream=False)
        return chat_response(await (await self._open(call)).result(), call.record.messages)
