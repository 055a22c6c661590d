"""JSON Schema (2020-12), as much of it as says what a model's answer looks like.

A schema that asserts something which is not checked here is refused when it is taken, never passed over in silence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from typing import Final

from freeplay_like.core.wire import MAX_DEPTH, JsonObject, JsonValue
from freeplay_like.errors import ConfigurationError

MAX_STEPS: Final = 200_000
"""How many pairs of value and schema are looked at before an answer counts as one that does not fit."""

MAX_PROBLEMS: Final = 20
"""How many problems of one answer are named."""

ANNOTATIONS: Final = frozenset(
    {
        *("title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly", "format"),
        *("contentEncoding", "contentMediaType", "contentSchema", "discriminator", "$schema", "$id", "$comment"),
    }
)
"""Keywords that say something of a value and ask nothing of it; `format` is one of them (validation, section 7.2.1)."""

_TOO_DEEP: Final = f"is nested deeper than {MAX_DEPTH}"
_SHOWN: Final = 60
_SHOWN_ALTERNATIVES: Final = 3


def is_number(value: JsonValue) -> bool:
    """Whether a JSON value is a number; True and False are none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_integer(value: JsonValue) -> bool:
    return (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())


_TYPES: Final[dict[str, tuple[str, Callable[[JsonValue], bool]]]] = {
    "null": ("null", lambda value: value is None),
    "boolean": ("true or false", lambda value: isinstance(value, bool)),
    "integer": ("an integer", _is_integer),
    "number": ("a number", is_number),
    "string": ("a string", lambda value: isinstance(value, str)),
    "array": ("an array", lambda value: isinstance(value, list)),
    "object": ("an object", lambda value: isinstance(value, dict)),
}


def _is_count(value: JsonValue) -> bool:
    return _is_integer(value) and isinstance(value, (int, float)) and value >= 0


def _is_schema(value: JsonValue) -> bool:
    return isinstance(value, (dict, bool))


def _are_schemas(value: JsonValue) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_schema, value))


def _are_named_schemas(value: JsonValue) -> bool:
    return isinstance(value, dict) and all(map(_is_schema, value.values()))


def _are_texts(value: JsonValue) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_pattern(value: JsonValue) -> bool:
    try:
        return isinstance(value, str) and bool(re.compile(value))
    except re.error:
        return False


_OPERANDS: Final[dict[str, tuple[str, Callable[[JsonValue], bool]]]] = {
    "type": (
        f"one of {', '.join(_TYPES)}, or a list of them",
        lambda value: bool(value) and all(t in _TYPES for t in types_of(value)),
    ),
    "enum": ("a list of values", lambda value: isinstance(value, list)),
    "const": ("a value", lambda value: True),
    "properties": ("schemas by name", _are_named_schemas),
    "required": ("a list of names", _are_texts),
    "additionalProperties": ("a schema", _is_schema),
    "propertyNames": ("a schema", _is_schema),
    "minProperties": ("a count", _is_count),
    "maxProperties": ("a count", _is_count),
    "items": ("a schema", _is_schema),
    "prefixItems": ("a list of schemas", _are_schemas),
    "minItems": ("a count", _is_count),
    "maxItems": ("a count", _is_count),
    "uniqueItems": ("true or false", lambda value: isinstance(value, bool)),
    "minLength": ("a count", _is_count),
    "maxLength": ("a count", _is_count),
    "pattern": ("a regular expression that Python knows", _is_pattern),
    "minimum": ("a number", is_number),
    "maximum": ("a number", is_number),
    "exclusiveMinimum": ("a number", is_number),
    "exclusiveMaximum": ("a number", is_number),
    "multipleOf": ("a number above 0", lambda value: isinstance(value, (int, float)) and value > 0),
    "anyOf": ("a list of schemas", _are_schemas),
    "oneOf": ("a list of schemas", _are_schemas),
    "allOf": ("a list of schemas", _are_schemas),
    "not": ("a schema", _is_schema),
    "$ref": ("'#', '#/$defs/NAME' or '#/definitions/NAME'", lambda value: isinstance(value, str)),
    "$defs": ("schemas by name", _are_named_schemas),
    "definitions": ("schemas by name", _are_named_schemas),
}

_ONE: Final = ("additionalProperties", "propertyNames", "items", "not")
_LISTED: Final = ("prefixItems", "anyOf", "oneOf", "allOf")
_NAMED: Final = ("properties", "$defs", "definitions")


def types_of(value: JsonValue) -> tuple[str, ...]:
    """The operand of `type` as the names in it; what is no name is shown as text."""
    return tuple(str(item) for item in value) if isinstance(value, list) else (str(value),)


def type_of(value: JsonValue) -> str:
    """The narrowest type of a JSON value."""
    return next(name for name, (_, is_kind) in _TYPES.items() if is_kind(value))


def dicts(value: JsonValue) -> list[JsonObject]:
    """The schemas in a list that are more than true or false."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def resolved(schema: JsonObject, root: JsonObject) -> JsonValue:
    """What a schema's `$ref` points to, through as many as there are; the schema itself where it has none.

    Raises:
        ConfigurationError: it points to nothing in `root`, outside of it, or round in a circle.
    """
    current: JsonValue = schema
    for _ in range(MAX_DEPTH):
        if not isinstance(current, dict) or "$ref" not in current:
            return current
        current = _target(str(current["$ref"]), root)
    raise ConfigurationError(f"the schema's $ref {schema.get('$ref')!r} leads round in a circle")


def _target(reference: str, root: JsonObject) -> JsonValue:
    if reference == "#":
        return root
    hash_, _, rest = reference.partition("/")
    place, _, name = rest.partition("/")
    definitions = root.get(place, {})
    name = name.replace("~1", "/").replace("~0", "~")
    if hash_ != "#" or place not in ("$defs", "definitions") or not isinstance(definitions, dict):
        raise ConfigurationError(
            f"the schema's $ref {reference!r} is not to '#', '#/$defs/NAME' or '#/definitions/NAME'"
        )
    if name not in definitions:
        raise ConfigurationError(f"the schema's $ref {reference!r} points to nothing; known: {sorted(definitions)}")
    return definitions[name]


def check_schema(schema: JsonObject) -> None:
    """See that a schema says nothing which is not checked here.

    Raises:
        ConfigurationError: names the keyword and where it stands.
    """
    pending: list[tuple[str, JsonObject, int]] = [("#", schema, 0)]
    while pending:
        path, current, depth = pending.pop()
        if depth > MAX_DEPTH:
            raise ConfigurationError(f"the schema is nested deeper than {MAX_DEPTH}")
        for keyword, operand in current.items():
            _check_keyword(path, keyword, operand)
        if "$ref" in current:
            resolved(current, schema)
        pending.extend((f"{path}/{where}", inner, depth + 1) for where, inner in _inner(current))


def _check_keyword(path: str, keyword: str, operand: JsonValue) -> None:
    if keyword in ANNOTATIONS or keyword.startswith("x-"):
        return
    known = _OPERANDS.get(keyword)
    if known is None:
        raise ConfigurationError(
            f"the schema's keyword {keyword!r} at {path} is not one that can be checked; known: {', '.join(_OPERANDS)}"
        )
    words, is_right = known
    if not is_right(operand):
        raise ConfigurationError(f"the schema's {keyword!r} at {path} must be {words}, not {shown(operand)}")


def _inner(schema: JsonObject) -> Iterator[tuple[str, JsonObject]]:
    """The schemas directly within one, with their places."""
    for keyword, operand in schema.items():
        if keyword in _ONE and isinstance(operand, dict):
            yield keyword, operand
        elif keyword in _LISTED and isinstance(operand, list):
            yield from ((f"{keyword}/{i}", item) for i, item in enumerate(operand) if isinstance(item, dict))
        elif keyword in _NAMED and isinstance(operand, dict):
            yield from ((f"{keyword}/{name}", item) for name, item in operand.items() if isinstance(item, dict))


def problems_of(value: JsonValue, schema: JsonObject, at: str = "$") -> tuple[str, ...]:
    """What keeps a value from fitting a schema, at most `MAX_PROBLEMS` of it; () where it fits.

    Each problem begins with the path to it, which begins with `at`. Patterns are Python's, searched for; a
    pattern that backtracks without end does so here too.
    """
    try:
        return tuple(islice(_Checking(schema).problems(value, schema, at, 0), MAX_PROBLEMS))
    except _TooMuchError as exc:
        return (f"{at}: {exc}",)
    except RecursionError:
        return (f"{at}: {_TOO_DEEP}",)


def shown(value: JsonValue) -> str:
    """A value in a message."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


class _TooMuchError(Exception):
    """The check has come to a limit, which is a problem of the value."""


class _Checking:
    """One value checked: problems come one by one, so that whoever needs to know only whether there is one may stop."""

    def __init__(self, root: JsonObject) -> None:
        self._root = root
        self._steps = 0

    def problems(self, value: JsonValue, schema: JsonValue, path: str, depth: int) -> Iterator[str]:
        self._steps += 1
        if depth > MAX_DEPTH:
            raise _TooMuchError(_TOO_DEEP)
        if self._steps > MAX_STEPS:
            raise _TooMuchError(f"takes more than {MAX_STEPS} steps to check")
        if not isinstance(schema, dict):
            if schema is False:
                yield f"{path}: must not be there"
            return
        wrong = _wrong_kind(value, schema)
        if wrong is not None:
            yield f"{path}: {wrong}"
            return
        if isinstance(value, dict):
            yield from self._object(value, schema, path, depth)
        elif isinstance(value, list):
            yield from self._array(value, schema, path, depth)
        else:
            yield from (f"{path}: {problem}, not {shown(value)}" for problem in _scalar_problems(value, schema))
        yield from self._combined(value, schema, path, depth)

    def _object(self, value: JsonObject, schema: JsonObject, path: str, depth: int) -> Iterator[str]:
        properties = _mapping(schema.get("properties"))
        yield from (f"{path}: has no {name!r}" for name in _items(schema.get("required")) if name not in value)
        yield from (f"{path}: {problem}" for problem in _size_problems(len(value), schema, "Properties", "properties"))
        others = schema.get("additionalProperties", True)
        names = schema.get("propertyNames", True)
        for name, item in value.items():
            inner = f"{path}.{name}" if name.isidentifier() else f"{path}[{name!r}]"
            if names is not True:
                yield from self.problems(name, names, f"{path}: the name {name!r}", depth + 1)
            if name in properties:
                yield from self.problems(item, properties[name], inner, depth + 1)
            elif others is False:
                yield f"{inner}: must not be there; known: {', '.join(properties) or 'none'}"
            else:
                yield from self.problems(item, others, inner, depth + 1)

    def _array(self, value: list[JsonValue], schema: JsonObject, path: str, depth: int) -> Iterator[str]:
        yield from (f"{path}: {problem}" for problem in _size_problems(len(value), schema, "Items", "items"))
        if schema.get("uniqueItems") is True and len({_identity(item) for item in value}) < len(value):
            yield f"{path}: must not hold the same item twice"
        first = _items(schema.get("prefixItems"))
        rest = schema.get("items", True)
        for index, item in enumerate(value):
            inner = first[index] if index < len(first) else rest
            yield from self.problems(item, inner, f"{path}[{index}]", depth + 1)

    def _combined(self, value: JsonValue, schema: JsonObject, path: str, depth: int) -> Iterator[str]:
        if "$ref" in schema:
            yield from self.problems(value, _target(str(schema["$ref"]), self._root), path, depth + 1)
        for inner in _items(schema.get("allOf")):
            yield from self.problems(value, inner, path, depth + 1)
        if "anyOf" in schema:
            yield from self._alternatives(value, _items(schema["anyOf"]), path, depth)
        if "oneOf" in schema:
            fitting = sum(self._fits(value, inner, path, depth) for inner in _items(schema["oneOf"]))
            if fitting == 0:
                yield from self._alternatives(value, _items(schema["oneOf"]), path, depth)
            elif fitting > 1:
                yield f"{path}: fits {fitting} alternatives, and must fit one"
        if "not" in schema and self._fits(value, schema["not"], path, depth):
            yield f"{path}: must not be {shown(value)}"

    def _resolved(self, schema: JsonValue) -> JsonValue:
        return resolved(schema, self._root) if isinstance(schema, dict) else schema

    def _fits(self, value: JsonValue, schema: JsonValue, path: str, depth: int) -> bool:
        return next(self.problems(value, schema, path, depth + 1), None) is None

    def _alternatives(self, value: JsonValue, schemas: list[JsonValue], path: str, depth: int) -> Iterator[str]:
        firsts: list[str] = []
        for schema in schemas:
            problem = next(self.problems(value, schema, path, depth + 1), None)
            if problem is None:
                return
            firsts.append(problem)
        others = [schema for schema in schemas if schema != {"type": "null"}]
        meant = [schema for schema in others if has_constants(value, self._resolved(schema))]
        if len(others) == 1 or len(meant) == 1:
            yield from self.problems(value, (meant or others)[0], path, depth + 1)
        else:
            yield f"{path}: fits none of {len(schemas)} alternatives ({'; '.join(firsts[:_SHOWN_ALTERNATIVES])})"


def has_constants(value: JsonValue, schema: JsonValue) -> bool:
    """Whether an object has every constant that a schema has for its properties, and there is one: whether it is
    the alternative of a union that is meant."""
    properties = _mapping(schema.get("properties")) if isinstance(schema, dict) else {}
    fixed = {
        name: [inner["const"]] if "const" in inner else _items(inner["enum"])
        for name, inner in properties.items()
        if isinstance(inner, dict) and inner.keys() & {"const", "enum"}
    }
    return isinstance(value, dict) and bool(fixed) and all(value.get(name) in fixed[name] for name in fixed)


def _wrong_kind(value: JsonValue, schema: JsonObject) -> str | None:
    """What is wrong with a value whatever is in it: its type, or that it is none of the values asked for."""
    if "type" in schema:
        kinds = [_TYPES[name] for name in types_of(schema["type"]) if name in _TYPES]
        if not any(is_kind(value) for _, is_kind in kinds):
            return f"must be {' or '.join(words for words, _ in kinds)}, not {shown(value)}"
    if "const" in schema and _identity(value) != _identity(schema["const"]):
        return f"must be {shown(schema['const'])}, not {shown(value)}"
    if "enum" in schema:
        allowed = _items(schema["enum"])
        if _identity(value) not in {_identity(item) for item in allowed}:
            return f"must be one of {', '.join(map(shown, allowed))}, not {shown(value)}"
    return None


def _scalar_problems(value: JsonValue, schema: JsonObject) -> Iterator[str]:
    if isinstance(value, str):
        yield from _size_problems(len(value), schema, "Length", "characters")
        if "pattern" in schema and not re.search(str(schema["pattern"]), value):
            yield f"must match the pattern {schema['pattern']!r}"
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield from _range_problems(value, schema)


def _range_problems(value: float, schema: JsonObject) -> Iterator[str]:
    bounds: tuple[tuple[str, str, Callable[[float, float], bool]], ...] = (
        ("minimum", "at least", lambda number, bound: number >= bound),
        ("maximum", "at most", lambda number, bound: number <= bound),
        ("exclusiveMinimum", "more than", lambda number, bound: number > bound),
        ("exclusiveMaximum", "less than", lambda number, bound: number < bound),
    )
    for keyword, words, holds in bounds:
        bound = schema.get(keyword)
        if isinstance(bound, (int, float)) and not holds(value, bound):
            yield f"must be {words} {bound}"
    step = schema.get("multipleOf")
    # fractions of their decimal text: 0.3 is a multiple of 0.1, as its writer means it
    if isinstance(step, (int, float)) and Fraction(str(value)) % Fraction(str(step)):
        yield f"must be a multiple of {step}"


def _size_problems(size: int, schema: JsonObject, keyword: str, words: str) -> Iterator[str]:
    least, most = schema.get(f"min{keyword}"), schema.get(f"max{keyword}")
    if isinstance(least, (int, float)) and size < least:
        yield f"must have at least {least} {words}, and has {size}"
    if isinstance(most, (int, float)) and size > most:
        yield f"must have at most {most} {words}, and has {size}"


def _identity(value: JsonValue) -> object:
    """What two JSON values have in common that are equal: 1 and 1.0 are, 1 and true are not."""
    if isinstance(value, bool):
        return ("boolean", value)
    if isinstance(value, list):
        return ("array", tuple(map(_identity, value)))
    if isinstance(value, dict):
        return ("object", frozenset((name, _identity(item)) for name, item in value.items()))
    return value


def _mapping(value: JsonValue) -> JsonObject:
    return value if isinstance(value, dict) else {}


def _items(value: JsonValue) -> list[JsonValue]:
    return value if isinstance(value, list) else []
