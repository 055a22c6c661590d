"""Calls that run, where the servers over one database share them: what they are asked, and what all of them keep to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final, Protocol

import attrs

from freeplay_like.core.records import Record
from freeplay_like.server.store.engines.database import RecordKey

MOST_CALLS: Final = 1_000
TEXT_LIMIT: Final = 256 * 1024
"""The most characters that are shown of a call while it runs; its record has them all."""
TOTAL_LIMIT: Final = 64 * 1024 * 1024
"""The most characters of all calls together, their records counted; the quietest are forgotten first."""
FORGOTTEN_S: Final = 30.0
"""How long after its last sign of life a call is taken for lost: its process says something at least every 10 s."""


@attrs.frozen(kw_only=True)
class LiveCall:
    """A call that runs: the record it began with, and the text of its first choice so far.

    `is_cut`: there is more text than is shown. `grown_at` is when it last grew, or began.
    """

    record: Record
    text: str
    grown_at: datetime
    is_cut: bool = False


@attrs.frozen(kw_only=True)
class Growth:
    """What is told of a call: with `record` it begins, anew where it is known.

    `text` follows `at` characters that were told before, or whatever there is (None); without any it is a sign of life.
    """

    record: Record | None = None
    at: int | None = None
    text: str = ""


class SharedCalls(Protocol):
    """The calls that run now, the same at every server. Every method blocks.

    Raises:
        StoreUnavailable: the database does not answer.
    """

    def tell(self, told: Mapping[RecordKey, Growth]) -> list[RecordKey]:
        """Take down what is told; the calls that are not known, or not as far as what is told of them."""
        ...

    def end(self, calls: Sequence[RecordKey]) -> bool:
        """Calls have ended; False where none of them ran."""
        ...

    def forget(self) -> None:
        """Let go of what nobody has heard of for long, and of the quietest where there is too much."""
        ...

    def of(self, project_key: int) -> tuple[LiveCall, ...]:
        """The calls of a project, newest first."""
        ...

    def ids(self, project_key: int) -> tuple[str, ...]:
        """Their ids alone."""
        ...

    def get(self, call: RecordKey) -> LiveCall | None:
        """A call, None where it does not run."""
        ...

    def text(self, call: RecordKey, seen: int) -> str | None:
        """What a call said after its first `seen` characters, None where it does not run."""
        ...

    def close(self) -> None:
        """Let go of the database. Safe to call twice."""
        ...
