"""The two syntaxes beside mustache: `{name}` alone, as the 0.1.6 SDK's templates had it, and none at all.

`str.format` itself is not used: `{x.__init__.__globals__}` reads secrets and `{x:>99999999}` fills the memory.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

import attrs

from freeplay_like.core.interpolation import MISSING, Rendering, SyntaxProblem, member
from freeplay_like.core.wire import JsonValue

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^\W\d]\w*)\}|[{}]")


@attrs.frozen
class Field:
    """`{name}`."""

    name: str


@attrs.frozen
class FString:
    """A parsed text: pieces of text, and fields between them."""

    pieces: tuple[str | Field, ...]

    @property
    def required(self) -> tuple[str, ...]:
        """The names, in order of first appearance; every one is needed."""
        return tuple(dict.fromkeys(piece.name for piece in self.pieces if isinstance(piece, Field)))

    @property
    def optional(self) -> tuple[str, ...]:
        """None: there are no conditions."""
        return ()

    def render(self, data: Mapping[str, JsonValue], rendering: Rendering) -> str:
        """The text with `data` filled in; names that are not there are noted in `rendering`.

        Raises:
            ValueProblem: a value is not data.
            LimitProblem: too long.
        """
        written: list[str] = []
        for piece in self.pieces:
            if isinstance(piece, str):
                rendering.spend(len(piece))
                written.append(piece)
                continue
            value = member(data, piece.name)
            written.append(rendering.miss(piece.name) if value is MISSING else rendering.text(value, piece.name))
        return "".join(written)


def escape(text: str) -> str:
    """The fstring source that renders as `text`."""
    return text.replace("{", "{{").replace("}", "}}")


def parse(text: str) -> FString:
    """Parse a text.

    Raises:
        SyntaxProblem: a brace that neither is doubled nor holds a name alone.
    """
    pieces: list[str | Field] = []
    position = 0
    for token in _TOKEN.finditer(text):
        pieces.append(text[position : token.start()])
        position = token.end()
        if token[1]:
            pieces.append(Field(token[1]))
        elif len(token[0]) == 2:
            pieces.append(token[0][0])
        else:
            found = text[token.start() : token.start() + 20]
            raise SyntaxProblem(
                f"found {found!r}; expected a name alone in braces, as in {{name}} (a brace as text is doubled)",
                token.start(),
            )
    pieces.append(text[position:])
    return FString(tuple(piece for piece in pieces if piece))


def parse_none(text: str) -> FString:
    """The syntax `none`: every text parses, and is one piece."""
    return FString((text,))
