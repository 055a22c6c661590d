"""Reading the facts of calls: their rows, and what was said of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Final

import msgspec
import sqlalchemy as sa

from freeplay_like.core.records import Feedback, ScoreValue
from freeplay_like.server.store.derived.facets import COLUMNS, Facts, Said
from freeplay_like.server.store.engines.database import is_one_of, many
from freeplay_like.server.store.records.tables import amendment, record, score

_FEEDBACK: Final = (
    sa.select(amendment.c.record_id, amendment.c.feedback)
    .where(
        amendment.c.project_key == sa.bindparam("project_key"),
        is_one_of(amendment.c.record_id, "record_ids"),
        amendment.c.feedback.is_not(None),
    )
    .order_by(amendment.c.made_at, amendment.c.amendment_id)
)
_SCORES: Final = (
    sa.select(score.c.record_id, score.c.name, score.c.value)
    .where(score.c.project_key == sa.bindparam("project_key"), is_one_of(score.c.record_id, "record_ids"))
    .order_by(score.c.made_at, score.c.amendment_id)
)


def facts_where(connection: sa.Connection, where: sa.ColumnElement[bool], *, is_said: bool = True) -> list[Facts]:
    """The facts of the records for which `where` holds, in the order of their numbers.

    `is_said` False leaves out what was said of them.
    """
    rows = connection.execute(sa.select(*COLUMNS).where(where).order_by(record.c.seq))
    calls = [Facts(*row) for row in rows]
    said = said_of(connection, calls) if is_said else {}
    return [facts._replace(said=said[facts.seq]) if facts.seq in said else facts for facts in calls] if said else calls


def said_of(connection: sa.Connection, calls: Sequence[Facts]) -> dict[int, Said]:
    """What was said of calls, by their number: the last thumb, and the last value of each score."""
    found: dict[int, Said] = {}
    for project_key, theirs in groupby(
        sorted(calls, key=lambda facts: facts.project_key), key=lambda facts: facts.project_key
    ):
        numbers = {facts.record_id: facts.seq for facts in theirs}
        asked = {"project_key": project_key, "record_ids": many(list(numbers))}
        feedback, scores = _feedback(connection, asked), _scores(connection, asked)
        for record_id in {*feedback, *scores}:
            found[numbers[record_id]] = Said(feedback=feedback.get(record_id), scores=dict(scores.get(record_id, {})))
    return found


def feedback_of(connection: sa.Connection, project_key: int, record_ids: Sequence[str]) -> dict[str, Feedback]:
    """The last thumb that was given on each of some calls, by record id."""
    return _feedback(connection, {"project_key": project_key, "record_ids": many(list(record_ids))})


def _feedback(connection: sa.Connection, asked: Mapping[str, object]) -> dict[str, Feedback]:
    rows = connection.execute(_FEEDBACK, asked)
    return {record_id: feedback for record_id, feedback in rows}  # the last of each stands


def _scores(connection: sa.Connection, asked: Mapping[str, object]) -> dict[str, dict[str, ScoreValue]]:
    rows = connection.execute(_SCORES, asked)
    found: dict[str, dict[str, ScoreValue]] = defaultdict(dict)
    for record_id, name, value in rows:
        found[record_id][name] = msgspec.json.decode(value, type=ScoreValue)
    return found
