"""The simulated provider as fixtures: in this process, where tests look at what it saw, and as a process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import pytest

from freeplay_like.local.simulator import Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A fresh simulated provider on loopback."""
    with Simulator() as running:
        yield running


@pytest.fixture(scope="session")
def simulator_process() -> Iterator[dict[str, str]]:
    """The simulated provider in a process of its own: `url`, `openai_base`, `anthropic_base`, `azure_endpoint`."""
    command = [sys.executable, "-m", "freeplay_like.local.simulator", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())
        finally:
            process.terminate()
