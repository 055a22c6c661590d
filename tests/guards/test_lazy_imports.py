"""What importing this package must not import."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "openai", "anthropic", "httpx2", "pydantic", "rich", "requests", "starlette", "sqlalchemy", "click", "uvicorn",
    "jinja2", "alembic", "markdown_it", "nh3", "genai_prices", "opentelemetry",
}  # fmt: skip


def imported_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import freeplay_like",
        "from freeplay_like import *",
        "from freeplay_like import Freeplay, OpenAIChat; OpenAIChat('k')",
        "from freeplay_like import AsyncFreeplay, AnthropicClaudeChat; AnthropicClaudeChat('k')",
        "import freeplay_like.testing",
    ],
)
def test_nothing_heavy_is_imported_before_it_is_used(code: str) -> None:
    assert imported_by(code) & HEAVY == set()


def test_the_guard_sees_an_import() -> None:
    assert "click" in imported_by("import click")


def test_the_version_is_said_without_loading_the_server_or_a_provider() -> None:
    code = """
import contextlib
from freeplay_like.cli.main import main
sys.argv = ["freeplay-like", "--version"]
with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):
    main()
"""
    assert imported_by(code) & (HEAVY - {"click"}) == set()
