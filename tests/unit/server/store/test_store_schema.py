from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from freeplay_like.server.store import schema, sqlite, tables
from freeplay_like.server.store.store import Store


def test_the_migrations_lead_to_the_tables_that_the_code_knows(tmp_path: Path) -> None:
    engine = sqlite.open_engine(tmp_path / "test.db", is_writer=True)
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
    first = Store(path)
    project = first.create_project("first")
    first.close()
    first.close()
    second = Store(path)
    assert second.projects() == (project,)
    second.close()


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "test.db"
    Store(path).close()
    engine = sqlite.open_engine(path, is_writer=True)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(schema.DatabaseTooNew, match=r"newer release.*'9999'"):
        Store(path)


def test_two_processes_that_open_a_new_file_at_once_make_its_tables_once(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from freeplay_like.server.store.store import Store; "
    code += "sys.stdin.readline(); Store(Path(sys.argv[1])).close()"
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
