"""Values are compared and shown by what they hold."""

from __future__ import annotations

from freeplay_like.core.chunks import Usage
from freeplay_like.core.parameters import merge


def test_parameters_are_equal_where_they_say_the_same() -> None:
    warm = merge([("call", {"temperature": 0.5})])
    assert warm == merge([("call", {"temperature": 0.5})])
    assert warm != merge([("call", {"temperature": 0.6})])
    assert warm != merge([("client", {"temperature": 0.5})])
    assert "temperature" in repr(warm)
    assert "0.5" in repr(warm)


def test_nought_is_not_the_same_as_not_told() -> None:
    assert Usage(output_tokens=0) != Usage()
    assert Usage(input_tokens=3, output_tokens=0).total_tokens == 3
    assert Usage(input_tokens=3).total_tokens is None
