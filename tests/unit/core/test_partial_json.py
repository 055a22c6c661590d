from __future__ import annotations

import json

import pytest

from freeplay_like.core.partial_json import partial_json


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("  ", None),
        ("{", {}),
        ('{"a', {}),
        ('{"a":', {}),
        ('{"a": "he', {"a": "he"}),
        ('{"a": "x\\u00', {"a": "x"}),
        ('{"a": "x\\ud83d', {"a": "x"}),
        ('{"a": tr', {}),
        ('{"a": 12', {"a": 12}),
        ('{"a": -', {}),
        ('{"a": 1.', {}),
        ('{"a": [1, {"b": "c', {"a": [1, {"b": "c"}]}),
        ('{"a": 1} and so on', {"a": 1}),
        ('"text', "text"),
        ("```json\n", None),
        ('```json\n{"a": "x', {"a": "x"}),
        ("Here:\n```\n[1, 2", [1, 2]),
        ("Here is", None),
        ("[1,]", None),
        ("[NaN", None),
        ("[" * 10_000, None),
        ('{"a": "\ud83d', {"a": "?"}),
    ],
)
def test_a_beginning_of_json_is_read_as_far_as_it_goes(text: str, value: object) -> None:
    assert partial_json(text) == value


def test_every_beginning_of_an_object_gives_a_beginning_of_its_value() -> None:
    whole = {"name": "Ada \U0001f600", "tags": ["x", "y"], "age": 36, "is_on": True, "none": None}
    text = json.dumps(whole)
    for end in range(1, len(text) + 1):
        value = partial_json(text[:end])
        assert isinstance(value, dict)
        assert list(value) == list(whole)[: len(value)]
    assert partial_json(text) == whole


def test_values_are_the_callers_own() -> None:
    first = partial_json('{"a": [1')
    assert isinstance(first, dict)
    first.clear()
    assert partial_json('{"a": [1') == {"a": [1]}
