"""A record's messages as turns that can be read. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import attrs

from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message, Role
from freeplay_like.core.records import Amendment, Record
from freeplay_like.server.pages.call import media
from freeplay_like.server.pages.call.marks import Marks, Piece, marks_of
from freeplay_like.server.pages.call.media import Attachment
from freeplay_like.server.pages.formats import clipped, laid_out

FOLDED_FROM_CHARACTERS: Final = 900
"""A turn of this length is folded, unless it is the last question."""

EARLIER_FROM_TURNS: Final = 5
"""From this many turns on, what came before the last question is folded into one line."""

OPEN_LIMIT: Final = 40
"""More turns than this in a row are folded, but for those at either end."""
_FIRST, _LAST = 4, 16

FOLDED_LIMIT: Final = 100
"""The most turns that lie folded in one line; the page that shows everything has the rest."""

TURN_LIMIT_CHARACTERS: Final = 20_000
"""The most that is shown of one message, and what all of them share on a page."""
_TURN_LEAST, _ALL_TURNS = 1_000, 250_000

ANSWER_LIMIT_CHARACTERS: Final = 100_000


@attrs.frozen(kw_only=True)
class Call:
    """A tool call, and what came back, where the conversation says it."""

    id: str
    name: str
    arguments: str
    result: Turn | None = None


@attrs.frozen(kw_only=True)
class Turn:
    """One message. `is_folded` turns show their beginning until they are opened; `left_out` counts the characters that
    are not on the page."""

    role: Role
    name: str | None
    pieces: tuple[Piece, ...]
    attachments: tuple[Attachment, ...]
    tool_calls: tuple[Call, ...]
    tool_call_id: str | None
    reasoning: str
    length: int
    left_out: int
    is_folded: bool

    @property
    def text(self) -> str:
        """The text, as far as it is shown."""
        return "".join(piece.text for piece in self.pieces)


@attrs.frozen(kw_only=True)
class Group:
    """Turns in a row. A `label` folds them into one line; `left_out` counts those before them that are not shown."""

    turns: tuple[Turn, ...]
    label: str | None = None
    left_out: int = 0


@attrs.frozen(kw_only=True)
class Prompt:
    """The messages that were sent, in order: the instructions, what is folded of the conversation, and the rest."""

    groups: tuple[Group, ...] = ()


@attrs.frozen(kw_only=True)
class Answer:
    """One choice of a call. `json` is its text laid out, where it is an object or a list; `left_out` as in a turn."""

    choice: Choice
    text: str
    json: str | None
    left_out: int
    tool_calls: tuple[Call, ...]


@attrs.frozen(kw_only=True)
class Limits:
    """How much is shown: None is everything."""

    turn: int | None = TURN_LIMIT_CHARACTERS
    folded: int | None = FOLDED_LIMIT

    @classmethod
    def for_page(cls, record: Record, *, is_whole: bool) -> Limits:
        """The limits of a page: the more messages there are, the less of each."""
        if is_whole:
            return cls(turn=None, folded=None)
        share = _ALL_TURNS // max(1, len(record.messages))
        return cls(turn=min(TURN_LIMIT_CHARACTERS, max(_TURN_LEAST, share)))


# --- messages as turns ------------------------------------------------------------------------------------


def prompt_of(record: Record, marks: Marks | None = None, *, is_whole: bool = False) -> Prompt:
    """The messages that were sent; `marks` are those of the record alone where none are given."""
    limits = Limits.for_page(record, is_whole=is_whole)
    return Prompt(groups=_groups(record, marks_of(record) if marks is None else marks, limits))


def _groups(record: Record, marks: Marks, limits: Limits) -> tuple[Group, ...]:
    last_user = max((i for i, message in enumerate(record.messages) if message.role == "user"), default=0)
    turns = turns_of(record.messages, marks, limits, unfolded=last_user)
    numbers = [number for number, _ in turns]
    begin = next((i for i, (_, turn) in enumerate(turns) if turn.role not in ("system", "developer")), len(turns))
    latest = next((i for i, number in enumerate(numbers) if number >= last_user), len(turns))
    only = [turn for _, turn in turns]
    groups = _with_middle_folded(only[:begin], limits)
    if latest - begin >= EARLIER_FROM_TURNS:
        groups.append(_folded(only[begin:latest], "earlier messages", limits))
        begin = latest
    groups += _with_middle_folded(only[begin:], limits)
    return tuple(groups)


def turns_of(
    messages: Sequence[Message], marks: Marks, limits: Limits, unfolded: int | None = None
) -> list[tuple[int, Turn]]:
    """The messages as turns, each with its place; what a tool answered stands with its call."""
    results = _results(messages)
    asked = {call.id for message in messages for call in message.tool_calls}
    room = media.PAGE_LIMIT_CHARACTERS
    turns: list[tuple[int, Turn]] = []
    for number, message in enumerate(messages):
        if message.role == "tool" and message.tool_call_id in asked:
            continue
        turn = _turn(message, marks, limits, may_fold=number != unfolded, results=results)
        turn = attrs.evolve(turn, attachments=media.within_limit(turn.attachments, room))
        room -= sum(len(each.source or "") for each in turn.attachments)
        turns.append((number, turn))
    return turns


def added_turns(amendments: Iterable[Amendment], limits: Limits) -> tuple[Turn, ...]:
    """The messages that were added after the answer."""
    messages = [message for said in amendments for message in said.new_messages]
    return tuple(turn for _, turn in turns_of(messages, Marks(), limits))


def _results(messages: Sequence[Message]) -> dict[str, Message]:
    found: dict[str, Message] = {}
    for message in messages:
        if message.role == "tool" and message.tool_call_id:
            found.setdefault(message.tool_call_id, message)
    return found


def _turn(
    message: Message, marks: Marks, limits: Limits, *, may_fold: bool, results: Mapping[str, Message] | None = None
) -> Turn:
    length = len(message.text)
    limit = length if limits.turn is None else limits.turn
    calls = tuple(
        Call(
            id=call.id,
            name=call.name,
            arguments=_cut(call.arguments, limits),
            result=None
            if (result := (results or {}).get(call.id)) is None
            else _turn(result, marks, limits, may_fold=True),
        )
        for call in message.tool_calls
    )
    return Turn(
        role=message.role,
        name=message.name,
        pieces=_clipped(marks.pieces(message), limit),
        attachments=media.attachments_of(message),
        tool_calls=calls,
        tool_call_id=message.tool_call_id,
        reasoning=_cut(message.reasoning, limits),
        length=length,
        left_out=max(0, length - limit),
        is_folded=may_fold and length >= FOLDED_FROM_CHARACTERS,
    )


def _cut(text: str, limits: Limits) -> str:
    return text if limits.turn is None else clipped(text, limits.turn)


def _clipped(pieces: tuple[Piece, ...], limit: int) -> tuple[Piece, ...]:
    kept: list[Piece] = []
    for piece in pieces:
        if limit <= 0:
            break
        kept.append(piece if len(piece.text) <= limit else attrs.evolve(piece, text=piece.text[:limit]))
        limit -= len(piece.text)
    return tuple(kept)


def _with_middle_folded(turns: Sequence[Turn], limits: Limits) -> list[Group]:
    if not turns:
        return []
    if len(turns) <= OPEN_LIMIT:
        return [Group(turns=tuple(turns))]
    middle = _folded(turns[_FIRST:-_LAST], "messages in between", limits)
    return [Group(turns=tuple(turns[:_FIRST])), middle, Group(turns=tuple(turns[-_LAST:]))]


def _folded(turns: Sequence[Turn], what: str, limits: Limits) -> Group:
    shown = turns if limits.folded is None else turns[-limits.folded :]
    return Group(turns=tuple(shown), label=f"{len(turns):,} {what}", left_out=len(turns) - len(shown))


# --- variables --------------------------------------------------------------------------------------------


def variables_shown(groups: Iterable[Group]) -> tuple[str, ...]:
    """The variables whose values are marked somewhere, in order of first appearance."""
    turns = itertools.chain.from_iterable(group.turns for group in groups)
    names = (piece.variable for turn in turns for piece in turn.pieces if piece.variable is not None)
    return tuple(dict.fromkeys(names))


# --- answers ----------------------------------------------------------------------------------------------


def answer_of(choice: Choice, *, added: Sequence[Message] = (), is_whole: bool) -> Answer:
    """A choice, as the page shows it; `added` are messages that followed it, with what its tools answered."""
    text = choice.text if is_whole else choice.text[:ANSWER_LIMIT_CHARACTERS]
    limits = Limits(turn=None if is_whole else ANSWER_LIMIT_CHARACTERS)
    message = Message(role="assistant", tool_calls=choice.tool_calls)
    calls = _turn(message, Marks(), limits, may_fold=False, results=_results(added)).tool_calls
    left_out = len(choice.text) - len(text)
    return Answer(
        choice=choice,
        text=text,
        json=None if left_out or text.lstrip()[:1] not in {"{", "["} else laid_out(text),
        left_out=left_out,
        tool_calls=calls,
    )
