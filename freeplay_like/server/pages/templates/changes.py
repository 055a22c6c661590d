"""What changed between two versions of a template, as pages show it: by part, line by line, word by word. Pure."""

from __future__ import annotations

from typing import Final

import attrs

from freeplay_like.core.prompt_diff import MessageChange, compare
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import TemplateError
from freeplay_like.server.pages.formats import inline, pretty
from freeplay_like.server.pages.templates.lines import Line, as_unified, line_diff
from freeplay_like.server.store.views import Refused

_HISTORY_TEXT: Final = "The conversation so far goes here."
_LONG: Final = {"tools": "Tools", "output_schema": "Output schema", "description": "Description"}
"""The fields that are compared line by line."""


@attrs.frozen(kw_only=True)
class ValueChange:
    """A short value before and after; None where it was, or is, not said."""

    name: str
    before: str | None
    after: str | None


@attrs.frozen(kw_only=True)
class TextChange:
    """A text that changed. `lines` are without those that are far from every change."""

    title: str
    lines: tuple[Line, ...]

    @property
    def unified(self) -> tuple[Line, ...]:
        """The lines one under the other."""
        return as_unified(self.lines)


@attrs.frozen(kw_only=True)
class Changes:
    """All that is different."""

    values: tuple[ValueChange, ...]
    parameters: tuple[ValueChange, ...]
    texts: tuple[TextChange, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the two say the same."""
        return not (self.values or self.parameters or self.texts)


def changes_of(before: PromptTemplate, after: PromptTemplate) -> Changes:
    """What is different in `after`.

    Raises:
        Refused: one of them holds what no text can.
    """
    try:
        found = compare(before, after)
    except TemplateError as exc:
        raise Refused(str(exc)) from exc
    long = [change for change in found.fields if change.name in _LONG]
    return Changes(
        values=tuple(
            ValueChange(name=change.name, before=_short(change.before), after=_short(change.after))
            for change in found.fields
            if change.name not in _LONG
        ),
        parameters=tuple(
            ValueChange(
                name=change.name,
                before=_short(change.before) if change.name in before.parameters else None,
                after=_short(change.after) if change.name in after.parameters else None,
            )
            for change in found.parameters
        ),
        texts=(
            *(_message(change) for change in found.messages),
            *(
                TextChange(title=_LONG[change.name], lines=line_diff(_text(change.before), _text(change.after)))
                for change in long
            ),
        ),
    )


def _message(change: MessageChange) -> TextChange:
    return TextChange(title=_title(change), lines=line_diff(_message_text(change.before), _message_text(change.after)))


def _title(change: MessageChange) -> str:
    """`Message 2 (user)`; with what it was, where its place or its role changed."""
    old = None if change.before_index is None else f"Message {change.before_index + 1} ({_role(change.before)})"
    new = None if change.after_index is None else f"Message {change.after_index + 1} ({_role(change.after)})"
    if old is None:
        return f"{new}, added"
    if new is None:
        return f"{old}, removed"
    return new if old == new else f"{new}, before: {old[0].lower()}{old[1:]}"


def _role(message: JsonObject | None) -> str:
    return "history" if message is None or message.get("kind") == "history" else str(message.get("role"))


def _message_text(message: JsonObject | None) -> str:
    if message is None:
        return ""
    if message.get("kind") == "history":
        return _HISTORY_TEXT
    slots = message.get("media_slots")
    media = [f"=== {slot['type']} {slot['placeholder_name']} ===" for slot in slots] if isinstance(slots, list) else []
    return "\n".join([str(message.get("content")), *media])


def _short(value: JsonValue) -> str | None:
    return None if value is None else inline(value)


def _text(value: JsonValue) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else pretty(value)
