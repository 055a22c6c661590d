"""The documentation is true: its links lead somewhere, its code runs, its site builds."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)#\s]+)(?:#[^)]*)?\)")
BLOCKS = [
    pytest.param(block, id=f"{page.name}-{number}")
    for page in PAGES
    for number, block in enumerate(BLOCK.findall(page.read_text(encoding="utf-8")), 1)
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_local_link_leads_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("block", BLOCKS)
def test_every_python_block_runs(
    block: str, simulator: Simulator, backend: BackendProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    variables = {"name": "Ann", "question": "What is a tide?"}
    made = requests.post(
        f"{backend.api_base}/v2/projects/{backend.project_id}/prompt-templates/name/assistant/versions",
        json={
            "template_messages": [{"role": "user", "content": "{{name}} asks: {{question}}"}],
            "model": "gpt-sim",
            "provider": "openai",
        },
        headers={"Authorization": f"Bearer {backend.api_key}"},
        timeout=10,
    )
    assert made.status_code == 201, made.text
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("OPENAI_BASE_URL", simulator.openai_base)
    monkeypatch.setenv("FREEPLAY_LIKE_SPOOL_DIR", str(tmp_path))
    names: dict[str, object] = {
        "API_KEY": backend.api_key,
        "API_BASE": backend.api_base,
        "PROJECT_ID": backend.project_id,
        "VARIABLES": variables,
    }
    if re.search(r"\bfp\b", block) and not re.search(r"\bas fp\b|^fp = ", block, re.MULTILINE):
        from freeplay_like import Freeplay, OpenAIChat

        names["fp"] = Freeplay(OpenAIChat(), backend.api_key, backend.api_base)
    code = block.replace("http://127.0.0.1:8000/api", backend.api_base)
    exec(compile(code, "<documentation>", "exec"), names)  # noqa: S102
    assert set(names) > {"__builtins__"}


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
