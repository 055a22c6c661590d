"""Questions to one database, each in a snapshot of its own, with a bound on how long one waits for its turn."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar, cast

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.engines import failures
from freeplay_like.server.store.views import StoreUnavailable

logger = logging.getLogger(__name__)

T = TypeVar("T")


@attrs.frozen(kw_only=True)
class PoolFigures:
    """How busy the connections are on which questions are answered.

    `asked` and `turned_away` count since the store was opened; those turned away had waited too long for their turn.
    """

    size: int
    used: int
    waiting: int
    asked: int
    turned_away: int


class Reader:
    """Answers questions from a pool of connections. Any thread may ask."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        self.engine = engine
        self.name = name
        self._lock = threading.Lock()
        self._inside = 0
        self._asked = 0
        self._turned_away = 0
        self._is_failing = False

    @property
    def figures(self) -> PoolFigures:
        """How busy it is."""
        pool = cast("sa.QueuePool", self.engine.pool)
        used = pool.checkedout()
        return PoolFigures(
            size=pool.size(),
            used=used,
            waiting=max(0, self._inside - used),
            asked=self._asked,
            turned_away=self._turned_away,
        )

    def answer(self, question: Callable[[sa.Connection], T]) -> T:
        """Answer a question in one snapshot.

        Raises:
            StoreUnavailable: the database does not answer, or too many ask.
        """
        with self._lock:
            self._asked += 1
            self._inside += 1
        try:
            result = self._twice(question)
        except sa.exc.TimeoutError as exc:
            with self._lock:
                self._turned_away += 1
            raise StoreUnavailable("too many questions wait for the database; ask again later") from exc
        except sa.exc.DBAPIError as exc:
            if not failures.is_passing(exc):
                raise
            reason = failures.reason_of(exc)
            if not self._is_failing:  # each question fails while the database is away: said once, until one succeeds
                self._is_failing = True
                logger.error("%s cannot be read: %s", self.name, reason)
            raise StoreUnavailable(f"the store cannot be read: {reason}") from exc
        finally:
            with self._lock:
                self._inside -= 1
        if self._is_failing:
            self._is_failing = False
            logger.warning("%s can be read again", self.name)
        return result

    def _twice(self, question: Callable[[sa.Connection], T]) -> T:
        try:
            return self._once(question)
        except sa.exc.DBAPIError as exc:
            if not exc.connection_invalidated:
                raise
        return self._once(question)  # the connection was lost while it lay in the pool: nobody need know

    def _once(self, question: Callable[[sa.Connection], T]) -> T:
        with self.engine.begin() as connection:
            return question(connection)
