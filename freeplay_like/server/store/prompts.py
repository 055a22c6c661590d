"""Prompt templates: immutable versions, and the environments that point at them."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core import template_files
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, from_wire, to_wire
from freeplay_like.errors import TemplateError
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.tables import environment, from_micros, prompt_template, prompt_version, to_micros
from freeplay_like.server.store.views import (
    NearTemplates,
    NotFound,
    Project,
    Refused,
    TemplateSummary,
    TemplateVersion,
    VersionSummary,
)

LATEST: Final = "latest"
"""The environment every template has: it always means the newest version."""

_CONTENT: Final = ("content", "metadata", "tool_schema", "output_schema", "syntax")
"""The fields of the template's JSON that make one version differ from another."""


NAME_LIMIT: Final = 200

_FLAVORS: Final = {
    "openai": "openai_chat",
    "azure": "azure_openai_chat",
    "anthropic": "anthropic_chat",
}
"""The flavor of a template whose author named only a provider, as Freeplay's client does."""


class VersionNotFound(NotFound):
    """There is no such version of that template in that project."""


class LatestIsNewest(Refused):
    """Somebody wants `latest` to point at a version that is not the newest."""


@attrs.frozen(kw_only=True)
class Draft:
    """A version that is to be made. The ids of `template` do not matter: the store gives them."""

    template: PromptTemplate
    name: str | None = None
    environments: tuple[str, ...] = ()


def check_name(name: str) -> None:
    """Refuse a template name that would not survive as a path in an address or a folder.

    Raises:
        TemplateError: says what a name looks like.
    """
    template_files.check_name(name)
    if len(name) > NAME_LIMIT or not name.isprintable() or name != name.strip():
        raise TemplateError(
            f"a template's name has at most {NAME_LIMIT} printable characters, not {name[:NAME_LIMIT]!r}", template=name
        )


def _with_flavor(template: PromptTemplate) -> PromptTemplate:
    """Provider and flavor each tell the other, where only one was named."""
    providers = {flavor: provider for provider, flavor in _FLAVORS.items()}
    return attrs.evolve(
        template,
        flavor_name=template.flavor_name or _FLAVORS.get(template.provider or ""),
        provider=template.provider or providers.get(template.flavor_name or ""),
    )


_columns: Final = (
    prompt_version.c.id,
    prompt_version.c.template_id,
    prompt_version.c.number,
    prompt_version.c.content,
    prompt_version.c.name,
    prompt_version.c.description,
    prompt_version.c.created_at,
    prompt_template.c.name.label("template_name"),
)
_versions: Final = prompt_version.join(prompt_template)


def templates(connection: sa.Connection, of: Project) -> tuple[TemplateSummary, ...]:
    """All templates by name, each with its versions, newest first."""
    pointers: dict[str, list[str]] = {}
    for version_id, name in connection.execute(
        sa.select(environment.c.version_id, environment.c.name)
        .join(prompt_template, environment.c.template_id == prompt_template.c.id)
        .where(prompt_template.c.project_key == of.key)
        .order_by(environment.c.name)
    ):
        pointers.setdefault(version_id, []).append(name)
    versions: dict[str, list[VersionSummary]] = {}
    for row in connection.execute(
        sa.select(prompt_version)
        .join(prompt_template)
        .where(prompt_template.c.project_key == of.key)
        .order_by(prompt_version.c.number.desc())
    ):
        versions.setdefault(row.template_id, []).append(
            VersionSummary(
                version_id=row.id,
                version=str(row.number),
                name=row.name,
                description=row.description,
                provider=row.provider,
                flavor=row.flavor,
                model=row.model,
                created_at=from_micros(row.created_at),
                environments=tuple(pointers.get(row.id, ())),
            )
        )
    rows = connection.execute(
        sa.select(prompt_template).where(prompt_template.c.project_key == of.key).order_by(prompt_template.c.name)
    )
    return tuple(
        TemplateSummary(
            template_id=row.id,
            name=row.name,
            created_at=from_micros(row.created_at),
            versions=tuple(versions.get(row.id, ())),
        )
        for row in rows
    )


def get_template(connection: sa.Connection, of: Project, name: str, in_environment: str) -> TemplateVersion | None:
    """The version of a template that an environment points at."""
    statement = _pointed_at(of, in_environment).where(prompt_template.c.name == name)
    row = connection.execute(statement.limit(1)).mappings().one_or_none()
    return None if row is None else _version(of, row, in_environment)


def templates_in(connection: sa.Connection, of: Project, in_environment: str) -> tuple[TemplateVersion, ...]:
    """The version that an environment points at, of every template that has that environment; by name."""
    newest: dict[str, TemplateVersion] = {}
    for row in connection.execute(_pointed_at(of, in_environment)).mappings():
        newest.setdefault(row["template_name"], _version(of, row, in_environment))
    return tuple(newest[name] for name in sorted(newest))


def get_version(connection: sa.Connection, of: Project, template_id: str, version_id: str) -> TemplateVersion | None:
    """One version by its ids."""
    row = connection.execute(_by_ids(of, template_id, version_id)).mappings().one_or_none()
    return None if row is None else _version(of, row, None)


def near_templates(connection: sa.Connection, of: Project, name: str) -> NearTemplates:
    """What to say to somebody who asked for a template that is not there."""
    names = connection.scalars(sa.select(prompt_template.c.name).where(prompt_template.c.project_key == of.key)).all()
    environments = connection.scalars(
        sa.select(environment.c.name)
        .join(prompt_template, environment.c.template_id == prompt_template.c.id)
        .where(prompt_template.c.project_key == of.key, prompt_template.c.name == name)
        .order_by(environment.c.name)
    ).all()
    return NearTemplates(
        names=tuple(difflib.get_close_matches(name, names, n=5, cutoff=0.5)),
        environments=(*environments, LATEST) if name in names else (),
    )


def create_version(
    connection: sa.Connection, of: Project, draft: Draft, *, new_ids: Sequence[str], now: datetime
) -> TemplateVersion:
    """A new version of a template, which is made if there is none of that name.

    The same content again is not a new version: the one that has it comes back. Environments are pointed at it
    either way. `new_ids` are two ids to use.

    Raises:
        LatestIsNewest: the content is an older version's, and `latest` was to point at it.
    """
    template = _with_flavor(draft.template)
    template_id = _template_id(connection, of, template.name, new_ids[0], now)
    wire = template.to_wire()
    content = {field: wire[field] for field in _CONTENT}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
    version_id = connection.scalar(
        sa.select(prompt_version.c.id).where(
            prompt_version.c.template_id == template_id, prompt_version.c.content_sha256 == digest
        )
    )
    if version_id is None:
        version_id = new_ids[1]
        connection.execute(
            sa.insert(prompt_version).values(
                id=version_id,
                template_id=template_id,
                number=_newest(connection, template_id)[0] + 1,
                content_sha256=digest,
                content=to_wire(content),
                name=draft.name,
                description=template.description,
                provider=template.provider,
                flavor=template.flavor_name,
                model=template.model,
                created_at=to_micros(now),
            )
        )
    _point(connection, template_id, version_id, draft.environments, now)
    statement = _by_ids(of, template_id, version_id)
    return _version(of, connection.execute(statement).mappings().one(), None)


def set_environments(
    connection: sa.Connection, of: Project, template_id: str, version_id: str, names: Sequence[str], now: datetime
) -> None:
    """Let exactly these environments point at a version; others that did so point at nothing.

    Raises:
        VersionNotFound: there is no such version.
        LatestIsNewest: `latest` was asked for, and the version is not the newest.
    """
    if connection.execute(_by_ids(of, template_id, version_id)).one_or_none() is None:
        raise VersionNotFound(f"no version {version_id!r} of template {template_id!r} in project {of.id!r}")
    connection.execute(
        sa.delete(environment).where(environment.c.template_id == template_id, environment.c.version_id == version_id)
    )
    _point(connection, template_id, version_id, names, now)


def _pointed_at(of: Project, in_environment: str) -> sa.Select[*tuple[object, ...]]:
    """The versions an environment points at; for `latest` all of them, newest first."""
    statement = sa.select(*_columns).select_from(_versions).where(prompt_template.c.project_key == of.key)
    if in_environment == LATEST:
        return statement.order_by(prompt_version.c.number.desc())
    return statement.join(
        environment,
        sa.and_(environment.c.version_id == prompt_version.c.id, environment.c.name == in_environment),
    )


def _by_ids(of: Project, template_id: str, version_id: str) -> sa.Select[*tuple[object, ...]]:
    return (
        sa.select(*_columns)
        .select_from(_versions)
        .where(
            prompt_template.c.project_key == of.key,
            prompt_version.c.template_id == template_id,
            prompt_version.c.id == version_id,
        )
    )


def _version(of: Project, fields: sa.RowMapping, in_environment: str | None) -> TemplateVersion:
    wire: JsonObject = {
        **from_wire(fields["content"], dict),
        "prompt_template_name": fields["template_name"],
        "prompt_template_id": fields["template_id"],
        "prompt_template_version_id": fields["id"],
        "project_id": of.id,
        "version": str(fields["number"]),
        "version_description": fields["description"],
        "environment": in_environment,
    }
    return TemplateVersion(
        template=PromptTemplate.from_wire(wire, source="backend"),
        name=fields["name"],
        created_at=from_micros(fields["created_at"]),
    )


def _template_id(connection: sa.Connection, of: Project, name: str, new_id: str, now: datetime) -> str:
    found = connection.scalar(
        sa.select(prompt_template.c.id).where(prompt_template.c.project_key == of.key, prompt_template.c.name == name)
    )
    if found is not None:
        return str(found)
    connection.execute(
        sa.insert(prompt_template).values(id=new_id, project_key=of.key, name=name, created_at=to_micros(now))
    )
    return new_id


def _newest(connection: sa.Connection, template_id: str) -> tuple[int, str]:
    """Number and id of the newest version, (0, "") where there is none."""
    row = connection.execute(
        sa.select(prompt_version.c.number, prompt_version.c.id)
        .where(prompt_version.c.template_id == template_id)
        .order_by(prompt_version.c.number.desc())
        .limit(1)
    ).one_or_none()
    return (0, "") if row is None else (row.number, row.id)


def _point(connection: sa.Connection, template_id: str, version_id: str, names: Iterable[str], now: datetime) -> None:
    wanted = set(names)
    if LATEST in wanted and _newest(connection, template_id)[1] != version_id:
        raise LatestIsNewest("'latest' always means the newest version; point another environment at this one")
    wanted.discard(LATEST)
    connection.execute(
        sa.delete(environment).where(environment.c.template_id == template_id, environment.c.name.in_(wanted))
    )
    rows = [
        {"template_id": template_id, "name": name, "version_id": version_id, "moved_at": to_micros(now)}
        for name in sorted(wanted)
    ]
    if rows:
        connection.execute(sa.insert(environment), rows)


class Prompts(Part):
    """Prompt templates and their versions."""

    def summaries(self, project_id: str) -> tuple[TemplateSummary, ...]:
        """All templates by name, each with its versions, newest first."""
        return self._access.ask_of(project_id, templates, ())

    def in_environment(self, project_id: str, environment: str) -> tuple[TemplateVersion, ...]:
        """What an environment points at, of every template that has it."""
        return self._access.ask_of(project_id, templates_in, (), environment)

    def get(self, project_id: str, name: str, environment: str) -> TemplateVersion | None:
        """The version an environment points at; `latest` is the newest."""
        return self._access.ask_of(project_id, get_template, None, name, environment)

    def get_version(self, project_id: str, template_id: str, version_id: str) -> TemplateVersion | None:
        """One version by its ids."""
        return self._access.ask_of(project_id, get_version, None, template_id, version_id)

    def near(self, project_id: str, name: str) -> NearTemplates:
        """What there is instead of a template that was not found."""
        return self._access.ask_of(project_id, near_templates, NearTemplates(names=(), environments=()), name)

    def create_version(self, project: Project, draft: Draft) -> TemplateVersion:
        """A new version of a template, or the one that has this content already.

        Raises:
            LatestIsNewest: see `create_version`.
            StoreUnavailable: it could not be stored now.
        """
        ids, now = (self._access.clock.new_id(), self._access.clock.new_id()), self._access.clock.now()
        return self._access.change(lambda connection: create_version(connection, project, draft, new_ids=ids, now=now))

    def set_environments(self, project: Project, template_id: str, version_id: str, names: Sequence[str]) -> None:
        """Let exactly these environments point at a version.

        Raises:
            VersionNotFound, LatestIsNewest: see `set_environments`.
            StoreUnavailable: it could not be stored now.
        """
        now = self._access.clock.now()
        self._access.change(
            lambda connection: set_environments(connection, project, template_id, version_id, names, now)
        )
