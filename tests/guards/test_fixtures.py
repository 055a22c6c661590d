"""What is committed under fixtures/: no secret in it, and a word on where it comes from."""

from __future__ import annotations

import re
from pathlib import Path

FIXTURES = Path(__file__).parents[2] / "fixtures"
FILES = [path for path in FIXTURES.rglob("*") if path.is_file()]
SECRET = re.compile(
    rb"sk-[A-Za-z0-9_-]{20,}|sk-ant-[A-Za-z0-9_-]{10,}|AKIA[0-9A-Z]{16}|AIza[0-9A-Za-z_-]{35}"
    rb"|Bearer [A-Za-z0-9._-]{16,}|fpl_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,}|-----BEGIN [A-Z ]*PRIVATE KEY"
)


def test_no_secret_is_in_a_fixture() -> None:
    assert FILES
    assert [str(path) for path in FILES if SECRET.search(path.read_bytes())] == []


def test_the_pattern_finds_a_secret() -> None:
    assert SECRET.search(b'{"authorization": "Bearer ' + b"a1" * 12 + b'"}')


def test_every_wire_case_says_where_it_comes_from() -> None:
    cases = [path.parent for path in FIXTURES.glob("wire/*/*/record.json")]
    assert cases
    assert [str(case) for case in cases if not (case / "SOURCE.md").is_file()] == []
