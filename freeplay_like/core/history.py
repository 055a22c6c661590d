"""A conversation as a value: every change gives a new one, so nobody's history changes under their hands.

Two rules hold everywhere:

- **One set of instructions.** Where two sources have instructions (a system message, or a developer's before the
  conversation begins), one wins and the model hears only that: a template's own over the history's, `with_system` over
  what was there, the left side of `+` over the right. Nothing is taken from what one source says by itself.
- **Whole rounds.** A round is a message of the user and everything up to the next; what an assistant says first is a
  round of its own. An answer of a tool stays in the round of its call, so that dropping rounds never parts the two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, overload

import attrs

from freeplay_like.core.completion import ChatCompletionResponse, CompletionResponse
from freeplay_like.core.media import Media
from freeplay_like.core.messages import (
    ROLES,
    ChatMessage,
    Message,
    MessageLike,
    MessagesLike,
    Role,
    instructions_of,
    message_from,
    messages_from,
    to_chat,
    without_instructions,
)
from freeplay_like.core.parts import content_of
from freeplay_like.core.tokens import estimate_tokens
from freeplay_like.core.wire import JsonObject, WireError, from_wire, to_wire
from freeplay_like.errors import MessageError

VERSION: Final = 1
"""The version of the JSON that `ChatHistory.to_json` writes."""


class _NoSuchMessage(MessageError, IndexError):
    """There is no message at that place."""


def _messages(value: MessagesLike | CompletionResponse) -> tuple[Message, ...]:
    if isinstance(value, ChatHistory):
        return value.messages
    if isinstance(value, ChatCompletionResponse):
        return value.messages
    if isinstance(value, CompletionResponse):
        return (value.message,)
    return messages_from(value)


@attrs.frozen
class ChatHistory(Sequence[Message]):
    """The messages of a conversation, instructions among them; taken wherever messages are.

    Made from text, one message, a list of messages or dicts, or an answer: a chat's answer brings its whole
    conversation. Always true, also when it is empty (`len` tells). Indexes are those of a list, the instructions
    counted; a slice gives a history, which keeps them.

    Raises:
        MessageError: a message is wrong, or (an IndexError too) there is none at an index; `index` says which.
    """

    messages: tuple[Message, ...] = attrs.field(default=(), converter=_messages)

    def __bool__(self) -> bool:
        return True

    def __len__(self) -> int:
        return len(self.messages)

    def __iter__(self) -> Iterator[Message]:
        return iter(self.messages)

    @overload
    def __getitem__(self, index: int) -> Message: ...
    @overload
    def __getitem__(self, index: slice) -> ChatHistory: ...
    def __getitem__(self, index: int | slice) -> Message | ChatHistory:
        if not isinstance(index, slice):
            return self.messages[self._place(index)]
        instructions = instructions_of(self.messages)
        chosen = range(len(self.messages))[index]
        before = [i for i in instructions if i not in chosen]
        return _of(self.messages[i] for i in (*before, *chosen))

    def __add__(self, other: MessagesLike | CompletionResponse) -> ChatHistory:
        more = _messages(other)
        if self.instructions:
            return _of((*self.messages, *without_instructions(more)))
        said = [more[i] for i in instructions_of(more)]
        return _of((*said, *self.messages, *without_instructions(more)))

    # --- reading ------------------------------------------------------------------------------------------

    @property
    def instructions(self) -> tuple[Message, ...]:
        """The system's messages, and the developer's before the conversation begins."""
        return tuple(self.messages[i] for i in instructions_of(self.messages))

    @property
    def system(self) -> str | None:
        """The text of the instructions, blank lines between several; None where there are none."""
        texts = [message.text for message in self.instructions]
        return "\n\n".join(texts) if texts else None

    @property
    def rounds(self) -> tuple[tuple[Message, ...], ...]:
        """The conversation in rounds, the oldest first, without its instructions."""
        grouped: list[list[Message]] = []
        for message, number in zip(self.messages, self._round_numbers(), strict=True):
            if number is None:
                continue
            if number == len(grouped):
                grouped.append([])
            grouped[number].append(message)
        return tuple(map(tuple, grouped))

    def of_role(self, *roles: Role) -> tuple[Message, ...]:
        """The messages of these roles.

        Raises:
            MessageError: there is no such role.
        """
        for role in roles:
            if role not in ROLES:
                raise MessageError(f"role {role!r}; known roles: {', '.join(sorted(ROLES))}")
        return tuple(message for message in self.messages if message.role in roles)

    def search(self, text: str) -> tuple[int, ...]:
        """The indexes of the messages whose text has this in it, in capitals or not."""
        wanted = text.casefold()
        return tuple(i for i, message in enumerate(self.messages) if wanted in message.text.casefold())

    def to_chat(self) -> list[ChatMessage]:
        """The messages as plain dicts of the caller's own."""
        return to_chat(self.messages)

    # --- changing -----------------------------------------------------------------------------------------

    def with_system(self, text: str | None) -> ChatHistory:
        """With this as the one system message, at the beginning; None takes all instructions away."""
        rest = without_instructions(self.messages)
        return _of(rest if text is None else (Message(role="system", content=text), *rest))

    def with_user(self, text: str, *media: Media) -> ChatHistory:
        """With one more message of the user; media go after its text."""
        return self.with_message({"role": "user", "content": content_of(text, media)})

    def with_assistant(self, text: str) -> ChatHistory:
        """With one more message of the assistant."""
        return self.with_message({"role": "assistant", "content": text})

    def with_tool_result(self, tool_call_id: str, text: str) -> ChatHistory:
        """With what a tool answered to the call of that id."""
        return self.with_message({"role": "tool", "tool_call_id": tool_call_id, "content": text})

    def with_response(self, response: CompletionResponse) -> ChatHistory:
        """With an answer, its tool calls and what its provider wants back of its reasoning."""
        return self.with_message(response.message)

    def with_message(self, message: MessageLike) -> ChatHistory:
        """With one more message of any kind at the end."""
        return self.insert(len(self.messages), message)

    def insert(self, index: int, message: MessageLike) -> ChatHistory:
        """With a message before the one at `index`; the length puts it at the end."""
        at = index if index == len(self.messages) else self._place(index)
        return _of((*self.messages[:at], message_from(message, index=at), *self.messages[at:]))

    def replace(self, index: int, message: MessageLike) -> ChatHistory:
        """With another message in the place of one."""
        at = self._place(index)
        return _of((*self.messages[:at], message_from(message, index=at), *self.messages[at + 1 :]))

    def remove(self, index: int) -> ChatHistory:
        """Without one message."""
        at = self._place(index)
        return _of((*self.messages[:at], *self.messages[at + 1 :]))

    # --- rounds -------------------------------------------------------------------------------------------

    def last_rounds(self, count: int) -> ChatHistory:
        """The instructions and the last rounds; 0 leaves the instructions alone.

        Raises:
            MessageError: fewer than 0.
        """
        if count < 0:
            raise MessageError(f"the last {count} rounds; ask for 0 or more")
        numbers = self._round_numbers()
        first = _rounds_in(numbers) - count
        return self._rounds_where(lambda number: number >= first, numbers)

    def without_last_round(self) -> ChatHistory:
        """Everything before the last round; the same history where there is none."""
        numbers = self._round_numbers()
        last = _rounds_in(numbers) - 1
        return self._rounds_where(lambda number: number < last, numbers)

    def trimmed(self, max_tokens: int, count: Callable[[Sequence[Message]], int] = estimate_tokens) -> ChatHistory:
        """Without the oldest rounds, as many as it takes for the rest to have at most `max_tokens`.

        The instructions and the last round stay, even where they alone have more. `count` is asked once for the
        instructions and once for each round that may stay, the newest first.
        """
        rounds = self.rounds
        left = max_tokens - count(self.instructions)
        kept = 0
        for number, messages in enumerate(reversed(rounds)):
            left -= count(messages)
            if left < 0 and number > 0:
                break
            kept += 1
        return self if kept == len(rounds) else self.last_rounds(kept)

    def _rounds_where(self, is_kept: Callable[[int], bool], numbers: Sequence[int | None]) -> ChatHistory:
        pairs = zip(self.messages, numbers, strict=True)
        return _of(message for message, number in pairs if number is None or is_kept(number))

    def _round_numbers(self) -> list[int | None]:
        """For each message the number of its round, None for instructions.

        A round that answers a call of an earlier one is joined with it, and with those between.
        """
        instructions = set(instructions_of(self.messages))
        starts: list[int] = []
        called_at: dict[str, int] = {}
        for i, message in enumerate(self.messages):
            if i in instructions:
                continue
            if message.role == "user" or not starts:
                starts.append(i)
            called_at.update((call.id, i) for call in message.tool_calls)
            asked_at = called_at.get(message.tool_call_id or "", i) if message.role == "tool" else i
            while starts[-1] > asked_at:
                starts.pop()
        return _numbered(len(self.messages), starts, instructions)

    def _place(self, index: int) -> int:
        size = len(self.messages)
        if not -size <= index < size:
            raise _NoSuchMessage(f"there is no message {index} in a history of {size}", index=index)
        return index % size

    # --- JSON ---------------------------------------------------------------------------------------------

    def to_json(self) -> str:
        """The history as JSON: `{"version": 1, "messages": [...]}`, each message as `to_chat` gives it."""
        return to_wire({"version": VERSION, "messages": self.to_chat()}).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> ChatHistory:
        """The history that `to_json` wrote, in this version of the SDK or an older one.

        Raises:
            MessageError: not that JSON, of a version that is not known here, or a message is wrong.
        """
        try:
            fields: JsonObject = from_wire(text, dict)
        except WireError as exc:
            raise MessageError(f"a history is a JSON object with 'version' and 'messages'; this is not: {exc}") from exc
        version, messages = fields.get("version"), fields.get("messages")
        if type(version) is not int or version < 1:
            raise MessageError(f"a history has version {version!r}; expected a number such as {VERSION}")
        if version > VERSION:
            raise MessageError(
                f"a history has version {version}, this freeplay_like reads up to {VERSION}; upgrade it to read this"
            )
        if not isinstance(messages, list):
            raise MessageError(f"a history has 'messages' of type {type(messages).__name__}; expected a list")
        return cls(messages)


def _of(messages: Iterable[Message]) -> ChatHistory:
    """A history of messages that were looked at before: adding one does not cost a look at all."""
    history = ChatHistory()
    object.__setattr__(history, "messages", tuple(messages))
    return history


def _rounds_in(numbers: Sequence[int | None]) -> int:
    return next((number + 1 for number in reversed(numbers) if number is not None), 0)


def _numbered(size: int, starts: Sequence[int], instructions: set[int]) -> list[int | None]:
    numbers: list[int | None] = []
    number = -1
    for i in range(size):
        if number + 1 < len(starts) and starts[number + 1] == i:
            number += 1
        numbers.append(None if i in instructions else number)
    return numbers
