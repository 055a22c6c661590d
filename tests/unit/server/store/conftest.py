from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Project


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "test.db")
    yield opened
    opened.close()


@pytest.fixture
def project(store: Store) -> Project:
    return store.projects.create("first")
