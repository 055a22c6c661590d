"""What stands in the editor of a template: read from its form, changed by its buttons, checked as a whole. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, Literal, cast, get_args

import attrs

from freeplay_like.core.media import MediaKind
from freeplay_like.core.messages import Role
from freeplay_like.core.templates import HistorySlot, MediaSlot, TemplateMessage
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.store.views import Refused, TemplateVersion

HISTORY: Final = "history"
"""What stands in place of a role where the conversation so far goes."""
MESSAGES_LIMIT: Final = 200

Move = Literal["up", "down", "remove"]
_MOVES: Final[tuple[str, ...]] = get_args(Move)
_TEXTS: Final = ("name", "model", "provider", "flavor", "version_name", "version_description")
_LONG: Final = ("parameters", "tools", "output_schema", "variables")
_NUMBER: Final = re.compile(r"m(\d{1,4})-role")


@attrs.frozen(kw_only=True)
class MessageDraft:
    """A message as it is typed. `media` are kinds and names, `image photo, audio voice`."""

    role: str = "user"
    text: str = ""
    media: str = ""

    def read(self) -> TemplateMessage | HistorySlot:
        """The message of a template. Its role and media must have been checked."""
        if self.role == HISTORY:
            return HistorySlot()
        slots = tuple(MediaSlot(kind=cast("MediaKind", kind), name=name) for kind, name in self.slots())
        return TemplateMessage(role=cast("Role", self.role), content=self.text, media_slots=slots)

    def slots(self) -> tuple[tuple[str, str], ...]:
        """The media: kinds and names, as they are typed."""
        parts = (part.strip().partition(" ") for part in self.media.split(",") if part.strip())
        return tuple((kind, name.strip()) for kind, _, name in parts)


@attrs.frozen(kw_only=True)
class TemplateDraft:
    """A version as it is typed.

    `parameters`, `tools` and `output_schema` are JSON, or blank. `based_on` is the id of the version that was the
    newest when this was begun, "" where there was none. `variables` is the JSON of the example that is rendered, and
    `example` says where it came from. `is_renewal`: make a version even where an older one says the same.
    """

    name: str = ""
    messages: tuple[MessageDraft, ...] = ()
    syntax: str = "mustache"
    model: str = ""
    provider: str = ""
    flavor: str = ""
    parameters: str = ""
    tools: str = ""
    output_schema: str = ""
    version_name: str = ""
    version_description: str = ""
    based_on: str = ""
    example: str = ""
    variables: str = ""
    is_renewal: bool = False

    @classmethod
    def of(cls, stored: TemplateVersion, based_on: str) -> TemplateDraft:
        """A draft that says what a version does."""
        template = stored.template
        return cls(
            name=template.name,
            messages=tuple(map(_typed, template.messages)),
            syntax=template.syntax,
            model=template.model or "",
            provider=template.provider or "",
            flavor=template.flavor_name or "",
            parameters=_json_text(template.parameters or None),
            tools=_json_text(template.tools),
            output_schema=_json_text(template.output_schema),
            based_on=based_on,
        )

    @classmethod
    def read(cls, form: Form) -> TemplateDraft:
        """The draft that a form holds.

        Raises:
            Refused: it has more messages than a template may.
        """
        numbers = sorted({int(found[1]) for name, _ in form.fields if (found := _NUMBER.fullmatch(name))})
        if len(numbers) > MESSAGES_LIMIT:
            raise Refused(f"the editor takes {MESSAGES_LIMIT} messages, not {len(numbers)}")
        return cls(
            messages=tuple(
                MessageDraft(
                    role=form.get(f"m{number}-role"),
                    text=form.raw(f"m{number}-text"),
                    media=form.get(f"m{number}-media"),
                )
                for number in numbers
            ),
            syntax=form.get("syntax", "mustache"),
            based_on=form.get("based_on"),
            example=form.get("example"),
            is_renewal=form.has("is_renewal"),
            **{name: form.get(name) for name in _TEXTS},
            **{name: form.raw(name) for name in _LONG},
        )

    def changed(self, do: str) -> tuple[TemplateDraft, str]:
        """The draft after one of its buttons, and the control that the next key press should go to.

        `do` is `add`, or `up:2`, `down:2`, `remove:2` for the message of that place, counted from 0.

        Raises:
            Refused: there is no such button.
        """
        if do == "add":
            role = "user" if not self.messages or self.messages[-1].role != "user" else "assistant"
            return attrs.evolve(self, messages=(*self.messages, MessageDraft(role=role))), _text(len(self.messages))
        word, _, number = do.partition(":")
        place = int(number) if number.isascii() and number.isdigit() and len(number) < 5 else -1
        if word not in _MOVES or not 0 <= place < len(self.messages):
            raise Refused(f"there is no button {do[:100]!r}")
        kept, focus = _CHANGES[cast("Move", word)](list(self.messages), place)
        return attrs.evolve(self, messages=tuple(kept)), focus


def _remove(messages: list[MessageDraft], place: int) -> tuple[list[MessageDraft], str]:
    del messages[place]
    return messages, _text(min(place, len(messages) - 1)) if messages else "add"


def _swap(messages: list[MessageDraft], place: int, other: int) -> tuple[list[MessageDraft], str]:
    if not 0 <= other < len(messages):
        return messages, _text(place)
    messages[place], messages[other] = messages[other], messages[place]
    return messages, _text(other)


_CHANGES: Final[dict[Move, Callable[[list[MessageDraft], int], tuple[list[MessageDraft], str]]]] = {
    "up": lambda messages, place: _swap(messages, place, place - 1),
    "down": lambda messages, place: _swap(messages, place, place + 1),
    "remove": _remove,
}


def _text(place: int) -> str:
    return f"m{place}-text"


def _typed(message: TemplateMessage | HistorySlot) -> MessageDraft:
    if isinstance(message, HistorySlot):
        return MessageDraft(role=HISTORY)
    media = ", ".join(f"{slot.kind} {slot.name}" for slot in message.media_slots)
    return MessageDraft(role=message.role, text=message.content, media=media)


def _json_text(value: object) -> str:
    return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
