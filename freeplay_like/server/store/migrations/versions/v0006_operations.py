"""Keys that expire and rotate, and how long a project keeps its records."""

from __future__ import annotations

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Nothing yet."""
