"""Two real servers over one PostgreSQL, each in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest
import requests

from support.backend import BackendProcess
from support.postgres import Cluster


@attrs.frozen
class Pair:
    """Server `a`, and server `b` which may be stopped; the project and its key are the same at both."""

    a: BackendProcess
    b: BackendProcess
    database_url: str

    def sign_in(self) -> tuple[requests.Session, requests.Session]:
        """One person, signed in at `a` alone, as their browser comes to each of the two."""
        at_a, at_b = requests.Session(), requests.Session()
        at_a.get(self.a.sign_in_url(), timeout=20).raise_for_status()
        (cookie,) = at_a.cookies
        # Behind one address both have one name for it; here the name tells two servers on a machine apart.
        at_b.cookies.set(str(cookie.name).replace(_port(self.a), _port(self.b)), cookie.value or "")
        return at_a, at_b


def _port(server: BackendProcess) -> str:
    return server.url.rpartition(":")[2]


def _pair(database_url: str, folder: Path) -> Iterator[Pair]:
    with (
        BackendProcess(folder / "a", database_url=database_url) as a,
        BackendProcess(folder / "b", database_url=database_url) as b,
    ):
        yield Pair(a, b, database_url)


@pytest.fixture(scope="module")
def pair(postgres: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two servers, for the tests of a file that stop neither."""
    yield from _pair(postgres.create_database("pair"), tmp_path_factory.mktemp("pair"))
    postgres.drop_database("pair")


@pytest.fixture
def own_pair(pg_database: str, tmp_path: Path) -> Iterator[Pair]:
    """Two servers of this test's own, over an empty database."""
    yield from _pair(pg_database, tmp_path)
