"""What is derived behind the commits follows `record` in the order of `seq`.

Two cursors: `derived_seq` (facets, sessions, rollups: cheap, and first) and `indexed_seq` (texts). Readers look at the
records after a cursor themselves, so every answer is exact at once. Where several servers share a database, whoever
gets its lock derives the next slice, and texts are indexed by workers side by side (see `indexing`).

Whoever changes or deletes records that are stored says so, in the same transaction:

    following.forget(connection, seqs)      # before: what was derived of them is taken back
    ...delete the rows, or change them...
    following.refresh(connection, seqs)     # after a change, not after a deletion
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import Final

import sqlalchemy as sa

from freeplay_like.server.store.derived import facet_index, rollups, search, session_sums
from freeplay_like.server.store.derived.facet_index import Change, chunks
from freeplay_like.server.store.derived.facets import Facts, Said, said_facets_of
from freeplay_like.server.store.derived.facts import facts_where, said_of
from freeplay_like.server.store.derived.tables import facet, facet_block, rollup, session_summary
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import store_state
from freeplay_like.server.store.writer import Progress

DERIVE_FROM: Final = 400
"""How many records must wait before anything is derived from them.

A set of facets is written whole, however few calls come to it; and what waits is soon looked at by readers.
"""
DERIVE_RECORDS: Final = 800
"""How many records are derived from in one transaction: a batch that comes meanwhile waits for it, some 100 ms."""
INDEX_RECORDS: Final = 100
"""How many texts are indexed in one transaction; the same, some 30 ms."""

_IS_DERIVED_SEQ: Final = store_state.c.name == "derived_seq"
_DERIVED_SEQ: Final = sa.select(store_state.c.value).where(_IS_DERIVED_SEQ)


def derived_seq(connection: sa.Connection) -> int:
    """The number of the last record of which facets, sessions and rollups know."""
    return int(connection.execute(_DERIVED_SEQ).scalar_one())


def indexed_seq(connection: sa.Connection) -> int:
    """The number up to which every record's text is in the index."""
    return database_of(connection).indexed_seq(connection)


def follow(connection: sa.Connection) -> Progress:
    """Derive from the next records, in the writer's transaction, unless another server does it just now."""
    database = database_of(connection)
    if not database.try_lock(connection):
        return "later"
    if derive_slice(connection):
        return "more"
    return "done" if database.is_shared else index_slice(connection)


def derive_slice(connection: sa.Connection, *, least: int = DERIVE_FROM) -> bool:
    """Derive facets, sessions and rollups from the next records; False where too few wait to begin."""
    settled = database_of(connection).settled_seq(connection)
    where = sa.and_(record.c.seq > derived_seq(connection), record.c.seq <= settled)
    seqs = connection.scalars(sa.select(record.c.seq).where(where).order_by(record.c.seq).limit(DERIVE_RECORDS)).all()
    if len(seqs) < least or not seqs:
        return False
    _derive(connection, facts_where(connection, sa.and_(where, record.c.seq <= seqs[-1])))
    connection.execute(sa.update(store_state).where(_IS_DERIVED_SEQ).values(value=seqs[-1]))
    return True


def index_slice(connection: sa.Connection) -> Progress:
    """Put the next texts into the index."""
    seqs = database_of(connection).take_texts(connection, INDEX_RECORDS)
    if seqs is None:
        return "later"
    search.index(connection, seqs)
    return "more" if seqs else "done"


def _derive(connection: sa.Connection, calls: Sequence[Facts]) -> None:
    for project_key, theirs in _by_project(calls):
        facet_index.add(connection, project_key, Change.of(theirs))
        rollups.change(connection, project_key, theirs)
        session_sums.add(connection, project_key, theirs)


def _by_project(calls: Sequence[Facts]) -> Iterator[tuple[int, list[Facts]]]:
    ordered = sorted(calls, key=lambda facts: (facts.project_key, facts.seq))
    for project_key, theirs in groupby(ordered, key=lambda facts: facts.project_key):
        yield project_key, list(theirs)


def forget(connection: sa.Connection, seqs: Iterable[int], *, is_text: bool = True) -> None:
    """Take back all that was derived of records. Call it while their rows are still as they were.

    `is_text` False: their words are left in the index, where nobody looks for them once their rows are gone.
    """
    wanted = sorted(set(seqs))
    _forget_facts(connection, wanted)
    if is_text:
        search.unindex(connection, database_of(connection).indexed_among(connection, wanted))


def refresh(connection: sa.Connection, seqs: Iterable[int]) -> None:
    """Derive again from records that were forgotten, changed, and are still there."""
    wanted = sorted(set(seqs))
    _derive(connection, _derived_facts(connection, wanted))
    search.index(connection, database_of(connection).indexed_among(connection, wanted))


@contextmanager
def changing(connection: sa.Connection, seqs: Iterable[int], *, is_text: bool = True) -> Iterator[None]:
    """Keep what is derived right while the block changes records (prices, the end of an interrupted call).

    `is_text` False where their texts stay as they are.
    """
    wanted = sorted(set(seqs))
    if is_text:
        forget(connection, wanted)
        yield
        refresh(connection, wanted)
    else:
        _forget_facts(connection, wanted)
        yield
        _derive(connection, _derived_facts(connection, wanted))


@contextmanager
def amending(connection: sa.Connection, said_of_records: Iterable[tuple[int, str]]) -> Iterator[None]:
    """Keep what is derived right while the block stores what is said of records, each `(project_key, record_id)`."""
    calls = _calls_of(connection, said_of_records)
    before = said_of(connection, calls)
    yield
    after = said_of(connection, calls)
    for project_key, theirs in _by_project(calls):
        gone, come = Change(), Change()
        for facts in theirs:
            had = set(said_facets_of(before.get(facts.seq, Said())))
            has = set(said_facets_of(after.get(facts.seq, Said())))
            gone.take(facts.seq, sorted(had - has))
            come.take(facts.seq, sorted(has - had))
        facet_index.remove(connection, project_key, gone)
        facet_index.add(connection, project_key, come)


def forget_project(connection: sa.Connection, project_key: int) -> None:
    """Take away what is left of a project when none of its records is."""
    for key in connection.scalars(sa.select(facet.c.key).where(facet.c.project_key == project_key)).all():
        connection.execute(sa.delete(facet_block).where(facet_index.places_of(key)))
    for table in (facet, rollup, session_summary):
        connection.execute(sa.delete(table).where(table.c.project_key == project_key))


def _forget_facts(connection: sa.Connection, seqs: Sequence[int]) -> None:
    for project_key, theirs in _by_project(_derived_facts(connection, seqs)):
        facet_index.remove(connection, project_key, Change.of(theirs))
        rollups.change(connection, project_key, theirs, times=-1)
        session_sums.remove(connection, project_key, theirs)


def _derived_facts(connection: sa.Connection, seqs: Iterable[int], *, is_said: bool = True) -> list[Facts]:
    """The facts of those records of which something is derived."""
    derived = derived_seq(connection)
    found: list[Facts] = []
    for some in chunks([seq for seq in seqs if seq <= derived]):
        found += facts_where(connection, record.c.seq.in_(some), is_said=is_said)
    return found


def _calls_of(connection: sa.Connection, records: Iterable[tuple[int, str]]) -> list[Facts]:
    """The facts of those among some records, each `(project_key, record_id)`, of which something is derived."""
    found: list[Facts] = []
    for project_key, theirs in groupby(sorted(set(records)), key=lambda pair: pair[0]):
        seqs = database_of(connection).seqs_of(connection, project_key, [record_id for _, record_id in theirs])
        found += _derived_facts(connection, seqs.values(), is_said=False)
    return found
