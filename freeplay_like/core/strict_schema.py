"""A JSON Schema in the form that providers bind a model's answer with.

OpenAI's strict mode and Anthropic's `output_config.format` take a part of JSON Schema (openai 3.52
`lib/_pydantic.py`, anthropic 2.11 `lib/_parse/_transform.py`, read 2026-11): the root is an object, every object is
closed, in strict mode all of its properties are required, and bounds and patterns are not known to both. A schema is
put so that whatever fits the strict form fits the schema as well, two things aside: bounds are said in the description
and are for the caller to check, and a property that may be left out is null instead, which `without_added_nulls` takes
away again.
"""

from __future__ import annotations

from typing import Final

from freeplay_like.core.json_schema import dicts, has_constants, resolved, type_of, types_of
from freeplay_like.core.wire import MAX_DEPTH, JsonObject, JsonValue

WRAPPED: Final = "value"
"""The one property of the object that a schema is put into which is for no object."""

_FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_BOUNDS: Final = (
    *("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"),
    *("multipleOf", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties"),
)
_SILENT: Final = frozenset(
    (
        "default",
        "examples",
        "deprecated",
        "readOnly",
        "writeOnly",
        "contentEncoding",
        "contentMediaType",
        "discriminator",
    )
)
"""Keywords that are left out: they ask nothing of an answer."""

_ELSEWHERE: Final = frozenset(
    {
        *("title", "description", "properties", "required", "additionalProperties", "items", "$ref"),
        *("$schema", "$id", "$comment"),
    }
)
"""Keywords that `_strict_shape` puts, or that stand as they are, or say nothing of an answer."""

_NULL: Final[JsonObject] = {"type": "null"}


class _Loose(Exception):
    """The schema cannot be bound without changing what it means."""


def rooted(schema: JsonObject) -> tuple[JsonObject, bool]:
    """The schema with an object at its root, and whether it had to be put into one."""
    root = resolved(schema, schema)
    if isinstance(root, dict) and (root.get("type") == "object" or ("type" not in root and "properties" in root)):
        if root is schema:
            return schema, False
        return {**root, **_definitions(schema, without=str(schema["$ref"]))}, False
    inner = {name: value for name, value in schema.items() if name not in ("$defs", "definitions", "$schema", "$id")}
    outer: JsonObject = {
        "type": "object",
        "properties": {WRAPPED: inner},
        "required": [WRAPPED],
        "additionalProperties": False,
    }
    return {**outer, **_definitions(schema)}, True


def _definitions(schema: JsonObject, without: str = "") -> JsonObject:
    """The named schemas of a root; not the one that has become the root, unless it refers to itself."""
    found = {name: inner for name in ("$defs", "definitions") if isinstance(inner := schema.get(name), dict)}
    if _refers(found, without):
        return dict(found)
    named = without.rpartition("/")[2]
    kept = {place: {name: inner for name, inner in found_.items() if name != named} for place, found_ in found.items()}
    return {place: inner for place, inner in kept.items() if inner}


def _refers(value: JsonValue, reference: str) -> bool:
    if isinstance(value, dict):
        return value.get("$ref") == reference or any(_refers(inner, reference) for inner in value.values())
    return isinstance(value, list) and any(_refers(inner, reference) for inner in value)


def strict(root: JsonObject) -> JsonObject | None:
    """A schema whose root is an object, in the form that providers bind with.

    None where that would change what it means: objects with names of any kind, arrays of anything, `allOf`, `not`,
    `oneOf` without a discriminator, and the like.
    """
    try:
        return _strict(root, root)
    except (_Loose, RecursionError):
        return None


def without_added_nulls(value: JsonValue, schema: JsonValue, root: JsonObject, depth: int = 0) -> JsonValue:
    """An answer to the strict form as an answer to the schema: null goes where it stands for a property left out.

    A schema with alternatives counts as the first one that has the value's names, and none of whose constants differs.
    """
    if depth > MAX_DEPTH or not isinstance(schema, dict):
        return value
    inner = resolved(schema, root)
    if not isinstance(inner, dict):
        return value
    alternatives = dicts(inner.get("anyOf")) + dicts(inner.get("oneOf"))
    if alternatives:
        chosen = next((a for a in alternatives if _is_meant(value, resolved(a, root))), None)
        return value if chosen is None else without_added_nulls(value, chosen, root, depth + 1)
    if isinstance(value, list):
        return [without_added_nulls(item, inner.get("items"), root, depth + 1) for item in value]
    properties = inner.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict):
        return value
    required = inner.get("required")
    names = required if isinstance(required, list) else []
    return {
        name: without_added_nulls(item, properties.get(name), root, depth + 1)
        for name, item in value.items()
        if item is not None or name in names or name not in properties or takes_null(properties[name], root)
    }


def takes_null(schema: JsonValue, root: JsonObject, depth: int = 0) -> bool:
    """Whether null fits a schema, as far as its type and values say."""
    if depth > MAX_DEPTH or not isinstance(schema, dict):
        return schema is True
    inner = resolved(schema, root)
    if not isinstance(inner, dict):
        return inner is True
    alternatives = dicts(inner.get("anyOf")) + dicts(inner.get("oneOf"))
    if alternatives:
        return any(takes_null(alternative, root, depth + 1) for alternative in alternatives)
    if "const" in inner:
        return inner["const"] is None
    allowed = inner.get("enum")
    if isinstance(allowed, list) and None not in allowed:
        return False
    return "type" not in inner or "null" in types_of(inner["type"])


def _is_meant(value: JsonValue, schema: JsonValue) -> bool:
    if not isinstance(schema, dict):
        return False
    if isinstance(value, list):
        return "array" in types_of(schema.get("type"))
    properties = schema.get("properties")
    if not isinstance(value, dict) or not isinstance(properties, dict) or set(value) != set(properties):
        return False
    is_marked = any(isinstance(inner, dict) and inner.keys() & {"const", "enum"} for inner in properties.values())
    return not is_marked or has_constants(value, schema)


def _strict(schema: JsonValue, root: JsonObject) -> JsonObject:
    if not isinstance(schema, dict):
        raise _Loose
    said: JsonObject = {name: schema[name] for name in ("title", "description") if name in schema}
    bounds: list[str] = []
    for keyword, operand in schema.items():
        if keyword in _BOUNDS or (keyword == "format" and operand not in _FORMATS):
            bounds.append(f"{keyword} {operand}")
        elif keyword in ("$defs", "definitions") and isinstance(operand, dict):
            said[keyword] = {name: _strict(inner, root) for name, inner in operand.items()}
        elif keyword in ("type", "enum", "const", "format"):
            said[keyword] = operand
        elif keyword == "anyOf" or (keyword == "oneOf" and "discriminator" in schema):
            said["anyOf"] = [_strict(inner, root) for inner in operand] if isinstance(operand, list) else []
        elif keyword not in _ELSEWHERE and keyword not in _SILENT and not keyword.startswith("x-"):
            raise _Loose
    said |= _strict_shape(schema, root)
    if "type" not in said and said.keys() & {"enum", "const"}:
        said["type"] = _types_of_values([said["const"]] if "const" in said else said["enum"])
    if not said.keys() & {"type", "enum", "const", "anyOf", "$ref"}:
        raise _Loose
    if bounds:
        description = f"{said['description']} " if "description" in said else ""
        said["description"] = f"{description}({', '.join(bounds)})"
    return _alone(said) if "$ref" in said else said


def _types_of_values(values: JsonValue) -> JsonValue:
    """OpenAI wants a type beside values."""
    names = list(dict.fromkeys(map(type_of, values))) if isinstance(values, list) else []
    if not names:
        raise _Loose
    return names[0] if len(names) == 1 else names


def _strict_shape(schema: JsonObject, root: JsonObject) -> JsonObject:
    """What holds a schema's parts together: properties, items, a reference."""
    said: JsonObject = {}
    kinds = types_of(schema["type"]) if "type" in schema else ()
    if "properties" in schema or "object" in kinds:
        said |= _strict_object(schema, root)
    if "array" in kinds or "items" in schema:
        said["items"] = _strict(schema.get("items"), root)
    if "$ref" in schema:
        said["$ref"] = schema["$ref"]
    return said


def _strict_object(schema: JsonObject, root: JsonObject) -> JsonObject:
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if schema.get("additionalProperties", bool(not properties)) is not False:
        raise _Loose
    if not isinstance(properties, dict) or not isinstance(required, list) or not set(required) <= set(properties):
        raise _Loose
    said: JsonObject = {}
    for name, inner in properties.items():
        form = _strict(inner, root)
        said[name] = form if name in required or takes_null(inner, root) else _nullable(form)
    closed: JsonObject = {"properties": said, "required": list(said), "additionalProperties": False}
    return closed if "type" in schema else {"type": "object", **closed}


def _nullable(form: JsonObject) -> JsonObject:
    alternatives = form.get("anyOf")
    if isinstance(alternatives, list):
        return {**form, "anyOf": [*alternatives, _NULL]}
    return {"anyOf": [form, _NULL]}


def _alone(said: JsonObject) -> JsonObject:
    """A reference may have nothing beside it: what is said of it stands around it."""
    around = {name: value for name, value in said.items() if name in ("title", "description", "$defs", "definitions")}
    if len(said) - len(around) > 1:
        raise _Loose
    return {**around, "anyOf": [{"$ref": said["$ref"]}]} if around else said
