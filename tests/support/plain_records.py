"""The plainest record that is one, to be changed where a test cares."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import attrs

from freeplay_like.clock import SystemClock
from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Record

_BEGAN_AT = datetime(2026, 11, 21, 12, tzinfo=UTC)
_count = itertools.count()


def a_record(
    project_id: str, *, question: str = "Where is Lyon?", answer: str = "In France.", **changes: object
) -> Record:
    """A complete call of a fresh id, each a second later than the one before."""
    began_at = _BEGAN_AT + timedelta(seconds=next(_count))
    record = Record(
        record_id=SystemClock().new_id(),
        project_id=project_id,
        messages=(Message(role="user", content=question),),
        provider="openai",
        flavor="openai_chat",
        requested_model="gpt-x",
        model="gpt-x-1",
        outcome="complete",
        choices=(Choice(text=answer, finish_reason="stop"),),
        started_at=began_at,
        ended_at=began_at + timedelta(milliseconds=250),
        latency_ms=250.0,
    )
    return attrs.evolve(record, **changes)


def an_unsettled(record: Record) -> Record:
    """The same call as another process would deliver it that took its process for dead."""
    return attrs.evolve(record, outcome="interrupted", ended_at=None, latency_ms=None, choices=(Choice(text="In"),))
