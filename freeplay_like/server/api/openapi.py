"""The description of the API that is served at `/api/openapi.json`, made from its operations.

OpenAPI 3.1, whose schemas are JSON Schema 2020-12 (spec.openapis.org/oas/v3.1.1, read 2026-11), which is what msgspec
writes for the classes that bodies are read as: so the description cannot say anything else than what is checked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, TypeAlias

import attrs
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like import __version__
from freeplay_like.core.wire import JsonObject, to_wire
from freeplay_like.server.api.operations import JSON, Operation, Query
from freeplay_like.server.store.views import Scope

PATH: Final = "/api/openapi.json"

_PARAMETER: Final = re.compile(r"\{(\w+)(?::\w+)?\}")
_ABOUT: Final = """\
Prompts, records of calls, and what is said of them. A key is sent as `Authorization: Bearer ...` and belongs to one \
project; what it may do are its scopes. Every refusal is `{"message": "..."}`, which names the field and the way out."""

_Schemas: TypeAlias = dict[object, JsonObject]


@attrs.frozen(kw_only=True)
class Refusal:
    """Why a request was refused; the message names the field and the way out."""

    message: str


_REFUSALS: Final = {
    "400": "Something in the address or the body is not what it takes.",
    "401": "There is no key, or no such key.",
    "403": "The key may not do this.",
    "404": "There is no such thing in the key's project.",
    "409": "What is there already does not allow it.",
    "413": "More than is taken at once.",
    "415": "The body is encoded in a way that is not taken.",
    "429": "Too much waits to be written: again, after `Retry-After` seconds.",
    "431": "The address and the headers are too long.",
    "503": "Nothing can be written or read now: again, after `Retry-After` seconds.",
}


_NOT_A_TAG: Final = frozenset({"api", "v2", "v1", "v0", "projects", "all"})
_ALWAYS: Final = ("400", "431", "503")


@attrs.frozen(kw_only=True)
class Bare:
    """An address that is answered by itself, not through an operation. `is_open`: no key is asked for."""

    method: str
    path: str
    name: str
    about: str
    scope: Scope | None = None
    body: type | None = None
    status: int = 200
    returns: object = None
    query: Sequence[Query] = ()
    body_limit_bytes: int = 0
    media_types: Sequence[str] = (JSON,)
    is_open: bool = False


Described: TypeAlias = Operation | Bare
"""What the description tells of."""


def endpoint(described: Sequence[Described]) -> Callable[[Request], Awaitable[Response]]:
    """What answers at `PATH`; the description is made when it is first asked for."""

    @lru_cache(maxsize=1)
    def served() -> bytes:
        return to_wire(document(described))

    async def answer(_request: Request) -> Response:
        """The description of the API, as OpenAPI 3.1; no key is needed."""
        return Response(served(), media_type="application/json")

    return answer


def document(described: Sequence[Described]) -> JsonObject:
    """The description of these addresses."""
    paths: dict[str, JsonObject] = {}
    names: Counter[str] = Counter()
    schemas, components = _schemas(described)
    for one in described:
        names[one.name] += 1
        name = one.name if names[one.name] == 1 else f"{one.name}_{names[one.name]}"
        methods = paths.setdefault(_PARAMETER.sub(r"{\1}", one.path), {})
        methods[one.method.lower()] = _operation(one, name, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "freeplay_like", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key."}},
            "responses": {
                status: {
                    "description": about,
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Refusal"}}},
                }
                for status, about in _REFUSALS.items()
            },
        },
    }


def _schemas(described: Sequence[Described]) -> tuple[_Schemas, JsonObject]:
    """The schema of every type that is a body or an answer, and those that they are made of."""
    types: list[object] = [Refusal]
    for one in described:
        types += [kind for kind in (one.body, one.returns) if kind is not None and kind not in types]
    written, components = msgspec.json.schema_components(
        types, schema_hook=_schema_of, ref_template="#/components/schemas/{name}"
    )
    return dict(zip(types, written, strict=True)), components


def _schema_of(kind: type) -> JsonObject:
    """The schema of what msgspec knows none for: any JSON."""
    if kind is object:
        return {"description": "Any JSON."}
    raise NotImplementedError(f"no schema is known for {kind!r}, which is in a body or an answer of the API")


def _operation(one: Described, name: str, schemas: _Schemas) -> JsonObject:
    summary, _, rest = one.about.partition("\n")
    needs = "Any key will do." if one.scope is None else f"Needs the scope `{one.scope}`."
    if isinstance(one, Bare) and one.is_open:
        needs = "No key is needed."
    described: JsonObject = {
        "operationId": name,
        "tags": [tag_of(one.path)],
        "summary": summary.strip(),
        "description": "\n\n".join(part for part in (" ".join(rest.split()), needs) if part),
        "parameters": list(_parameters(one)),
        "responses": _responses(one, schemas),
    }
    if isinstance(one, Bare) and one.is_open:
        described["security"] = []
    if one.body is not None:
        described["requestBody"] = {
            "required": True,
            "description": f"At most {one.body_limit_bytes} bytes.",
            "content": {"application/json": {"schema": schemas[one.body]}},
        }
    return described


def _parameters(one: Described) -> Iterator[JsonObject]:
    for name in _PARAMETER.findall(one.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    for query in one.query:
        yield {
            "name": query.name,
            "in": "query",
            "required": False,
            "description": query.about,
            "schema": query.schema,
        }


def _responses(one: Described, schemas: _Schemas) -> JsonObject:
    good: JsonObject = {"description": "As asked."}
    if one.status != 204:
        schema = schemas[one.returns] if one.returns is not None else {}
        good["content"] = {kind: {"schema": schema if kind == JSON else {}} for kind in one.media_types}
    if isinstance(one, Bare) and one.is_open:
        return {str(one.status): good, **{status: {"$ref": f"#/components/responses/{status}"} for status in _ALWAYS}}
    statuses = [*_ALWAYS, "401", "404"]
    statuses += [] if one.scope is None else ["403"]
    statuses += [] if one.method == "GET" else ["409", "413", "415", "429"]
    return {
        str(one.status): good,
        **{status: {"$ref": f"#/components/responses/{status}"} for status in sorted(statuses)},
    }


def tag_of(path: str) -> str:
    """What an address is about: the first part of it behind the project."""
    parts = [part for part in path.split("/") if part and not part.startswith("{")]
    return next(
        (part for part in parts if part not in {"api", "v2", "projects", "all", "v1", "v0"}), "projects"
    ).partition(":")[0]
