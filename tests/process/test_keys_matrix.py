"""Who may do what: every address of the API, asked with every kind of key that may not."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import pytest
import requests

from freeplay_like.cli.keys import SCOPES
from freeplay_like.server.api import OPERATIONS
from freeplay_like.server.store.accounts.keys import ALL_SCOPES, parse_key
from freeplay_like.server.store.views import Scope
from support.backend import CLI, BackendProcess, Deployment
from support.waiting import until

INTAKE = ("POST", "/api/v2/projects/{project_id}/records:batch", "ingest")
SPANS = ("POST", "/v1/traces", "ingest")
ADDRESSES = [
    *((each.method, each.path, each.scope) for each in OPERATIONS),
    INTAKE,
    SPANS,
]


@attrs.frozen(kw_only=True)
class Door:
    """A server, and a key of every kind that is not good enough."""

    backend: BackendProcess
    foreign: str
    revoked: str
    expired: str
    wrong: str
    without: dict[Scope, str]
    """A key with every scope but one."""

    def ask(self, method: str, path: str, key: str | None) -> requests.Response:
        address = path.replace("{project_id}", self.backend.project_id)
        address = re.sub(r"\{[^}]*\}", "00000000-0000-4000-8000-000000000000", address)
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return requests.request(method, f"{self.backend.url}{address}", json={}, headers=headers, timeout=30)


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, deployment: Deployment) -> Iterator[Door]:
    with deployment.running(tmp_path_factory.mktemp("door") / "data") as backend, backend.store() as store:
        project = store.projects.get(backend.project_id)
        assert project is not None
        revoked = store.keys.create(project)
        store.keys.revoke(project, revoked.split("_")[1])
        good = backend.api_key
        yield Door(
            backend=backend,
            foreign=store.keys.create(store.projects.create("foreign")),
            revoked=revoked,
            expired=store.keys.create(project, expires_at=datetime.now(UTC) - timedelta(seconds=1)),
            wrong=good[:20] + ("a" if good[20] != "a" else "b") + good[21:],
            without={scope: store.keys.create(project, ALL_SCOPES - {scope}) for scope in ALL_SCOPES},
        )


@pytest.mark.parametrize(("method", "path", "scope"), ADDRESSES, ids=[f"{a[0]} {a[1]}" for a in ADDRESSES])
def test_nobody_comes_in_without_a_key_that_is_good_here_and_may_do_this(
    door: Door, method: str, path: str, scope: Scope | None
) -> None:
    for kind, key in (("none", None), ("wrong", door.wrong), ("revoked", door.revoked), ("expired", door.expired)):
        answer = door.ask(method, path, key)
        assert answer.status_code == 401, f"{kind} key: {answer.text}"
        assert set(answer.json()) == {"message"}
    if "{project_id}" in path:
        answer = door.ask(method, path, door.foreign)
        assert (answer.status_code, answer.json()) == (404, {"message": "Project not found"})
    if scope is not None:
        answer = door.ask(method, path, door.without[scope])
        assert answer.status_code == 403, answer.text
        assert scope in answer.json()["message"]


def test_a_key_that_was_just_used_ends_soon_after_it_was_revoked(door: Door) -> None:
    base, mine = door.backend.project_base, door.backend.headers
    body = {"name": "short-lived", "scopes": ["read", "ingest"]}
    made = requests.post(f"{base}/api-keys", json=body, headers=mine, timeout=30)
    assert made.status_code == 201
    key, headers = made.json()["key"], {"Authorization": f"Bearer {made.json()['api_key']}"}
    assert requests.get(f"{door.backend.api_base}/v2/projects/all", headers=headers, timeout=30).status_code == 200
    answer = requests.delete(f"{base}/api-keys/{key['id']}", headers=mine, timeout=30)
    assert answer.status_code == 200
    assert answer.json()["is_live"] is False

    def is_refused() -> bool:
        address = f"{door.backend.api_base}/v2/projects/all"
        return requests.get(address, headers=headers, timeout=30).status_code == 401

    until(is_refused, what="the end of a revoked key")


def test_a_key_is_made_shown_rotated_and_never_shown_in_clear_again(door: Door) -> None:
    base, mine = door.backend.project_base, door.backend.headers
    ends = (datetime.now(UTC) + timedelta(days=3)).isoformat()
    body = {"name": "rotating", "scopes": ["read"], "expires_at": ends}
    first = requests.post(f"{base}/api-keys", json=body, headers=mine, timeout=30).json()
    rotated = requests.post(
        f"{base}/api-keys/{first['key']['id']}/rotate", json={"grace_s": 3600}, headers=mine, timeout=30
    )
    assert rotated.status_code == 201
    listed = requests.get(f"{base}/api-keys", headers=mine, timeout=30)
    shown = {key["id"]: key for key in listed.json()["data"]}
    old, new = shown[first["key"]["id"]], shown[rotated.json()["key"]["id"]]
    assert (old["name"], new["name"], new["scopes"]) == ("rotating", "rotating", ["read"])
    assert old["is_live"]
    assert new["is_live"]
    assert old["expires_at"] < ends
    for text in (first["api_key"], rotated.json()["api_key"]):
        parts = parse_key(text)
        assert parts is not None
        assert text.split("_")[2] not in listed.text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "scopes": ["read"]}, "name"),
        ({"name": " \t ", "scopes": ["read"]}, "name"),
        ({"name": "x", "scopes": []}, "scopes"),
        ({"name": "x", "scopes": ["everything"]}, "scopes"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"name": "x", "scopes": ["read"], "expires_at": "9999-12-31T23:59:59Z"}, "expires_at"),
        ({"name": "x", "scopes": ["read"], "expires_at": "2100-01-01T00:00:00"}, "expires_at"),
    ],
)
def test_a_key_that_makes_no_sense_is_refused_by_the_name_of_the_field(
    door: Door, body: dict[str, object], field: str
) -> None:
    answer = requests.post(f"{door.backend.project_base}/api-keys", json=body, headers=door.backend.headers, timeout=30)
    assert answer.status_code == 400
    assert field in answer.json()["message"]


def test_the_command_line_knows_every_scope() -> None:
    assert set(SCOPES) == ALL_SCOPES


def run(*arguments: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        [*CLI, *arguments], capture_output=True, text=True, timeout=60, env={**os.environ, **(env or {})}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("is_remote", [True, False], ids=["over the API", "over the folder"])
def test_keys_are_kept_from_the_command_line(door: Door, is_remote: bool, tmp_path: Path) -> None:
    backend = door.backend
    env = {"FREEPLAY_LIKE_API_BASE": backend.api_base, "FREEPLAY_LIKE_API_KEY": backend.api_key} if is_remote else {}
    place = [] if is_remote else ["--data", str(backend.data_dir), "--project", "tests"]
    name = f"cli {is_remote}"
    created = run("keys", "create", *place, "--name", name, "--scope", "read", "--expires-in", "7d", env=env).strip()
    parts = parse_key(created)
    assert parts is not None
    rotated = parse_key(run("keys", "rotate", *place, parts.key_id, "--grace", "1h", env=env).strip())
    assert rotated is not None
    run("keys", "revoke", *place, rotated.key_id, env=env)
    lines = {line.split()[0]: line for line in run("keys", "list", *place, env=env).splitlines()}
    assert "live" in lines[parts.key_id]
    assert "revoked" in lines[rotated.key_id]
    assert name in lines[parts.key_id]
    assert created.split("_")[2] not in "".join(lines.values())
