"""What went wrong while recording: counted always, logged once, and told by `flush`."""

from __future__ import annotations

import logging
import threading
from collections import deque
from typing import Final

logger = logging.getLogger("freeplay_like.recording")

_KEPT: Final = 20
_INBOX: Final = 1000


class Troubles:
    """`note` is for any thread and takes no lock (logging does, so it is left to the thread that delivers)."""

    def __init__(self) -> None:
        self._inbox: deque[tuple[str, str]] = deque(maxlen=_INBOX)
        self._counts: dict[str, tuple[str, int]] = {}
        self._logged: set[str] = set()
        self._lock = threading.Lock()

    def note(self, key: str, message: str) -> None:
        """Something went wrong. What has the same key is one trouble, told in the words of the last."""
        self._inbox.append((key, message))

    def messages(self) -> tuple[str, ...]:
        """What went wrong so far, newest last."""
        with self._lock:
            self._collect()
            return tuple(
                message if count == 1 else f"{message} ({count} times)" for message, count in self._counts.values()
            )

    def log_new(self) -> None:
        """Write each trouble to the log when it is seen for the first time."""
        with self._lock:
            self._collect()
            fresh = [(key, message) for key, (message, _) in self._counts.items() if key not in self._logged]
            self._logged.update(key for key, _ in fresh)
        for _, message in fresh:
            logger.warning("%s", message)

    def _collect(self) -> None:
        while self._inbox:
            key, message = self._inbox.popleft()
            _, count = self._counts.pop(key, ("", 0))
            self._counts[key] = (message, count + 1)
        while len(self._counts) > _KEPT:
            del self._counts[next(iter(self._counts))]
