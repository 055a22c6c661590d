"""What a prompt template is made of: messages with variables in them, and places that are filled in later."""

from __future__ import annotations

from typing import Final

import attrs

from freeplay_like.core.media import MEDIA_KINDS, MediaKind
from freeplay_like.core.messages import Role

TEMPLATE_ROLES: Final = ("system", "developer", "user", "assistant")
"""The roles a template can give a message; answers of tools only come up in a conversation."""


@attrs.frozen
class HistorySlot:
    """Where the conversation so far goes."""


@attrs.frozen(kw_only=True)
class MediaSlot:
    """A place for a medium at the end of a message; `name` is the variable it is given as."""

    name: str
    kind: MediaKind

    @property
    def problem(self) -> str | None:
        """What is wrong with the slot; None where nothing is."""
        if self.kind not in MEDIA_KINDS:
            return f"media slot {self.name!r} of kind {self.kind!r}; known: {', '.join(MEDIA_KINDS)}"
        if not self.name or self.name != self.name.strip() or not self.name.isprintable():
            return f"a media slot named {self.name!r}; expected a name such as 'photo'"
        return None


@attrs.frozen(kw_only=True)
class TemplateMessage:
    """A message whose content has variables in it, and after its text places for media."""

    role: Role
    content: str
    media_slots: tuple[MediaSlot, ...] = ()
