"""Provider connections: how the server reaches the providers of calls that it makes itself. A key goes in, and never
comes out again, not even in part."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from freeplay_like.server.connections import AZURE, SECRET_LEAST, SECRET_LIMIT, checked
from freeplay_like.server.pages.addresses import settings_address
from freeplay_like.server.pages.forms import Form, Sent, action, then
from freeplay_like.server.pages.page import page, project_of
from freeplay_like.server.pages.settings.common import SettingsContext, common_of
from freeplay_like.server.state import State
from freeplay_like.server.store.accounts.providers import ConnectionDraft, ProviderConnection
from freeplay_like.server.store.views import Project, Refused

LABELS: Final[dict[str, str]] = {
    "openai_chat": "OpenAI, chat completions",
    "openai_responses": "OpenAI, responses",
    "openai_text": "OpenAI, text completions",
    "azure_openai_chat": "Azure OpenAI, chat completions",
    "anthropic_chat": "Anthropic, messages",
    "anthropic_text": "Anthropic, text completions",
}
"""Every flavor that can be connected, as people call it, the common ones first."""

ADDRESS_LIMIT: Final = 1_000
_VERSION: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")


@attrs.frozen(kw_only=True)
class ProviderPanel:
    """The connection of a flavor, without its key. `changed_by` is the name of who changed it last, or of what."""

    flavor: str
    label: str
    is_connected: bool
    base_url: str | None
    api_version: str | None
    has_secret: bool
    changed_at: datetime | None
    changed_by: str | None

    @property
    def has_version(self) -> bool:
        """Whether there is such a thing as an API version here."""
        return self.flavor == AZURE

    @property
    def is_usable(self) -> bool:
        """Whether calls can be tried over it: an address of one's own may need no key."""
        return self.has_secret or self.base_url is not None


@attrs.frozen(kw_only=True)
class ProvidersContext(SettingsContext):
    """The connections of a project. `uses_environment`: without one, keys come from the server's environment."""

    panels: tuple[ProviderPanel, ...]
    uses_environment: bool
    secret_least: int
    secret_limit: int
    address_limit: int


def routes(state: State) -> list[BaseRoute]:
    """The tab, and its forms."""
    place = "/projects/{project_id}/settings/providers"
    return [
        *page(place, "settings/providers.html", _build, state),
        action(f"{place}/{{flavor}}", _save, state, may="admin"),
        action(f"{place}/{{flavor}}/remove", _remove, state, may="admin"),
    ]


def _build(state: State, request: Request) -> ProvidersContext:
    common = common_of(state, request, "providers")
    known = {one.flavor: one for one in state.store.providers.all(common.project)}
    authors = _authors(state, common.project)
    return ProvidersContext(
        common=common,
        panels=tuple(_panel(flavor, label, known.get(flavor), authors) for flavor, label in LABELS.items()),
        uses_environment=state.settings.uses_provider_environment,
        secret_least=SECRET_LEAST,
        secret_limit=SECRET_LIMIT,
        address_limit=ADDRESS_LIMIT,
    )


def _save(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    draft = _draft(sent.form, sent.request.path_params["flavor"], sent.person.id)
    before = sent.state.store.providers.find(project, draft.flavor)
    after = sent.state.store.providers.put(project, checked(draft))
    lost_key = draft.keeps_secret and before is not None and before.secret is not None and after.secret is None
    said = "key-cleared" if lost_key else "provider-saved"
    return then(settings_address(project.id, "providers", said=said))


def _remove(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    sent.state.store.providers.delete(project, sent.request.path_params["flavor"])
    return then(settings_address(project.id, "providers", said="provider-removed"))


def _draft(form: Form, flavor: str, by: str) -> ConnectionDraft:
    base_url, version, secret = form.get("base_url"), form.get("api_version"), form.get("secret")
    if len(base_url) > ADDRESS_LIMIT:
        raise Refused(f"the address has {len(base_url)} characters; at most {ADDRESS_LIMIT} are kept")
    if version and not _VERSION.fullmatch(version):
        raise Refused(f"an API version is a word like 2024-10-21, not {version[:100]!r}")
    return ConnectionDraft(
        flavor=flavor,
        base_url=base_url or None,
        api_version=version or None,
        secret=secret or None,
        keeps_secret=not secret and not form.has("forget"),
        by=by,
    )


def _authors(state: State, project: Project) -> Mapping[str, str]:
    """Who can have changed a connection, by id."""
    keys = {key.key_id: f"key {key.name or key.key_id}" for key in state.store.keys.all(project)}
    return keys | {one.id: one.name for one in state.store.people.all()}


def _panel(flavor: str, label: str, found: ProviderConnection | None, authors: Mapping[str, str]) -> ProviderPanel:
    by = None if found is None else found.changed_by
    return ProviderPanel(
        flavor=flavor,
        label=label,
        is_connected=found is not None,
        base_url=None if found is None else found.base_url,
        api_version=None if found is None else found.api_version,
        has_secret=found is not None and found.secret is not None,
        changed_at=None if found is None else found.changed_at,
        changed_by=None if by is None else authors.get(by, by),
    )
