"""The templates of one project in a backend, to read all of them and to write new versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from typing import Final, Protocol, TypeVar
from urllib.parse import quote

import attrs

from freeplay_like.backend_link import BackendLink, project_path, segment
from freeplay_like.core.template_flavors import with_flavor
from freeplay_like.core.template_wire import message_to_wire
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
from freeplay_like.errors import BackendError, ConfigurationError

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_PAGE_SIZE: Final = 100


@attrs.frozen(kw_only=True)
class KnownTemplate:
    """A template as the backend lists it. `environments` tells the id of the version that each points at."""

    id: str
    name: str
    versions: int
    latest_version: str | None
    environments: dict[str, str]


@attrs.frozen(kw_only=True)
class KnownVersion:
    """A version as the backend lists it; `version` is the label people read."""

    prompt_template_version_id: str
    version: str


@attrs.frozen(kw_only=True)
class _Pagination:
    has_next: bool


class _Page(Protocol[T_co]):
    @property
    def data(self) -> Sequence[T_co]: ...
    @property
    def pagination(self) -> _Pagination: ...


@attrs.frozen(kw_only=True)
class _TemplatePage:
    data: list[KnownTemplate]
    pagination: _Pagination


@attrs.frozen(kw_only=True)
class _VersionPage:
    data: list[KnownVersion]
    pagination: _Pagination


@attrs.frozen(kw_only=True)
class _KnownProject:
    id: str
    name: str


@attrs.frozen(kw_only=True)
class _KnownProjects:
    projects: list[_KnownProject]


class PromptProject:
    """The templates of the project that the link's key belongs to, or of `project_id`.

    Raises:
        ConfigurationError: the key belongs to several projects, and none was named.
        AuthorizationError: the backend does not take the key.
        BackendError: not reached, or no answer that can be used. So do all methods.
    """

    def __init__(self, link: BackendLink, project_id: str | None = None) -> None:
        self._link = link
        self.id = project_id or self._only_project()
        self._templates = f"{project_path(self.id)}/prompt-templates"

    def _only_project(self) -> str:
        known = self._get("/v2/projects/all", _KnownProjects).projects
        if len(known) != 1:
            listed = ", ".join(f"{project.id} ({project.name})" for project in known)
            raise ConfigurationError(f"the key belongs to {len(known)} projects; name one with --project-id: {listed}")
        return known[0].id

    def templates(self) -> tuple[KnownTemplate, ...]:
        """All templates by name."""
        return self._pages(self._templates, _TemplatePage)

    def versions(self, template_id: str) -> tuple[KnownVersion, ...]:
        """All versions of a template, newest first."""
        return self._pages(f"{self._templates}/id/{segment(template_id, 'template id')}/versions", _VersionPage)

    def _pages(self, path: str, kind: type[_Page[T]]) -> tuple[T, ...]:
        found: list[T] = []
        for number in count(1):
            page = self._get(path, kind, {"page": str(number), "page_size": str(_PAGE_SIZE)})
            found += page.data
            if not page.pagination.has_next:
                break
        return tuple(found)

    def in_environment(self, environment: str) -> dict[str, PromptTemplate]:
        """The version of each template that an environment points at, by name."""
        path = f"{self._templates}/all/{segment(environment, 'environment')}"
        answer = self._link.get(path)
        listed = answer.get("prompt_templates") if isinstance(answer, dict) else None
        if not isinstance(listed, list):
            raise BackendError(f"{self._link.api_base}{path} answered with something that is no list of templates")
        versions = [self._template(path, each) for each in listed]
        return {version.name: version for version in versions}

    def version(self, template_id: str, version_id: str) -> PromptTemplate | None:
        """One version by its ids, None where there is none."""
        ids = segment(template_id, "template id"), segment(version_id, "version id")
        path = f"{self._templates}/id/{ids[0]}/versions/{ids[1]}"
        reply = self._link.ask("GET", path)
        return None if reply.status == 404 else self._template(path, reply.json())

    def create_version(
        self,
        template: PromptTemplate,
        *,
        environments: Sequence[str] = (),
        reason: str | None = None,
        based_on: str | None = None,
        is_renewal: bool = False,
    ) -> PromptTemplate:
        """A new version, or the one that says the same already.

        `based_on` is the id of the version that has to be the newest, "" where there must be none; where another one is
        (somebody was faster), it is a BackendError of status 409. `is_renewal`: an older version that says the same
        does not count.
        """
        path = f"{self._templates}/name/{quote(template.name)}/versions"
        body: JsonObject = {
            "template_messages": [message_to_wire(message) for message in template.messages],
            "model": template.model or "",
            "provider": template.provider or "",
            "flavor": template.flavor_name,
            "syntax": template.syntax,
            "llm_parameters": dict(template.parameters),
            "tool_schema": template.tools,
            "output_schema": template.output_schema,
            "version_description": template.description,
            "environments": list(environments),
            "reason": reason,
            "based_on": based_on,
            "is_renewal": is_renewal,
        }
        return self._template(path, self._link.post(path, body))

    def point(self, version: PromptTemplate, environment: str, *, reason: str | None = None) -> None:
        """Let an environment point at a version of the backend's; its others stay."""
        self.create_version(version, environments=[environment], reason=reason)

    def put_away(self, template_id: str, *, reason: str | None = None) -> None:
        """Take a template out of lists and environments."""
        path = f"{self._templates}/id/{segment(template_id, 'template id')}"
        self._link.ask("DELETE", path, params={"reason": reason} if reason else None).json()

    def _template(self, path: str, wire: JsonValue) -> PromptTemplate:
        if not isinstance(wire, dict):
            raise BackendError(f"{self._link.api_base}{path} answered with something that is no template")
        return with_flavor(PromptTemplate.from_wire(wire, source="backend"))

    def _get(self, path: str, kind: type[T], params: Mapping[str, str] | None = None) -> T:
        answer = self._link.get(path, params)
        try:
            return from_wire(to_wire(answer), kind)
        except WireError as exc:
            raise BackendError(
                f"{self._link.api_base}{path} answered with something else than expected: {exc}"
            ) from exc
