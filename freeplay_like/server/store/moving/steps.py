"""What a move tells while it goes on, and why it does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import attrs


class MoveRefused(Exception):
    """These two databases cannot be a source and a target; the message says why, and what to do."""


@attrs.frozen(kw_only=True)
class Step:
    """How far it has come: `done` of about `total`."""

    doing: str
    done: int
    total: int


Tell: TypeAlias = Callable[[Step], None]
