"""Templates that can be put away, protected environments, and who moved what when."""

from __future__ import annotations

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Nothing yet."""
