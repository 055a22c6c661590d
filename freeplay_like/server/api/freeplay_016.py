"""The four addresses that the clients of Freeplay 0.1 know."""

from __future__ import annotations

from typing import Final

from freeplay_like.server.api.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = ()
