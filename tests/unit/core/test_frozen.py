"""Frozen JSON: it reads like the dict it was made from, and cannot be written to."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import cast

import pytest

from freeplay_like.core.frozen import FrozenDict, FrozenList, frozen
from freeplay_like.core.wire import to_wire

PLAIN: dict[str, object] = {"a": [1, {"b": "c"}], "d": None}


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.__setitem__("a", 1),
        lambda d: d.__delitem__("a"),
        lambda d: d.__ior__({"a": 1}),
        lambda d: d.update(a=1),
        lambda d: d.setdefault("x", 1),
        lambda d: d.pop("a"),
        lambda d: d.popitem(),
        lambda d: d.clear(),
        lambda d: d["a"].append(2),
        lambda d: d["a"].extend([2]),
        lambda d: d["a"].insert(0, 2),
        lambda d: d["a"].pop(),
        lambda d: d["a"].remove(1),
        lambda d: d["a"].sort(),
        lambda d: d["a"].reverse(),
        lambda d: d["a"].clear(),
        lambda d: d["a"].__setitem__(0, 2),
        lambda d: d["a"].__delitem__(0),
        lambda d: d["a"].__iadd__([2]),
        lambda d: d["a"].__imul__(2),
        lambda d: d["a"][1].update(b=2),
    ],
)
def test_no_way_of_writing_gets_in(change: Callable[[dict[str, object]], object]) -> None:
    value = frozen(PLAIN)
    with pytest.raises(TypeError, match="does not change"):
        change(cast("dict[str, object]", value))
    assert value == PLAIN


def test_it_is_a_copy_of_what_it_was_made_from() -> None:
    source: dict[str, object] = {"a": [1]}
    value = frozen(source)
    cast("list[int]", source["a"]).append(2)
    assert value == {"a": [1]}
    assert frozen(value) is value


def test_a_copy_of_it_is_plain_and_free() -> None:
    value = frozen(PLAIN)
    deep = copy.deepcopy(value)
    assert deep == PLAIN
    assert (type(deep), type(deep["a"]), type(deep["a"][1])) == (dict, list, dict)  # type: ignore[index]
    assert type(copy.copy(value)) is dict
    assert type(copy.copy(frozen([1]))) is list


def test_json_and_pickle_take_it_as_it_is() -> None:
    value = frozen(PLAIN)
    assert json.loads(json.dumps(value)) == PLAIN == json.loads(to_wire(value))
    again = pickle.loads(pickle.dumps(value))  # noqa: S301
    assert again == value
    assert type(again) is FrozenDict
    assert type(again["a"]) is FrozenList


def test_equal_values_have_equal_hashes() -> None:
    assert hash(frozen({"a": (1, 2), "b": {}})) == hash(frozen({"b": {}, "a": [1, 2]}))
