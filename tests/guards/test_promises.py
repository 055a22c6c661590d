"""Every promise of the documentation is held by tests that are there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| (?P<promise>.+?) \| (?P<tests>.*) \|$", re.MULTILINE)
TEST = re.compile(r"`([^`]+\.py)::(\w+)`")
ROWS = [
    (row["promise"], TEST.findall(row["tests"]))
    for row in ROW.finditer((ROOT / "docs" / "promises.md").read_text(encoding="utf-8"))
    if row["promise"] not in ("promise", "---")
]


@cache
def defined_in(path: Path) -> frozenset[str]:
    """The names of the tests in a file, which is read and not run."""
    if not path.is_file():
        return frozenset()
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return frozenset(node.name for node in body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@pytest.mark.parametrize(("promise", "tests"), ROWS, ids=lambda value: value[:60] if isinstance(value, str) else "")
def test_a_promise_is_held_by_tests_that_are_there(promise: str, tests: list[tuple[str, str]]) -> None:
    assert tests, "no test holds it"
    missing = [f"{path}::{name}" for path, name in tests if name not in defined_in(ROOT / path)]
    assert missing == []


def test_there_are_promises_and_none_is_made_twice() -> None:
    promises = [promise for promise, _ in ROWS]
    assert len(promises) > 100
    assert len(set(promises)) == len(promises)
