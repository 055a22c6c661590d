"""The processes that benchmarks talk to: a simulated provider and a real backend, each on a free loopback port."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def _process(*command: str) -> Iterator[dict[str, str]]:
    """A child process that says where it is in one line of JSON."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def simulator() -> Iterator[dict[str, str]]:
    """A simulated provider: `openai_base`, `anthropic_base`, `azure_endpoint`."""
    with _process(sys.executable, "-m", "freeplay_like.local.simulator", "--port", "0") as addresses:
        yield addresses


@contextmanager
def backend() -> Iterator[tuple[str, str, str]]:
    """A backend on a fresh data folder: API base, project id, API key."""
    with tempfile.TemporaryDirectory() as data:
        run = [sys.executable, "-m", "freeplay_like.cli"]
        init = [*run, "init", "--data", data, "--project", "bench", "--json"]
        made = json.loads(subprocess.run(init, check=True, capture_output=True, text=True).stdout)
        with _process(*run, "serve", "--data", data, "--port", "0", "--json") as ready:
            yield f"{ready['url']}/api", made["project_id"], made["api_key"]
