"""Which provider connections there can be, and what is asked of one before it is kept. The API and the pages ask it."""

from __future__ import annotations

import re
from typing import Final, Literal, get_args

import attrs

from freeplay_like.server.outbound import check_base_url
from freeplay_like.server.store.accounts.providers import ConnectionDraft
from freeplay_like.server.store.views import Refused

Connectable = Literal[
    "anthropic_chat", "anthropic_text", "azure_openai_chat", "openai_chat", "openai_responses", "openai_text"
]
"""The flavors whose provider is told by an address and a key."""
CONNECTABLE: Final[tuple[str, ...]] = get_args(Connectable)
AZURE: Final = "azure_openai_chat"

KEY_PATTERN: Final = r"^[\x21-\x7e]+$"
"""What a provider's key is made of."""
SECRET_LEAST: Final = 8
"""The fewest characters of a provider's key. A shorter one could not be kept out of records: it may stand in any
text."""
SECRET_LIMIT: Final = 4_000
_SECRET: Final = re.compile(rf"[\x21-\x7e]{{{SECRET_LEAST},{SECRET_LIMIT}}}")


def checked(draft: ConnectionDraft) -> ConnectionDraft:
    """A connection as it is kept. Looks the host of its address up.

    Raises:
        Refused: there can be no such connection, or its address is one that is not called.
    """
    if draft.flavor not in CONNECTABLE:
        known = ", ".join(CONNECTABLE)
        raise Refused(f"flavor {draft.flavor[:100]!r} cannot be connected; those that can: {known}")
    base_url = None if draft.base_url is None else check_base_url(draft.base_url)
    if draft.flavor == AZURE and (base_url is None or draft.api_version is None):
        missing = "base_url" if base_url is None else "api_version"
        raise Refused(f"{missing}: flavor {AZURE!r} needs the resource's base_url and an api_version")
    if draft.flavor != AZURE and draft.api_version is not None:
        raise Refused(f"api_version: only flavor {AZURE!r} has one; leave it out")
    if draft.secret is not None and not _SECRET.fullmatch(draft.secret):
        raise Refused(
            f"a provider's key has {SECRET_LEAST} to {SECRET_LIMIT} letters, digits and signs, without blanks"
        )  # the key itself is never said again
    return attrs.evolve(draft, base_url=base_url)
