"""Versions of templates by their ids: what they are called, and how they are found in a list of templates."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from freeplay_like.server.store.views import TemplateSummary


@attrs.frozen(kw_only=True)
class VersionName:
    """A version of a template, as people know it."""

    template_id: str
    version_id: str
    template: str
    version: str
    environments: tuple[str, ...] = ()
    flavor: str | None = None
    model: str | None = None

    @property
    def label(self) -> str:
        """`greeting@3`."""
        return f"{self.template}@{self.version}"


def named(templates: Sequence[TemplateSummary]) -> dict[str, VersionName]:
    """Every version of some templates, by its id."""
    return {
        version.version_id: VersionName(
            template_id=template.template_id,
            version_id=version.version_id,
            template=template.name,
            version=version.version,
            environments=version.environments,
            flavor=version.flavor,
            model=version.model,
        )
        for template in templates
        for version in template.versions
    }
