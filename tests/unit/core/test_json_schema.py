from __future__ import annotations

import pytest

from freeplay_like.core.json_schema import MAX_PROBLEMS, MAX_STEPS, check_schema, problems_of
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ConfigurationError

NODE: JsonObject = {
    "$ref": "#/$defs/Node",
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
            "required": ["next"],
        }
    },
}


@pytest.mark.parametrize(
    ("schema", "fits", "differs"),
    [
        ({"type": "null"}, None, 0),
        ({"type": "boolean"}, True, 1),
        ({"type": "integer"}, 1, True),
        ({"type": "integer"}, 1.0, 1.5),
        ({"type": "number"}, 1.5, "1"),
        ({"type": "number"}, 1, False),
        ({"type": "string"}, "", None),
        ({"type": "array"}, [], {}),
        ({"type": "object"}, {}, []),
        ({"type": ["string", "null"]}, None, 1),
        ({"enum": ["a", 1, None]}, 1.0, True),
        ({"enum": [[1, {"a": True}]]}, [1, {"a": True}], [1, {"a": 1}]),
        ({"const": 0}, 0, False),
        ({"minLength": 2}, "ab", "a"),
        ({"maxLength": 2}, "ab", "abc"),
        ({"pattern": "b+"}, "abb", "ac"),
        ({"minimum": 2}, 2, 1.9),
        ({"maximum": 2}, 2, 3),
        ({"exclusiveMinimum": 2}, 3, 2),
        ({"exclusiveMaximum": 2}, 1, 2),
        ({"multipleOf": 0.1}, 0.3, 0.35),
        ({"multipleOf": 3}, 10**400 * 3, 10**400 * 3 + 1),
        ({"items": {"type": "string"}}, ["a"], ["a", 1]),
        ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", 1]),
        ({"prefixItems": [{"type": "string"}]}, ["a", 1], [1]),
        ({"minItems": 1}, [1], []),
        ({"maxItems": 1}, [1], [1, 2]),
        ({"uniqueItems": True}, [1, True, "1"], [1, 1.0]),
        ({"properties": {"a": {"type": "string"}}}, {"a": "x", "b": 1}, {"a": 1}),
        ({"required": ["a"]}, {"a": None}, {}),
        ({"additionalProperties": False, "properties": {"a": {}}}, {"a": 1}, {"b": 1}),
        ({"additionalProperties": {"type": "integer"}}, {"a": 1}, {"a": "1"}),
        ({"propertyNames": {"maxLength": 1}}, {"a": 1}, {"ab": 1}),
        ({"minProperties": 1}, {"a": 1}, {}),
        ({"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 1}),
        ({"anyOf": [{"type": "string"}, {"minimum": 3}]}, 3, 2),
        ({"oneOf": [{"minimum": 3}, {"maximum": 1}]}, 3, 2),
        ({"oneOf": [{"minimum": 1}, {"maximum": 3}]}, 0, 2),
        ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2, 4),
        ({"not": {"type": "string"}}, 1, "1"),
        ({"not": {}}, ..., 1),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"type": "string"}}}, "a", 1),
        ({"$ref": "#/definitions/a~1b~0", "definitions": {"a/b~": {"type": "string"}}}, "a", 1),
        (NODE, {"next": {"next": None}}, {"next": {"next": 1}}),
        ({"properties": {"a": {"$ref": "#"}}, "additionalProperties": False}, {"a": {"a": {}}}, {"a": {"b": 1}}),
    ],
)
def test_a_keyword_tells_what_fits_from_what_does_not(schema: JsonObject, fits: object, differs: object) -> None:
    check_schema(schema)
    if fits is not ...:
        assert problems_of(fits, schema) == ()
    assert problems_of(differs, schema)


@pytest.mark.parametrize(
    ("schema", "value", "problems"),
    [
        ({"type": "integer"}, "3", ("$: must be an integer, not '3'",)),
        ({"type": ["string", "null"]}, 1, ("$: must be a string or null, not 1",)),
        ({"enum": ["a", "b"]}, "c", ("$: must be one of 'a', 'b', not 'c'",)),
        ({"required": ["a", "b"]}, {}, ("$: has no 'a'", "$: has no 'b'")),
        (
            {"properties": {"a b": {"items": {"minimum": 2}}}},
            {"a b": [3, 1]},
            ("$['a b'][1]: must be at least 2, not 1",),
        ),
        (
            {"properties": {"a": {}}, "additionalProperties": False},
            {"c": 1},
            ("$.c: must not be there; known: a",),
        ),
        ({"anyOf": [{"required": ["a"]}, {"type": "null"}]}, {}, ("$: has no 'a'",)),
        (
            {
                "anyOf": [
                    {"properties": {"kind": {"const": "dog"}, "age": {"type": "integer"}}},
                    {"properties": {"kind": {"const": "cat"}, "age": {"type": "integer"}}},
                ]
            },
            {"kind": "cat", "age": "old"},
            ("$.age: must be an integer, not 'old'",),
        ),
        (
            {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            None,
            ("$: fits none of 2 alternatives ($: must be a string, not None; $: must be an integer, not None)",),
        ),
        ({"minItems": 2}, [1], ("$: must have at least 2 items, and has 1",)),
        ({"maxLength": 1}, "ab", ("$: must have at most 1 characters, and has 2, not 'ab'",)),
    ],
)
def test_a_problem_says_where_it_is_and_what_was_asked_for(
    schema: JsonObject, value: object, problems: tuple[str, ...]
) -> None:
    assert problems_of(value, schema) == problems


def test_problems_may_begin_at_a_place_of_the_callers() -> None:
    assert problems_of([1], {"items": {"type": "null"}}, "$.value") == ("$.value[0]: must be null, not 1",)


def test_a_long_value_is_cut_in_a_message() -> None:
    (problem,) = problems_of("x" * 10_000, {"type": "null"})
    assert len(problem) < 120


def test_only_so_many_problems_are_named() -> None:
    assert len(problems_of([1] * 1000, {"items": {"type": "string"}})) == MAX_PROBLEMS


def test_a_value_nested_without_end_does_not_fit() -> None:
    value: object = None
    for _ in range(5_000):
        value = {"next": value}
    (problem,) = problems_of(value, NODE)
    assert "nested deeper" in problem


def test_alternatives_within_alternatives_do_not_take_for_ever() -> None:
    value: object = "a leaf that fits nothing"
    for _ in range(30):
        value = [value]
    (problem,) = problems_of(value, {"anyOf": [{"type": "array", "items": {"$ref": "#"}}] * 2})
    assert f"more than {MAX_STEPS} steps" in problem


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"contains": {}}, "'contains' at #"),
        ({"properties": {"a": {"minLenght": 3}}}, "'minLenght' at #/properties/a"),
        ({"if": {}, "then": {}}, "'if'"),
        ({"nullable": True}, "'nullable'"),
        ({"type": "text"}, "'type' at # must be one of null"),
        ({"type": []}, "'type'"),
        ({"minimum": "3"}, "must be a number, not '3'"),
        ({"minLength": -1}, "must be a count"),
        ({"multipleOf": 0}, "must be a number above 0"),
        ({"pattern": "("}, "regular expression"),
        ({"items": [{}]}, "must be a schema"),
        ({"anyOf": []}, "list of schemas"),
        ({"required": "a"}, "list of names"),
        ({"properties": []}, "schemas by name"),
        ({"$ref": "http://example.com/a"}, "not to '#'"),
        ({"$ref": "#/$defs/b", "$defs": {"a": {}}}, r"points to nothing; known: \['a'\]"),
        ({"items": {"$ref": "#/$defs/a"}, "$defs": {"a": {"$ref": "#/$defs/a"}}}, "circle"),
        ({"$defs": {"a": {"anyOf": [{"not": {"oneOf": [{"then": {}}]}}]}}}, r"#/\$defs/a/anyOf/0/not/oneOf/0"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused(schema: JsonObject, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        check_schema(schema)


def test_what_a_schema_only_says_is_let_be() -> None:
    check_schema({"title": "A", "format": "email", "default": 1, "x-order": 2, "$comment": "c", "examples": [1]})


def test_a_schema_nested_too_deeply_is_refused() -> None:
    schema: JsonObject = {}
    for _ in range(200):
        schema = {"items": schema}
    with pytest.raises(ConfigurationError, match="nested deeper"):
        check_schema(schema)
