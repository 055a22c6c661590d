"""Messages and fields of Freeplay's v2 template JSON (read from its client 0.6.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import attrs

from freeplay_like.core.media import MEDIA_KINDS, MediaKind
from freeplay_like.core.messages import Role
from freeplay_like.core.template_messages import TEMPLATE_ROLES, HistorySlot, MediaSlot, TemplateMessage
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import TemplateError


def message_to_wire(message: TemplateMessage | HistorySlot) -> JsonObject:
    """An entry of a template's `content`."""
    if isinstance(message, HistorySlot):
        return {"kind": "history"}
    slots = [{"type": slot.kind, "placeholder_name": slot.name} for slot in message.media_slots]
    return {"role": message.role, "content": message.content, "media_slots": slots}


def freeplay_tools(tools: JsonValue) -> JsonValue:
    """A template's tools as Freeplay's client can read them: each an object of name, description and parameters.

    It can read no template of a list in which one tool has other words. A tool that a provider brings along, which
    has none of them, is named by its type.
    """
    return [_freeplay_tool(tool) for tool in tools] if isinstance(tools, list) else None


def _freeplay_tool(tool: JsonValue) -> JsonObject:
    fields: JsonObject = dict(tool) if isinstance(tool, dict) else {}
    function = fields.get("function")
    said: JsonObject = dict(function) if isinstance(function, dict) else fields
    name, description = said.get("name"), said.get("description")
    if isinstance(name, str) and isinstance(description, str) and isinstance(said.get("parameters"), dict):
        return said
    schema = said.get("parameters") or said.get("input_schema")
    return {
        "name": name if isinstance(name, str) else str(fields.get("type") or ""),
        "description": description if isinstance(description, str) else "",
        "parameters": schema if isinstance(schema, dict) else {},
    }


@attrs.frozen
class TemplateReader:
    """Reads fields of one template's JSON and names the one that is wrong.

    Raises:
        TemplateError: a field is not of the shape it has there.
    """

    obj: JsonObject
    where: str = ""

    @property
    def name(self) -> str:
        """The template's name."""
        name = self.text("prompt_template_name")
        if not name:
            raise TemplateError("a template has no 'prompt_template_name'; expected text")
        return name

    def text(self, field: str) -> str | None:
        """A field that is text, or is not said."""
        value = self.obj.get(field)
        if value is None or isinstance(value, str):
            return value
        raise self._wrong(field, value, "text")

    def fields(self, field: str) -> JsonObject:
        """A copy of an object; empty where it is not said."""
        value = self.obj.get(field)
        if value is None:
            return {}
        if isinstance(value, dict):
            return dict(value)
        raise self._wrong(field, value, "an object")

    def inside(self, field: str) -> TemplateReader:
        """A reader of the fields of an object."""
        return TemplateReader(self.fields(field), f"{self.where}{field}.")

    def messages(self) -> tuple[TemplateMessage | HistorySlot, ...]:
        """The entries of `content`."""
        return tuple(self._message(f"content[{i}]", item) for i, item in enumerate(self._listed("content")))

    def _message(self, field: str, item: object) -> TemplateMessage | HistorySlot:
        if not isinstance(item, dict):
            raise self._wrong(field, item, "an object with 'role' and 'content', or 'kind'")
        if item.get("kind") == "history":
            return HistorySlot()
        role, content, slots = item.get("role"), item.get("content"), item.get("media_slots") or []
        if role not in TEMPLATE_ROLES:
            raise self._wrong(f"{field}.role", role, "one of " + ", ".join(TEMPLATE_ROLES))
        if not isinstance(content, str):
            raise self._wrong(f"{field}.content", content, "text")
        if not isinstance(slots, list):
            raise self._wrong(f"{field}.media_slots", slots, "a list")
        media_slots = tuple(self._media_slot(f"{field}.media_slots[{i}]", slot) for i, slot in enumerate(slots))
        return TemplateMessage(role=cast("Role", role), content=content, media_slots=media_slots)

    def _media_slot(self, field: str, slot: object) -> MediaSlot:
        if not isinstance(slot, dict):
            raise self._wrong(field, slot, "an object with 'type' and 'placeholder_name'")
        kind, name = slot.get("type"), slot.get("placeholder_name")
        if kind not in MEDIA_KINDS:
            raise self._wrong(f"{field}.type", kind, "one of " + ", ".join(MEDIA_KINDS))
        if not isinstance(name, str):
            raise self._wrong(f"{field}.placeholder_name", name, "text")
        return MediaSlot(name=name, kind=cast("MediaKind", kind))

    def _listed(self, field: str) -> Sequence[object]:
        value = self.obj.get(field)
        if isinstance(value, list):
            return value
        raise self._wrong(field, value, "a list")

    def _wrong(self, field: str, value: object, expected: str) -> TemplateError:
        name = self.obj.get("prompt_template_name")
        label = f"template {name!r}" if isinstance(name, str) else "a template"
        found = repr(value) if isinstance(value, (str, int, type(None))) else type(value).__name__
        return TemplateError(
            f"{label} has {self.where + field!r} = {found}; expected {expected}",
            template=name if isinstance(name, str) else None,
        )
