"""The benchmarks of the store start, ask what they say they ask, and count what they say they count."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LISTS = ("first page", "model, common", "outcome, rare", "search, common word", "session, the oldest")
"""Questions that find something among few records too."""


def figures_of(program: str, arguments: Iterable[str]) -> Any:
    command = [sys.executable, str(BENCHMARKS / program), *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_every_question_about_a_million_calls_is_answered(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    where = ("--keep", str(tmp_path / "data"))
    if kind == "postgres":
        where = ("--database-url", request.getfixturevalue("pg_database"))
    found = figures_of("store_million.py", [*where, "--records", "1200", "--rounds", "1"])
    assert {each["status"] for each in found["answers"]} == {200}
    calls = {each["name"]: each["calls"] for each in found["answers"]}
    assert all(calls[name] for name in LISTS), calls
    assert calls["model, none"] == calls["search, nothing"] == 0
    assert {"in all", "record", "record_body"} <= found["bytes_a_record"].keys()


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("postgres")
def test_intake_over_postgres_is_measured_beside_its_floor() -> None:
    (found,) = figures_of(
        "intake_postgres.py", ["--rounds", "1", "--seconds", "0.3", "--servers", "2", "--copied", "500"]
    )
    assert {"singles, servers: 2", "batches of 100, servers: 2", "COPY, the same tables"} < found.keys()
    assert all(each["per_s"] > 0 and each["postgres_us"] >= 0 for each in found.values())
