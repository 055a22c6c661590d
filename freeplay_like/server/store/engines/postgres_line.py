"""How servers over one PostgreSQL tell one another what is new: `NOTIFY`, after the commits and beside them.

Not within the transactions that store something: PostgreSQL lets only one transaction at a time commit that notifies
(read in `PreCommit_Notify`, 15 to 18), so they would wait for one another, and for one another's flush of the disk and
standby. With eight committing side by side and a synchronous standby a quarter of the commits was left. A server that
dies between its commit and its word is why everybody also looks by themselves, once in a while.
"""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, cast

import psycopg
import sqlalchemy as sa

from freeplay_like.server.store.engines.database import Line, database_of
from freeplay_like.server.store.views import StoreUnavailable

_CHANNEL: Final = "freeplay_like"
_LISTEN: Final = sa.text(f"LISTEN {_CHANNEL}")
_CARELESSLY: Final = sa.text("SET synchronous_commit = off")  # a word is no data: it waits for no disk and no standby
_HOLD: Final = sa.text("SELECT pg_advisory_lock_shared(:locks, :which)")
_TELL: Final = sa.text("SELECT pg_notify(:channel, :said)")


@contextmanager
def opened(engine: sa.Engine, lock: tuple[int, int]) -> Iterator[Line]:
    """A line over a connection of an engine that commits each statement by itself; it holds a lock all the while.

    Raises:
        StoreUnavailable: it cannot be opened, or what is done within breaks with it.
    """
    try:
        with engine.connect() as connection:
            connection.execute(_CARELESSLY)
            connection.execute(_LISTEN)
            connection.execute(_HOLD, {"locks": lock[0], "which": lock[1]})
            yield _PostgresLine(connection)
    except (psycopg.Error, sa.exc.DBAPIError) as exc:
        raise StoreUnavailable(f"the line to other servers is broken: {exc}") from exc


class _PostgresLine:
    """A line; what fails within it is made a StoreUnavailable by `opened`."""

    def __init__(self, connection: sa.Connection) -> None:
        self._connection = connection
        self._driver = cast("psycopg.Connection", connection.connection.driver_connection)
        self._own = self._driver.info.backend_pid

    def tell(self, said: str) -> None:
        self._connection.execute(_TELL, {"channel": _CHANNEL, "said": said})

    def hear(self, timeout_s: float, bell: socket.socket) -> list[str]:
        heard = self._heard()
        if not heard:
            with selectors.DefaultSelector() as waiting:
                waiting.register(self._driver, selectors.EVENT_READ)
                waiting.register(bell, selectors.EVENT_READ)
                waiting.select(timeout_s)
            heard = self._heard()
        return heard

    def settled_seq(self) -> int:
        return database_of(self._connection).settled_seq(self._connection)

    def _heard(self) -> list[str]:
        return [each.payload for each in self._driver.notifies(timeout=0) if each.pid != self._own]
