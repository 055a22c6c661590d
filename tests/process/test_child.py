from __future__ import annotations

from pathlib import Path

import attrs
import psutil
import pytest

from freeplay_like.local.child import Child, ChildFailed


@attrs.frozen
class Said:
    word: str


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module that `python -m a_child` runs, to be written by the test."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path / "a_child.py"


def test_it_runs_from_its_ready_line_until_it_is_stopped(module: Path) -> None:
    module.write_text(
        "import sys; from freeplay_like.local.child import wait_for_parent\n"
        "print('{\"word\": \"' + sys.argv[1] + '\"}', flush=True); wait_for_parent(); print('bye')"
    )
    child = Child("a_child", ["hello"])
    assert child.ready(Said, 60) == Said("hello")
    assert psutil.pid_exists(child.pid)
    child.stop()
    assert not psutil.pid_exists(child.pid)
    child.stop()


def test_a_child_that_fails_leaves_its_last_words(module: Path) -> None:
    module.write_text("raise SystemExit('no room on this disk')")
    with pytest.raises(ChildFailed) as caught:
        Child("a_child", []).ready(Said, 60)
    assert caught.value.status == 1
    assert caught.value.log.strip() == "no room on this disk"


def test_a_child_that_takes_too_long_is_killed(module: Path) -> None:
    module.write_text("from freeplay_like.local.child import wait_for_parent; wait_for_parent()")
    with pytest.raises(ChildFailed) as caught:
        Child("a_child", []).ready(Said, 0.1)
    assert caught.value.status == -9


def test_a_child_that_says_something_else_is_stopped(module: Path) -> None:
    module.write_text("print('ready!', flush=True); input()")
    child = Child("a_child", [])
    with pytest.raises(ChildFailed):
        child.ready(Said, 60)
    assert not psutil.pid_exists(child.pid)
