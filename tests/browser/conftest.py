"""Projects to look at: one with many records, and empty ones."""

from __future__ import annotations

import itertools

import pytest

from support.backend import BackendProcess
from support.records import special_records
from support.shop import Shop

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def shop(backend: BackendProcess) -> Shop:
    """A project with 64 records and the special ones on top; tests only look at it."""
    full = Shop(backend=backend, name="bakery")
    full.records = full.maker(seed=7).make(64)
    full.special = special_records(full.project_id)
    full.post(*full.records, *full.special.values())
    return full


@pytest.fixture
def new_shop(backend: BackendProcess) -> Shop:
    """A project of this test's own, empty."""
    return Shop(backend=backend, name=f"empty-{next(_numbers)}")


@pytest.fixture
def own_shop(own_backend: BackendProcess) -> Shop:
    """An empty project on a server that the test may stop."""
    return Shop(backend=own_backend, name="bakery")
