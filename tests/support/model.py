"""The real small model behind the real llama.cpp server.

Where it cannot be had, tests that need it are skipped with the reason; with CI=true they fail with it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

from freeplay_like.local.llama import LlamaServer
from freeplay_like.local.model import LocalModelError, get_model


@attrs.define
class Notes:
    """A `Progress` that remembers."""

    said: list[str] = attrs.field(factory=list)
    steps: list[tuple[int, int]] = attrs.field(factory=list)

    def say(self, text: str) -> None:
        self.said.append(text)

    def advance(self, done_bytes: int, total_bytes: int) -> None:
        self.steps.append((done_bytes, total_bytes))


def cannot_be_had(reason: object) -> None:
    """Skip the test, or fail it where nothing may be skipped."""
    if os.environ.get("CI") == "true":
        pytest.fail(f"with CI=true nothing is skipped: {reason}")
    pytest.skip(f"the real model: {reason}")


@pytest.fixture(scope="session")
def model_file() -> Path:
    """The model's file, fetched on the first run."""
    try:
        return get_model(Notes())
    except LocalModelError as exc:
        cannot_be_had(exc)
        raise


@pytest.fixture(scope="session")
def llama(model_file: Path) -> Iterator[LlamaServer]:
    """A llama.cpp server for the whole run; `.url` and `.model` are what a flavor needs."""
    try:
        server = LlamaServer(model_file).start()
    except LocalModelError as exc:
        cannot_be_had(exc)
        raise
    yield server
    server.stop()
