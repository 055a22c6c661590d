"""What is different between two versions of a template: by part, and as text that people read.

The text is that of the template's file form, so that the same lines show whether versions are compared in a terminal,
in a page or in a review of files.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Final, Literal

import attrs

from freeplay_like.core.template_files import to_text
from freeplay_like.core.template_wire import message_to_wire
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue, to_wire

MessageChangeKind = Literal["added", "removed", "changed"]
"""What became of a message."""

LINES_LIMIT: Final = 20_000
"""The most lines, of both together, that are compared: the time it takes grows with their square."""

_CONTEXT_LINES: Final = 3


@attrs.frozen(kw_only=True)
class FieldChange:
    """A field, or a parameter, with its value before and after; None where it was, or is, not said."""

    name: str
    before: JsonValue
    after: JsonValue


@attrs.frozen(kw_only=True)
class MessageChange:
    """A message that is not the same. Places are counted from 0, None on the side that has no such message.

    `before` and `after` are entries of a template's `content`.
    """

    kind: MessageChangeKind
    before_index: int | None
    after_index: int | None
    before: JsonObject | None
    after: JsonObject | None


@attrs.frozen(kw_only=True)
class PromptDiff:
    """All that is different; `text` is a unified diff, empty where nothing is.

    `fields` are those of the template: syntax, provider, flavor, model, tools, output_schema, description.
    """

    before_version: str | None
    after_version: str | None
    messages: tuple[MessageChange, ...]
    parameters: tuple[FieldChange, ...]
    fields: tuple[FieldChange, ...]
    text: str

    @property
    def is_empty(self) -> bool:
        """Whether the two say the same."""
        return not (self.messages or self.parameters or self.fields)


def compare(before: PromptTemplate, after: PromptTemplate) -> PromptDiff:
    """What is different in `after`.

    Raises:
        TemplateError: one of them cannot be written as a file; see `template_files.to_text`.
    """
    return PromptDiff(
        before_version=before.version,
        after_version=after.version,
        messages=_messages(before, after),
        parameters=_changes(before.parameters, after.parameters),
        fields=_changes(_fields(before), _fields(after)),
        text=unified(before, after, before_label=_label(before), after_label=_label(after)),
    )


def unified(before: PromptTemplate | None, after: PromptTemplate | None, *, before_label: str, after_label: str) -> str:
    """A unified diff of two templates in their file form, None for one that is not there; empty where they are alike.

    Texts of more than `LINES_LIMIT` lines are not compared by line: one sentence says so.
    """
    old, new = _lines(before), _lines(after)
    if old != new and len(old) + len(new) > LINES_LIMIT:
        return (
            f"{before_label} ({len(old)} lines) and {after_label} ({len(new)} lines) are too long to compare by line\n"
        )
    return "".join(difflib.unified_diff(old, new, before_label, after_label, n=_CONTEXT_LINES))


def _lines(template: PromptTemplate | None) -> list[str]:
    """The lines of the file form, which only line feeds end."""
    return [] if template is None else [f"{line}\n" for line in to_text(template).removesuffix("\n").split("\n")]


def _label(template: PromptTemplate) -> str:
    return f"{template.name} (version {template.version})" if template.version else template.name


def _fields(template: PromptTemplate) -> JsonObject:
    return {
        "syntax": template.syntax,
        "provider": template.provider,
        "flavor": template.flavor_name,
        "model": template.model,
        "tools": template.tools,
        "output_schema": template.output_schema,
        "description": template.description,
    }


def _changes(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> tuple[FieldChange, ...]:
    """Values are compared as JSON: 1 and 1.0 and True are three."""
    return tuple(
        FieldChange(name=name, before=before.get(name), after=after.get(name))
        for name in {**before, **after}
        if (name in before) != (name in after) or to_wire(before[name]) != to_wire(after[name])
    )


def _messages(before: PromptTemplate, after: PromptTemplate) -> tuple[MessageChange, ...]:
    old, new = ([message_to_wire(message) for message in each.messages] for each in (before, after))
    matcher = difflib.SequenceMatcher(a=list(map(to_wire, old)), b=list(map(to_wire, new)), autojunk=False)
    changes: list[MessageChange] = []
    for tag, old_from, old_to, new_from, new_to in matcher.get_opcodes():
        if tag == "equal":
            continue
        paired = min(old_to - old_from, new_to - new_from)
        for offset in range(max(old_to - old_from, new_to - new_from)):
            at = old_from + offset if offset < old_to - old_from else None
            to = new_from + offset if offset < new_to - new_from else None
            kind: MessageChangeKind = "changed" if offset < paired else ("added" if at is None else "removed")
            changes.append(
                MessageChange(
                    kind=kind,
                    before_index=at,
                    after_index=to,
                    before=None if at is None else old[at],
                    after=None if to is None else new[to],
                )
            )
    return tuple(changes)
