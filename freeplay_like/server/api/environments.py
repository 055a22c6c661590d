"""The environments of a project."""

from __future__ import annotations

from typing import Final

from freeplay_like.server.api.operations import Operation

OPERATIONS: Final[tuple[Operation, ...]] = ()
