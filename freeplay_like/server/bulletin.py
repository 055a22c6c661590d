"""What servers over one database tell one another, so that a page on one shows what another took in.

A word may be lost: a server dies before it says it, the line breaks. So everybody also looks, when a line is opened
and once a second, whether numbers of records have settled meanwhile: what was lost comes late, and is not left out.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Final, get_args

from freeplay_like.server.state import Topic
from freeplay_like.server.store import schema
from freeplay_like.server.store.engines.database import Database, Line
from freeplay_like.server.store.views import StoreUnavailable

logger = logging.getLogger(__name__)

TOPICS: Final[frozenset[Topic]] = frozenset(get_args(Topic))
LOOK_S: Final = 1.0
"""How often a server looks by itself."""
GATHER_S: Final = 0.02
"""Between two words at least: what comes meanwhile is said at once."""
PAUSES_S: Final = 0.2, 5.0
"""How long it waits before it opens a broken line anew, at first and at most."""
_STEP: Final = int(schema.HEAD)
STOP_S: Final = 3.0
"""How long the end waits for a line that does not answer."""


class Bulletin:
    """Tells other servers what is new here, and hears them, in a thread of its own.

    `hear` says what to call, in that thread, where there is news of a topic. Over a database of one server alone
    nothing is told.
    """

    def __init__(self, database: Database, hear: Mapping[Topic, Callable[[], None]]) -> None:
        self.failures = 0
        self._database = database
        self._hear = hear
        self._lock = threading.Lock()
        self._told: set[Topic] = set()
        self._ringer: socket.socket | None = None
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin."""
        line = self._database.line(_STEP)
        if line is not None:
            bell, self._ringer = socket.socketpair()
            bell.setblocking(False)
            self._thread = threading.Thread(
                target=self._loop, args=(line, bell), name="freeplay-like-bulletin", daemon=True
            )
            self._thread.start()

    def stop(self) -> None:
        """Say what is still to be said, and end. Blocks."""
        self._over.set()
        with self._lock:
            if self._ringer is not None:
                self._ringer.close()  # which is as good as ringing
                self._ringer = None
        if self._thread is not None:
            self._thread.join(STOP_S)

    def tell(self, topic: Topic) -> None:
        """There is news of that topic. From any thread; never waits."""
        with self._lock:
            if topic not in self._told and self._ringer is not None:
                self._told.add(topic)
                self._ringer.send(b"!")

    def _loop(self, opening: AbstractContextManager[Line] | None, bell: socket.socket) -> None:
        pause_s, is_broken = PAUSES_S[0], False
        with bell:
            while opening is not None and not self._over.is_set():
                try:
                    with opening as line:
                        pause_s, is_broken = PAUSES_S[0], False
                        self._pass_on(TOPICS)  # whatever was said before was not heard
                        self._follow(line, bell)
                except StoreUnavailable as exc:
                    self.failures += 1
                    if not is_broken:  # said once, until it goes well again
                        is_broken = True
                        logger.warning("news of other servers come late: %s", exc)
                    self._over.wait(pause_s)
                    pause_s = min(2 * pause_s, PAUSES_S[1])
                opening = self._database.line(_STEP)

    def _follow(self, line: Line, bell: socket.socket) -> None:
        settled_seq, look_at_s = line.settled_seq(), time.monotonic() + LOOK_S
        while not self._over.is_set():
            said = " ".join(line.hear(max(0.0, look_at_s - time.monotonic()), bell)).split()
            heard = {topic for topic in TOPICS if topic in said}
            if time.monotonic() >= look_at_s:
                before, settled_seq = settled_seq, line.settled_seq()
                if settled_seq != before:
                    heard.add("records")
                look_at_s = time.monotonic() + LOOK_S
            self._pass_on(heard)
            self._tell(line, bell)
            self._over.wait(GATHER_S)
        self._tell(line, bell)

    def _tell(self, line: Line, bell: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            bell.recv(1024)
        with self._lock:
            told, self._told = self._told, set()
        if told:
            line.tell(" ".join(sorted(told)))

    def _pass_on(self, topics: Iterable[Topic]) -> None:
        for topic in sorted(topics):
            self._hear[topic]()
