"""A standby of a PostgreSQL, from which questions about many records are answered while it is near enough.

How far it is behind is measured without comparing clocks of two machines: now and then the place in the primary's log
is noted, and once the standby has come past a note, it has all that was stored when the note was taken.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.reading import Reader
from freeplay_like.server.store.views import StoreUnavailable

logger = logging.getLogger(__name__)

CHECK_EVERY_S: Final = 0.5
MAX_LAG_S: Final = 5.0
"""How far behind it may be."""
_NOTES: Final = 64

_WRITTEN: Final = sa.text(
    "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint, system_identifier FROM pg_control_system()"
)
_REPLAYED: Final = sa.text(
    "SELECT pg_is_in_recovery(), coalesce(pg_wal_lsn_diff(pg_last_wal_replay_lsn(), '0/0'), 0)::bigint, "
    "system_identifier FROM pg_control_system()"
)


def _written(connection: sa.Connection) -> tuple[int, int, str]:
    """Which records have settled, the place in the log after that, and which database it is."""
    settled_seq = database_of(connection).settled_seq(connection)
    written, of = connection.execute(_WRITTEN).one()
    return settled_seq, written, of


class Standby:
    """Watches a standby, in a thread of its own, and says whether it may be asked."""

    def __init__(self, primary: Reader, reader: Reader) -> None:
        self.reader = reader
        self._primary = primary
        self.settled_seq = 0
        """A number up to which it has every record, and none can appear any more; see `Database.settled_seq`."""
        self._notes: deque[tuple[float, int, int]] = deque(maxlen=_NOTES)
        self._complete_at_s = float("-inf")
        self._is_used: bool | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="freeplay-like-standby", daemon=True)
        self._thread.start()

    @property
    def lag_s(self) -> float:
        """How long ago all that was stored then was there; infinite where it does not answer."""
        return time.monotonic() - self._complete_at_s

    @property
    def is_near(self) -> bool:
        """Whether it is near enough to be asked."""
        return self.lag_s <= MAX_LAG_S

    def has(self, moment_s: float) -> bool:
        """Whether it is near enough, and has all that was stored at a moment of the monotonic clock."""
        return self._complete_at_s >= moment_s and self.is_near

    def give_up(self) -> None:
        """It did not answer: it is not asked again before it has been looked at."""
        self._complete_at_s = float("-inf")

    def close(self) -> None:
        """End the thread and the connections. Safe to call twice."""
        self._stop.set()
        self._thread.join()
        self.reader.engine.dispose()

    def _watch(self) -> None:
        while not self._stop.is_set():
            self._look()
            self._stop.wait(CHECK_EVERY_S)

    def _look(self) -> None:
        try:
            self._say(self._problem())
        except (StoreUnavailable, sa.exc.DBAPIError) as exc:
            self.give_up()
            self._say(str(exc))

    def _problem(self) -> str | None:
        """Look how far it is; why it cannot be asked, None where it can.

        Raises:
            StoreUnavailable, DBAPIError: the one or the other does not answer.
        """
        began_s = time.monotonic()
        settled_seq, written, of = self._primary.answer(_written)
        self._notes.append((began_s, written, settled_seq))
        is_standby, replayed, copy_of = self.reader.answer(lambda connection: connection.execute(_REPLAYED).one())
        if not is_standby or copy_of != of:
            self.give_up()
            return "it is a standby of another database" if is_standby else "it is no standby"
        while self._notes and self._notes[0][1] <= replayed:
            self._complete_at_s, _, self.settled_seq = self._notes.popleft()
        return None if self.is_near else f"it is {self.lag_s:.0f} s behind"

    def _say(self, problem: str | None) -> None:
        is_used = problem is None
        if is_used != self._is_used:
            if problem is not None:
                logger.warning("questions about many records go to the primary, not to the standby: %s", problem)
            elif self._is_used is not None:
                logger.warning("questions about many records go to the standby again")
            self._is_used = is_used
