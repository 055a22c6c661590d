"""What is asked by the id of a call looks into one partition, however many there are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Final

import pytest
import sqlalchemy as sa

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store.engines import postgres_tables
from freeplay_like.server.store.engines.postgres import PostgresDatabase
from freeplay_like.server.store.records.calls import get_call, get_sent
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import Batch, Incoming, Project
from support.plain_records import a_record

NOW: Final = datetime(2026, 11, 21, 13, tzinfo=UTC)
SPAN: Final = 4
_READ: Final = sa.text(
    "SELECT DISTINCT relname FROM pg_locks JOIN pg_class ON pg_class.oid = relation "
    "WHERE pid = pg_backend_pid() AND relname ~ '^record(_body)?_[0-9]+$'"
)
"""A table that a statement was planned for is locked up to the end of its transaction."""


@pytest.fixture
def store(pg_database: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setattr(postgres_tables, "PARTITION", SPAN)
    opened = Store(PostgresDatabase(pg_database))
    yield opened
    opened.close()


@pytest.mark.parametrize("ask", [get_call, get_sent])
def test_a_call_is_looked_for_in_its_partition_alone(
    store: Store, project: Project, ask: Callable[[sa.Connection, Project, str], object]
) -> None:
    records = [a_record(project.id) for _ in range(3 * SPAN)]
    incoming = tuple(Incoming(index=i, record=each, body=to_wire(each)) for i, each in enumerate(records))
    store.save(Batch(project_key=project.key, records=incoming, received_at=NOW))
    with store._reading.begin() as connection:
        assert ask(connection, project, records[SPAN].record_id) is not None
        read = set(connection.scalars(_READ))
    assert read <= {"record_1", "record_body_1"}
    assert "record_body_1" in read
