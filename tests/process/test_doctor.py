"""`freeplay-like doctor`, over servers that are well and servers that are not."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from pathlib import Path
from typing import TypedDict

import requests

from support.backend import CLI, BackendProcess


class Hop(TypedDict):
    name: str
    verdict: str
    time_ms: float
    said: str
    way_out: str


def examine(*arguments: object, tmp_path: Path) -> tuple[int, dict[str, Hop]]:
    """The exit status, and the hops by name."""
    env = {**os.environ, "FREEPLAY_LIKE_SPOOL_DIR": str(tmp_path / "spool")}
    command = [*CLI, "doctor", *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=env)
    assert done.stdout, done.stderr
    return done.returncode, {hop["name"]: hop for hop in json.loads(done.stdout)["hops"]}


def test_every_hop_of_a_server_that_is_well_is_well_and_the_marked_call_is_gone_afterwards(
    own_backend: BackendProcess, tmp_path: Path
) -> None:
    status, hops = examine(
        "--api-base", own_backend.api_base, "--api-key", own_backend.api_key, "--timeout", 30, tmp_path=tmp_path
    )
    assert status == 0, hops
    assert {hop["verdict"] for hop in hops.values()} <= {"ok", "warning"}
    assert all(hop["time_ms"] >= 0 for hop in hops.values())
    assert next(iter(hops)) == "backend"
    assert list(hops)[-1] == "clean-up"
    assert hops["clean-up"]["verdict"] == "ok"
    exported = requests.get(f"{own_backend.project_base}/export", headers=own_backend.headers, timeout=30)
    assert exported.text == ""


def test_over_a_folder_it_starts_a_server_opens_the_page_and_takes_its_key_away(
    own_backend: BackendProcess, tmp_path: Path
) -> None:
    own_backend.stop()
    status, hops = examine("--data", own_backend.data_dir, "--timeout", 30, tmp_path=tmp_path)
    assert status == 0, hops
    assert hops["page"]["said"].startswith("http://127.0.0.1:")
    listed = subprocess.run(
        [*CLI, "keys", "list", "--data", str(own_backend.data_dir), "--json"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert [key["is_live"] for key in json.loads(listed.stdout) if key["name"] == "doctor"] == [False]


def test_a_wrong_key_is_named_and_what_needs_it_is_skipped(own_backend: BackendProcess, tmp_path: Path) -> None:
    key = own_backend.api_key[:-1] + ("a" if own_backend.api_key[-1] != "a" else "b")
    status, hops = examine("--api-base", own_backend.api_base, "--api-key", key, tmp_path=tmp_path)
    assert status == 1
    assert (hops["backend"]["verdict"], hops["key"]["verdict"], hops["call"]["verdict"]) == ("ok", "failed", "skipped")
    assert "keys create" in hops["key"]["way_out"]


def test_a_server_that_is_not_there_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        base = f"http://127.0.0.1:{taken.getsockname()[1]}/api"
        status, hops = examine("--api-base", base, "--api-key", "fpl_x", "--timeout", 2, tmp_path=tmp_path)
    assert status == 1
    assert hops["backend"]["verdict"] == "failed"
    assert "freeplay-like serve" in hops["backend"]["way_out"]
    assert hops["spool"]["verdict"] == "ok", "what needs no server is looked at all the same"
