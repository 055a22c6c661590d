from __future__ import annotations

import dataclasses
import json
from typing import Annotated, Literal, NotRequired, TypedDict

import attrs
import msgspec
import pydantic
import pytest

from freeplay_like.core.json_schema import problems_of
from freeplay_like.core.schemas import SchemaLike, SchemaMismatch, schema_of
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import ConfigurationError


@attrs.frozen
class Address:
    city: str
    zip: str | None = None


@attrs.frozen
class Person:
    name: str
    age: int = 18
    addresses: list[Address] = attrs.field(factory=list)


@dataclasses.dataclass(frozen=True)
class DataPerson:
    name: str
    age: int = 18


class StructPerson(msgspec.Struct, frozen=True):
    name: str
    age: Annotated[int, msgspec.Meta(ge=0, description="in years")] = 18


class DictPerson(TypedDict):
    name: str
    age: NotRequired[int]


class PydanticPerson(pydantic.BaseModel):
    name: str
    age: int = 18
    kind: Literal["person"] = "person"

    @pydantic.field_validator("age")
    @classmethod
    def not_negative(cls, value: int) -> int:
        if value < 0:
            raise ValueError("must not be negative")
        return value


class Dog(msgspec.Struct, tag="dog", frozen=True):
    name: str
    age: int = 1


class Cat(msgspec.Struct, tag="cat", frozen=True):
    name: str
    lives: int | None = 9


PERSON: JsonObject = {
    "title": "Person",
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "minimum": 0}},
    "required": ["name"],
}

KINDS: list[tuple[SchemaLike, object, object]] = [
    (Person, Person("Ada", 36), Person("Ada")),
    (DataPerson, DataPerson("Ada", 36), DataPerson("Ada")),
    (StructPerson, StructPerson("Ada", 36), StructPerson("Ada")),
    (DictPerson, {"name": "Ada", "age": 36}, {"name": "Ada"}),
    (PydanticPerson, PydanticPerson(name="Ada", age=36), PydanticPerson(name="Ada")),
    (PERSON, {"name": "Ada", "age": 36}, {"name": "Ada"}),
]


@pytest.mark.parametrize(("kind", "whole", "short"), KINDS)
def test_every_way_to_say_a_schema_gives_its_values(kind: SchemaLike, whole: object, short: object) -> None:
    schema = schema_of(kind)
    assert schema.parse('{"name": "Ada", "age": 36}') == whole
    assert schema.parse('{"name": "Ada"}') == short
    assert schema.parse('{"name": "Ada", "age": null}') == short


@pytest.mark.parametrize("kind", [kind for kind, _, _ in KINDS])
def test_every_way_to_say_a_schema_names_all_problems(kind: SchemaLike) -> None:
    with pytest.raises(SchemaMismatch) as raised:
        schema_of(kind).parse('{"age": "old"}')
    named, aged = sorted(raised.value.problems, key=lambda problem: "age" in problem)
    assert "name" in named
    assert aged.startswith("$.age: ")


@pytest.mark.parametrize("kind", [kind for kind, _, _ in KINDS])
def test_what_providers_are_given_is_strict(kind: SchemaLike) -> None:
    schema = schema_of(kind)
    assert schema.is_strict
    assert schema.json_schema["title"] == schema.name
    assert schema.json_schema["type"] == "object"
    assert schema.json_schema["additionalProperties"] is False
    properties, required = schema.json_schema["properties"], schema.json_schema["required"]
    assert isinstance(properties, dict)
    assert isinstance(required, list)
    assert list(properties) == required
    assert {"name", "age"} <= set(required)
    assert {"type": "null"} in properties["age"]["anyOf"]
    assert "default" not in json.dumps(schema.json_schema)


def test_names_hold_only_what_providers_take() -> None:
    names = [schema_of(kind).name for kind in (Person, list[Person], dict[str, int], {"title": "a b/ü"}, {})]
    assert names == ["Person", "list_Person", "dict_str_int", "a_b", "answer"]
    assert len(schema_of({"title": "x" * 100}).name) == 64


def test_a_schema_is_its_own_schema() -> None:
    schema = schema_of(Person)
    assert schema_of(schema) is schema


def test_fields_that_may_be_left_out_are_null_instead_at_any_depth() -> None:
    answer = '{"name": "Ada", "age": null, "addresses": [{"city": "Rome", "zip": null}]}'
    assert schema_of(Person).parse(answer) == Person("Ada", 18, [Address("Rome", None)])
    assert schema_of(list[Person]).parse(f'{{"value": [{answer}]}}')[0].addresses == [Address("Rome")]


def test_null_stays_where_the_field_takes_it() -> None:
    assert schema_of(Cat | Dog).parse('{"type": "cat", "name": "Tom", "lives": null}') == Cat("Tom", None)


def test_alternatives_are_told_apart_by_their_constants() -> None:
    schema = schema_of(list[Dog | Cat])
    assert schema.is_strict
    answer = [{"type": "cat", "name": "Tom", "lives": 7}, {"type": "dog", "name": "Rex", "age": None}]
    assert schema.validate({"value": answer}) == [Cat("Tom", 7), Dog("Rex")]
    with pytest.raises(SchemaMismatch) as raised:
        schema.validate({"value": [{"type": "dog", "name": 1, "age": None}]})
    assert raised.value.problems == ("$.value[0].name: must be a string, not 1",)


def test_alternatives_without_constants_are_told_apart_by_their_names() -> None:
    either: JsonObject = {
        "type": "object",
        "properties": {
            "one": {
                "anyOf": [
                    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}},
                    {
                        "type": "object",
                        "properties": {"a": {"type": ["integer", "null"]}, "c": {"type": "integer"}},
                        "required": ["a"],
                    },
                ]
            }
        },
        "required": ["one"],
    }
    assert schema_of(either).validate({"one": {"a": None, "c": None}}) == {"one": {"a": None}}


def test_values_have_their_type_beside_them() -> None:
    form = schema_of(Dog | Cat).json_schema["$defs"]["Dog"]["properties"]["type"]  # type: ignore[index]
    assert form == {"enum": ["dog"], "type": "string"}
    assert schema_of({"enum": ["a", 1, None]}).json_schema["properties"] == {
        "value": {"enum": ["a", 1, None], "type": ["string", "integer", "null"]}
    }


def test_what_is_no_object_is_put_into_one_and_taken_out() -> None:
    schema = schema_of(list[str])
    assert schema.json_schema == {
        "title": "list_str",
        "type": "object",
        "properties": {"value": {"type": "array", "items": {"type": "string"}}},
        "required": ["value"],
        "additionalProperties": False,
    }
    assert schema.parse('{"value": ["a"]}') == ["a"]
    assert schema.parse('["a"]') == ["a"]
    assert schema.partial('{"value": ["a", "b') == ["a", "b"]
    with pytest.raises(SchemaMismatch, match=r"^\$\.value\[0\]: must be a string, not 1$"):
        schema.parse('{"value": [1]}')


def test_a_root_that_refers_to_itself_stays_whole() -> None:
    @attrs.frozen
    class Leaf:
        size: int

    described: JsonObject = {
        "$ref": "#/$defs/Node",
        "$defs": {
            "Node": {
                "type": "object",
                "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]}},
                "required": ["next"],
            }
        },
    }
    schema = schema_of(described)
    assert schema.json_schema["type"] == "object"
    assert "Node" in schema.json_schema["$defs"]  # type: ignore[operator]
    assert schema.parse('{"next": {"next": null}}') == {"next": {"next": None}}
    assert "$defs" not in schema_of(Leaf).json_schema


@pytest.mark.parametrize(
    "kind",
    [
        dict[str, int],
        tuple[int, str],
        list,
        {"type": "object"},
        {"type": "object", "properties": {"a": {}}},
        {"type": "object", "properties": {"a": {"type": "array"}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": True},
        {"type": "object", "properties": {"a": {"allOf": [{"type": "string"}]}}},
        {"type": "object", "properties": {"a": {"oneOf": [{"type": "string"}, {"type": "null"}]}}},
        {"type": "object", "properties": {"a": {"type": "string", "not": {"const": "x"}}}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
    ],
)
def test_a_schema_that_strictness_would_change_is_left_as_it_is(kind: SchemaLike) -> None:
    schema = schema_of(kind)
    assert not schema.is_strict
    assert schema.json_schema["type"] == "object"
    if isinstance(kind, dict):
        assert schema.json_schema == {**kind, "title": "answer"}


def test_a_map_is_parsed_all_the_same() -> None:
    assert schema_of(dict[str, int]).parse('{"a": 1}') == {"a": 1}
    assert schema_of(tuple[int, str]).parse('{"value": [1, "a"]}') == (1, "a")


def test_bounds_are_said_in_words_and_checked_afterwards() -> None:
    schema = schema_of(StructPerson)
    age = schema.json_schema["properties"]["age"]  # type: ignore[index]
    assert age == {"anyOf": [{"description": "in years (minimum 0)", "type": "integer"}, {"type": "null"}]}
    with pytest.raises(SchemaMismatch, match=r"\$\.age: must be at least 0, not -1"):
        schema.parse('{"name": "Ada", "age": -1}')


def test_what_is_said_beside_a_reference_stands_around_it() -> None:
    described: JsonObject = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", "description": "the first"}},
        "required": ["a"],
        "$defs": {"A": {"type": "string"}},
    }
    assert schema_of(described).json_schema["properties"] == {
        "a": {"description": "the first", "anyOf": [{"$ref": "#/$defs/A"}]}
    }


def test_the_schema_that_was_given_is_never_changed() -> None:
    before = json.dumps(PERSON)
    schema = schema_of(PERSON)
    schema.json_schema["title"] = "other"
    assert json.dumps(PERSON) == before


def test_a_pydantic_models_own_problems_have_their_path() -> None:
    with pytest.raises(SchemaMismatch) as raised:
        schema_of(PydanticPerson).parse('{"name": "Ada", "age": -1}')
    assert raised.value.problems == ("$.age: Value error, must not be negative",)


def test_an_attrs_validators_problem_has_its_path() -> None:
    @attrs.frozen
    class Positive:
        size: int = attrs.field(validator=attrs.validators.gt(0))

    with pytest.raises(SchemaMismatch) as raised:
        schema_of(list[Positive]).parse('[{"size": 0}]')
    assert raised.value.problems == ("$.value[0]: 'size' must be > 0: 0",)


@pytest.mark.parametrize("text", ["", "Sure!", '{"name": "Ad', '{"name": NaN}', "[" * 100_000, '{"name": "\ud83d"}'])
def test_text_that_is_not_json_is_a_mismatch(text: str) -> None:
    with pytest.raises(SchemaMismatch, match=r"^\$: is not JSON"):
        schema_of(Person).parse(text)


@pytest.mark.parametrize(
    "text", ['{"name": "Ada"}', '```json\n{"name": "Ada"}\n```', 'Sure:\n~~~\n{"name": "Ada"}\n~~~']
)
def test_json_is_found_alone_or_in_one_block(text: str) -> None:
    assert schema_of(Person).parse(text) == Person("Ada")


def test_an_answer_nested_without_end_is_a_mismatch() -> None:
    schema = schema_of({"type": "object", "properties": {"a": {"$ref": "#"}}})
    with pytest.raises(SchemaMismatch):
        schema.parse('{"a":' * 500 + "1" + "}" * 500)


def test_the_words_that_ask_for_an_answer_hold_the_schema() -> None:
    schema = schema_of(Person)
    asked, _, written = schema.prompt().partition("\n")
    assert "JSON" in asked
    assert json.loads(written) == schema.json_schema
    repair = schema.repair_prompt(["$.name: must be a string, not 1", "$: has no 'age'"])
    assert "- $.name: must be a string, not 1\n- $: has no 'age'\n" in repair
    assert repair.endswith(schema.prompt())


@pytest.mark.parametrize("kind", [object, type("Plain", (), {}), 3, "Person"])
def test_what_cannot_be_described_is_refused(kind: SchemaLike) -> None:
    with pytest.raises(ConfigurationError, match="cannot be described"):
        schema_of(kind)


def test_a_json_schema_that_cannot_be_checked_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'contains'"):
        schema_of({"type": "array", "contains": {}})


def test_what_fits_the_strict_form_fits_the_schema() -> None:
    schema = schema_of(Person)
    answer = {"name": "Ada", "age": None, "addresses": [{"city": "Rome", "zip": "00100"}]}
    assert problems_of(answer, schema.json_schema) == ()
    assert schema.validate(answer) == Person("Ada", 18, [Address("Rome", "00100")])
