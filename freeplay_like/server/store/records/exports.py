"""Calls, whole and many, for who takes them elsewhere: in the order of arrival, a slice at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.bodies import raw
from freeplay_like.server.store.derived.filters import Filter
from freeplay_like.server.store.derived.lists import FoundCalls, find_calls, newest_seq
from freeplay_like.server.store.records.tables import amendment, record, record_body
from freeplay_like.server.store.tables import from_micros
from freeplay_like.server.store.views import Project

SLICE_CALLS: Final = 200
"""The most calls of one snapshot."""
SLICE_BYTES: Final = 1024 * 1024
"""About the most that the bodies of one snapshot take as they are stored, unless a single one takes more."""


@attrs.frozen(kw_only=True)
class ExportedCall:
    """A call as it was sent, what was said of it since, and what the server knows of it."""

    seq: int
    body: bytes
    amendments: tuple[bytes, ...]
    received_at: datetime
    cost_nano_usd: int | None


@attrs.frozen(kw_only=True)
class ExportSlice:
    """Some calls, and the number to go on after; None at the end. It may hold none, where few calls match."""

    calls: tuple[ExportedCall, ...]
    after_seq: int | None


def export_slice(connection: sa.Connection, of: Project, which: Filter, after_seq: int, until_seq: int) -> ExportSlice:
    """The next calls of a filter."""
    found = find_calls(connection, of, which, SLICE_CALLS, after=after_seq)
    ids = {row.seq: row.record_id for row in found.rows if row.seq <= until_seq}
    seqs = _that_fit(connection, list(ids))
    after = _next(found, seqs)
    is_end = after is None or after >= until_seq
    return ExportSlice(calls=_read(connection, of, ids, seqs), after_seq=None if is_end else after)


def _next(found: FoundCalls, taken: Sequence[int]) -> int | None:
    """The number to go on after, None at the end."""
    if len(taken) == len(found.rows) < SLICE_CALLS:
        return found.reached  # all there were, or all for which there was time to look
    return taken[-1] if taken else None


def _read(
    connection: sa.Connection, of: Project, ids: Mapping[int, str], seqs: Sequence[int]
) -> tuple[ExportedCall, ...]:
    said = _said_of(connection, of, [ids[seq] for seq in seqs])
    rows = connection.execute(
        sa.select(record.c.seq, record.c.received_at, record.c.cost_nano_usd, record_body.c.zstd)
        .join(record_body, record_body.c.seq == record.c.seq)
        .where(record.c.seq.in_(seqs))
        .order_by(record.c.seq)
    )
    return tuple(
        ExportedCall(
            seq=row.seq,
            body=raw(row.zstd),
            amendments=tuple(said.get(ids[row.seq], ())),
            received_at=from_micros(row.received_at),
            cost_nano_usd=row.cost_nano_usd,
        )
        for row in rows
    )


def _that_fit(connection: sa.Connection, seqs: list[int]) -> list[int]:
    """The first of these whose bodies are not too much together."""
    sizes = {
        seq: size
        for seq, size in connection.execute(
            sa.select(record_body.c.seq, sa.func.length(record_body.c.zstd)).where(record_body.c.seq.in_(seqs))
        )
    }
    fitting: list[int] = []
    total = 0
    for seq in seqs:
        total += sizes.get(seq, 0)
        if fitting and total > SLICE_BYTES:
            break
        fitting.append(seq)
    return fitting


def _said_of(connection: sa.Connection, of: Project, ids: list[str]) -> dict[str, list[bytes]]:
    said: dict[str, list[bytes]] = {}
    for record_id, packed in connection.execute(
        sa.select(amendment.c.record_id, amendment.c.zstd)
        .where(amendment.c.project_key == of.key, amendment.c.record_id.in_(ids))
        .order_by(amendment.c.made_at, amendment.c.amendment_id)
    ):
        said.setdefault(record_id, []).append(raw(packed))
    return said


class Exports(Part):
    """Hands out calls, whole."""

    def calls(self, project: Project, which: Filter) -> Iterator[tuple[ExportedCall, ...]]:
        """The calls of a filter that have arrived by now, oldest first, in slices that fit into memory."""
        until = self._access.ask(newest_seq, project)
        self._access.expect_all()
        return self._slices(project, which, until)

    def _slices(self, project: Project, filter: Filter, until: int) -> Iterator[tuple[ExportedCall, ...]]:
        after: int | None = 0
        while after is not None:
            found = self._access.ask_list(export_slice, project, filter, after, until)
            if found.calls:
                yield found.calls
            after = found.after_seq
