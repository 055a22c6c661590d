"""PostgreSQL as fixtures: one server for the run, and an empty database for each test."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from support.postgres import Cluster, NoPostgres

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """One server for the whole run, too careless to be killed. Skips where there is no PostgreSQL, except in CI."""
    try:
        cluster = Cluster()
    except NoPostgres as exc:
        pytest.skip(str(exc))
    with cluster:
        yield cluster


@pytest.fixture
def pg_database(postgres: Cluster) -> Iterator[str]:
    """The URL of an empty database of this test's own. What the server logged meanwhile is shown if the test fails."""
    name, seen = f"test_{next(_numbers)}", len(postgres.log)
    yield postgres.create_database(name)
    postgres.drop_database(name)
    print(postgres.log[seen:])
