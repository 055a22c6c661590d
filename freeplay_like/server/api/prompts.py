"""Prompt templates: read by environment or id, written as new versions."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import TemplateError
from freeplay_like.server.auth import require_key
from freeplay_like.server.http import json_response, read_json
from freeplay_like.server.state import state_of
from freeplay_like.server.store.prompts import LATEST, Draft, LatestIsNewest, VersionNotFound, check_name
from freeplay_like.server.store.views import Project, TemplateVersion

_ENVIRONMENT_LIMIT: Final = 100


@attrs.frozen(kw_only=True)
class NewVersion:
    """The body that makes a version. `flavor`, `syntax` and `output_schema` go beyond what Freeplay's client sends."""

    template_messages: list[JsonObject]
    model: str
    provider: str
    version_name: str | None = None
    version_description: str | None = None
    llm_parameters: JsonObject | None = None
    tool_schema: JsonValue = None
    environments: list[str] | None = None
    flavor: str | None = None
    syntax: str | None = None
    output_schema: JsonValue = None


@attrs.frozen(kw_only=True)
class Environments:
    """The body that points environments at a version."""

    environments: list[str]


async def get_template(request: Request) -> Response:
    """The version of a template that `?environment=` points at; the newest one without it."""
    project = await require_key(request, "read")
    name, environment = request.path_params["name"], request.query_params.get("environment") or LATEST
    store = state_of(request).store
    version = await run_in_threadpool(store.prompts.get, project.id, name, environment)
    if version is None:
        near = await run_in_threadpool(store.prompts.near, project.id, name)
        if near.environments:
            hint = f"it has {', '.join(near.environments)}"
        elif near.names:
            hint = f"near names: {', '.join(map(repr, near.names))}"
        else:
            hint = "no template has a name like it"
        raise HTTPException(
            404, f"no template {name!r} in environment {environment!r} of project {project.name!r}; {hint}"
        )
    return _template_response(request, version)


async def list_templates(request: Request) -> Response:
    """What an environment points at, of every template that has it."""
    project = await require_key(request, "read")
    environment = request.path_params["environment"]
    versions = await run_in_threadpool(state_of(request).store.prompts.in_environment, project.id, environment)
    return json_response({"prompt_templates": [_to_wire(version) for version in versions]})


async def get_version(request: Request) -> Response:
    """One version, by the ids of its template and itself."""
    project = await require_key(request, "read")
    version = await _find_version(request, project)
    return _template_response(request, version)


async def create_version(request: Request) -> Response:
    """A new version; the same content again gives the version that has it (201 all the same)."""
    project = await require_key(request, "prompts")
    body = await read_json(request, NewVersion)
    try:
        draft = _draft(request.path_params["name"], body)
        version = await run_in_threadpool(state_of(request).store.prompts.create_version, project, draft)
    except (TemplateError, LatestIsNewest) as exc:
        raise HTTPException(400, str(exc)) from exc
    return json_response(_to_wire(version), 201)


async def set_environments(request: Request) -> Response:
    """Let exactly these environments point at a version."""
    project = await require_key(request, "prompts")
    names = _environments((await read_json(request, Environments)).environments)
    ids = request.path_params["template_id"], request.path_params["version_id"]
    try:
        await run_in_threadpool(state_of(request).store.prompts.set_environments, project, *ids, names)
    except VersionNotFound as exc:
        raise HTTPException(404, str(exc)) from exc
    except LatestIsNewest as exc:
        raise HTTPException(400, str(exc)) from exc
    return json_response(_to_wire(await _find_version(request, project)))


async def _find_version(request: Request, project: Project) -> TemplateVersion:
    ids = request.path_params["template_id"], request.path_params["version_id"]
    version = await run_in_threadpool(state_of(request).store.prompts.get_version, project.id, *ids)
    if version is None:
        raise HTTPException(404, f"no version {ids[1]!r} of template {ids[0]!r} in project {project.name!r}")
    return version


def _draft(name: str, body: NewVersion) -> Draft:
    check_name(name)
    template = PromptTemplate.from_wire(
        {
            "prompt_template_name": name,
            "content": body.template_messages,
            "metadata": {
                "provider": body.provider,
                "flavor": body.flavor,
                "model": body.model,
                "params": body.llm_parameters,
            },
            "tool_schema": body.tool_schema,
            "output_schema": body.output_schema,
            "syntax": body.syntax,
            "version_description": body.version_description,
        },
        source="backend",
    )
    return Draft(template=template, name=body.version_name, environments=_environments(body.environments or []))


def _environments(names: list[str]) -> tuple[str, ...]:
    for name in names:
        if not name.strip() or len(name) > _ENVIRONMENT_LIMIT or not name.isprintable() or "/" in name:
            raise HTTPException(
                400,
                f"an environment's name has 1 to {_ENVIRONMENT_LIMIT} printable characters without '/', "
                f"not {name[:_ENVIRONMENT_LIMIT]!r}",
            )
    return tuple(names)


def _template_response(request: Request, version: TemplateVersion) -> Response:
    """A version never changes, so its id is all a client needs to see that it has the right one."""
    headers = {"ETag": f'"{version.template.version_id}"', "Cache-Control": "private, no-cache"}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get("If-None-Match", "").split(",")}
    if headers["ETag"] in known:
        return Response(status_code=304, headers=headers)
    return json_response(_to_wire(version), headers=headers)


def _to_wire(version: TemplateVersion) -> JsonObject:
    return {**version.template.to_wire(), "version_name": version.name or version.template.version}
