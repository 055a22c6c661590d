"""Prompt templates: read by environment or id, written as new versions, compared, and put away."""

from __future__ import annotations

import zlib
from typing import Final

from starlette.exceptions import HTTPException
from starlette.responses import Response

from freeplay_like.core.prompt_diff import PromptDiff, compare
from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.bound import Bind, bind, format_of
from freeplay_like.server.api.environments import mover, translated
from freeplay_like.server.api.operations import PAGE, PROJECT, Ask, Query, operation
from freeplay_like.server.api.prompt_bodies import (
    EnvironmentsOfVersion,
    MoveAnswer,
    NewTemplate,
    NewVersion,
    TemplateAnswer,
    TemplateChange,
    VersionAnswer,
    check_text,
    draft_of,
    environment_names,
    template_wire,
)
from freeplay_like.server.http import json_response
from freeplay_like.server.store.prompts.views import LATEST, Draft, check_name
from freeplay_like.server.store.views import TemplateVersion

_TEMPLATES: Final = f"{PROJECT}/prompt-templates"
_NAMED: Final = f"{_TEMPLATES}/name/{{name:path}}"
_TEMPLATE: Final = f"{_TEMPLATES}/id/{{template_id}}"
_VERSION: Final = f"{_TEMPLATE}/versions/{{version_id}}"

_ENVIRONMENT: Final = Query("environment", "Which environment's version; the newest without it.")
_FORMAT: Final = Query(
    "format", "The provider in whose words the messages are also given: `openai` or `anthropic`, or a flavor of theirs."
)
_REASON: Final = Query("reason", "Why; a protected environment that is moved by this wants to know.")
_AGAINST: Final = Query("against", "The id of the version to compare with; the one before it without.")


# --- reading ----------------------------------------------------------------------------------------------


@operation("GET", f"{_TEMPLATES}/all/{{environment}}", scope="read")
def list_in_environment(ask: Ask[None]) -> JsonObject:
    """What an environment points at, of every template that has it."""
    versions = ask.store.prompts.in_environment(ask.project.id, ask.path("environment"))
    return {"prompt_templates": [template_wire(version) for version in versions]}


@operation("GET", _NAMED, scope="read", query=(_ENVIRONMENT,))
def get_template(ask: Ask[None]) -> Response:
    """The version of a template that an environment points at."""
    return _template_response(ask, _in_environment(ask))


@operation("GET", _VERSION, scope="read")
def get_version(ask: Ask[None]) -> Response:
    """One version, by the ids of its template and itself."""
    return _template_response(ask, _by_ids(ask, ask.path("version_id")))


@operation("POST", _NAMED, scope="read", body=Bind, query=(_ENVIRONMENT, _FORMAT))
def bind_template(ask: Ask[Bind]) -> JsonObject:
    """The messages of the version that an environment points at, with variables filled in."""
    form = format_of(ask.query("format"))
    return bind(_in_environment(ask), ask.body, form)


@operation("POST", _VERSION, scope="read", body=Bind, query=(_FORMAT,))
def bind_version(ask: Ask[Bind]) -> JsonObject:
    """The messages of one version, with variables filled in."""
    form = format_of(ask.query("format"))
    return bind(_by_ids(ask, ask.path("version_id")), ask.body, form)


@operation("GET", _TEMPLATES, scope="read", query=PAGE)
def list_templates(ask: Ask[None]) -> JsonObject:
    """The templates of a project by name, without their messages."""
    page = ask.page()
    templates = ask.store.prompts.page(ask.project.id, page.offset, page.limit)
    return page.answer([TemplateAnswer.of(ask.project.id, template) for template in templates])


@operation("GET", _TEMPLATE, scope="read", returns=TemplateAnswer)
def describe_template(ask: Ask[None]) -> TemplateAnswer:
    """One template, without its messages."""
    return TemplateAnswer.of(ask.project.id, ask.store.prompts.find(ask.project, ask.path("template_id")))


@operation("GET", f"{_TEMPLATE}/versions", scope="read", query=PAGE)
def list_versions(ask: Ask[None]) -> JsonObject:
    """The versions of a template, newest first, without their messages."""
    page, template = ask.page(), ask.store.prompts.find(ask.project, ask.path("template_id"))
    versions = template.versions[page.offset : page.offset + page.limit]
    return page.answer([VersionAnswer.of(template, version) for version in versions])


@operation("GET", f"{_TEMPLATE}/history", scope="read", query=PAGE)
def list_moves(ask: Ask[None]) -> JsonObject:
    """Who pointed the environments of a template at which version, newest first."""
    page = ask.page()
    moves = ask.store.environments.moves(ask.project, ask.path("template_id"), page.offset, page.limit)
    return page.answer([MoveAnswer.of(move) for move in moves])


@operation("GET", f"{_VERSION}/diff", scope="read", query=(_AGAINST,), returns=PromptDiff)
def diff_version(ask: Ask[None]) -> PromptDiff:
    """What is different in a version from another of its template."""
    new = _by_ids(ask, ask.path("version_id"))
    against = ask.query("against") or _before(ask)
    return compare(_by_ids(ask, against).template, new.template)


def _before(ask: Ask[None]) -> str:
    """The id of the version before the one that the address names."""
    ids = [each.version_id for each in ask.store.prompts.find(ask.project, ask.path("template_id")).versions]
    place = ids.index(ask.path("version_id")) + 1
    if place == len(ids):
        raise HTTPException(400, "this is the first version: name the one to compare with in 'against'")
    return ids[place]


# --- writing ----------------------------------------------------------------------------------------------


@operation("POST", _TEMPLATES, scope="prompts", body=NewTemplate, status=201, returns=TemplateAnswer)
def create_template(ask: Ask[NewTemplate]) -> TemplateAnswer:
    """A template without versions."""
    check_name(ask.body.name)
    check_text("description", ask.body.description)
    made = ask.store.prompts.create(
        ask.project, ask.body.name, description=ask.body.description, template_id=ask.body.id
    )
    return TemplateAnswer.of(ask.project.id, made)


@operation("PATCH", _TEMPLATE, scope="prompts", body=TemplateChange, returns=TemplateAnswer)
def change_template(ask: Ask[TemplateChange]) -> TemplateAnswer:
    """Rename a template, or describe it."""
    if ask.body.name is not None:
        check_name(ask.body.name)
    check_text("description", ask.body.description)
    changed = ask.store.prompts.change(
        ask.project, ask.path("template_id"), name=ask.body.name, description=ask.body.description
    )
    return TemplateAnswer.of(ask.project.id, changed)


@operation("DELETE", _TEMPLATE, scope="prompts", status=204, query=(_REASON,))
def put_template_away(ask: Ask[None]) -> Response:
    """Put a template away: no list or environment has it any more. Records go on naming it, its name can be reused."""
    with translated():
        ask.store.prompts.put_away(ask.project, ask.path("template_id"), mover(ask, ask.query("reason")))
    return Response(status_code=204)


@operation("POST", f"{_NAMED}/versions", scope="prompts", body=NewVersion, status=201)
def create_version(ask: Ask[NewVersion]) -> JsonObject:
    """A new version of a template, which is made where there is none of that name.

    The same content again gives the version that has it.
    """
    return _create_version(ask, draft_of(ask.path("name"), None, ask.body))


@operation("POST", f"{_TEMPLATE}/versions", scope="prompts", body=NewVersion, status=201)
def create_version_by_id(ask: Ask[NewVersion]) -> JsonObject:
    """A new version of a template; the same content again gives the version that has it."""
    template = ask.store.prompts.find(ask.project, ask.path("template_id"))
    return _create_version(ask, draft_of(template.name, template.template_id, ask.body))


@operation("DELETE", _VERSION, scope="prompts", status=204)
def put_version_away(ask: Ask[None]) -> Response:
    """Take a version out of its template; refused while an environment points at it."""
    ask.store.prompts.put_version_away(ask.project, ask.path("template_id"), ask.path("version_id"))
    return Response(status_code=204)


@operation("POST", f"{_VERSION}/environments", scope="prompts", body=EnvironmentsOfVersion)
def set_environments(ask: Ask[EnvironmentsOfVersion]) -> JsonObject:
    """Let exactly these environments point at a version."""
    names, ids = environment_names(ask.body.environments), (ask.path("template_id"), ask.path("version_id"))
    check_text("reason", ask.body.reason)
    with translated():
        ask.store.environments.point(ask.project, *ids, names, mover(ask, ask.body.reason))
    return template_wire(_by_ids(ask, ids[1]))


# `name` takes slashes, so the longer addresses come before it.
OPERATIONS: Final = (
    list_in_environment,
    create_version,
    get_template,
    bind_template,
    list_templates,
    create_template,
    describe_template,
    change_template,
    put_template_away,
    list_versions,
    create_version_by_id,
    list_moves,
    get_version,
    bind_version,
    put_version_away,
    diff_version,
    set_environments,
)


def _create_version(ask: Ask[NewVersion], draft: Draft) -> JsonObject:
    check_text("reason", ask.body.reason)
    with translated():
        return template_wire(ask.store.prompts.create_version(ask.project, draft, mover(ask, ask.body.reason)))


def _in_environment(ask: Ask[Bind] | Ask[None]) -> TemplateVersion:
    """The version that the address and its query name; 404, with what there is instead."""
    name, environment = ask.path("name"), ask.query("environment") or LATEST
    version = ask.store.prompts.get(ask.project.id, name, environment)
    if version is not None:
        return version
    near = ask.store.prompts.near(ask.project.id, name)
    if near.environments:
        hint = f"it has {', '.join(near.environments)}"
    elif near.names:
        hint = f"near names: {', '.join(map(repr, near.names))}"
    else:
        hint = "no template has a name like it"
    where = f"environment {environment!r} of project {ask.project.name!r}"
    raise HTTPException(404, f"no template {name!r} in {where}; {hint}")


def _by_ids(ask: Ask[Bind] | Ask[None] | Ask[EnvironmentsOfVersion], version_id: str) -> TemplateVersion:
    """A version of the template that the address names; 404 where there is none."""
    template_id = ask.path("template_id")
    version = ask.store.prompts.get_version(ask.project.id, template_id, version_id)
    if version is None:
        raise HTTPException(
            404, f"no version {version_id!r} of template {template_id!r} in project {ask.project.name!r}"
        )
    return version


def _template_response(ask: Ask[None], version: TemplateVersion) -> Response:
    """A version never changes but for its template's name: its id and that are all a client needs to compare."""
    tag = f'"{version.template.version_id}-{zlib.crc32(version.template.name.encode()):08x}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache"}
    known = {each.strip().removeprefix("W/") for each in ask.request.headers.get("If-None-Match", "").split(",")}
    if tag in known:
        return Response(status_code=304, headers=headers)
    return json_response(template_wire(version), headers=headers)
