"""Models and what a team says they cost."""

from __future__ import annotations

from typing import Final

from freeplay_like.server.api.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = ()
