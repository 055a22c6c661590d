"""The verdicts of people that stand on calls, to be counted and looked for."""

from __future__ import annotations

from typing import Any, TypeVar

import sqlalchemy as sa

from freeplay_like.core.reviews import VERDICT_SCORE
from freeplay_like.server.store.records.tables import amendment, score

S = TypeVar("S", bound=sa.Select[Any])


def verdicts(project_key: int, asked: S) -> S:
    """What is asked of `amendment` and `score`, of the verdicts that stand in a project.

    `score` holds only what was not replaced: see `amendments.save`.
    """
    is_its = sa.and_(
        score.c.project_key == amendment.c.project_key,
        score.c.amendment_id == amendment.c.amendment_id,
        score.c.name == VERDICT_SCORE,
    )
    return (
        asked.select_from(amendment)
        .join(score, is_its)
        .where(amendment.c.project_key == project_key, amendment.c.reviewer_id.is_not(None))
    )
