"""What a recorder is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs

from freeplay_like.core.records import Amendment, Record


@attrs.frozen(kw_only=True)
class FlushReport:
    """Where the records of this process stand, and its amendments, which count alike.

    `sent`: stored by the backend since the process began; `pending`: not yet; `spooled`: of the pending ones,
    those safe on disk; `dropped`: lost, and counted; `errors`: what kept delivery from going on, newest last.
    """

    sent: int = 0
    pending: int = 0
    spooled: int = 0
    dropped: int = 0
    errors: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """True where nothing is left to send and nothing was lost."""
        return self.pending == 0 and self.dropped == 0


class Recorder(Protocol):
    """Keeps records. No method raises, waits on the network, or takes a lock that another thread may hold."""

    def start(self, record: Record) -> None:
        """A call is about to be made; `record` is what is to be kept if it is never heard of again."""
        ...

    def progress(self, record_id: str, text: str) -> None:
        """The first choice of a call that runs has grown by `text`."""
        ...

    def submit(self, record: Record) -> None:
        """A call has ended (or was made elsewhere): keep this record. The last word for its id."""
        ...

    def amend(self, amendment: Amendment) -> None:
        """Something was said of a record, kept here or elsewhere: keep it as surely as the record."""
        ...

    def flush(self, timeout_s: float = 10.0) -> FlushReport:
        """Wait until everything submitted before is stored, at most `timeout_s`, and say where things stand."""
        ...

    def close(self, timeout_s: float = 2.0) -> FlushReport:
        """Flush and let go. What is still pending stays on disk for the next run. Safe to call twice."""
        ...


Redact = Callable[[Record], Record | None]
"""A user's hook: the record to keep instead, or None to keep only its metadata.

An amendment comes to it in the form of a record: `messages` are its `new_messages`, `metadata` its `comments`,
`variables` those of its scores that are text.
"""
