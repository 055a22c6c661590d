"""Reading templates, versions and what environments point at. What was put away is left out, but for its ids."""

from __future__ import annotations

import difflib
from typing import Final

import sqlalchemy as sa

from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, from_wire
from freeplay_like.server.store.prompts.views import LATEST, TemplateNotFound, VersionNotFound
from freeplay_like.server.store.tables import environment, from_micros, prompt_template, prompt_version
from freeplay_like.server.store.views import NearTemplates, Project, TemplateSummary, TemplateVersion, VersionSummary

_columns: Final = (
    prompt_version.c.id,
    prompt_version.c.template_id,
    prompt_version.c.number,
    prompt_version.c.content,
    prompt_version.c.name,
    prompt_version.c.description,
    prompt_version.c.created_at,
    sa.func.coalesce(prompt_template.c.put_away_name, prompt_template.c.name).label("template_name"),
)
_versions: Final = prompt_version.join(prompt_template)
_is_live: Final = prompt_version.c.put_away_at.is_(None)


def _live_templates(of: Project) -> sa.ColumnElement[bool]:
    return sa.and_(prompt_template.c.project_key == of.key, prompt_template.c.put_away_at.is_(None))


def templates(connection: sa.Connection, of: Project) -> tuple[TemplateSummary, ...]:
    """All templates by name, each with its versions, newest first."""
    return _summaries(connection, _live_templates(of))


def template_page(connection: sa.Connection, of: Project, offset: int, limit: int) -> tuple[TemplateSummary, ...]:
    """Some of the templates by name, each with its versions, newest first."""
    ids = sa.select(prompt_template.c.id).where(_live_templates(of)).order_by(prompt_template.c.name)
    chosen = connection.scalars(ids.offset(offset).limit(limit)).all()
    return _summaries(connection, prompt_template.c.id.in_(chosen))


def find_template(connection: sa.Connection, of: Project, template_id: str) -> TemplateSummary:
    """A template by its id, with its versions, newest first.

    Raises:
        TemplateNotFound: there is none, or it was put away.
    """
    found = _summaries(connection, sa.and_(_live_templates(of), prompt_template.c.id == template_id))
    if not found:
        raise TemplateNotFound(f"no template of id {template_id[:100]!r} in project {of.name!r}")
    return found[0]


def _summaries(connection: sa.Connection, which: sa.ColumnElement[bool]) -> tuple[TemplateSummary, ...]:
    pointers: dict[str, list[str]] = {}
    for version_id, name in connection.execute(
        sa.select(environment.c.version_id, environment.c.name)
        .join(prompt_template, environment.c.template_id == prompt_template.c.id)
        .where(which)
        .order_by(environment.c.name)
    ):
        pointers.setdefault(version_id, []).append(name)
    versions: dict[str, list[VersionSummary]] = {}
    columns = (column for column in prompt_version.c if column.name not in ("content", "content_sha256"))
    statement = sa.select(*columns).select_from(_versions).where(which, _is_live)
    for row in connection.execute(statement.order_by(prompt_version.c.number.desc())):
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
    return tuple(
        TemplateSummary(
            template_id=row.id,
            name=row.name,
            created_at=from_micros(row.created_at),
            versions=tuple(versions.get(row.id, ())),
            description=row.description,
        )
        for row in connection.execute(sa.select(prompt_template).where(which).order_by(prompt_template.c.name))
    )


def get_template(connection: sa.Connection, of: Project, name: str, in_environment: str) -> TemplateVersion | None:
    """The version of a template that an environment points at."""
    statement = _pointed_at(of, in_environment).where(prompt_template.c.name == name)
    row = connection.execute(statement.limit(1)).mappings().one_or_none()
    return None if row is None else _version(of, row, in_environment)


def templates_in(connection: sa.Connection, of: Project, in_environment: str) -> tuple[TemplateVersion, ...]:
    """The version that an environment points at, of every template that has that environment; by name."""
    rows = connection.execute(_pointed_at(of, in_environment)).mappings()
    versions = (_version(of, row, in_environment) for row in rows)
    return tuple(sorted(versions, key=lambda version: version.template.name))


def get_version(connection: sa.Connection, of: Project, template_id: str, version_id: str) -> TemplateVersion | None:
    """One version by its ids, also of a template that was put away: records go on naming it."""
    row = connection.execute(_by_ids(of, template_id, version_id)).mappings().one_or_none()
    return None if row is None else _version(of, row, None)


def check_version(connection: sa.Connection, of: Project, template_id: str, version_id: str) -> None:
    """Make sure that there is a version, of a template that was not put away.

    Raises:
        VersionNotFound: there is none.
    """
    statement = _by_ids(of, template_id, version_id).where(prompt_template.c.put_away_at.is_(None))
    if connection.execute(statement).one_or_none() is None:
        raise VersionNotFound(
            f"no version {version_id[:100]!r} of template {template_id[:100]!r} in project {of.name!r}"
        )


def near_templates(connection: sa.Connection, of: Project, name: str) -> NearTemplates:
    """What to say to somebody who asked for a template that is not there."""
    names = connection.scalars(sa.select(prompt_template.c.name).where(_live_templates(of))).all()
    environments = connection.scalars(
        sa.select(environment.c.name)
        .join(prompt_template, environment.c.template_id == prompt_template.c.id)
        .where(prompt_template.c.project_key == of.key, prompt_template.c.name == name)
        .order_by(environment.c.name)
    ).all()
    has_versions = connection.scalar(
        sa.select(sa.func.count())
        .select_from(_versions)
        .where(_live_templates(of), prompt_template.c.name == name, _is_live)
    )
    return NearTemplates(
        names=tuple(difflib.get_close_matches(name, names, n=5, cutoff=0.5)),
        environments=(*environments, LATEST) if has_versions else (),
    )


def newest(connection: sa.Connection, template_id: str) -> str:
    """The id of the newest version, "" where there is none."""
    return connection.scalar(_newest(template_id).with_only_columns(prompt_version.c.id)) or ""


def _newest(template_id: str) -> sa.Select[*tuple[object, ...]]:
    statement = sa.select(prompt_version).where(prompt_version.c.template_id == template_id, _is_live)
    return statement.order_by(prompt_version.c.number.desc()).limit(1)


def _pointed_at(of: Project, in_environment: str) -> sa.Select[*tuple[object, ...]]:
    """The version of each template that an environment points at."""
    statement = sa.select(*_columns).select_from(_versions).where(_live_templates(of), _is_live)
    if in_environment == LATEST:
        later = prompt_version.alias("later")
        numbers = sa.select(sa.func.max(later.c.number)).where(
            later.c.template_id == prompt_template.c.id, later.c.put_away_at.is_(None)
        )
        return statement.where(prompt_version.c.number == numbers.scalar_subquery())
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
            _is_live,
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
