"""The documentation is true: its links lead somewhere, its code runs, its site builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from opentelemetry.util._once import Once

from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^(?:<!-- the provider: (.*?) -->\n)?```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
BLOCKS = [
    pytest.param(script, block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, (script, block) in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1)
]
"""Each example, after what the provider is to answer where a comment above it says so: a script a call, `|` between."""

TEMPLATES = {
    "assistant": "{{name}} asks: {{question}}",
    "essay": "An essay about {{topic}}.",
    "order": "What does this mail order? {{mail}}",
}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_local_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.fixture(scope="module")
def project(backend: BackendProcess) -> BackendProcess:
    """A project with the templates that the examples name."""
    for name, content in TEMPLATES.items():
        made = requests.post(
            f"{backend.project_base}/prompt-templates/name/{name}/versions",
            json={
                "template_messages": [{"role": "user", "content": content}],
                "model": "gpt-sim",
                "provider": "openai",
            },
            headers=backend.headers,
            timeout=10,
        )
        assert made.status_code == 201, made.text
    return backend


@pytest.fixture
def surroundings(
    project: BackendProcess, simulator: Simulator, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> BackendProcess:
    """What a program finds in its environment: keys, addresses, and no tracer provider yet."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.openai_base)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-test")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", simulator.anthropic_base)
    monkeypatch.setenv("FREEPLAY_LIKE_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", None)
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER_SET_ONCE", Once())
    monkeypatch.chdir(tmp_path)
    return project


@pytest.mark.parametrize(("script", "block"), BLOCKS)
def test_every_python_block_runs(script: str, block: str, simulator: Simulator, surroundings: BackendProcess) -> None:
    from freeplay_like import Freeplay, OpenAIChat

    answers = [answer.strip() for answer in script.split("|")] if script else []
    simulator.enqueue(*answers)
    with Freeplay(OpenAIChat(), surroundings.api_key, surroundings.api_base) as fp:
        names: dict[str, object] = {
            "API_KEY": surroundings.api_key,
            "API_BASE": surroundings.api_base,
            "PROJECT_ID": surroundings.project_id,
            "VARIABLES": {"name": "Ann", "question": "What is a tide?"},
            "fp": fp,
        }
        code = block.replace("http://127.0.0.1:8000/api", surroundings.api_base)
        exec(compile(code, "<documentation>", "exec"), names)  # noqa: S102
    assert len(simulator.requests) >= len(answers)


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1", "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "site" / "calls" / "index.html").is_file()
