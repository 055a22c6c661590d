"""The public names: all there, all documented, one list."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import freeplay_like

SOURCE = ast.parse(Path(freeplay_like.__file__).read_text(encoding="utf-8"))
NAMES = sorted(set(freeplay_like.__all__) - {"__version__"})


@pytest.mark.parametrize("name", NAMES)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(freeplay_like, name)
    assert name in dir(freeplay_like)
    if name not in ("UNSET", "Event"):  # a value, and a name for several classes
        assert value.__name__ == name
        assert (value.__doc__ or "").strip()


def test_type_checkers_see_the_same_names_as_programs() -> None:
    imported = {
        alias.name
        for node in ast.walk(SOURCE)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("freeplay_like.")
        for alias in node.names
    }
    assert imported == set(NAMES) == set(freeplay_like._ROOM_OF)


def test_the_package_file_defines_nothing_but_the_version() -> None:
    assigned = {
        target.id
        for node in SOURCE.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    defined = {node.name for node in SOURCE.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    assert assigned == {"__version__", "__all__", "_ROOMS", "_ROOM_OF"}
    assert defined == {"__getattr__", "__dir__"}


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Freepaly'"):
        _ = freeplay_like.Freepaly
