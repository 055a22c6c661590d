"""Copying a store in rounds, each of which brings what is new since the last, while its server goes on.

How far it has come stands in the target, so it goes on there whenever it was broken off. Numbers are kept: links and
cursors of readers stay good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store import schema
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.engines.database import Database, database_of
from freeplay_like.server.store.moving import applying, checking
from freeplay_like.server.store.moving.checking import Difference, Reading, Summed
from freeplay_like.server.store.moving.rows import RECORDS, Part, Row, beside_records, different, in_batches, rows_of
from freeplay_like.server.store.moving.steps import MoveRefused, Step, Tell
from freeplay_like.server.store.records.tables import record, record_body
from freeplay_like.server.store.tables import metadata, size_sample, store_state

BATCH_RECORDS: Final = 500
"""How many records are copied in one transaction."""
BATCH_BYTES: Final = 8 << 20
"""How much of their bodies is held in memory at once, or one body."""
SCANNED: Final = 100_000
"""How many numbers of records are compared at once."""

_progress: Final = sa.Table(
    "copy_progress",
    sa.MetaData(),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("copied_seq", sa.BigInteger, nullable=False),
)
"""One row while a copy into the database is under way; the table goes when it is complete."""
_OWN: Final = (store_state, size_sample)


@attrs.frozen(kw_only=True)
class Round:
    """What a round brought: records that were new, and rows of other tables, and records, that were changed or went."""

    new: int
    changed: int


def is_under_way(connection: sa.Connection) -> bool:
    """Whether a copy into this database was begun and is not complete."""
    return sa.inspect(connection).has_table(_progress.name)


class Copy:
    """Copies everything from one database to another; a context manager.

    Raises:
        MoveRefused: on entering, where they cannot be source and target.
        DatabaseTooNew: the same, a newer release wrote one of them.
    """

    def __init__(self, source: Database, target: Database, tell: Tell) -> None:
        self._names = source.name, target.name
        self._source = source.open(is_writer=False)
        self._target = target.open(is_writer=False)
        self._writing = target.open(is_writer=True)
        self._tell = tell
        self._copied_seq = 0

    def __enter__(self) -> Copy:
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of both databases."""
        for engine in (self._source, self._target, self._writing):
            engine.dispose()

    def round(self) -> Round:
        """Bring what is new, changed and gone since the last round, and derive what is derived from it."""
        with self._source.begin() as connection:
            settled = database_of(connection).settled_seq(connection)
        with self._source.begin() as connection:
            changed = self._drop_records(connection) + self._copy_beside(connection)
        new = self._copy_records(settled)
        self._derive()
        return Round(new=new, changed=changed)

    def finish(self) -> Iterator[Summed | Difference]:
        """The last round, over a source that nobody changes any more; then all is compared, as `checking.compare` does.

        Records that were changed after they were copied are copied again. Where no difference is found, the target is
        ready for its servers.

        Raises:
            MoveRefused: a server runs over the source, or over the target.
        """
        checking.require_no_server(self._source, self._names[0])
        self.round()
        is_same = True
        for found in checking.compare_all(self._reading, self._tell, self._renew_different):
            is_same = is_same and not isinstance(found, Difference)
            yield found
        if is_same:
            self._derive()
            with self._changing() as connection:
                _progress.drop(connection)

    # --- beginning ----------------------------------------------------------------------------------------

    def _begin(self) -> None:
        source, target = self._names
        if source == target:
            raise MoveRefused(f"{source} is source and target at once")
        checking.require_tables(self._source, source)
        checking.require_no_server(self._target, target)
        with self._writing.begin() as connection:
            has_tables = schema.current(connection) is not None
            is_begun = is_under_way(connection)
            if has_tables and not is_begun and _holds_anything(connection):
                raise MoveRefused(f"{target} is not empty, and no copy into it is under way: name an empty database")
        schema.upgrade(self._writing)
        with self._writing.begin() as connection:
            database_of(connection).lock(connection)
            if not is_begun:
                _progress.create(connection)
                connection.execute(sa.insert(_progress).values(source=source, copied_seq=0))
            begun_from, self._copied_seq = connection.execute(sa.select(_progress)).one()
        if begun_from != source:
            raise MoveRefused(
                f"the copy into {target} was begun from {begun_from}, not from {source}: go on with that one, or name "
                "an empty database"
            )

    @contextmanager
    def _changing(self) -> Iterator[sa.Connection]:
        with self._writing.begin() as connection:
            database_of(connection).lock(connection)
            if connection.scalar(sa.select(_progress.c.copied_seq)) != self._copied_seq:
                raise MoveRefused(f"another copy into {self._names[1]} goes on at the same time")
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        with self._source.begin() as source, self._target.begin() as target:
            yield source, target

    # --- what is not a record -----------------------------------------------------------------------------

    def _copy_beside(self, source: sa.Connection) -> int:
        """Make all tables but those of records like the source's; how many rows were not."""
        parts, changed = beside_records(), 0
        for number, part in enumerate(reversed(parts)):
            self._tell(Step(doing="compare tables", done=number, total=len(parts)))
            with self._target.begin() as target:
                changed += applying.clear(part.table, _pairs(source, target, part), self._changing)
        for number, part in enumerate(parts if changed else ()):
            self._tell(Step(doing="copy tables", done=number, total=len(parts)))
            with self._target.begin() as target:
                applying.fill(part.table, _pairs(source, target, part), self._changing)
        last_seq = database_of(source).settled_seq(source)
        with self._changing() as connection:
            database_of(connection).resume_numbers(connection, last_seq)
        return changed

    # --- records ------------------------------------------------------------------------------------------

    def _copy_records(self, settled: int) -> int:
        began_at, copied = self._copied_seq, 0
        while True:
            with self._source.begin() as source:
                is_new = sa.and_(record.c.seq > self._copied_seq, record.c.seq <= settled)
                some = sa.select(record.c.seq).where(is_new).order_by(record.c.seq).limit(BATCH_RECORDS)
                seqs = source.scalars(some).all()
                if not seqs:
                    return copied
                with self._changing() as target:
                    _add(source, target, seqs)
                    target.execute(sa.update(_progress).values(copied_seq=seqs[-1]))
            self._copied_seq = seqs[-1]
            copied += len(seqs)
            self._tell(Step(doing="copy records", done=self._copied_seq - began_at, total=settled - began_at))

    def _drop_records(self, source: sa.Connection) -> int:
        """Delete those at the target that were deleted at the source after they were copied; how many."""
        dropped = 0
        for low in range(0, self._copied_seq + 1, SCANNED):
            high = min(low + SCANNED - 1, self._copied_seq)
            statement = sa.select(record.c.seq).where(record.c.seq.between(low, high))
            with self._target.begin() as target:
                gone = set(target.scalars(statement)) - set(source.scalars(statement))
            for seqs in in_batches(sorted(gone), BATCH_RECORDS):
                self._renew(source, seqs)
            dropped += len(gone)
        return dropped

    def _renew_different(self, parts: Sequence[Part]) -> None:
        """Copy those records of a block again that are not the same."""
        with self._reading() as (source, target):
            seqs: set[int] = set()
            for part in parts:
                for pair in _pairs(source, target, part):
                    seqs.update(part.key_of(row) for row in pair if row is not None)
            for some in in_batches(sorted(seqs), BATCH_RECORDS):
                self._renew(source, some)

    def _renew(self, source: sa.Connection, seqs: Sequence[int]) -> None:
        """Make records at the target anew as the source has them, if it does, and what is derived of them."""
        with self._changing() as target, database_of(target).wiping(target):
            following.forget(target, seqs)
            known = sa.select(record.c.project_key, record.c.record_id).where(record.c.seq.in_(seqs))
            for project_key, record_id in target.execute(known).all():
                database_of(target).forget_records(target, project_key, [record_id])
            for table in reversed(RECORDS):
                target.execute(sa.delete(table).where(table.c.seq.in_(seqs)))
            _add(source, target, seqs)
            following.refresh(target, seqs)
            applying.wipe_soon(target)

    def _derive(self) -> None:
        """Make what is derived from the records that were copied."""
        for work in (following.follow, following.index_slice):
            made = "more"
            while made != "done":
                with self._writing.begin() as connection:
                    made = work(connection)
                    done = following.indexed_seq(connection)
                if made == "later":
                    raise MoveRefused(f"a server runs over {self._names[1]}; stop it until the copy is complete")
                self._tell(Step(doing="index records", done=done, total=self._copied_seq))


def _pairs(source: sa.Connection, target: sa.Connection, part: Part) -> Iterator[tuple[Row | None, Row | None]]:
    return different(rows_of(source, part), rows_of(target, part), part.key_of)


def _add(source: sa.Connection, target: sa.Connection, seqs: Sequence[int]) -> None:
    """Copy records that the target has not."""
    rows = list(rows_of(source, Part(table=record, where=record.c.seq.in_(seqs))))
    columns = list(record.columns)
    of, called = columns.index(record.c.project_key), columns.index(record.c.record_id)
    database = database_of(target)
    database.adopt(target, {(row[of], row[called]): row[0] for row in rows})
    database.insert_many(target, record, rows)
    held, size = list[Row](), 0
    for row in rows_of(source, Part(table=record_body, where=record_body.c.seq.in_(seqs))):
        held.append(row)
        size += len(row[1])
        if size > BATCH_BYTES:
            database.insert_many(target, record_body, held)
            held, size = [], 0
    database.insert_many(target, record_body, held)


def _holds_anything(connection: sa.Connection) -> bool:
    return any(
        connection.execute(sa.select(*table.primary_key).limit(1)).first() is not None
        for table in metadata.sorted_tables
        if table not in _OWN
    )
