"""A record's messages as turns that can be read. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

from freeplay_like.core.messages import Message, Role, ToolCall
from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.wire import JsonObject
from freeplay_like.server.pages.formats import pretty

FOLDED_FROM_CHARACTERS = 900
"""A turn of this length is folded, unless it is the last question."""

MARKED_FROM_CHARACTERS = 3
"""A shorter value of a variable is not marked in the prompt: it would be found everywhere."""

EARLIER_FROM_TURNS = 5
"""From this many turns on, what came before the last question is folded into one line."""

_MOST_MARKED_VARIABLES = 50


@attrs.frozen(kw_only=True)
class Piece:
    """A stretch of text; `variable` names the variable whose value it is."""

    text: str
    variable: str | None = None


@attrs.frozen(kw_only=True)
class Attachment:
    """A part of a message that is not text. It is described, never loaded: its address may be anybody's."""

    kind: str
    body: str


@attrs.frozen(kw_only=True)
class Turn:
    """One message. `is_folded` turns show their beginning until they are opened."""

    role: Role
    name: str | None
    pieces: tuple[Piece, ...]
    attachments: tuple[Attachment, ...]
    tool_calls: tuple[ToolCall, ...]
    tool_call_id: str | None
    is_folded: bool

    @property
    def text(self) -> str:
        """The whole text."""
        return "".join(piece.text for piece in self.pieces)


@attrs.frozen(kw_only=True)
class Prompt:
    """The messages that were sent, in order: the instructions, what is folded of the conversation, and the rest."""

    opening: tuple[Turn, ...] = ()
    earlier: tuple[Turn, ...] = ()
    latest: tuple[Turn, ...] = ()


def prompt_of(record: Record) -> Prompt:
    """The messages that were sent, with the values of variables marked."""
    last_user = max((i for i, message in enumerate(record.messages) if message.role == "user"), default=0)
    values = _marked_values(record.variables) if record.template is not None else {}
    turns = tuple(_turn(message, values, may_fold=index != last_user) for index, message in enumerate(record.messages))
    begin = next((i for i, turn in enumerate(turns) if turn.role not in ("system", "developer")), len(turns))
    if last_user - begin < EARLIER_FROM_TURNS:
        return Prompt(opening=turns[:begin], latest=turns[begin:])
    return Prompt(opening=turns[:begin], earlier=turns[begin:last_user], latest=turns[last_user:])


def added_turns(amendments: Iterable[Amendment]) -> tuple[Turn, ...]:
    """The messages that were added after the answer."""
    return tuple(_turn(message, {}, may_fold=True) for said in amendments for message in said.new_messages)


def _turn(message: Message, values: dict[str, str], *, may_fold: bool) -> Turn:
    is_prompt = message.role in ("system", "developer", "user")
    return Turn(
        role=message.role,
        name=message.name,
        pieces=marked(message.text, values if is_prompt else {}),
        attachments=_attachments(message),
        tool_calls=message.tool_calls,
        tool_call_id=message.tool_call_id,
        is_folded=may_fold and len(message.text) >= FOLDED_FROM_CHARACTERS,
    )


def _attachments(message: Message) -> tuple[Attachment, ...]:
    if message.content is None or isinstance(message.content, str):
        return ()
    others = (part for part in message.content if part.get("type") != "text")
    return tuple(Attachment(kind=str(part.get("type", "part")), body=pretty(part)) for part in others)


def _marked_values(variables: JsonObject) -> dict[str, str]:
    """Text to look for, and the variable it belongs to; the longest first, so that it wins over its own parts."""
    texts = {
        value.strip(): name
        for name, value in variables.items()
        if isinstance(value, str) and len(value.strip()) >= MARKED_FROM_CHARACTERS
    }
    return dict(sorted(texts.items(), key=lambda item: -len(item[0]))[:_MOST_MARKED_VARIABLES])


def marked(text: str, values: dict[str, str]) -> tuple[Piece, ...]:
    """The text in pieces, those apart that are the value of a variable. Put together they are the text."""
    if not values or not text:
        return (Piece(text=text),) if text else ()
    pattern = re.compile("(" + "|".join(re.escape(value) for value in values) + ")")
    return tuple(Piece(text=piece, variable=values.get(piece)) for piece in pattern.split(text) if piece)
