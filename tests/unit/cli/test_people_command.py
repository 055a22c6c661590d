"""`freeplay-like people`, over a data folder."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from freeplay_like.cli.data_folder import open_store
from freeplay_like.cli.people import people
from freeplay_like.errors import ConfigurationError


@pytest.fixture
def data(tmp_path: Path) -> Path:
    open_store(tmp_path).close()
    return tmp_path


def run(data: Path, *arguments: str) -> str:
    """What a command prints to its standard output."""
    command, *rest = arguments
    done = CliRunner().invoke(people, [command, "--data", str(data), *rest])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_the_link_that_is_printed_signs_in_who_was_added(data: Path) -> None:
    made = json.loads(run(data, "add", "Ada", "--role", "admin", "--url", "https://logs.example.com/", "--json"))
    assert (made["name"], made["role"]) == ("Ada", "admin")
    parts = urlsplit(made["url"])
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "logs.example.com", "/sign-in")
    store = open_store(data)
    try:
        session = store.people.sign_in(parse_qs(parts.query)["token"][0])
        assert session is not None
        found = store.people.of_session(session)
        assert found is not None
        assert (found.name, found.role) == ("Ada", "admin")
    finally:
        store.close()
    assert run(data, "list") == "admin     Ada  (1 browser signed in)\n"


def test_another_link_is_another_one_and_the_only_thing_on_standard_output(data: Path) -> None:
    first = run(data, "add", "Grace")
    second = run(data, "link", "Grace")
    assert first != second
    assert second.startswith("http://127.0.0.1:8000/sign-in?token=")
    assert second.count("\n") == 1


def test_one_who_is_removed_is_in_no_list(data: Path) -> None:
    run(data, "add", "Ada", "--role", "admin")
    run(data, "add", "Grace")
    assert run(data, "remove", "Grace") == "Grace is removed\n"
    assert [json.loads(line)["name"] for line in run(data, "list", "--json").splitlines()] == ["Ada"]
    with pytest.raises(ConfigurationError, match="only administrator"):
        run(data, "remove", "Ada")


def test_a_name_that_nobody_has_is_answered_with_those_there_are(data: Path) -> None:
    run(data, "add", "Ada")
    with pytest.raises(ConfigurationError, match="no person 'Adda'; there is 'Ada'"):
        run(data, "link", "Adda")
    with pytest.raises(ConfigurationError, match="somebody called 'Ada' already"):
        run(data, "add", "Ada")
