"""Deleting a session's or a person's data, everywhere."""

from __future__ import annotations

from typing import Final

from freeplay_like.server.api.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = ()
