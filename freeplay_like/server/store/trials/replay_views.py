"""What is asked of the store about replays, and what it answers with."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import attrs

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.store.views import CallRow, Conflict, NotFound, Project

ReplayKind = Literal["replay", "playground"]
"""Whether recorded calls are asked again, or messages that somebody wrote."""

JobState = Literal["running", "complete", "failed", "cancelled"]


class ReplayNotFound(NotFound):
    """That project has no such replay."""


class ReplayEnded(Conflict):
    """The replay has ended already."""


@attrs.frozen(kw_only=True)
class VersionPlace:
    """A version of a prompt template. `label` is what people read: its name and number."""

    template_id: str
    version_id: str
    label: str


@attrs.frozen(kw_only=True)
class Change:
    """What is different when a call is asked again; None is as it was.

    `version`: its messages are sent, with the variables and the history of the call; without one the recorded messages
    are. `parameters` go over those that the call would have otherwise, None takes one away; `variables` stand in the
    place of the recorded ones.
    """

    flavor: str | None = None
    model: str | None = None
    version: VersionPlace | None = None
    parameters: JsonObject = attrs.field(factory=dict)
    variables: JsonObject | None = None


@attrs.frozen(kw_only=True)
class Written:
    """Messages that somebody wrote in the playground, as a template, with the values of its variables.

    `template` is Freeplay's template JSON, `history` holds messages.
    """

    template: JsonObject
    variables: JsonObject
    history: tuple[JsonObject, ...] = ()


@attrs.frozen(kw_only=True)
class ReplaySpec:
    """What a replay does: the changes that are made, and in the playground the messages they are made to.

    `query` and `period` are the filter that chose the calls, `dataset_id` the dataset, where one did.
    """

    changes: tuple[Change, ...]
    written: Written | None = None
    query: str = ""
    period: str | None = None
    dataset_id: str | None = None


@attrs.frozen(kw_only=True)
class ItemDraft:
    """A call that is to be made: which of the changes, to which recorded call."""

    choice: int = 0
    source_id: str | None = None


@attrs.frozen(kw_only=True)
class ReplayDraft:
    """A replay that is to be carried out. `is_bulk`: nobody waits for it; others go first."""

    spec: ReplaySpec
    items: tuple[ItemDraft, ...]
    kind: ReplayKind = "replay"
    is_bulk: bool = False


@attrs.frozen(kw_only=True)
class ReplayTotals:
    """How far a replay is, and how its answers compare. Sums and averages are over the pairs that both have one.

    `answered` counts the calls that have ended, `failed` those of them with an error, `skipped` those that could not
    be made at all, `equal` the answers that are the same as the original's, of `compared`.
    """

    items: int
    answered: int
    failed: int
    skipped: int
    compared: int
    equal: int
    priced: int
    cost_nano_usd: int
    original_cost_nano_usd: int
    timed: int
    latency_ms: float | None
    original_latency_ms: float | None

    @property
    def done(self) -> int:
        """How many are dealt with."""
        return self.answered + self.skipped


@attrs.frozen(kw_only=True)
class Replay:
    """A replay. `created_by` is the name of who began it, where that is known."""

    id: str
    kind: ReplayKind
    is_bulk: bool
    spec: ReplaySpec
    state: JobState
    error: str | None
    created_at: datetime
    created_by: str | None
    ended_at: datetime | None
    totals: ReplayTotals

    @property
    def is_running(self) -> bool:
        """Whether there is more to come."""
        return self.state == "running"


@attrs.frozen(kw_only=True)
class ReplayItem:
    """A call of a replay: the original, where it has one and it is still there, and what came of it.

    `is_done`: it has its answer, or its error. `likeness` is 1 where the answers are equal, 0 where nothing is.
    """

    place: int
    choice: int
    source_id: str | None
    record_id: str | None
    likeness: float | None
    problem: str | None
    is_done: bool
    original: CallRow | None
    answer: CallRow | None


@attrs.frozen(kw_only=True)
class ReplayJob:
    """A replay that this server is to carry out."""

    key: int
    id: str
    project: Project
    kind: ReplayKind
    spec: ReplaySpec
