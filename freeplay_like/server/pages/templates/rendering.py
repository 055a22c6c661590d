"""A draft rendered with the values of an example: each message for itself, with all that is wrong. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, cast

import attrs

from freeplay_like.core.media import Media
from freeplay_like.core.templates import HistorySlot, PromptTemplate, Syntax
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import MissingVariablesError, TemplateError
from freeplay_like.server.pages.templates.checking import Problem, check, message_problems, read_variables
from freeplay_like.server.pages.templates.context import MessageView
from freeplay_like.server.pages.templates.draft import MessageDraft, TemplateDraft
from freeplay_like.server.pages.templates.placeholders import Piece

SHOWN_CHARACTERS: Final = 20_000
"""How much of a rendered message is shown."""

_BEGIN: Final = "\ue000"
_END: Final = "\ue001"
_MARKS: Final = (_BEGIN, _END)
"""Private characters around the values that are filled in, to know them again."""

_SOME_URL: Final = "https://example.invalid/"
"""Stands for a medium: which one does not show."""


@attrs.frozen(kw_only=True)
class Rendering:
    """What the model would read, as far as it can be told, and all that is wrong.

    A message that cannot be rendered shows its own text. `needed` are the variables it has to be given, `missing`
    those that the example does not give, `unused` what the example gives and nothing asks for.
    """

    messages: tuple[MessageView, ...]
    problems: tuple[Problem, ...]
    needed: tuple[str, ...]
    optional: tuple[str, ...]
    missing: tuple[str, ...]
    unused: tuple[str, ...]

    @property
    def summary(self) -> str:
        """How it went, in a few words."""
        wrong = len(self.problems) + len(self.missing)
        return "Renders" if not wrong else f"{wrong} problem{'' if wrong == 1 else 's'}"


@attrs.define
class _Seen:
    """What the messages ask for."""

    needed: dict[str, None] = attrs.field(factory=dict)
    optional: dict[str, None] = attrs.field(factory=dict)
    missing: dict[str, None] = attrs.field(factory=dict)
    problems: list[Problem] = attrs.field(factory=list)


def render_draft(draft: TemplateDraft) -> Rendering:
    """A draft, rendered with its own example."""
    values, wrong = read_variables(draft)
    # Somebody who has not come to the name yet need not be told that there is none.
    told = (problem for problem in check(draft).problems if draft.name or problem.control != "name")
    seen = _Seen(problems=[*told, *wrong])
    views = tuple(
        _rendered(message, number, draft.syntax, values, seen) for number, message in enumerate(draft.messages, 1)
    )
    asked = {**seen.needed, **seen.optional}
    return Rendering(
        messages=views,
        problems=tuple(seen.problems),
        needed=tuple(seen.needed),
        optional=tuple(name for name in seen.optional if name not in seen.needed),
        missing=() if wrong else tuple(seen.missing),
        unused=tuple(name for name in values if name not in asked),
    )


def _rendered(message: MessageDraft, number: int, syntax: str, values: JsonObject, seen: _Seen) -> MessageView:
    if any(True for _ in message_problems(message, number, syntax)):
        return MessageView(role=message.role, content=message.text, pieces=(Piece(text=message.text),))
    read = message.read()
    if isinstance(read, HistorySlot):
        return MessageView(role=None, content="")
    template = PromptTemplate(name="draft", messages=(read,), syntax=cast("Syntax", syntax))
    seen.needed.update(dict.fromkeys(template.variables))
    seen.optional.update(dict.fromkeys(template.optional_variables))
    media = {slot.name: Media.from_url(_SOME_URL, kind=slot.kind) for slot in read.media_slots}
    is_marked = not any(mark in text for text in (read.content, *_texts(values)) for mark in _MARKS)
    try:
        (made,) = template.render({**(_marked(values) if is_marked else values), **media})
    except MissingVariablesError as exc:
        seen.missing.update(dict.fromkeys(exc.variables))
        return MessageView.of(read, template.syntax)
    except TemplateError as exc:
        said = str(exc).removeprefix("template 'draft': ")
        seen.problems.append(Problem(control="variables", where=f"Message {number}", message=said))
        return MessageView.of(read, template.syntax)
    pieces = _pieces(made.text) if is_marked else (Piece(text=made.text),)
    return MessageView(
        role=read.role,
        content="".join(piece.text for piece in pieces),
        pieces=pieces,
        media=tuple((slot.name, slot.kind) for slot in read.media_slots),
    )


def _marked(values: JsonObject) -> JsonObject:
    """The values, with marks around texts and numbers that stand for themselves and are not empty or zero.

    What is empty or zero decides sections, and has to stay so.
    """
    return {
        name: f"{_BEGIN}{value}{_END}" if value and type(value) in (str, int, float) else value
        for name, value in values.items()
    }


def _texts(values: JsonObject) -> Iterator[str]:
    return (value for value in values.values() if isinstance(value, str))


def _pieces(text: str) -> tuple[Piece, ...]:
    """A rendered text in pieces: marks are taken out, and what stands between them is marked."""
    shown = text[:SHOWN_CHARACTERS]
    pieces = []
    for place, part in enumerate(shown.replace(_END, _BEGIN).split(_BEGIN)):
        if part:
            pieces.append(Piece(text=part, is_mark=place % 2 == 1))
    if len(text) > SHOWN_CHARACTERS:
        pieces.append(Piece(text="…"))
    return tuple(pieces)
