"""The bodies of requests about prompts, what is asked of them, and the answers, in Freeplay's words."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

import attrs
from msgspec import Meta
from starlette.exceptions import HTTPException

from freeplay_like.core.template_wire import freeplay_tools
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject
from freeplay_like.server.checks import check_depth
from freeplay_like.server.store.prompts.views import (
    ENVIRONMENT_LIMIT,
    LATEST,
    Draft,
    Move,
    VersionRef,
    check_environment_name,
    check_name,
)
from freeplay_like.server.store.views import TemplateSummary, TemplateVersion, VersionSummary

Name: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]
Text: TypeAlias = Annotated[str, Meta(max_length=4_000)]
Id: TypeAlias = Annotated[str, Meta(min_length=1, max_length=36, pattern="^[A-Za-z0-9_-]+$")]
EnvironmentName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=ENVIRONMENT_LIMIT)]
EnvironmentNames: TypeAlias = Annotated[list[str], Meta(max_length=50)]


@attrs.frozen(kw_only=True)
class NewVersion:
    """The body that makes a version.

    What goes beyond Freeplay's client: `flavor`, `syntax`, `output_schema`; `reason`, which protected environments
    want; `based_on`, the id of the version that has to be the newest ("" where there must be none yet), else 409; and
    `is_renewal`, which makes a new version even where an older one than the newest says the same.
    """

    template_messages: Annotated[list[JsonObject], Meta(max_length=1_000)]
    model: Annotated[str, Meta(max_length=200)] = ""
    provider: Annotated[str, Meta(max_length=200)] = ""
    version_name: Name | None = None
    version_description: Text | None = None
    llm_parameters: JsonObject | None = None
    tool_schema: Annotated[list[JsonObject], Meta(max_length=1_000)] | None = None
    environments: EnvironmentNames | None = None
    flavor: Annotated[str, Meta(max_length=200)] | None = None
    syntax: Annotated[str, Meta(max_length=20)] | None = None
    output_schema: JsonObject | None = None
    reason: Text | None = None
    based_on: Annotated[str, Meta(max_length=36)] | None = None
    is_renewal: bool = False


@attrs.frozen(kw_only=True)
class NewTemplate:
    """The body that makes a template without versions. `id` is one to use instead of a fresh one."""

    name: Name
    id: Id | None = None
    description: Text | None = None


@attrs.frozen(kw_only=True)
class TemplateChange:
    """The body that renames or describes a template; what is not there stays."""

    name: Name | None = None
    description: Text | None = None


@attrs.frozen(kw_only=True)
class EnvironmentsOfVersion:
    """The body that points environments at a version. A protected one wants a `reason`."""

    environments: EnvironmentNames
    reason: Text | None = None


def draft_of(name: str, template_id: str | None, body: NewVersion) -> Draft:
    """The version that a body describes.

    Raises:
        TemplateError: something in it makes no template; names the field.
        Refused: an environment's name is none.
        HTTPException: 400, a value is one that cannot be kept.
    """
    check_name(name)
    check_nesting(body, "template_messages", "llm_parameters", "tool_schema", "output_schema")
    for field in ("model", "provider", "version_name", "version_description", "flavor"):
        check_text(field, getattr(body, field))
    template = PromptTemplate.from_wire(
        {
            "prompt_template_name": name,
            "prompt_template_id": template_id,
            "content": body.template_messages,
            "metadata": {
                "provider": body.provider or None,
                "flavor": body.flavor or None,
                "model": body.model or None,
                "params": body.llm_parameters,
            },
            "tool_schema": body.tool_schema,
            "output_schema": body.output_schema,
            "syntax": body.syntax,
            "version_description": body.version_description,
        },
        source="backend",
    )
    return Draft(
        template=template,
        name=body.version_name,
        environments=tuple(environment_names(body.environments or [])),
        based_on=body.based_on,
        is_renewal=body.is_renewal,
    )


def environment_names(names: list[str]) -> list[str]:
    """The names, if environments can be called so.

    Raises:
        Refused: one cannot.
    """
    for name in names:
        check_environment_name(name)
    return names


def check_text(field: str, text: str | None) -> None:
    """400 where a text holds a character that not every database keeps."""
    if text is not None and "\0" in text:
        raise HTTPException(400, f"{field!r} holds a NUL character; take it out")


def check_nesting(body: object, *fields: str) -> None:
    """400 where a field of a body nests too deeply to be handed on."""
    try:
        for field in fields:
            check_depth(field, getattr(body, field))
    except ValueError as exc:
        raise HTTPException(400, str(exc)) from exc


# --- answers ----------------------------------------------------------------------------------------------


def template_wire(version: TemplateVersion) -> JsonObject:
    """A version in Freeplay's template JSON.

    Its client reads a tool only by name, description and parameters: a tool in other words is put into these, and
    `tools` then has them as they were written.
    """
    wire = {**version.template.to_wire(), "version_name": version.name or version.template.version}
    tools = version.template.tools
    told = freeplay_tools(tools)
    return wire if told == tools else {**wire, "tool_schema": told, "tools": tools}


@attrs.frozen(kw_only=True)
class TemplateAnswer:
    """A template without its messages. `environments` tells the version that each points at."""

    id: str
    name: str
    prompt_template_id: str
    prompt_template_name: str
    project_id: str
    description: str
    created_at: datetime
    versions: int
    latest_template_version_id: str | None
    latest_version: str | None
    environments: dict[str, str]

    @classmethod
    def of(cls, project_id: str, template: TemplateSummary) -> TemplateAnswer:
        """The answer for a template."""
        newest = template.versions[0] if template.versions else None
        pointers = {name: version.version_id for version in template.versions for name in version.environments}
        return cls(
            id=template.template_id,
            name=template.name,
            prompt_template_id=template.template_id,
            prompt_template_name=template.name,
            project_id=project_id,
            description=template.description or "",
            created_at=template.created_at,
            versions=len(template.versions),
            latest_template_version_id=newest.version_id if newest else None,
            latest_version=newest.version if newest else None,
            environments={**dict(sorted(pointers.items())), **({LATEST: newest.version_id} if newest else {})},
        )


@attrs.frozen(kw_only=True)
class VersionMetadata:
    """Who is called with a version, and how."""

    provider: str | None
    flavor: str | None
    model: str | None


@attrs.frozen(kw_only=True)
class VersionAnswer:
    """A version without its messages. `version` is its number among the template's."""

    prompt_template_id: str
    prompt_template_version_id: str
    prompt_template_name: str
    version: str
    version_name: str
    version_description: str
    metadata: VersionMetadata
    environments: tuple[str, ...]
    created_at: datetime

    @classmethod
    def of(cls, template: TemplateSummary, version: VersionSummary) -> VersionAnswer:
        """The answer for a version."""
        return cls(
            prompt_template_id=template.template_id,
            prompt_template_version_id=version.version_id,
            prompt_template_name=template.name,
            version=version.version,
            version_name=version.name or version.version,
            version_description=version.description or "",
            metadata=VersionMetadata(provider=version.provider, flavor=version.flavor, model=version.model),
            environments=version.environments,
            created_at=version.created_at,
        )


@attrs.frozen(kw_only=True)
class By:
    """Who did something: `kind` says what `id` names."""

    kind: str
    id: str | None


@attrs.frozen(kw_only=True)
class MoveAnswer:
    """An environment was pointed elsewhere; null where it pointed, or points, at nothing."""

    environment: str
    from_version: VersionRef | None
    to_version: VersionRef | None
    moved_at: datetime
    by: By
    reason: str | None

    @classmethod
    def of(cls, move: Move) -> MoveAnswer:
        """The answer for a move."""
        return cls(
            environment=move.environment,
            from_version=move.from_version,
            to_version=move.to_version,
            moved_at=move.moved_at,
            by=By(kind=move.by.kind, id=move.by.id),
            reason=move.by.reason,
        )
