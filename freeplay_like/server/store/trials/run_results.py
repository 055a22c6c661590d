"""What the cases of a test run came to, read from the calls and the traces that name it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

import attrs
import sqlalchemy as sa

from freeplay_like.core.records import Feedback, ScoreValue
from freeplay_like.core.run_results import Result
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.store.records import traces
from freeplay_like.server.store.records.tables import amendment, record, score
from freeplay_like.server.store.records.trace_tables import trace
from freeplay_like.server.store.records.trace_views import Trace
from freeplay_like.server.store.tables import from_micros
from freeplay_like.server.store.views import FIRST_LINES_LIMIT, Project

CALLS_LIMIT: Final = 50_000
"""The most calls of one run that are looked at: the newest."""
TRACES_LIMIT: Final = 10_000
"""The most traces of one run that are looked at: each is read whole."""
SCORES_LIMIT: Final = 500_000
"""The most scores of one run that are looked at."""


@attrs.frozen(kw_only=True)
class RunCall:
    """One call of a test run, or one trace of an agent that was tried, which is known by its id.

    `answer` is the beginning of what was answered. `has_ended`: its end is known. `is_trace`: there is no call of its
    id, only the session.
    """

    result: Result
    model: str | None
    answer: str
    started_at: datetime
    has_ended: bool
    session_id: str | None = None
    is_trace: bool = False


def calls_of_run(
    connection: sa.Connection, of: Project, run_id: str, case_ids: Sequence[str] | None = None
) -> tuple[RunCall, ...]:
    """The calls of a run in the order they began, with what was last said of each; only of some cases if given.

    Where a trace names a case, the trace is what the agent came to, and calls that name the same case are parts of it.
    """
    wanted = None if case_ids is None else set(case_ids)
    found = [each for each in traces.of_test_run(connection, of, run_id, TRACES_LIMIT) if each.test_case_id is not None]
    found = [each for each in found if wanted is None or each.test_case_id in wanted]
    sums = _sums(connection, of, run_id) if found else {}
    tried = tuple(_trace(each, sums.get(each.trace_id, _NOTHING)) for each in found)
    traced = {each.test_case_id for each in found}
    calls = [each for each in _calls(connection, of, run_id, case_ids) if each.result.test_case_id not in traced]
    return tuple(sorted((*tried, *calls), key=lambda each: each.started_at))


def _calls(connection: sa.Connection, of: Project, run_id: str, case_ids: Sequence[str] | None) -> tuple[RunCall, ...]:
    where = sa.and_(record.c.project_key == of.key, record.c.test_run_id == run_id)
    if case_ids is not None:
        where = sa.and_(where, record.c.test_case_id.in_(case_ids))
    newest = sa.select(record).where(where).order_by(record.c.started_at.desc(), record.c.seq.desc()).limit(CALLS_LIMIT)
    rows = connection.execute(newest).all()[::-1]
    scores, thumbs = _scores(connection, where), _thumbs(connection, where)
    return tuple(_call(row, scores.get(row.record_id, {}), thumbs.get(row.record_id)) for row in rows)


def results_of(calls: Iterable[RunCall]) -> tuple[Result, ...]:
    """What each case came to: the last of its calls that ended. Calls that name no case count one by one."""
    by_case: dict[str, Result] = {}
    for call in calls:
        if call.has_ended:
            by_case[call.result.test_case_id or f"record {call.result.record_id}"] = call.result
    return tuple(by_case.values())


def _call(row: sa.Row[tuple[object, ...]], scores: Mapping[str, ScoreValue], thumb: Feedback | None) -> RunCall:
    fields = row._mapping
    return RunCall(
        result=Result(
            test_case_id=fields["test_case_id"],
            record_id=fields["record_id"],
            outcome=fields["outcome"],
            latency_ms=fields["latency_ms"],
            input_tokens=fields["input_tokens"],
            output_tokens=fields["output_tokens"],
            cost_nano_usd=fields["cost_nano_usd"],
            scores=scores,
            feedback=thumb,
        ),
        model=fields["model"] or fields["requested_model"],
        answer=fields["first_answer"],
        started_at=from_micros(fields["started_at"]),
        has_ended=fields["ended_at"] is not None,
        session_id=fields["session_id"],
    )


@attrs.frozen(kw_only=True)
class _Sums:
    """What the calls of a trace used together."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nano_usd: int | None = None


_NOTHING: Final = _Sums()


def _sums(connection: sa.Connection, of: Project, run_id: str) -> dict[str, _Sums]:
    """The sums over the calls of each trace of a run."""
    # summed as floats: a sum of whole numbers that a sender made up can be larger than a database can keep
    columns = [sa.func.sum(sa.cast(record.c[field.name], sa.Double)).label(field.name) for field in attrs.fields(_Sums)]
    rows = connection.execute(
        sa.select(trace.c.trace_id, *columns)
        .join_from(
            trace, record, sa.and_(record.c.project_key == trace.c.project_key, record.c.trace_id == trace.c.trace_id)
        )
        .where(trace.c.project_key == of.key, trace.c.test_run_id == run_id)
        .group_by(trace.c.trace_id)
    ).mappings()
    names = [field.name for field in attrs.fields(_Sums)]
    return {
        row["trace_id"]: _Sums(**{name: None if row[name] is None else int(row[name]) for name in names})
        for row in rows
    }


def _trace(found: Trace, sums: _Sums) -> RunCall:
    took = None if found.ended_at is None else (found.ended_at - found.started_at).total_seconds() * 1000
    said = found.output
    thumb = found.feedback.get("freeplay_feedback")
    return RunCall(
        result=Result(
            test_case_id=found.test_case_id,
            record_id=found.trace_id,
            outcome="complete",
            latency_ms=took,
            input_tokens=sums.input_tokens,
            output_tokens=sums.output_tokens,
            cost_nano_usd=sums.cost_nano_usd,
            scores=found.scores,
            feedback=thumb if thumb in ("positive", "negative") else None,
        ),
        model=None,
        answer=(said if isinstance(said, str) else to_wire(said).decode())[:FIRST_LINES_LIMIT],
        started_at=found.started_at,
        has_ended=True,
        session_id=found.session_id,
        is_trace=True,
    )


def _scores(connection: sa.Connection, where: sa.ColumnElement[bool]) -> dict[str, dict[str, ScoreValue]]:
    """The last word of each score, by record."""
    place = sa.func.row_number().over(
        partition_by=(score.c.record_id, score.c.name), order_by=(score.c.made_at.desc(), score.c.amendment_id.desc())
    )
    is_of_it = sa.and_(score.c.project_key == record.c.project_key, score.c.record_id == record.c.record_id)
    said = (
        sa.select(score.c.record_id, score.c.name, score.c.value, place.label("place"))
        .join_from(record, score, is_of_it)
        .where(where)
        .subquery()
    )
    rows = connection.execute(
        sa.select(said.c.record_id, said.c.name, said.c.value).where(said.c.place == 1).limit(SCORES_LIMIT)
    )
    found: dict[str, dict[str, ScoreValue]] = {}
    for record_id, name, value in rows:
        found.setdefault(record_id, {})[name] = from_wire(value, ScoreValue)  # type: ignore[arg-type]  # a union is no type
    return found


def _thumbs(connection: sa.Connection, where: sa.ColumnElement[bool]) -> dict[str, Feedback]:
    """The last thumb of each record."""
    is_of_it = sa.and_(amendment.c.project_key == record.c.project_key, amendment.c.record_id == record.c.record_id)
    rows = connection.execute(
        sa.select(amendment.c.record_id, amendment.c.feedback)
        .join_from(record, amendment, is_of_it)
        .where(where, amendment.c.feedback.is_not(None))
        .order_by(amendment.c.made_at, amendment.c.amendment_id)
    )
    return {record_id: thumb for record_id, thumb in rows}
