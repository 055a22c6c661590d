"""What an empty project's page tells a newcomer to do, done word for word."""

from __future__ import annotations

import html
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from freeplay_like.local.simulator import Simulator
from support import otel_senders
from support.backend import BackendProcess
from support.environments import Environment, environment
from support.waiting import until

LINES = re.compile(r'<pre class="code" id="(first-[a-z-]+)"[^>]*>(.*?)</pre>', re.DOTALL)
QUESTION = "Greet Ada in five words."


@pytest.fixture
def person(own_backend: BackendProcess) -> Iterator[requests.Session]:
    with requests.Session() as browser:
        signed_in = browser.get(own_backend.sign_in_url(), timeout=20, allow_redirects=False)
        signed_in.raise_for_status()
        yield browser


@pytest.fixture
def lines(own_backend: BackendProcess, person: requests.Session) -> dict[str, str]:
    """What stands on the page that shows a first key, by its id."""
    made = person.post(
        f"{own_backend.url}/projects/{own_backend.project_id}/first-key",
        headers={"Sec-Fetch-Site": "same-origin"},
        timeout=20,
    )
    assert made.status_code == 200
    assert made.headers["cache-control"] == "no-store"
    return {name: html.unescape(text) for name, text in LINES.findall(made.text)}


def shell(folder: Path, simulator: Simulator, *script: str, path: str = "") -> str:
    """What a script prints, run as somebody would who has the page before them."""
    variables = {**os.environ, "OPENAI_BASE_URL": simulator.openai_base, "HOME": str(folder)}
    done = subprocess.run(
        ["bash", "-c", "\n".join(["set -e", *script]).replace("sk-…", "sk-test")],
        env={**variables, "PATH": f"{path}:{variables['PATH']}" if path else variables["PATH"]},
        capture_output=True,
        text=True,
        timeout=100,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def the_call(backend: BackendProcess, person: requests.Session) -> dict[str, Any]:
    """The one call of the project, once it is there."""
    address = f"{backend.url}/projects/{backend.project_id}/calls.json"
    (row,) = until(lambda: person.get(address, timeout=20).json()["page"]["rows"], what="the first call")
    found: dict[str, Any] = row
    return found


def test_the_empty_list_says_what_the_page_with_the_key_says(
    own_backend: BackendProcess, person: requests.Session, lines: dict[str, str]
) -> None:
    page = person.get(f"{own_backend.url}/projects/{own_backend.project_id}/calls", timeout=20).text
    shown = {name: html.unescape(text) for name, text in LINES.findall(page)}
    key = re.search(r"fpl_\w+", lines["first-environment"])
    assert key is not None
    assert shown == {name: text.replace(key.group(), "fpl_…") for name, text in lines.items()}
    assert key.group() not in page, "a key is shown once"


def test_our_sdk(
    own_backend: BackendProcess,
    simulator: Simulator,
    person: requests.Session,
    lines: dict[str, str],
    tmp_path: Path,
) -> None:
    (tmp_path / "hello.py").write_text(lines["first-sdk"])
    assert lines["first-sdk-install"] == "pip install freeplay-like"
    program = f"{sys.executable} hello.py"
    said = shell(tmp_path, simulator, lines["first-environment"], lines["first-sdk-template"], program)
    row = the_call(own_backend, person)
    assert (row["outcome"], row["template_name"], row["first_user"]) == ("complete", "hello", QUESTION)
    assert said.endswith(row["first_answer"])


def test_curl(
    own_backend: BackendProcess,
    simulator: Simulator,
    person: requests.Session,
    lines: dict[str, str],
    tmp_path: Path,
) -> None:
    shell(tmp_path, simulator, lines["first-environment"], lines["first-curl"])
    row = the_call(own_backend, person)
    assert (row["first_user"], row["first_answer"]) == (QUESTION, "Hello Ada, good to see.")


def test_freeplays_own_client(
    own_backend: BackendProcess,
    simulator: Simulator,
    person: requests.Session,
    lines: dict[str, str],
    freeplay_061: Environment,
    tmp_path: Path,
) -> None:
    (tmp_path / "hello.py").write_text(lines["first-freeplay"])
    said = shell(tmp_path, simulator, lines["first-environment"], "python hello.py", path=str(freeplay_061.bin))
    row = the_call(own_backend, person)
    assert (row["first_user"], row["model"] or row["requested_model"]) == (QUESTION, "gpt-4o-mini")
    assert said.strip() == row["first_answer"].strip()


def test_opentelemetry(
    own_backend: BackendProcess,
    simulator: Simulator,
    person: requests.Session,
    lines: dict[str, str],
    tmp_path: Path,
) -> None:
    senders = environment(*otel_senders.REQUIREMENTS)
    (tmp_path / "hello.py").write_text(lines["first-otel"])
    variables = (lines["first-environment"], lines["first-otel-environment"])
    said = shell(tmp_path, simulator, *variables, "python hello.py", path=str(senders.bin))
    row = the_call(own_backend, person)
    assert row["first_user"] == QUESTION
    assert said.strip() == row["first_answer"].strip()


def test_a_reviewer_cannot_make_a_key(own_backend: BackendProcess, person: requests.Session) -> None:
    made = person.post(
        f"{own_backend.url}/projects/{own_backend.project_id}/settings/people",
        data={"name": "Rita", "role": "reviewer"},
        headers={"Sec-Fetch-Site": "same-origin"},
        timeout=20,
    )
    link = re.search(r"http[^\"<\s]+/sign-in\?token=[^\"<\s]+", html.unescape(made.text))
    assert link is not None, made.status_code
    with requests.Session() as reviewer:
        reviewer.get(link.group(), timeout=20, allow_redirects=False).raise_for_status()
        refused = reviewer.post(
            f"{own_backend.url}/projects/{own_backend.project_id}/first-key",
            headers={"Sec-Fetch-Site": "same-origin"},
            timeout=20,
        )
        page = reviewer.get(f"{own_backend.url}/projects/{own_backend.project_id}/calls", timeout=20).text
    assert refused.status_code == 403
    assert "fpl_" not in refused.text
    assert "Make a key" not in page
