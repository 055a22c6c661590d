"""Sessions: listed, read back, described."""

from __future__ import annotations

from typing import Final

from freeplay_like.server.api.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = ()
