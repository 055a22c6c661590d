"""What an answer should look like, from whatever a caller has at hand to say it: a class or a JSON Schema.

Classes that msgspec knows (attrs, dataclasses, `TypedDict`, `msgspec.Struct`, `list[str]` and the like) are described
and made by it; pydantic models describe and make themselves, so pydantic is never imported here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Final, Generic, TypeAlias, TypeVar, overload

import attrs
import msgspec

from freeplay_like.core.fences import json_text
from freeplay_like.core.json_schema import MAX_PROBLEMS, check_schema, problems_of
from freeplay_like.core.partial_json import partial_json
from freeplay_like.core.strict_schema import WRAPPED, rooted, strict, without_added_nulls
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, prepare, to_wire
from freeplay_like.errors import ConfigurationError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_-]+")
_MAX_NAME: Final = 64


class SchemaMismatch(ValueError):
    """A value does not fit a schema. `problems` says why, each with its path from `$`."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


@attrs.frozen(kw_only=True, eq=False)
class Schema(Generic[T_co]):
    """What an answer should look like, and how it becomes a value.

    `json_schema` is what providers are given: its `title` is `name`, and its root is an object; a schema of anything
    else stands under the property `value`. `is_strict` is whether providers can bind an answer by it: it then has
    closed objects with all properties required, those that may be left out being null instead.
    """

    name: str
    json_schema: JsonObject
    is_strict: bool
    _root: JsonObject = attrs.field(repr=False)
    _is_wrapped: bool = attrs.field(repr=False)
    _make: Callable[[JsonValue, str], T_co] = attrs.field(repr=False)

    def validate(self, value: JsonValue) -> T_co:
        """The value that JSON stands for.

        Raises:
            SchemaMismatch: it does not fit; names each problem with its path.
        """
        if not self._is_wrapped:
            return self._make(self._plain(value), "$")
        is_inside = isinstance(value, dict) and set(value) == {WRAPPED}
        outer = self._plain(value if is_inside else {WRAPPED: value})
        return self._make(outer[WRAPPED] if isinstance(outer, dict) else outer, f"$.{WRAPPED}")

    def _plain(self, value: JsonValue) -> JsonValue:
        return without_added_nulls(value, self._root, self._root) if self.is_strict else value

    def parse(self, text: str) -> T_co:
        """The value in an answer: the whole text is JSON, or has one fenced block of it. Nothing more is guessed.

        Raises:
            SchemaMismatch: it is not JSON, or does not fit.
        """
        try:
            value = from_wire(json_text(text), object)
        except WireError as exc:
            raise SchemaMismatch((f"$: is not JSON: {exc}",)) from exc
        return self.validate(value)

    def partial(self, text: str) -> JsonValue:
        """The plain JSON in the beginning of an answer, not checked (see `partial_json`); None where there is none."""
        value = partial_json(text)
        return value.get(WRAPPED) if self._is_wrapped and isinstance(value, dict) else value

    def prompt(self) -> str:
        """Words that ask for an answer that fits, for a provider that cannot be bound to."""
        return (
            "Answer with JSON alone, without any other text, that fits this JSON Schema:\n"
            f"{to_wire(self.json_schema).decode()}"
        )

    def repair_prompt(self, problems: Iterable[str]) -> str:
        """Words that ask for the last answer once more, put right."""
        listed = "\n".join(f"- {problem}" for problem in problems)
        return f"Your last answer does not fit the JSON Schema:\n{listed}\n{self.prompt()}"


SchemaLike: TypeAlias = Schema[object] | type[object] | UnionType | Mapping[str, object]
"""What is taken wherever a schema is asked for."""


@overload
def schema_of(kind: Schema[T]) -> Schema[T]: ...
@overload
def schema_of(kind: type[T]) -> Schema[T]: ...
@overload
def schema_of(kind: UnionType | Mapping[str, object]) -> Schema[JsonValue]: ...
@overload
def schema_of(kind: SchemaLike) -> Schema[object]: ...
def schema_of(kind: SchemaLike) -> Schema[object]:
    """The schema of a class (attrs, dataclass, msgspec, pydantic, `TypedDict`), of `list[str]` and the like, or of a
    JSON Schema.

    Raises:
        ConfigurationError: the class cannot be described as JSON, or the JSON Schema says what cannot be checked here.
    """
    if isinstance(kind, Schema):
        return kind
    if isinstance(kind, Mapping):
        return _of_json_schema(from_wire(to_wire(dict(kind)), dict))
    describe, make = getattr(kind, "model_json_schema", None), getattr(kind, "model_validate", None)
    if callable(describe) and callable(make):
        return _schema(_name(kind), describe(), _pydantic_maker(make))
    try:
        described = msgspec.json.schema(kind)
    except (TypeError, NameError, RecursionError) as exc:
        why = " ".join(str(exc).split())
        raise ConfigurationError(f"{kind!r} cannot be described as JSON Schema: {why}") from exc
    return _schema(_name(kind), described, _msgspec_maker(kind, described))


def _of_json_schema(schema: JsonObject) -> Schema[JsonValue]:
    check_schema(schema)

    def make(value: JsonValue, at: str) -> JsonValue:
        problems = problems_of(value, schema, at)
        if problems:
            raise SchemaMismatch(problems)
        return value

    title = schema.get("title")
    return _schema(title if isinstance(title, str) else "answer", schema, make)


def _schema(name: str, described: JsonObject, make: Callable[[JsonValue, str], T]) -> Schema[T]:
    root, is_wrapped = rooted(described)
    form = strict(root)
    allowed = _NOT_IN_NAMES.sub("_", name).strip("_")[:_MAX_NAME] or "answer"
    return Schema(
        name=allowed,
        json_schema={**(form or root), "title": allowed},
        is_strict=form is not None,
        root=root,
        is_wrapped=is_wrapped,
        make=make,
    )


def _name(kind: object) -> str:
    """`Order` of the class Order, `list_Order` of list[Order]."""
    if isinstance(kind, type):
        return kind.__name__
    return re.sub(r"\b[\w<>]+\.", "", repr(kind))


def _msgspec_maker(kind: object, described: JsonObject) -> Callable[[JsonValue, str], object]:
    prepare(kind)

    def make(value: JsonValue, at: str) -> object:
        try:
            made: object = msgspec.convert(value, kind)
        except (msgspec.ValidationError, RecursionError) as exc:
            # msgspec stops at the first problem; whoever repairs an answer needs all of them
            raise SchemaMismatch(problems_of(value, described, at) or (_path_first(str(exc), at),)) from exc
        return made

    return make


def _path_first(message: str, at: str) -> str:
    """msgspec's "Expected `int`, got `str` - at `$.x`", as problems are written here."""
    what, _, path = message.rpartition(" - at ")
    return f"{at}{path.strip('`').removeprefix('$')}: {what}" if what else f"{at}: {message}"


def _pydantic_maker(validate: Callable[[JsonValue], object]) -> Callable[[JsonValue, str], object]:
    def make(value: JsonValue, at: str) -> object:
        try:
            return validate(value)
        except ValueError as exc:
            raise SchemaMismatch(_pydantic_problems(exc, at)) from exc

    return make


def _pydantic_problems(error: ValueError, at: str) -> tuple[str, ...]:
    """The problems in a pydantic `ValidationError`: `.errors()` gives `{"loc": (...), "msg": ...}` for each."""
    listed = getattr(error, "errors", None)
    found = listed() if callable(listed) else []
    problems = (
        at + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in item["loc"]) + f": {item['msg']}"
        for item in found[:MAX_PROBLEMS]
    )
    return tuple(problems) or (f"{at}: {error}",)
