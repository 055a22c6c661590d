"""Provider connections: whom the server itself may call. A secret goes in, and never comes out again."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Final

import attrs
from msgspec import UNSET, Meta, UnsetType

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.dataset_forms import Done
from freeplay_like.server.api.operations import PROJECT, Ask, operation
from freeplay_like.server.connections import KEY_PATTERN, SECRET_LEAST, SECRET_LIMIT, checked
from freeplay_like.server.store.accounts.providers import ConnectionDraft, ProviderConnection

_PROVIDERS: Final = f"{PROJECT}/providers"
_PROVIDER: Final = f"{_PROVIDERS}/{{flavor}}"

Secret = Annotated[str, Meta(min_length=SECRET_LEAST, max_length=SECRET_LIMIT, pattern=KEY_PATTERN)]


@attrs.frozen(kw_only=True)
class NewConnection:
    """The body that sets a connection. `base_url` null or absent: the provider's own address.

    `secret` absent keeps the one before, unless `base_url` changes, which clears it; null clears it. `api_version` is
    for Azure alone, as in "2024-10-21".
    """

    base_url: Annotated[str, Meta(min_length=1, max_length=1_000)] | None = None
    api_version: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,100}$")] | None = None
    secret: Secret | UnsetType | None = UNSET


@attrs.frozen(kw_only=True)
class ShownConnection:
    """A connection without its secret. `created_by` and `changed_by` are the ids of the API keys that did it."""

    flavor: str
    base_url: str | None
    api_version: str | None
    has_secret: bool
    created_at: datetime
    created_by: str | None
    changed_at: datetime
    changed_by: str | None


@operation("GET", _PROVIDERS, scope="admin")
def list_providers(ask: Ask[None]) -> JsonObject:
    """The provider connections of a project, by flavor, without their secrets."""
    return {"data": [_shown(each) for each in ask.store.providers.all(ask.project)]}


@operation("PUT", _PROVIDER, scope="admin", body=NewConnection, returns=ShownConnection)
def set_provider(ask: Ask[NewConnection]) -> ShownConnection:
    """Say how the server reaches the provider of a flavor, for the calls that it makes itself."""
    flavor, body = ask.path("flavor"), ask.body
    draft = ConnectionDraft(
        flavor=flavor,
        base_url=body.base_url,
        api_version=body.api_version,
        secret=body.secret if isinstance(body.secret, str) else None,
        keeps_secret=body.secret is UNSET,
        by=ask.key.key_id,
    )
    return _shown(ask.store.providers.put(ask.project, checked(draft)))


@operation("DELETE", _PROVIDER, scope="admin", returns=Done)
def delete_provider(ask: Ask[None]) -> Done:
    """Forget a provider connection and its secret; what the server runs over it fails from then on."""
    ask.store.providers.delete(ask.project, ask.path("flavor"))
    return Done(message="the provider connection is deleted")


OPERATIONS: Final = (list_providers, set_provider, delete_provider)


def _shown(found: ProviderConnection) -> ShownConnection:
    return ShownConnection(
        flavor=found.flavor,
        base_url=found.base_url,
        api_version=found.api_version,
        has_secret=found.secret is not None,
        created_at=found.created_at,
        created_by=found.created_by,
        changed_at=found.changed_at,
        changed_by=found.changed_by,
    )
