from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from freeplay_like.core.wire import to_wire
from freeplay_like.server.store import schema, tables
from freeplay_like.server.store.bodies import Packer
from freeplay_like.server.store.engines.sqlite import SqliteDatabase
from freeplay_like.server.store.records import tables as record_tables
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import DatasetDraft
from support.plain_records import a_record


def test_the_migrations_lead_to_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    engine = SqliteDatabase(tmp_path / "test.db").open(is_writer=True)
    schema.upgrade(engine)
    known = set(tables.metadata.tables)
    options = {"include_object": lambda thing, name, kind, *_: kind != "table" or name in known}
    with engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"target_metadata": tables.metadata, **options})
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


def test_the_head_that_is_named_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(schema._MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_opening_again_changes_nothing_and_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    first = Store(SqliteDatabase(path))
    project = first.projects.create("first")
    first.close()
    first.close()
    second = Store(SqliteDatabase(path))
    assert second.projects.all() == (project,)
    second.close()


def test_the_first_release_of_the_tables_is_brought_up_to_date_with_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    engine = SqliteDatabase(path).open(is_writer=True)
    record = a_record("p", session_id="s", test_run_id="of nothing")
    row = {
        "seq": 1,
        "project_key": 1,
        "record_id": record.record_id,
        "session_id": "s",
        "provider": "openai",
        "flavor": "openai_chat",
        "outcome": "complete",
        "started_at": tables.to_micros(record.started_at),
        "received_at": 0,
        "is_stream": False,
        "first_user": "",
        "first_answer": "",
    }
    with engine.begin() as connection:
        config = Config(attributes={"connection": connection})
        config.set_main_option("script_location", str(schema._MIGRATIONS))
        command.upgrade(config, "0001")
        connection.execute(sa.insert(tables.project).values(key=1, id="p", name="first", created_at=0))
        connection.execute(sa.insert(record_tables.record).values(row))
        body = Packer().pack(to_wire(record))
        connection.execute(sa.insert(record_tables.record_body).values(seq=1, zstd=body))
    engine.dispose()
    store = Store(SqliteDatabase(path))
    stored = store.calls.get("p", record.record_id)
    assert stored is not None
    assert stored.record == record
    assert (stored.row.seq, stored.row.test_run_id, stored.amendments) == (1, None, ())
    (project,) = store.projects.all()
    dataset = store.datasets.create(project, DatasetDraft(name="made after"))
    assert store.datasets.page(project, None, 0, 10) == (dataset,)
    store.close()


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    Store(SqliteDatabase(path)).close()
    engine = SqliteDatabase(path).open(is_writer=True)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
        connection.execute(sa.text("UPDATE store_state SET value = 9999 WHERE name = 'serves_from'"))
    engine.dispose()
    with pytest.raises(schema.DatabaseTooNew, match=r"newer release.*'9999'"):
        Store(SqliteDatabase(path))


def test_two_processes_that_open_a_new_file_at_once_make_its_tables_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from freeplay_like.server.store.store import Store; "
    code += "from freeplay_like.server.store.engines.sqlite import SqliteDatabase; "
    code += "sys.stdin.readline(); Store(SqliteDatabase(Path(sys.argv[1]))).close()"
    command = [sys.executable, "-c", code, str(tmp_path / "test.db")]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(3)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    errors = [process.communicate(timeout=60)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0], errors


def test_the_tables_can_be_made_in_postgresql() -> None:
    dialect = postgresql.dialect()
    made = [str(CreateTable(table).compile(dialect=dialect)) for table in tables.metadata.sorted_tables]
    made += [str(CreateIndex(i).compile(dialect=dialect)) for t in tables.metadata.sorted_tables for i in t.indexes]
    assert any("seq BIGSERIAL" in statement for statement in made)
    assert any("WHERE session_id IS NOT NULL" in statement for statement in made)
