"""Prompt templates: immutable versions, made once; templates and versions that are put away."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from freeplay_like.core.template_flavors import with_flavor
from freeplay_like.core.wire import JsonObject, to_wire
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.prompts.pointing import point, release
from freeplay_like.server.store.prompts.reading import (
    check_version,
    find_template,
    get_template,
    get_version,
    near_templates,
    newest,
    template_page,
    templates,
    templates_in,
)
from freeplay_like.server.store.prompts.views import LATEST as LATEST
from freeplay_like.server.store.prompts.views import MACHINE, Mover, NewerVersion, VersionInUse
from freeplay_like.server.store.prompts.views import Draft as Draft
from freeplay_like.server.store.prompts.views import LatestIsNewest as LatestIsNewest
from freeplay_like.server.store.prompts.views import VersionNotFound as VersionNotFound
from freeplay_like.server.store.prompts.views import check_name as check_name
from freeplay_like.server.store.tables import environment, prompt_template, prompt_version, to_micros
from freeplay_like.server.store.views import NameTaken, NearTemplates, Project, TemplateSummary, TemplateVersion

_CONTENT: Final = ("content", "metadata", "tool_schema", "output_schema", "syntax")
"""The fields of the template's JSON that make one version differ from another."""


def create_version(
    connection: sa.Connection, of: Project, draft: Draft, by: Mover, *, new_ids: Sequence[str], now: datetime
) -> TemplateVersion:
    """A new version of a template, which is made if there is none of that name.

    The same content again is not a new version: the one that has it comes back. Environments are pointed at it
    either way. `new_ids` are ids to use: two, and one for each environment.

    Raises:
        TemplateNotFound: the draft names a template by an id that there is not.
        NewerVersion: the newest version is not the one that the draft is based on.
        LatestIsNewest: the content is an older version's, and `latest` was to point at it.
        MayNotDeploy, ReasonNeeded, TooMuch: see `environments.point`.
    """
    if draft.template.template_id is None:
        template_id = _template_id(connection, of, draft.template.name, new_ids[0], now)
    else:
        template_id = find_template(connection, of, draft.template.template_id).template_id
    _check_base(connection, template_id, draft)
    version_id = _version_id(connection, template_id, draft, new_ids[1], now)
    point(connection, of, template_id, version_id, draft.environments, by, new_ids=new_ids[2:], now=now)
    return _made(connection, of, template_id, version_id)


def _check_base(connection: sa.Connection, template_id: str, draft: Draft) -> None:
    at = newest(connection, template_id)
    if draft.based_on is not None and at != draft.based_on:
        raise NewerVersion(
            f"the newest version of template {draft.template.name!r} is {at or 'none'}, "
            f"not {draft.based_on[:100] or 'none'}: somebody was faster; look at theirs first"
        )


def _version_id(connection: sa.Connection, template_id: str, draft: Draft, new_id: str, now: datetime) -> str:
    """The id of the version that has the draft's content, which is made if there is none."""
    template = with_flavor(draft.template)
    wire = template.to_wire()
    content: JsonObject = {field: wire[field] for field in _CONTENT}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).digest()
    of_template = prompt_version.c.template_id == template_id
    known = connection.scalar(
        sa.select(prompt_version.c.id).where(of_template, prompt_version.c.content_sha256 == digest)
    )
    if known is not None:
        if not draft.is_renewal or known == newest(connection, template_id):
            return str(known)
        _give_up_content(connection, known)
    highest = connection.scalar(sa.select(sa.func.max(prompt_version.c.number)).where(of_template)) or 0
    connection.execute(
        sa.insert(prompt_version).values(
            id=new_id,
            template_id=template_id,
            number=highest + 1,
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
    return new_id


def _give_up_content(connection: sa.Connection, version_id: str) -> None:
    """Let another version be the one that comes back for the same content."""
    digest = hashlib.sha256(version_id.encode()).digest()
    connection.execute(sa.update(prompt_version).where(prompt_version.c.id == version_id).values(content_sha256=digest))


def _made(connection: sa.Connection, of: Project, template_id: str, version_id: str) -> TemplateVersion:
    made = get_version(connection, of, template_id, version_id)
    if made is None:
        raise LookupError(f"version {version_id!r} is gone in the transaction that made it")
    return made


def _template_id(connection: sa.Connection, of: Project, name: str, new_id: str, now: datetime) -> str:
    found = _named(connection, of, name)
    if found is None:
        _add_template(connection, of, name, None, new_id, now)
    return found or new_id


def _named(connection: sa.Connection, of: Project, name: str) -> str | None:
    of_name = sa.and_(prompt_template.c.project_key == of.key, prompt_template.c.name == name)
    return connection.scalar(sa.select(prompt_template.c.id).where(of_name))


def _add_template(
    connection: sa.Connection, of: Project, name: str, description: str | None, new_id: str, now: datetime
) -> None:
    connection.execute(
        sa.insert(prompt_template).values(
            id=new_id, project_key=of.key, name=name, description=description, created_at=to_micros(now)
        )
    )


def create_template(
    connection: sa.Connection, of: Project, name: str, description: str | None, new_id: str, now: datetime
) -> TemplateSummary:
    """A template without versions.

    Raises:
        NameTaken: there is one of that name, or of that id.
    """
    _check_free(connection, of, name)
    if connection.scalar(sa.select(prompt_template.c.id).where(prompt_template.c.id == new_id)) is not None:
        raise NameTaken(f"there is a template of id {new_id!r} already; leave the id out to get a fresh one")
    _add_template(connection, of, name, description, new_id, now)
    return find_template(connection, of, new_id)


def change_template(
    connection: sa.Connection, of: Project, template_id: str, name: str | None, description: str | None
) -> TemplateSummary:
    """Rename a template, or describe it; None leaves it as it is. Its versions go along.

    Raises:
        TemplateNotFound: there is none.
        NameTaken: there is another one of that name.
    """
    known = find_template(connection, of, template_id)
    if name is not None and name != known.name:
        _check_free(connection, of, name)
    connection.execute(
        sa.update(prompt_template)
        .where(prompt_template.c.id == template_id)
        .values(
            name=known.name if name is None else name,
            description=known.description if description is None else description,
        )
    )
    return find_template(connection, of, template_id)


def _check_free(connection: sa.Connection, of: Project, name: str) -> None:
    if _named(connection, of, name) is not None:
        raise NameTaken(f"there is a template {name!r} already; add a version to it, or choose another name")


def put_template_away(connection: sa.Connection, of: Project, template_id: str, by: Mover, now: datetime) -> None:
    """Take a template out of lists and environments. Records go on naming it, and its name can be used again.

    Raises:
        TemplateNotFound: there is none.
        MayNotDeploy, ReasonNeeded: a protected environment points at a version of it.
    """
    known = find_template(connection, of, template_id)
    release(connection, of, template_id, by, now)
    connection.execute(
        sa.update(prompt_template)
        .where(prompt_template.c.id == template_id)
        .values(
            put_away_at=to_micros(now),
            put_away_name=known.name,
            name=f"//{template_id}",  # no template can be called this
        )
    )


def put_version_away(connection: sa.Connection, of: Project, template_id: str, version_id: str, now: datetime) -> None:
    """Take a version out of its template. Its number is not given again, its content can be made again.

    Raises:
        VersionNotFound: there is none.
        VersionInUse: an environment points at it.
    """
    check_version(connection, of, template_id, version_id)
    names = connection.scalars(
        sa.select(environment.c.name).where(environment.c.version_id == version_id).order_by(environment.c.name)
    ).all()
    if names:
        listed = ", ".join(map(repr, names))
        raise VersionInUse(f"environment {listed} points at version {version_id!r}; point it at another one first")
    _give_up_content(connection, version_id)
    connection.execute(
        sa.update(prompt_version).where(prompt_version.c.id == version_id).values(put_away_at=to_micros(now))
    )


class Prompts(Part):
    """Prompt templates and their versions."""

    def summaries(self, project_id: str) -> tuple[TemplateSummary, ...]:
        """All templates by name, each with its versions, newest first."""
        return self._access.ask_of(project_id, templates, ())

    def page(self, project_id: str, offset: int, limit: int) -> tuple[TemplateSummary, ...]:
        """Some of the templates by name, each with its versions, newest first."""
        return self._access.ask_of(project_id, template_page, (), offset, limit)

    def find(self, project: Project, template_id: str) -> TemplateSummary:
        """A template by its id; TemplateNotFound where there is none."""
        return self._access.ask(find_template, project, template_id)

    def in_environment(self, project_id: str, environment: str) -> tuple[TemplateVersion, ...]:
        """What an environment points at, of every template that has it."""
        return self._access.ask_of(project_id, templates_in, (), environment)

    def get(self, project_id: str, name: str, environment: str) -> TemplateVersion | None:
        """The version an environment points at; `latest` is the newest."""
        return self._access.ask_of(project_id, get_template, None, name, environment)

    def get_version(self, project_id: str, template_id: str, version_id: str) -> TemplateVersion | None:
        """One version by its ids, also of a template that was put away."""
        return self._access.ask_of(project_id, get_version, None, template_id, version_id)

    def near(self, project_id: str, name: str) -> NearTemplates:
        """What there is instead of a template that was not found."""
        return self._access.ask_of(project_id, near_templates, NearTemplates(names=(), environments=()), name)

    def create_version(self, project: Project, draft: Draft, by: Mover = MACHINE) -> TemplateVersion:
        """A new version of a template, or the one that has this content already.

        Raises:
            TemplateNotFound, NewerVersion, LatestIsNewest, MayNotDeploy, ReasonNeeded, TooMuch: see `create_version`.
            StoreUnavailable: it could not be stored now.
        """
        ids, now = [self._access.clock.new_id() for _ in range(2 + len(draft.environments))], self._access.clock.now()
        return self._access.change(
            lambda connection: create_version(connection, project, draft, by, new_ids=ids, now=now)
        )

    def create(
        self, project: Project, name: str, *, description: str | None, template_id: str | None
    ) -> TemplateSummary:
        """A template without versions; see `create_template`."""
        new_id, now = template_id or self._access.clock.new_id(), self._access.clock.now()
        return self._access.change(
            lambda connection: create_template(connection, project, name, description, new_id, now)
        )

    def change(
        self, project: Project, template_id: str, *, name: str | None = None, description: str | None = None
    ) -> TemplateSummary:
        """Rename a template, or describe it; see `change_template`."""
        return self._access.change(
            lambda connection: change_template(connection, project, template_id, name, description)
        )

    def put_away(self, project: Project, template_id: str, by: Mover) -> None:
        """Take a template out of lists and environments; see `put_template_away`."""
        now = self._access.clock.now()
        self._access.change(lambda connection: put_template_away(connection, project, template_id, by, now))

    def put_version_away(self, project: Project, template_id: str, version_id: str) -> None:
        """Take a version out of its template; see `put_version_away`."""
        now = self._access.clock.now()
        self._access.change(lambda connection: put_version_away(connection, project, template_id, version_id, now))
