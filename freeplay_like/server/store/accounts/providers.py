"""Provider connections: how the server reaches the provider of a flavor, for calls that it makes itself."""

from __future__ import annotations

from datetime import datetime

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.tables import from_micros, to_micros
from freeplay_like.server.store.trials.execution_tables import provider_connection
from freeplay_like.server.store.views import Conflict, NotFound, Project


class ConnectionNotFound(NotFound):
    """The project has no connection for that flavor."""


class NotConnected(Conflict):
    """A call cannot be made: there is no connection for its flavor, or one without a key."""


@attrs.frozen(kw_only=True)
class ProviderConnection:
    """How the server reaches the provider of a flavor. `base_url` None is the provider's own address.

    `secret` is the provider's key: for calls alone, never for an answer. `created_by`, `changed_by` are API keys' ids.
    """

    flavor: str
    base_url: str | None = None
    api_version: str | None = None
    secret: str | None = attrs.field(default=None, repr=False)
    created_at: datetime
    created_by: str | None = None
    changed_at: datetime
    changed_by: str | None = None


@attrs.frozen(kw_only=True)
class ConnectionDraft:
    """A connection that is to be. `keeps_secret`: that of the connection before, if it leads to the same address."""

    flavor: str
    base_url: str | None = None
    api_version: str | None = None
    secret: str | None = attrs.field(default=None, repr=False)
    keeps_secret: bool = False
    by: str | None = None


def find(connection: sa.Connection, of: Project, flavor: str) -> ProviderConnection | None:
    """The connection for a flavor."""
    row = connection.execute(_of(of).where(provider_connection.c.flavor == flavor)).mappings().one_or_none()
    return None if row is None else _connection(row)


def require(connection: sa.Connection, of: Project, flavor: str) -> ProviderConnection:
    """The connection for a flavor, where a call can be made over it.

    Raises:
        NotConnected: there is none, or one to the provider's own address without a key.
    """
    found = find(connection, of, flavor)
    if found is None or (found.base_url is None and found.secret is None):
        what = "no provider connection" if found is None else "a provider connection without a secret"
        raise NotConnected(
            f"project {of.name!r} has {what} for flavor {flavor!r}: an admin's key sets one with "
            f"PUT /api/v2/projects/{of.id}/providers/{flavor}"
        )
    return found


def put(connection: sa.Connection, of: Project, draft: ConnectionDraft, now: datetime) -> ProviderConnection:
    """Make a connection, or put another in its place. Another address clears the secret, unless a new one is given."""
    before = find(connection, of, draft.flavor)
    secret = draft.secret
    if draft.keeps_secret:
        secret = before.secret if before is not None and before.base_url == draft.base_url else None
    values: dict[str, object] = {
        "base_url": draft.base_url,
        "api_version": draft.api_version,
        "secret": secret,
        "changed_at": to_micros(now),
        "changed_by": draft.by,
    }
    if before is None:
        names = {"project_key": of.key, "flavor": draft.flavor}
        made = {"created_at": to_micros(now), "created_by": draft.by}
        connection.execute(sa.insert(provider_connection).values(**names, **made, **values))
    else:
        is_it = provider_connection.c.project_key == of.key, provider_connection.c.flavor == draft.flavor
        connection.execute(sa.update(provider_connection).where(*is_it).values(**values))
    return get(connection, of, draft.flavor)


def get(connection: sa.Connection, of: Project, flavor: str) -> ProviderConnection:
    """The connection for a flavor.

    Raises:
        ConnectionNotFound: there is none.
    """
    found = find(connection, of, flavor)
    if found is None:
        raise ConnectionNotFound(f"project {of.name!r} has no provider connection for flavor {flavor!r}")
    return found


def delete(connection: sa.Connection, of: Project, flavor: str) -> None:
    """Forget a connection and its secret.

    Raises:
        ConnectionNotFound: there is none.
    """
    get(connection, of, flavor)
    is_it = provider_connection.c.project_key == of.key, provider_connection.c.flavor == flavor
    connection.execute(sa.delete(provider_connection).where(*is_it))


def all_of(connection: sa.Connection, of: Project) -> tuple[ProviderConnection, ...]:
    """The connections of a project, by flavor."""
    rows = connection.execute(_of(of).order_by(provider_connection.c.flavor)).mappings()
    return tuple(map(_connection, rows))


def _of(of: Project) -> sa.Select[*tuple[object, ...]]:
    return sa.select(*provider_connection.c).where(provider_connection.c.project_key == of.key)


def _connection(row: sa.RowMapping) -> ProviderConnection:
    fields = {field.name: row[field.name] for field in attrs.fields(ProviderConnection)}
    times = {name: from_micros(row[name]) for name in ("created_at", "changed_at")}
    return ProviderConnection(**{**fields, **times})


class Providers(Part):
    """Provider connections."""

    def all(self, project: Project) -> tuple[ProviderConnection, ...]:
        """The connections of a project, by flavor."""
        return self._access.ask(all_of, project)

    def find(self, project: Project, flavor: str) -> ProviderConnection | None:
        """The connection for a flavor."""
        return self._access.ask(find, project, flavor)

    def require(self, project: Project, flavor: str) -> ProviderConnection:
        """The connection for a flavor, where a call can be made over it.

        Raises:
            NotConnected: it cannot.
        """
        return self._access.ask(require, project, flavor)

    def put(self, project: Project, draft: ConnectionDraft) -> ProviderConnection:
        """Make a connection, or put another in its place; another address clears the secret, see `put`.

        Raises:
            StoreUnavailable: it could not be stored now.
        """
        now = self._access.clock.now()
        return self._access.change(lambda connection: put(connection, project, draft, now))

    def delete(self, project: Project, flavor: str) -> None:
        """Forget a connection and its secret, also when the disk is nearly full.

        Raises:
            ConnectionNotFound: there is none.
            StoreUnavailable: it could not be stored now.
        """
        self._access.change_anyway(lambda connection: delete(connection, project, flavor))
