"""What the pages show that belong to no room: one frozen value a page, which is also the page's JSON.

Fields are what the JSON holds; properties are derived from them for the template alone. The pages of a room have
their contexts in that room.
"""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class MessageContext:
    """A page that only says something: not found, signed out. `commands` are lines for a terminal."""

    title: str
    message: str
    commands: tuple[str, ...] = ()
    is_signed_in: bool = True
