"""Chats: conversations that begin with a template and remember what was said."""

from __future__ import annotations

from collections.abc import Mapping

from freeplay_like.core.completion import ChatCompletionResponse
from freeplay_like.core.messages import ChatMessage, Message, MessagesLike, to_chat
from freeplay_like.core.wire import JsonValue
from freeplay_like.session.base import chat_response
from freeplay_like.session.calls import Call
from freeplay_like.session.completions import AsyncSession, Session
from freeplay_like.session.state import ChatState, given
from freeplay_like.session.streams import AsyncCompletionStream, CompletionStream


class ChatSession(ChatState, Session):
    """A conversation that began with a template; see `Freeplay.start_chat_stream`."""

    def start_chat(self, **parameters: JsonValue) -> ChatCompletionResponse:
        """Send the template's messages and return the whole answer."""
        return self._answer(None, parameters)

    def start_chat_stream(self, **parameters: JsonValue) -> tuple[CompletionStream, list[ChatMessage]]:
        """Send the template's messages; the stream, and the messages that were sent."""
        call = self._call(None, parameters, is_stream=True)
        return self._open_turn(call), to_chat(call.record.messages)

    def continue_chat(
        self,
        message_history: MessagesLike,
        new_messages: MessagesLike | None = None,
        **parameters: JsonValue,
    ) -> ChatCompletionResponse:
        """Send a history that the caller keeps, and new messages after it."""
        return self._answer(given(message_history, new_messages), parameters)

    def continue_chat_stream(
        self,
        message_history: MessagesLike,
        new_messages: MessagesLike | None = None,
        **parameters: JsonValue,
    ) -> CompletionStream:
        """The same, as a stream."""
        return self._open_turn(self._call(given(message_history, new_messages), parameters, is_stream=True))

    def send(self, new_messages: MessagesLike, **parameters: JsonValue) -> ChatCompletionResponse:
        """Continue the conversation that this session remembers; text alone is a message of the user."""
        return self._answer(self._next_messages(new_messages), parameters)

    def send_stream(self, new_messages: MessagesLike, **parameters: JsonValue) -> CompletionStream:
        """The same, as a stream."""
        return self._open_turn(self._call(self._next_messages(new_messages), parameters, is_stream=True))

    def _call(
        self, messages: tuple[Message, ...] | None, parameters: Mapping[str, JsonValue], *, is_stream: bool
    ) -> Call:
        return self._plan_chat(self._template(self._template_name), messages, parameters, is_stream=is_stream)

    def _answer(
        self, messages: tuple[Message, ...] | None, parameters: Mapping[str, JsonValue]
    ) -> ChatCompletionResponse:
        call = self._call(messages, parameters, is_stream=False)
        return chat_response(self._open_turn(call).result(), call.record.messages)

    def _open_turn(self, call: Call) -> CompletionStream:
        listener = self._conversation.turn(call.record, allow_incomplete=call.options.allow_incomplete)
        try:
            return CompletionStream.open(call, self._client._recorder, self._client._clock, listener)
        except BaseException:
            self._conversation.free(call.record)
            raise


class AsyncChatSession(ChatState, AsyncSession):
    """The async twin of `ChatSession`."""

    async def start_chat(self, **parameters: JsonValue) -> ChatCompletionResponse:
        """Send the template's messages and return the whole answer."""
        return await self._answer(None, parameters)

    async def start_chat_stream(self, **parameters: JsonValue) -> tuple[AsyncCompletionStream, list[ChatMessage]]:
        """Send the template's messages; the stream, and the messages that were sent."""
        call = await self._call(None, parameters, is_stream=True)
        return await self._open_turn(call), to_chat(call.record.messages)

    async def continue_chat(
        self,
        message_history: MessagesLike,
        new_messages: MessagesLike | None = None,
        **parameters: JsonValue,
    ) -> ChatCompletionResponse:
        """Send a history that the caller keeps, and new messages after it."""
        return await self._answer(given(message_history, new_messages), parameters)

    async def continue_chat_stream(
        self,
        message_history: MessagesLike,
        new_messages: MessagesLike | None = None,
        **parameters: JsonValue,
    ) -> AsyncCompletionStream:
        """The same, as a stream."""
        return await self._open_turn(await self._call(given(message_history, new_messages), parameters, is_stream=True))

    async def send(self, new_messages: MessagesLike, **parameters: JsonValue) -> ChatCompletionResponse:
        """Continue the conversation that this session remembers; text alone is a message of the user."""
        return await self._answer(self._next_messages(new_messages), parameters)

    async def send_stream(self, new_messages: MessagesLike, **parameters: JsonValue) -> AsyncCompletionStream:
        """The same, as a stream."""
        return await self._open_turn(await self._call(self._next_messages(new_messages), parameters, is_stream=True))

    async def _call(
        self, messages: tuple[Message, ...] | None, parameters: Mapping[str, JsonValue], *, is_stream: bool
    ) -> Call:
        template = await self._template(self._template_name)
        return self._plan_chat(template, messages, parameters, is_stream=is_stream)

    async def _answer(
        self, messages: tuple[Message, ...] | None, parameters: Mapping[str, JsonValue]
    ) -> ChatCompletionResponse:
        call = await self._call(messages, parameters, is_stream=False)
        return chat_response(await (await self._open_turn(call)).result(), call.record.messages)

    async def _open_turn(self, call: Call) -> AsyncCompletionStream:
        listener = self._conversation.turn(call.record, allow_incomplete=call.options.allow_incomplete)
        try:
            return await AsyncCompletionStream.open(call, self._client._recorder, self._client._clock, listener)
        except BaseException:
            self._conversation.free(call.record)
            raise
