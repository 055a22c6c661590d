"""Reading replays: how far they are, and their calls beside the originals."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.server.store.bodies import unpack
from freeplay_like.server.store.derived.facet_index import chunks
from freeplay_like.server.store.derived.lists import COLUMNS, row_of
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.records.tables import record
from freeplay_like.server.store.tables import from_micros, person
from freeplay_like.server.store.trials.leases import UNASKED
from freeplay_like.server.store.trials.replay_tables import replay_item, replay_job
from freeplay_like.server.store.trials.replay_views import (
    Replay,
    ReplayItem,
    ReplayNotFound,
    ReplaySpec,
    ReplayTotals,
)
from freeplay_like.server.store.views import CallRow, Project

EQUAL: Final = 1.0

_new: Final = record.alias("answer")
_old: Final = record.alias("original")
_FIELDS: Final = tuple(field.name for field in attrs.fields(CallRow) if field.name != "project_id")
_IS_DONE: Final = sa.and_(_new.c.ended_at.is_not(None), _new.c.outcome.not_in(UNASKED))


def is_done() -> sa.ColumnElement[bool]:
    """Whether a call of a replay, joined as `with_calls` does, is not to be made (again)."""
    return _IS_DONE


def with_calls(of: Project) -> sa.FromClause:
    """The calls of replays of a project, with their records and those of the originals, where there are any."""
    is_new = sa.and_(_new.c.project_key == of.key, _new.c.record_id == replay_item.c.record_id)
    is_old = sa.and_(_old.c.project_key == of.key, _old.c.record_id == replay_item.c.source_id)
    return replay_item.outerjoin(_new, is_new).outerjoin(_old, is_old)


def job_key(connection: sa.Connection, of: Project, replay_id: str) -> int:
    """The key of a replay.

    Raises:
        ReplayNotFound: there is none.
    """
    where = replay_job.c.project_key == of.key, replay_job.c.id == replay_id
    key: int | None = connection.scalar(sa.select(replay_job.c.key).where(*where))
    if key is None:
        raise ReplayNotFound(f"project {of.name!r} has no replay {replay_id[:100]!r}")
    return key


def get(connection: sa.Connection, of: Project, replay_id: str) -> Replay:
    """One replay.

    Raises:
        ReplayNotFound: there is none.
    """
    key = job_key(connection, of, replay_id)
    return _read(connection, of, replay_job.c.key == key)[0]


def page(connection: sa.Connection, of: Project, offset: int, limit: int) -> tuple[Replay, ...]:
    """The replays of recorded calls of a project, newest first."""
    where = replay_job.c.project_key == of.key, replay_job.c.kind == "replay"
    newest = sa.select(replay_job.c.key).where(*where).order_by(replay_job.c.key.desc()).offset(offset).limit(limit)
    return tuple(_read(connection, of, replay_job.c.key.in_(connection.scalars(newest).all())))


def items(
    connection: sa.Connection, of: Project, replay_id: str, offset: int, limit: int, *, is_worst_first: bool
) -> tuple[ReplayItem, ...]:
    """Calls of a replay as they were put in, or those first whose answer is least like the original's.

    Raises:
        ReplayNotFound: there is no such replay.
    """
    of_job = replay_item.c.job_key == job_key(connection, of, replay_id)
    # an error is worse than any answer; what has neither yet comes last
    rank = sa.case((_new.c.outcome == "error", 0), (replay_item.c.likeness.is_not(None), 1), (_IS_DONE, 2), else_=3)
    order = (rank, replay_item.c.likeness, replay_item.c.place) if is_worst_first else (replay_item.c.place,)
    statement = _items(of).where(of_job).order_by(*order).offset(offset).limit(limit)
    return tuple(_item(of, row) for row in connection.execute(statement).mappings())


def sources(connection: sa.Connection, of: Project, record_ids: Sequence[str]) -> tuple[CallRow, ...]:
    """The calls of these ids, in that order, without those that are not there."""
    found: dict[str, CallRow] = {}
    for some in chunks(record_ids):
        seqs = database_of(connection).seqs_of(connection, of.key, some)
        rows = connection.execute(sa.select(*COLUMNS).where(record.c.seq.in_(seqs.values()))).mappings()
        found.update({row["record_id"]: row_of(of, row) for row in rows})
    return tuple(found[record_id] for record_id in dict.fromkeys(record_ids) if record_id in found)


def unfinished(connection: sa.Connection, of: Project, key: int) -> tuple[ReplayItem, ...]:
    """The calls of a replay with which something is still to be done: to be made, or to be compared."""
    is_compared = sa.or_(replay_item.c.likeness.is_not(None), _old.c.seq.is_(None))
    is_open = replay_item.c.job_key == key, replay_item.c.problem.is_(None), ~sa.and_(_is_true(_IS_DONE), is_compared)
    rows = connection.execute(_items(of).where(*is_open).order_by(replay_item.c.place))
    return tuple(_item(of, row) for row in rows.mappings())


def _is_true(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[bool]:
    """A condition that is never null: over a row that is not there it does not hold."""
    return sa.func.coalesce(condition, sa.false())


def _items(of: Project) -> sa.Select[tuple[object, ...]]:
    columns = [_new.c[name].label(f"new_{name}") for name in _FIELDS]
    columns += [_old.c[name].label(f"old_{name}") for name in _FIELDS]
    return sa.select(*replay_item.c, _IS_DONE.label("is_done"), *columns).select_from(with_calls(of))


def _item(of: Project, row: sa.RowMapping) -> ReplayItem:
    own = {name: row[name] for name in ("place", "choice", "source_id", "record_id", "likeness", "problem")}
    return ReplayItem(**own, is_done=bool(row["is_done"]), original=_row(of, row, "old_"), answer=_row(of, row, "new_"))


def _row(of: Project, row: sa.RowMapping, prefix: str) -> CallRow | None:
    if row[f"{prefix}seq"] is None:
        return None
    values = {name: row[prefix + name] for name in _FIELDS}
    values["started_at"] = from_micros(values["started_at"])
    return CallRow(project_id=of.id, **values)


def _read(connection: sa.Connection, of: Project, where: sa.ColumnElement[bool]) -> list[Replay]:
    statement = (
        sa.select(replay_job, person.c.name.label("person_name"))
        .select_from(replay_job.outerjoin(person, person.c.id == replay_job.c.created_by))
        .where(where)
        .order_by(replay_job.c.key.desc())
    )
    rows = connection.execute(statement).mappings().all()
    totals = _totals(connection, of, [row["key"] for row in rows])
    return [
        Replay(
            id=row["id"],
            kind=row["kind"],
            is_bulk=row["is_bulk"],
            spec=unpack(row["zstd"], ReplaySpec),
            state=row["state"],
            error=row["error"],
            created_at=from_micros(row["created_at"]),
            created_by=row["person_name"],
            ended_at=None if row["ended_at"] is None else from_micros(row["ended_at"]),
            totals=totals[row["key"]],
        )
        for row in rows
    ]


_NOTHING: Final = ReplayTotals(
    items=0,
    answered=0,
    failed=0,
    skipped=0,
    compared=0,
    equal=0,
    priced=0,
    cost_nano_usd=0,
    original_cost_nano_usd=0,
    timed=0,
    latency_ms=None,
    original_latency_ms=None,
)


def _totals(connection: sa.Connection, of: Project, keys: list[int]) -> dict[int, ReplayTotals]:
    is_failed = sa.and_(_IS_DONE, _new.c.outcome == "error")
    is_priced = sa.and_(_IS_DONE, _new.c.cost_nano_usd.is_not(None), _old.c.cost_nano_usd.is_not(None))
    is_timed = sa.and_(_IS_DONE, _new.c.latency_ms.is_not(None), _old.c.latency_ms.is_not(None))
    columns: dict[str, sa.ColumnElement[int] | sa.ColumnElement[float]] = {
        "items": sa.func.count(),
        "answered": _count(_IS_DONE),
        "failed": _count(is_failed),
        "skipped": _count(replay_item.c.problem.is_not(None)),
        "compared": _count(replay_item.c.likeness.is_not(None)),
        "equal": _count(replay_item.c.likeness == EQUAL),
        "priced": _count(is_priced),
        "cost_nano_usd": sa.func.coalesce(sa.func.sum(sa.case((is_priced, _new.c.cost_nano_usd))), 0),
        "original_cost_nano_usd": sa.func.coalesce(sa.func.sum(sa.case((is_priced, _old.c.cost_nano_usd))), 0),
        "timed": _count(is_timed),
        "latency_ms": sa.func.avg(sa.case((is_timed, _new.c.latency_ms))),
        "original_latency_ms": sa.func.avg(sa.case((is_timed, _old.c.latency_ms))),
    }
    statement = (
        sa.select(replay_item.c.job_key, *(column.label(name) for name, column in columns.items()))
        .select_from(with_calls(of))
        .where(replay_item.c.job_key.in_(keys))
        .group_by(replay_item.c.job_key)
    )
    found: dict[int, ReplayTotals] = defaultdict(lambda: _NOTHING)
    for row in connection.execute(statement).mappings():
        found[row["job_key"]] = ReplayTotals(**{name: row[name] for name in columns})
    return found


def _count(condition: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    return sa.func.count(sa.case((condition, 1)))
