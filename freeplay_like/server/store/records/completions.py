"""What has to be known of a completion that Freeplay's clients record, or add to."""

from __future__ import annotations

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import Record, TemplateRef
from freeplay_like.server.store.access import Part
from freeplay_like.server.store.records.calls import seq_of, whole_record
from freeplay_like.server.store.tables import prompt_template, prompt_version
from freeplay_like.server.store.views import Project


@attrs.frozen(kw_only=True)
class KnownVersion:
    """The version of a template that a call names. `template` has no environment: the call says that."""

    template: TemplateRef
    provider: str | None
    flavor: str | None


@attrs.frozen(kw_only=True)
class Known:
    """What the store knows of a completion that comes in."""

    version: KnownVersion | None
    parent_is_record: bool


def known_of(connection: sa.Connection, of: Project, version_id: str | None, parent_id: str | None) -> Known:
    """What is known of the version and of the parent that a completion names."""
    return Known(
        version=None if version_id is None else _version(connection, of, version_id),
        parent_is_record=parent_id is not None and seq_of(connection, of, parent_id) is not None,
    )


def get_record(connection: sa.Connection, of: Project, record_id: str) -> Record | None:
    """A record as it was sent."""
    seq = seq_of(connection, of, record_id)
    return None if seq is None else whole_record(connection, seq)


def _version(connection: sa.Connection, of: Project, version_id: str) -> KnownVersion | None:
    row = connection.execute(
        sa.select(
            prompt_template.c.id,
            prompt_template.c.name,
            prompt_version.c.number,
            prompt_version.c.provider,
            prompt_version.c.flavor,
        )
        .join_from(prompt_version, prompt_template)
        .where(prompt_template.c.project_key == of.key, prompt_version.c.id == version_id)
    ).one_or_none()
    if row is None:
        return None
    template = TemplateRef(
        name=row.name, template_id=row.id, version_id=version_id, version=str(row.number), source="backend"
    )
    return KnownVersion(template=template, provider=row.provider, flavor=row.flavor)


class Completions(Part):
    """Completions in Freeplay's words."""

    def known(self, project_id: str, version_id: str | None, parent_id: str | None) -> Known:
        """What is known of the version and of the parent that a completion names."""
        nothing = Known(version=None, parent_is_record=False)
        return self._access.ask_of(project_id, known_of, nothing, version_id, parent_id)

    def get(self, project_id: str, record_id: str) -> Record | None:
        """A record as it was sent."""
        return self._access.ask_of(project_id, get_record, None, record_id)
