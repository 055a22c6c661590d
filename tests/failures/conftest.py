"""Failures of servers, databases and networks: each test breaks something, and its figures stand in one table."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest

from support.backend import BackendProcess
from support.postgres import Cluster
from support.writers import Note, Reckoning, StartServers

HEAD: Final = ("what was broken", "acknowledged", "lost", "doubled", "told again", "gap s", "answers but 200")
TABLE: Final = pytest.StashKey[list[tuple[str, ...]]]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLE] = []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The table: `gap` is the longest that a client waited until a batch was acknowledged, all attempts together."""
    rows = config.stash[TABLE]
    if not rows:
        return
    widths = [max(len(row[column]) for row in (HEAD, *rows)) for column in range(len(HEAD))]
    terminalreporter.section("failures")
    for row in (HEAD, *rows):
        terminalreporter.line("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Note:
    """Put a line into the table, and hold that nothing was lost or doubled."""

    def take(what: str, found: Reckoning) -> None:
        refusals = ", ".join(f"{count} x {status}" for status, count in sorted(found.refusals.items())) or "none"
        numbers = (found.acknowledged, found.lost, found.doubled, found.told_again)
        row = (what, *map(str, numbers), f"{found.gap_s:.2f}", refusals)
        request.config.stash[TABLE].append(row)
        assert (found.lost, found.doubled) == (0, 0), what

    return take


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[StartServers]:
    """Starts servers over a database; the first makes the tables and the project."""
    numbers = itertools.count(1)
    with ExitStack() as running:

        def start(database_url: str, count: int) -> list[BackendProcess]:
            def one(number: int) -> BackendProcess:
                return running.enter_context(BackendProcess(tmp_path / f"server-{number}", database_url=database_url))

            first = one(next(numbers))
            with ThreadPoolExecutor() as pool:
                return [first, *pool.map(one, itertools.islice(numbers, count - 1))]

        yield start


@pytest.fixture
def cluster(postgres: Cluster) -> Iterator[Cluster]:
    """A server that keeps its promises when it is killed; `postgres` skips where there is none."""
    with Cluster(fsync=True) as own:
        yield own
        print(own.log[-5_000:])  # shown where the test fails


@pytest.fixture
def database_url(cluster: Cluster) -> str:
    """A database on it."""
    return cluster.create_database("app")
