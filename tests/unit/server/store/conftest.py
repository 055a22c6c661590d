from __future__ import annotations

from collections.abc import Iterator

import pytest

from freeplay_like.server.store.engines.database import Database
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Project


@pytest.fixture
def store(database: Database) -> Iterator[Store]:
    opened = Store(database)
    yield opened
    opened.close()


@pytest.fixture
def project(store: Store) -> Project:
    return store.projects.create("first")
