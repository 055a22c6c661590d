"""Deleting what was recorded, everywhere it is: the record, its body, what was said of it, what was derived from it,
test cases made from it.

Everything goes in slices, each a short transaction, so that records are taken meanwhile. A deletion that was broken
off is finished by asking for it again. What was deleted is in no answer any more when the call returns; `wipe` then
takes its traces out of the database file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final, TypeAlias

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.access import Part
from freeplay_like.server.store.bodies import unpack
from freeplay_like.server.store.derived import following
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.records.tables import amendment, record, record_body
from freeplay_like.server.store.removal import beside, tombstones
from freeplay_like.server.store.removal.belonging import delete_project, delete_whole, tables_with
from freeplay_like.server.store.tables import api_key, store_state, to_micros
from freeplay_like.server.store.views import Project

SLICE_RECORDS: Final = 100
"""How many records are deleted in one transaction."""
SCAN_RECORDS: Final = 500
"""How many bodies are looked through in one snapshot."""
WIPE_DELAY: Final = timedelta(minutes=1)
"""How long the wiping of the file waits for further deletions: it costs the same for one as for many."""
WIPE_DELAY_EXPIRED: Final = timedelta(days=1)
"""The same for records whose time was over."""

Numbered: TypeAlias = tuple[int, str]
"""A record by its number and its id."""
Find: TypeAlias = Callable[[sa.Connection], Sequence[Numbered]]


@attrs.frozen(kw_only=True)
class DeletionReport:
    """How much was deleted."""

    records: int = 0
    amendments: int = 0
    sessions: int = 0
    test_cases: int = 0

    def __add__(self, other: DeletionReport) -> DeletionReport:
        """Both together."""
        return DeletionReport(
            records=self.records + other.records,
            amendments=self.amendments + other.amendments,
            sessions=self.sessions + other.sessions,
            test_cases=self.test_cases + other.test_cases,
        )


@attrs.frozen(kw_only=True)
class Whole:
    """The sessions and the traces that have some metadata as their own."""

    session_ids: tuple[str, ...]
    trace_ids: tuple[str, ...]


def delete_records(
    connection: sa.Connection,
    project_key: int,
    found: Sequence[Numbered],
    now: datetime,
    *,
    is_expired: bool = False,
    is_body_left: bool = False,
) -> DeletionReport:
    """Delete some records and everything about them, in the transaction at hand.

    `is_expired`: their time was over. Then test cases that people made from them stay, and a late arrival of one is
    not refused: its time is over too. `is_body_left`: their bodies and their words in the index are dropped later, with
    the stretch of numbers that they lie in.
    """
    if not found:
        return DeletionReport()
    seqs, ids = [seq for seq, _ in found], [record_id for _, record_id in found]
    cases = 0
    with database_of(connection).wiping(connection):
        following.forget(connection, seqs, is_text=not is_body_left)
        if not is_expired:
            tombstones.bury(connection, project_key, ids, to_micros(now))
            cases = beside.delete_of_records(connection, project_key, seqs)
        said = delete_whole(connection, amendment, _named(amendment, project_key, ids))
        for table in tables_with("project_key", "record_id"):
            if table is not record and table is not amendment:
                delete_whole(connection, table, _named(table, project_key, ids))
        if not is_body_left:
            connection.execute(sa.delete(record_body).where(record_body.c.seq.in_(seqs)))
        gone = connection.execute(sa.delete(record).where(record.c.seq.in_(seqs))).rowcount
        database_of(connection).forget_records(connection, project_key, ids)
    _ask_for_wipe(connection, to_micros(now + (WIPE_DELAY_EXPIRED if is_expired else WIPE_DELAY)))
    return DeletionReport(records=gone, amendments=said, test_cases=cases)


def _in_session(connection: sa.Connection, project_key: int, session_id: str) -> tuple[Numbered, ...]:
    is_in_it = record.c.project_key == project_key, record.c.session_id == session_id
    return _numbered(connection, sa.select(record.c.seq, record.c.record_id).where(*is_in_it).limit(SLICE_RECORDS))


def _in_trace(connection: sa.Connection, project_key: int, trace_id: str) -> tuple[Numbered, ...]:
    is_in_it = record.c.project_key == project_key, record.c.trace_id == trace_id
    return _numbered(connection, sa.select(record.c.seq, record.c.record_id).where(*is_in_it).limit(SLICE_RECORDS))


def _delete_trace(connection: sa.Connection, project_key: int, trace_id: str) -> None:
    with database_of(connection).wiping(connection):
        beside.delete_traces(connection, project_key, [trace_id])


def _delete_sessions(connection: sa.Connection, project_key: int, session_ids: Sequence[str]) -> int:
    with database_of(connection).wiping(connection):
        return beside.delete_of_sessions(connection, project_key, session_ids)


def _with_ids(connection: sa.Connection, project_key: int, ids: Sequence[str]) -> tuple[Numbered, ...]:
    seqs = database_of(connection).seqs_of(connection, project_key, ids)
    return tuple((seq, record_id) for record_id, seq in seqs.items())


def _with_seqs(connection: sa.Connection, seqs: Sequence[int]) -> tuple[Numbered, ...]:
    return _numbered(connection, sa.select(record.c.seq, record.c.record_id).where(record.c.seq.in_(seqs)))


def _any_of(connection: sa.Connection, project_key: int) -> tuple[Numbered, ...]:
    statement = sa.select(record.c.seq, record.c.record_id).where(record.c.project_key == project_key)
    return _numbered(connection, statement.limit(SLICE_RECORDS))


def _numbered(connection: sa.Connection, statement: sa.Select[int, str]) -> tuple[Numbered, ...]:
    return tuple((seq, record_id) for seq, record_id in connection.execute(statement))


def _named(table: sa.Table, project_key: int, ids: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.project_key == project_key, table.c.record_id.in_(ids))


@attrs.frozen(kw_only=True)
class _Scanned:
    """What a look through some bodies found; `last_seq` is None at the end."""

    found: tuple[Numbered, ...]
    session_ids: frozenset[str]
    last_seq: int | None


def _scan(connection: sa.Connection, project_key: int, wanted: Mapping[str, object], after_seq: int) -> _Scanned:
    """Look through the metadata of the next records. No index is asked: it may not have every key."""
    rows = connection.execute(
        sa.select(record.c.seq, record.c.record_id, record.c.session_id, record_body.c.zstd)
        .join(record_body, record_body.c.seq == record.c.seq)
        .where(record.c.project_key == project_key, record.c.seq > after_seq)
        .order_by(record.c.seq)
        .limit(SCAN_RECORDS)
    ).all()
    hits = [row for row in rows if beside.says(unpack(row.zstd, beside.Metadata).metadata, wanted)]
    return _Scanned(
        found=tuple((row.seq, row.record_id) for row in hits),
        session_ids=frozenset(row.session_id for row in hits if row.session_id is not None),
        last_seq=rows[-1].seq if rows else None,
    )


def _ask_for_wipe(connection: sa.Connection, due_at: int) -> None:
    """Have the file wiped at a moment, or before, if that was asked for already."""
    is_later = sa.or_(store_state.c.value == 0, store_state.c.value > due_at)
    connection.execute(sa.update(store_state).where(store_state.c.name == "wipe_due_at", is_later).values(value=due_at))


def wipe_due_at(connection: sa.Connection) -> int:
    """When the file is to be wiped, in microseconds since 1970; 0 where it need not be."""
    return connection.scalar(sa.select(store_state.c.value).where(store_state.c.name == "wipe_due_at")) or 0


class Deletion(Part):
    """Deletes what was recorded. Goes on when the disk is full: it makes room."""

    def record(self, project: Project, record_id: str) -> DeletionReport:
        """Delete one record and everything about it."""
        return self.records(project, [record_id])

    def records(self, project: Project, record_ids: Sequence[str]) -> DeletionReport:
        """Delete some records and everything about them. One that has not arrived yet will not be taken."""
        report = DeletionReport()
        for start in range(0, len(record_ids), SLICE_RECORDS):
            ids = record_ids[start : start + SLICE_RECORDS]
            self._access.change_anyway(
                partial(tombstones.bury, project_key=project.key, record_ids=ids, now_micros=self._now_micros())
            )
            report += self._delete(project.key, partial(_with_ids, project_key=project.key, ids=ids))
        return report

    def session(self, project: Project, session_id: str) -> DeletionReport:
        """Delete a session: its records, and what is kept of it beside them."""
        report = self._delete_all(project.key, partial(_in_session, project_key=project.key, session_id=session_id))
        beside = self._access.change_anyway(
            partial(_delete_sessions, project_key=project.key, session_ids=[session_id])
        )
        return report + DeletionReport(sessions=1 if beside or report.records else 0)

    def whole(self, project: Project, metadata: Mapping[str, object]) -> Whole:
        """What `person` would delete whole, whatever its records say."""
        return self._access.ask(
            lambda connection: Whole(
                session_ids=beside.sessions_saying(connection, project.key, metadata),
                trace_ids=beside.traces_saying(connection, project.key, metadata),
            )
        )

    def person(self, project: Project, metadata: Mapping[str, object]) -> DeletionReport:
        """Delete what was recorded with all of these metadata (`{"user_id": "u-1"}`), exactly.

        A session or a trace that has them as its own metadata is deleted whole; a session that is left without records
        is forgotten.

        Raises:
            ValueError: no metadata: that would be everything.
        """
        if not metadata:
            raise ValueError("name at least one key and value of metadata")
        report, session_ids, after_seq = DeletionReport(), set[str](), 0
        for session_id in self._access.ask(beside.sessions_saying, project.key, metadata):
            report += self.session(project, session_id)
        for trace_id in self._access.ask(beside.traces_saying, project.key, metadata):
            report += self._delete_all(project.key, partial(_in_trace, project_key=project.key, trace_id=trace_id))
            self._access.change_anyway(partial(_delete_trace, project_key=project.key, trace_id=trace_id))
        while True:
            scanned = self._access.ask(_scan, project.key, metadata, after_seq)
            if scanned.last_seq is None:
                break
            after_seq = scanned.last_seq
            session_ids |= scanned.session_ids
            for start in range(0, len(scanned.found), SLICE_RECORDS):
                seqs = [seq for seq, _ in scanned.found[start : start + SLICE_RECORDS]]
                report += self._delete(project.key, partial(_with_seqs, seqs=seqs))
        empty = [each for each in sorted(session_ids) if not self._access.ask(_in_session, project.key, each)]
        self._access.change_anyway(partial(_delete_sessions, project_key=project.key, session_ids=empty))
        return report + DeletionReport(sessions=len(empty))

    def project(self, of: Project) -> DeletionReport:
        """Delete a project and everything of it. Its keys end first."""
        now = self._now_micros()
        self._access.change_anyway(
            lambda connection: connection.execute(
                sa.update(api_key)
                .where(api_key.c.project_key == of.key, api_key.c.revoked_at.is_(None))
                .values(revoked_at=now)
            )
        )
        report = self._delete_all(of.key, partial(_any_of, project_key=of.key), is_expired=True)
        self._access.change_anyway(lambda connection: self._finish_project(connection, of))
        return report

    def purge_tombstones(self) -> bool:
        """Forget some of the deletions that are long over; True where more are left."""
        before = to_micros(self._access.clock.now() - tombstones.KEPT)
        return self._access.change_anyway(lambda connection: tombstones.purge(connection, before))

    def wipe_due_at(self) -> int:
        """When the file is to be wiped, in microseconds since 1970; 0 where it need not be."""
        return self._access.ask(wipe_due_at)

    def is_wipe_due(self) -> bool:
        """Whether the time to wipe the file has come."""
        return 0 < self.wipe_due_at() <= self._now_micros()

    def wipe(self, pause: Callable[[], bool] = lambda: False) -> bool:
        """Take the traces of what was deleted out of the database's files; True where nothing is left of them.

        `pause` is called between the slices, and says whether to break off. False: it was broken off, or a reader kept
        the log of changes from being emptied; it is to be done again.
        """
        asked_at = self.wipe_due_at()
        if not asked_at:
            return self._access.database.wipe_log(self._access.reader.engine)
        change = self._access.change_anyway
        if not self._access.database.wipe(self._access.reader.engine, change, pause):
            return False
        done = store_state.c.name == "wipe_due_at", store_state.c.value == asked_at
        change(lambda connection: connection.execute(sa.update(store_state).where(*done).values(value=0)))
        return True

    def _delete_all(self, project_key: int, find: Find, *, is_expired: bool = False) -> DeletionReport:
        """Delete what `find` finds, until it finds nothing."""
        report = DeletionReport()
        while (deleted := self._delete(project_key, find, is_expired=is_expired)).records:
            report += deleted
        return report

    def _delete(self, project_key: int, find: Find, *, is_expired: bool = False) -> DeletionReport:
        now = self._access.clock.now()
        return self._access.change_anyway(
            lambda connection: delete_records(connection, project_key, find(connection), now, is_expired=is_expired)
        )

    def _finish_project(self, connection: sa.Connection, of: Project) -> None:
        with database_of(connection).wiping(connection):
            following.forget_project(connection, of.key)
            delete_project(connection, of.key)
        connection.execute(
            sa.update(store_state)
            .where(store_state.c.name == "last_project_key", store_state.c.value < of.key)
            .values(value=of.key)
        )
        _ask_for_wipe(connection, to_micros(self._access.clock.now() + WIPE_DELAY))

    def _now_micros(self) -> int:
        return to_micros(self._access.clock.now())
