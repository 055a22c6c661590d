"""How an address of the API is described and answered: once, so that the description that is served is true.

An operation says its method, path, scope, body and status. From that the request is checked before the handler sees
it, and `/api/openapi.json` is written. Handlers are plain functions that block; each runs in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Generic, Literal, TypeVar, overload

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from freeplay_like.core.wire import JsonObject, WireError, from_wire, from_wire_mended
from freeplay_like.errors import MessageError, TemplateError
from freeplay_like.server.auth import NO_PROJECT, keys_of, require_scope
from freeplay_like.server.http import BODY_LIMIT_BYTES, PageOf, json_response, read_body
from freeplay_like.server.state import State, state_of
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.views import ApiKey, Conflict, NotFound, Project, Refused, Scope, TooMuch

B = TypeVar("B")

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

JSON: Final = "application/json"

PROJECT: Final = "/api/v2/projects/{project_id}"
"""Where the addresses of a project begin."""


@attrs.frozen
class Query:
    """A parameter in the query of an address. `schema` is its JSON Schema; a `maxLength` in it is held to."""

    name: str
    about: str
    schema: JsonObject = attrs.field(factory=lambda: {"type": "string", "maxLength": 1_000})


PAGE: Final = (
    Query("page", "Which page, from 1.", {"type": "integer", "minimum": 1, "maximum": 1_000_000, "default": 1}),
    Query("page_size", "How many on a page.", {"type": "integer", "minimum": 1, "maximum": 100, "default": 30}),
)
"""The parameters of a list that has pages."""


@attrs.frozen(kw_only=True)
class Ask(Generic[B]):
    """A request whose key and body were found good. `body` is None for an operation that takes none."""

    request: Request
    state: State
    key: ApiKey
    body: B

    @property
    def store(self) -> Store:
        """The store to ask."""
        return self.state.store

    @property
    def project(self) -> Project:
        """The project of the key, which is the one that the address names."""
        return self.key.project

    def path(self, name: str) -> str:
        """A part of the address, as its path names it."""
        return str(self.request.path_params[name])

    def query(self, name: str) -> str | None:
        """A parameter in the query of the address."""
        return self.request.query_params.get(name)

    def page(self) -> PageOf:
        """The page that was asked for."""
        return PageOf.asked_for(self.request)


@attrs.frozen(kw_only=True)
class Operation:
    """One method of one address; made by `operation`.

    `answer` takes an `Ask` and returns what is answered as JSON with `status`, or a whole `Response`. `scope` None
    means that any good key will do. `returns` is the type of the answer, for its description; None where it is any
    JSON. `mends_text`: the body holds what models wrote, and half a character in it is replaced instead of refused.
    `media_types` are those of the answer, where the handler makes a `Response` of another kind.
    """

    method: Method
    path: str
    scope: Scope | None
    answer: Callable[..., object]
    body: type | None = None
    status: int = 200
    returns: object = None
    query: Sequence[Query] = ()
    body_limit_bytes: int = BODY_LIMIT_BYTES
    mends_text: bool = False
    media_types: Sequence[str] = (JSON,)

    @property
    def name(self) -> str:
        """What the description calls it."""
        return str(getattr(self.answer, "__name__", ""))

    @property
    def about(self) -> str:
        """What it does, in the words of its handler."""
        return (self.answer.__doc__ or "").strip()

    async def respond(self, request: Request) -> Response:
        """Check the key, read the body, and answer in a thread."""
        headers = request.scope["headers"]
        key = await keys_of(request).find(headers)
        if request.path_params.get("project_id", key.project.id) != key.project.id:
            raise HTTPException(404, NO_PROJECT)  # to another project's key it is not there
        if self.scope is not None:
            require_scope(key, self.scope)
        self._check_query(request)
        data = await read_body(headers, request.receive, self.body_limit_bytes) if self.body is not None else b""
        return await run_in_threadpool(self._answer, request, key, data)

    def _check_query(self, request: Request) -> None:
        for one in self.query:
            text, limit = request.query_params.get(one.name), one.schema.get("maxLength")
            if text is not None and isinstance(limit, int) and len(text) > limit:
                raise HTTPException(400, f"{one.name!r} has {len(text)} characters; at most {limit} are taken")

    def _answer(self, request: Request, key: ApiKey, data: bytes) -> Response:
        body: object = None
        if self.body is not None:
            try:
                body = (from_wire_mended if self.mends_text else from_wire)(data, self.body)
            except WireError as exc:
                raise HTTPException(400, f"the body is not what this address takes: {exc}") from exc
        ask = Ask(request=request, state=state_of(request), key=key, body=body)
        try:
            answer = self.answer(ask)
        except (NotFound, Conflict, TooMuch, Refused, TemplateError, MessageError) as exc:
            raise HTTPException(_status(exc), str(exc)) from exc
        return answer if isinstance(answer, Response) else json_response(answer, self.status)


@overload
def operation(
    method: Method,
    path: str,
    *,
    scope: Scope | None,
    status: int = 200,
    returns: object = None,
    query: Sequence[Query] = (),
    media_types: Sequence[str] = (JSON,),
) -> Callable[[Callable[[Ask[None]], object]], Operation]: ...


@overload
def operation(
    method: Method,
    path: str,
    *,
    scope: Scope | None,
    body: type[B],
    status: int = 200,
    returns: object = None,
    query: Sequence[Query] = (),
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    mends_text: bool = False,
    media_types: Sequence[str] = (JSON,),
) -> Callable[[Callable[[Ask[B]], object]], Operation]: ...


def operation(
    method: Method,
    path: str,
    *,
    scope: Scope | None,
    body: type | None = None,
    status: int = 200,
    returns: object = None,
    query: Sequence[Query] = (),
    body_limit_bytes: int = BODY_LIMIT_BYTES,
    mends_text: bool = False,
    media_types: Sequence[str] = (JSON,),
) -> Callable[[Callable[..., object]], Operation]:
    """Make a handler the operation of an address; its docstring is the description."""

    def of(answer: Callable[..., object]) -> Operation:
        return Operation(
            method=method,
            path=path,
            scope=scope,
            answer=answer,
            body=body,
            status=status,
            returns=returns,
            query=query,
            body_limit_bytes=body_limit_bytes,
            mends_text=mends_text,
            media_types=media_types,
        )

    return of


def routes(operations: Iterable[Operation]) -> list[Route]:
    """The routes of operations, in their order; an address is one route, so that 405 names all of its methods."""
    by_path: dict[str, dict[str, Operation]] = {}
    for one in operations:
        methods = by_path.setdefault(one.path, {})
        if one.method in methods:
            raise ValueError(f"{one.method} {one.path} is there twice: {methods[one.method].name} and {one.name}")
        methods[one.method] = one
    return [_route(path, methods) for path, methods in by_path.items()]


def _route(path: str, methods: dict[str, Operation]) -> Route:
    async def endpoint(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method].respond(request)

    return Route(path, endpoint, methods=list(methods))


def _status(exc: Exception) -> int:
    if isinstance(exc, NotFound):
        return 404
    if isinstance(exc, Conflict):
        return 409
    return 413 if isinstance(exc, TooMuch) else 400
