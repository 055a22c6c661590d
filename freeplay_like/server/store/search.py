"""Looking for a text in calls: an index that is filled behind the commits, and what finds a call before that.

Filling the index takes several times as long as storing the record, so no caller waits for it: the writer does it
when it has nothing else to do, and a share of its time when it always has.
"""

from __future__ import annotations

import logging
from typing import Final, TypeVar

import sqlalchemy as sa

from freeplay_like.core.records import Record
from freeplay_like.core.wire import WireError
from freeplay_like.server.store import sqlite
from freeplay_like.server.store.bodies import unpack
from freeplay_like.server.store.record_tables import record, record_body
from freeplay_like.server.store.tables import store_state

logger = logging.getLogger(__name__)

S = TypeVar("S", bound=sa.Select[*tuple[object, ...]])

TEXT_LIMIT: Final = 8_192
"""The most characters of one call that are indexed."""
ANSWER_LIMIT: Final = 4_096
ERROR_LIMIT: Final = 512
SLICE_RECORDS: Final = 25
"""How many records are indexed in one transaction: a batch that comes meanwhile waits for it, some 10 ms."""


def text_of(value: Record) -> str:
    """What of a call can be found: its error, its answer, and its messages from the last one back."""
    parts = [value.error.message[:ERROR_LIMIT]] if value.error else []
    answers = [part for choice in value.choices for part in (choice.text, choice.refusal) if part]
    parts.append("\n".join(answers)[:ANSWER_LIMIT])
    parts += [message.text for message in reversed(value.messages)]
    return "\n".join(part for part in parts if part)[:TEXT_LIMIT]


def indexed_seq(connection: sa.Connection) -> int:
    """The number of the last record that is in the index."""
    return connection.scalar(sa.select(store_state.c.value).where(store_state.c.name == "indexed_seq")) or 0


def index_slice(connection: sa.Connection) -> bool:
    """Put the next records into the index; True where more are left."""
    rows = connection.execute(
        sa.select(record_body.c.seq, record_body.c.zstd)
        .where(record_body.c.seq > indexed_seq(connection))
        .order_by(record_body.c.seq)
        .limit(SLICE_RECORDS)
    ).all()
    if not rows:
        return False
    texts = []
    for seq, packed in rows:
        try:
            texts.append((seq, text_of(unpack(packed, Record))))
        except WireError:
            logger.exception("the stored record number %d cannot be read, and will not be found by its text", seq)
    sqlite.index_texts(connection, texts)
    connection.execute(sa.update(store_state).where(store_state.c.name == "indexed_seq").values(value=rows[-1].seq))
    return len(rows) == SLICE_RECORDS


def replace(connection: sa.Connection, seq: int, before: Record, after: Record) -> None:
    """Let the index know that a record was replaced; one that is not indexed yet is read when its turn comes."""
    if seq <= indexed_seq(connection):
        sqlite.unindex_text(connection, seq, text_of(before))
        sqlite.index_texts(connection, [(seq, text_of(after))])


def ways_to_find(connection: sa.Connection, statement: S, text: str) -> list[S]:
    """The statement narrowed to calls that hold `text`, in ways that do not overlap and together find all.

    A text too short for the index, and a call not indexed yet, are looked for in the first lines alone.
    """
    in_first_lines = sa.or_(
        record.c.first_user.icontains(text, autoescape=True), record.c.first_answer.icontains(text, autoescape=True)
    )
    if len(text) < sqlite.SEARCH_MINIMUM:
        return [statement.where(in_first_lines)]
    return [
        statement.where(record.c.seq > indexed_seq(connection), in_first_lines),
        sqlite.narrow_by_text(statement, record.c.seq, text),
    ]
