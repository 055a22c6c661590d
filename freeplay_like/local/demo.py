"""The demo's templates."""

from __future__ import annotations

from pathlib import Path


def demo_templates() -> Path:
    """The folder of the demo project's templates: in the installed package, or under `fixtures/` in a checkout."""
    installed = Path(__file__).with_name("demo_project")
    return installed if installed.is_dir() else Path(__file__).parents[2] / "fixtures" / "projects" / "demo"
