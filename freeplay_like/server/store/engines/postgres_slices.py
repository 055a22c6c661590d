"""Which texts are in PostgreSQL's index, and which come next: the workers of all servers share them, in slices.

`indexed_seq` of `store_state` is up to where texts were given out. What was given out and is not in the index yet is a
row of `text_slice`. A worker takes a row that nobody else has and deletes it in the transaction that fills the index:
one that dies leaves its row to the others.

Each holds a shared lock meanwhile. Whoever takes texts out of the index holds it alone, up to the end of the
transaction: so no worker puts back what is being deleted, and no word is dropped that a worker is just relying on.
Workers wait for that lock before they hold anything else, and take no lock of the whole store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.records.tables import record

AHEAD: Final = 64
"""The most slices that are made at once; when they are done, more are."""

_TAKE: Final = sa.text(
    "DELETE FROM text_slice WHERE first_seq = (SELECT first_seq FROM text_slice ORDER BY first_seq LIMIT 1 "
    "FOR UPDATE SKIP LOCKED) RETURNING first_seq, last_seq"
)
_PUT: Final = sa.text("INSERT INTO text_slice (first_seq, last_seq) VALUES (:first, :last)")
_GIVEN_OUT: Final = sa.text("SELECT value FROM store_state WHERE name = 'indexed_seq'")
_GIVE_OUT: Final = sa.text("UPDATE store_state SET value = :last WHERE name = 'indexed_seq'")
_WAITING: Final = sa.text("SELECT first_seq, last_seq FROM text_slice")
_INDEXED: Final = sa.text(
    "SELECT coalesce((SELECT min(first_seq) - 1 FROM text_slice), "
    "(SELECT value FROM store_state WHERE name = 'indexed_seq'), 0)"
)


def take(connection: sa.Connection) -> Sequence[int] | None:
    """The records of a slice that waits and that no other worker has; None where there is none."""
    while (row := connection.execute(_TAKE).one_or_none()) is not None:
        is_in_it = record.c.seq.between(row.first_seq, row.last_seq)
        seqs = connection.scalars(sa.select(record.c.seq).where(is_in_it).order_by(record.c.seq)).all()
        if seqs:  # else they were deleted meanwhile
            return seqs
    return None


def cut(connection: sa.Connection, settled_seq: Callable[[sa.Connection], int], size: int) -> Sequence[int]:
    """Make slices of what came since the last ones; answers the first, which no other worker gets. One at a time."""
    last = connection.execute(_GIVEN_OUT).scalar_one()
    is_next = record.c.seq > last, record.c.seq <= settled_seq(connection)
    seqs = connection.scalars(sa.select(record.c.seq).where(*is_next).order_by(record.c.seq).limit(size * AHEAD)).all()
    if seqs:
        connection.execute(_GIVE_OUT, {"last": seqs[-1]})
    waiting = [seqs[begin : begin + size] for begin in range(size, len(seqs), size)]
    if waiting:
        connection.execute(_PUT, [{"first": some[0], "last": some[-1]} for some in waiting])
    return seqs[:size]


def indexed_seq(connection: sa.Connection) -> int:
    """The number up to which every text is in the index."""
    return int(connection.execute(_INDEXED).scalar_one())


def indexed_among(connection: sa.Connection, seqs: Sequence[int]) -> Sequence[int]:
    """Those of some numbers whose texts are in the index. Ask it while no worker can be at work."""
    given_out = connection.execute(_GIVEN_OUT).scalar_one()
    waiting = connection.execute(_WAITING).all()
    return [seq for seq in seqs if seq <= given_out and not any(first <= seq <= last for first, last in waiting)]
