"""Where the values of variables stand in a prompt. Pure.

Where the version of the template is at hand it is rendered once more, with a sign around each value: that tells
every place, however short the value. Else values are looked for in the text, the long enough ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from freeplay_like.core.messages import Message
from freeplay_like.core.records import Record
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue, to_wire
from freeplay_like.errors import FreeplayError

MARKED_FROM_CHARACTERS: Final = 3
"""A shorter value is not looked for in a text: it would be found everywhere."""

MOST_VARIABLES: Final = 50
MOST_MARKS: Final = 1_000
"""The most places in one text that are marked."""

_BEGIN, _MIDDLE, _END = "\ue0f0", "\ue0f1", "\ue0f2"
_SIGNED: Final = re.compile(f"{_BEGIN}(\\d+){_MIDDLE}(.*?){_END}", re.DOTALL)
_ROLES: Final = frozenset({"system", "developer", "user"})


@attrs.frozen(kw_only=True)
class Piece:
    """A stretch of text; `variable` names the variable whose value it is."""

    text: str
    variable: str | None = None


@attrs.frozen
class Marks:
    """Where values stand: `known` by the role and the text of a message, `values` are looked for in all others."""

    known: Mapping[tuple[str, str], tuple[Piece, ...]] = attrs.field(factory=dict)
    values: Mapping[str, str] = attrs.field(factory=dict)

    def pieces(self, message: Message) -> tuple[Piece, ...]:
        """The text of a message in pieces. Put together they are the text."""
        text = message.text
        known = self.known.get((message.role, text))
        if known is not None:
            return known
        return marked(text, self.values if message.role in _ROLES else {})


def marks_of(record: Record, template: PromptTemplate | None = None) -> Marks:
    """Where the values of a record's variables stand; nowhere where it was made from no template."""
    if record.template is None or not record.variables:
        return Marks()
    known = {} if template is None else _rendered_again(template, record.variables)
    return Marks(known, _searched(record.variables))


def marked(text: str, values: Mapping[str, str]) -> tuple[Piece, ...]:
    """The text in pieces, those apart that are the value of a variable. Put together they are the text."""
    if not values or not text:
        return (Piece(text=text),) if text else ()
    pattern = re.compile("(" + "|".join(re.escape(value) for value in values) + ")")
    parts = pattern.split(text, maxsplit=MOST_MARKS)
    return tuple(Piece(text=piece, variable=values.get(piece)) for piece in parts if piece)


def _searched(variables: JsonObject) -> dict[str, str]:
    """Text to look for, and the variable it belongs to; the longest first, so that it wins over its own parts."""
    texts = {
        value.strip(): name
        for name, value in variables.items()
        if isinstance(value, str) and len(value.strip()) >= MARKED_FROM_CHARACTERS
    }
    return dict(sorted(texts.items(), key=lambda item: -len(item[0]))[:MOST_VARIABLES])


def _rendered_again(template: PromptTemplate, variables: JsonObject) -> dict[tuple[str, str], tuple[Piece, ...]]:
    """What the template says with these values; nothing where it cannot be said again."""
    names: list[str] = []
    signed = {name: _signed(value, name, names) for name, value in variables.items()}
    if any(sign in to_wire(variables).decode() for sign in (_BEGIN, _MIDDLE, _END)):
        return {}
    try:
        messages = template.render(signed)
    except FreeplayError:
        return {}  # media, values of a kind that cannot carry a sign: then the texts are searched
    found = ((message.role, _unsigned(message.text, names)) for message in messages)
    return {(role, "".join(piece.text for piece in pieces)): pieces for role, pieces in found}


def _signed(value: JsonValue, name: str, names: list[str]) -> JsonValue:
    """The value with a sign around each text and number in it; `names` collects whose each sign is."""
    if isinstance(value, str | int | float) and not isinstance(value, bool) and value != "":
        names.append(name)
        return f"{_BEGIN}{len(names) - 1}{_MIDDLE}{value}{_END}"
    if isinstance(value, Mapping):
        return {key: _signed(inner, name, names) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_signed(inner, name, names) for inner in value]
    return value


def _unsigned(text: str, names: list[str]) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    at = 0
    for sign in _SIGNED.finditer(text):
        pieces.append(Piece(text=text[at : sign.start()]))
        pieces.append(Piece(text=sign[2], variable=names[int(sign[1])]))
        at = sign.end()
    pieces.append(Piece(text=text[at:]))
    return tuple(piece for piece in pieces if piece.text)
