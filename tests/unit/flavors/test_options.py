import pytest

from freeplay_like.core.parameters import merge
from freeplay_like.errors import ParameterError
from freeplay_like.flavors.options import function_of, is_strict, reasoning_of, refuse_unsayable, renamed, schema_name

CLOSED = {"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    "tool", ["f", None, {}, {"name": 7}, {"type": "web_search"}, {"type": "x_1", "name": "x"}, {"name": "x", "new": 1}]
)
def test_what_is_in_a_providers_own_words_is_no_function(tool: object) -> None:
    assert function_of(tool) is None


def test_reading_a_tool_leaves_it_as_it_was() -> None:
    tool = {"name": "f", "input_schema": {"type": "object"}}
    function = function_of(tool)
    assert function == {"name": "f", "parameters": {"type": "object"}}
    assert tool == {"name": "f", "input_schema": {"type": "object"}}


@pytest.mark.parametrize(
    ("title", "name"),
    [("Trip", "Trip"), ("a b/c", "a_b_c"), ("ü", "answer"), ("", "answer"), (7, "answer"), ("x" * 80, "x" * 64)],
)
def test_a_schemas_name_has_only_letters_that_names_may_have(title: object, name: str) -> None:
    assert schema_name({"title": title}) == name


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({"type": "array", "items": CLOSED}, True),
        ({"anyOf": [CLOSED, {"type": "null"}]}, True),
        ({**CLOSED, "properties": {"a": {"enum": [{"type": "object"}]}}}, True),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "additionalProperties": {}}, False),
        ({"type": "array", "items": {"type": "object"}}, False),
        ({**CLOSED, "$defs": {"b": {"properties": {}}}}, False),
    ],
)
def test_strict_is_what_is_closed_throughout(schema: object, *, strict: bool) -> None:
    assert is_strict(schema) is strict


def test_of_two_names_the_later_layer_wins_and_neither_is_sent_twice() -> None:
    parameters = merge([("client", {"stop": "a"}), ("call", {"stop_sequences": ["b"]})])
    assert renamed(parameters.values, parameters, {"stop": "stop_sequences"}) == {"stop_sequences": ["b"]}
    assert renamed(parameters.values, parameters, {"stop_sequences": "stop"}) == {"stop": ["b"]}


def test_what_a_format_has_no_words_for_is_named_with_its_layer() -> None:
    parameters = merge([("template", {"tools": [{"name": "f"}]}), ("call", {"model": "m"})])
    refuse_unsayable(parameters, ("reasoning",), "openai_text")
    with pytest.raises(ParameterError, match="'tools' cannot be said in openai_text") as caught:
        refuse_unsayable(parameters, ("reasoning", "tools"), "openai_text")
    assert (caught.value.parameter, caught.value.layer) == ("tools", "template")


def test_an_effort_of_none_is_off() -> None:
    for asked in (False, {"effort": "none"}):
        reasoning = reasoning_of(merge([("call", {"reasoning": asked})]))
        assert reasoning is not None
        assert not reasoning.is_on
    assert reasoning_of(merge([])) is None
