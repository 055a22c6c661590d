"""What an empty project's page tells a newcomer to do, done word for word."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from pathlib import Path

import requests

from freeplay_like.local.simulator import Simulator
from support.backend import BackendProcess


def test_the_commands_on_the_page_lead_to_the_first_call(
    own_backend: BackendProcess, simulator: Simulator, tmp_path: Path
) -> None:
    calls = f"{own_backend.url}/projects/{own_backend.project_id}/calls"
    with requests.Session() as person:
        person.get(own_backend.sign_in_url(), timeout=20).raise_for_status()
        page = person.get(calls, timeout=20).text
        exports, store, program = map(html.unescape, re.findall(r'<pre class="code"[^>]*>(.*?)</pre>', page, re.DOTALL))
        exports = exports.replace("fpl_…", own_backend.api_key).replace("sk-…", "sk-test")
        (tmp_path / "hello.py").write_text(program)
        script = f"set -e\n{exports}\n{store}\n{sys.executable} {tmp_path / 'hello.py'}\n"
        environment = {**os.environ, "OPENAI_BASE_URL": simulator.openai_base, "HOME": str(tmp_path)}
        done = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, timeout=100, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        (row,) = person.get(f"{calls}.json", timeout=20).json()["page"]["rows"]
    assert (row["outcome"], row["template_name"], row["first_user"]) == (
        "complete",
        "hello",
        "Greet Ada in five words.",
    )
    assert done.stdout.endswith(row["first_answer"])
