"""What the forms of this room offer: whom the server can ask, which models there are, which versions."""

from __future__ import annotations

from typing import Final

import attrs

from freeplay_like.server.connections import CONNECTABLE
from freeplay_like.server.pages.settings.providers import LABELS
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.trials.replay_views import VersionPlace
from freeplay_like.server.store.views import Conflict, Project, Refused, TemplateSummary

VERSIONS_LIMIT: Final = 30
"""The most versions of one template that are offered, the newest first."""


class NobodyToAsk(Conflict):
    """The server has no way to the provider of a flavor."""


@attrs.frozen(kw_only=True)
class FlavorOption:
    """A flavor; `is_connected`: the server can call its provider."""

    name: str
    label: str
    is_connected: bool


@attrs.frozen(kw_only=True)
class VersionOption:
    """A version of a template; `value` is what a form sends for it."""

    value: str
    label: str


@attrs.frozen(kw_only=True)
class Options:
    """What can be chosen. `versions` are by the name of the template."""

    flavors: tuple[FlavorOption, ...]
    models: tuple[str, ...]
    versions: dict[str, tuple[VersionOption, ...]]

    @property
    def can_ask(self) -> bool:
        """Whether there is anybody to ask."""
        return any(flavor.is_connected for flavor in self.flavors)

    @property
    def first_flavor(self) -> str:
        """The first that can be asked, "" where there is none."""
        return next((flavor.name for flavor in self.flavors if flavor.is_connected), "")


def options_of(state: State, project: Project, *, own: str = "", template_id: str | None = None) -> Options:
    """What can be chosen in a project; `own` is a call's flavor, `template_id` the only template to offer."""
    usable = _usable(state, project)
    names = [*dict.fromkeys([*CONNECTABLE, *([own] if own else [])])]
    flavors = [FlavorOption(name=name, label=LABELS.get(name, name), is_connected=name in usable) for name in names]
    templates = state.store.prompts.summaries(project.id)
    models = state.store.statistics.facets(project.id, EVERYTHING, ["model"])
    return Options(
        flavors=tuple(sorted(flavors, key=lambda flavor: not flavor.is_connected)),
        models=tuple(found.value for found in models.fields["model"]),
        versions={each.name: _versions(each) for each in templates if template_id in (None, each.template_id)},
    )


def require_way(state: State, project: Project, flavor: str) -> None:
    """Make sure that the server can call the provider of a flavor, before anything is begun.

    Raises:
        NobodyToAsk: it cannot.
    """
    if not flavor:
        raise Refused("choose a provider to ask")
    if flavor not in _usable(state, project):
        raise NobodyToAsk(
            f"this server has no connection to the provider of {LABELS.get(flavor, flavor)} in project "
            f"{project.name!r}: an administrator sets one in Settings, Providers"
        )


def version_place(state: State, project: Project, value: str) -> VersionPlace | None:
    """The version that a form names, None where it names none.

    Raises:
        Refused: there is no such version.
    """
    if not value:
        return None
    template_id, _, version_id = value.partition("/")
    found = state.store.prompts.get_version(project.id, template_id, version_id)
    if found is None:
        raise Refused(f"there is no version {value[:100]!r} any more")
    template = found.template
    return VersionPlace(
        template_id=template_id, version_id=version_id, label=f"{template.name}@{template.version or version_id[:8]}"
    )


def _usable(state: State, project: Project) -> frozenset[str]:
    if state.settings.uses_provider_environment:
        return frozenset(CONNECTABLE)
    connections = state.store.providers.all(project)
    return frozenset(each.flavor for each in connections if each.base_url is not None or each.secret is not None)


def _versions(template: TemplateSummary) -> tuple[VersionOption, ...]:
    return tuple(
        VersionOption(
            value=f"{template.template_id}/{version.version_id}",
            label=" ".join([version.version, *(f"[{name}]" for name in version.environments)]),
        )
        for version in template.versions[:VERSIONS_LIMIT]
    )
