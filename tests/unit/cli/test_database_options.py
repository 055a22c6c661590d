"""Where a command's database is: said in the command, in the environment, or wrongly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from freeplay_like.cli.data_folder import open_store
from freeplay_like.cli.database_options import DATABASE_VARIABLE
from freeplay_like.cli.main import cli
from freeplay_like.core.wire import to_wire
from freeplay_like.errors import BackendError, ConfigurationError
from freeplay_like.server.store.views import Batch, Incoming
from support.plain_records import a_record
from support.postgres import Cluster


def run(*arguments: object, **environment: str) -> str:
    """What a command prints to its standard output."""
    done = CliRunner().invoke(cli, [str(each) for each in arguments], env=environment)
    if done.exception is not None:
        raise done.exception
    return done.stdout


def refusal(*arguments: object, **environment: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        run(*arguments, **environment)
    return str(refused.value)


@pytest.fixture
def filled(pg_database: str) -> str:
    """The address of a database with a project and one call."""
    store = open_store(None, pg_database)
    try:
        project = store.projects.create("ours")
        record = a_record(project.id, session_id="s1")
        incoming = (Incoming(index=0, record=record, body=to_wire(record)),)
        store.save(Batch(project_key=project.key, records=incoming, received_at=store.now()))
    finally:
        store.close()
    return pg_database


def test_every_command_that_takes_a_folder_takes_an_address(filled: str) -> None:
    at = ("--database-url", filled)
    assert json.loads(run("people", "add", "Ada", *at, "--json"))["name"] == "Ada"
    assert "Ada" in run("people", "list", *at)
    made = json.loads(run("keys", "create", *at, "--name", "n", "--scope", "read", "--json"))
    assert made["id"] in run("keys", "list", *at)
    assert "openai ours" in run("prices", "set", "openai", "ours", "--input", "1", "--output", "2", *at)
    assert run("prices", "list", *at, "--json").count("\n") == 1
    assert len(run("export", *at, "--project", "ours").splitlines()) == 1
    assert json.loads(run("db", "info", *at, "--json"))["rows"]["record"] == 1
    assert "nothing is missing" in run("db", "migrate", *at, "--check")
    assert json.loads(run("delete", *at, "--session", "s1", "--yes", "--json"))["records"] == 1
    assert run("export", *at) == ""


def test_what_is_said_in_the_command_goes_before_the_environment(filled: str, tmp_path: Path) -> None:
    open_store(tmp_path).close()
    environment = {DATABASE_VARIABLE: filled}
    run("people", "add", "Ada", "--data", tmp_path, **environment)
    assert "Ada" in run("people", "list", "--data", tmp_path)
    assert "Ada" not in run("people", "list", **environment)
    assert run("keys", "list", **environment, FREEPLAY_LIKE_API_BASE="http://127.0.0.1:9/api") == ""
    with pytest.raises(BackendError):
        run("keys", "list", "--api-base", "http://127.0.0.1:9/api", "--api-key", "k", **environment)


@pytest.mark.parametrize("command", [("people", "list"), ("db", "info"), ("db", "migrate"), ("serve",)])
def test_one_place_must_be_named_and_not_two(command: tuple[str, ...], tmp_path: Path) -> None:
    assert "say where the database is" in refusal(*command)
    both = refusal(*command, "--data", tmp_path, "--database-url", "postgresql://h/x")
    assert "leave one out" in both or "there is no database" in both


@pytest.mark.parametrize(
    ("command", "instead"),
    [(("backup", "x.db"), "pg_dump"), (("restore", __file__), "pg_restore"), (("vacuum",), "autovacuum")],
)
def test_what_is_for_files_alone_says_what_to_use_over_postgres(command: tuple[str, ...], instead: str) -> None:
    assert instead in refusal("db", *command, "--database-url", "postgresql://127.0.0.1:9/x")


@pytest.mark.parametrize(
    "address", ["postgresql://ann:hu%sh@h/x", "postgres:/ann:hush@h/x", "postgresql://ann:hush@h/x?nonsense=1"]
)
def test_no_message_repeats_a_password_of_an_address_that_is_none(address: str) -> None:
    said = refusal("people", "list", "--database-url", address)
    assert "the database's address" in said
    assert "hu" not in said


def test_a_database_that_cannot_be_used_is_named_with_the_reason(
    postgres: Cluster, pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "there is nothing of ours" in refusal("people", "list", "--database-url", pg_database)
    assert "does not exist" in refusal("people", "list", "--database-url", postgres.url("nosuch"))
    nobody = f"postgresql://nobody:hush@{postgres.address}/postgres"
    said = refusal("people", "list", "--database-url", nobody)
    assert 'role "nobody" does not exist' in said
    assert "hush" not in said
    monkeypatch.setattr("freeplay_like.server.store.engines.postgres.LEAST_VERSION", 99)
    assert "99 or later" in refusal("init", "--project", "p", "--database-url", pg_database)
