"""Where a server fetches the jobs that it carries out: test runs, and replays.

A desk gives out work, one job at a time; the work says which calls are to be made, and hears of each when it is over.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Final, Protocol

import attrs

from freeplay_like.core.answer_checks import ANSWER_CHECKS
from freeplay_like.core.likeness import likeness, said_in
from freeplay_like.core.records import Record
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.errors import TemplateError
from freeplay_like.server import planning
from freeplay_like.server.asking import Asked
from freeplay_like.server.store.store import Store
from freeplay_like.server.store.trials.executions import Job
from freeplay_like.server.store.trials.leases import LEASE, JobEnd
from freeplay_like.server.store.trials.replay_views import Change, ReplayItem, ReplayJob
from freeplay_like.server.store.views import Conflict, DatasetCase

RUNS_AT_ONCE: Final = 4
"""How many test runs, and how many large replays, a server carries out at a time; the others wait."""
WAITED_FOR_AT_ONCE: Final = 16
"""How many replays that somebody waits for are carried out at a time."""
_PAGE: Final = 50


class Work(Protocol):
    """A job that this server has. `name` is what the log calls it."""

    @property
    def id(self) -> str:
        """The id of the job."""
        ...

    @property
    def name(self) -> str:
        """What the log calls it."""
        ...

    def cases(self) -> Iterator[Asked]:
        """The calls that are still to be made, read as they are needed."""
        ...

    def on_asked(self, asked: Asked) -> None:
        """A call is over, and its record stored."""
        ...

    def finish(self, state: JobEnd, error: str | None) -> None:
        """End the job, unless another server has it by now."""
        ...


class Desk(Protocol):
    """Where jobs of one kind are fetched. All raise StoreUnavailable where nothing can be written now."""

    @property
    def at_once(self) -> int:
        """How many of its jobs a server has at a time."""
        ...

    def claim(self) -> Work | None:
        """The next job that nobody has."""
        ...

    def renew(self, ids: Collection[str]) -> frozenset[str]:
        """Say that these jobs are still being carried out; those that are still this server's."""
        ...

    def release(self) -> None:
        """Let go of every job."""
        ...


def desks_of(store: Store, owner: str) -> tuple[Desk, ...]:
    """All desks, for a server."""
    return (
        SuiteDesk(store, owner),
        ReplayDesk(store, owner, is_bulk=False, at_once=WAITED_FOR_AT_ONCE),
        ReplayDesk(store, owner, is_bulk=True, at_once=RUNS_AT_ONCE),
    )


# --- test runs --------------------------------------------------------------------------------------------


class SuiteDesk:
    """Test runs of suites."""

    at_once = RUNS_AT_ONCE

    def __init__(self, store: Store, owner: str) -> None:
        self._store = store
        self._owner = owner

    def claim(self) -> Work | None:
        """The next run that nobody has."""
        job = self._store.executions.claim(self._owner, LEASE)
        return None if job is None else _SuiteWork(self._store, self._owner, job)

    def renew(self, ids: Collection[str]) -> frozenset[str]:
        """Say that these runs are still being carried out; those that are still this server's."""
        return self._store.executions.renew(self._owner, ids, LEASE)

    def release(self) -> None:
        """Let go of every run."""
        self._store.executions.release(self._owner)


class _SuiteWork:
    def __init__(self, store: Store, owner: str, job: Job) -> None:
        self._store = store
        self._owner = owner
        self._job = job
        self.id = job.run_id
        self.name = f"test run {job.run_id}"

    def cases(self) -> Iterator[Asked]:
        done = self._store.executions.done_cases(self._job)
        offset = 0
        while cases := self._store.executions.cases(self._job, offset, _PAGE):
            yield from (self._asked(case) for case in cases if case.id not in done)
            offset += len(cases)

    def on_asked(self, asked: Asked) -> None:
        """Its record says all."""

    def finish(self, state: JobEnd, error: str | None) -> None:
        self._store.executions.finish(self._job.run_id, self._owner, state, error)

    def _asked(self, case: DatasetCase) -> Asked:
        job, content = self._job, case.content
        if job.template is None:
            raise Conflict("the version of the prompt template that the run tries is gone")
        return Asked(
            project=job.project,
            template=job.template,
            environment=job.environment,
            variables=content.inputs,
            history=content.history or (),
            media=content.media_inputs or {},
            expected=content.output,
            parameters=job.parameters,
            test_run_id=job.run_id,
            test_case_id=case.id,
            checks=frozenset(job.thresholds.keys() & ANSWER_CHECKS.keys()),
            api_key_id=job.created_by,
        )


# --- replays ----------------------------------------------------------------------------------------------


class ReplayDesk:
    """Replays that somebody waits for, or the large ones that nobody does."""

    def __init__(self, store: Store, owner: str, *, is_bulk: bool, at_once: int) -> None:
        self.at_once = at_once
        self._store = store
        self._owner = owner
        self._is_bulk = is_bulk

    def claim(self) -> Work | None:
        """The next replay that nobody has."""
        job = self._store.replays.claim(self._owner, LEASE, is_bulk=self._is_bulk)
        return None if job is None else _ReplayWork(self._store, self._owner, job)

    def renew(self, ids: Collection[str]) -> frozenset[str]:
        """Say that these replays are still being carried out; those that are still this server's."""
        return self._store.replays.renew(self._owner, ids, LEASE)

    def release(self) -> None:
        """Let go of every replay."""
        self._store.replays.release(self._owner)


class _ReplayWork:
    def __init__(self, store: Store, owner: str, job: ReplayJob) -> None:
        self._store = store
        self._owner = owner
        self._job = job
        self._places: dict[str, int] = {}
        self._versions: dict[tuple[str, str], PromptTemplate | None] = {}
        self.id = job.id
        self.name = f"replay {job.id}"

    def cases(self) -> Iterator[Asked]:
        for item in self._store.replays.unfinished(self._job):
            if item.is_done:
                self._compare(item.place, item.source_id, item.record_id)
                continue
            try:
                asked = self._planned(item)
            except (planning.NotReplayable, TemplateError) as exc:
                self._store.replays.skip_item(self._job, item.place, str(exc))
                continue
            record_id = self._store.replays.begin_item(self._job, item.place)
            self._places[record_id] = item.place
            yield attrs.evolve(asked, record_id=record_id)

    def on_asked(self, asked: Asked) -> None:
        if asked.record_id is not None:
            self._compare(self._places[asked.record_id], asked.replay_of, asked.record_id)

    def finish(self, state: JobEnd, error: str | None) -> None:
        self._store.replays.finish(self._job, self._owner, state, error)

    def _planned(self, item: ReplayItem) -> Asked:
        spec, of = self._job.spec, self._job.project
        change = spec.changes[item.choice]
        if spec.written is not None:
            asked = planning.written(of, spec.written, change)
            return attrs.evolve(asked, metadata={**asked.metadata, "replay": self._job.id})
        record = None if item.source_id is None else self._store.completions.get(of.id, item.source_id)
        if record is None:
            raise planning.NotReplayable("the recorded call is gone")
        version = self._version_of(change)
        asked = planning.replay_of(of, record, change, version=version, original=self._original(record, version))
        return attrs.evolve(asked, metadata={planning.MADE_IN: "replay", "replay": self._job.id})

    def _version_of(self, change: Change) -> PromptTemplate | None:
        if change.version is None:
            return None
        found = self._version(change.version.template_id, change.version.version_id)
        if found is None:
            raise Conflict(f"the version {change.version.label} that was to be sent is gone")
        return found

    def _original(self, record: Record, version: PromptTemplate | None) -> PromptTemplate | None:
        ref = record.template
        if version is None or ref is None or ref.template_id is None or ref.version_id is None:
            return None
        return self._version(ref.template_id, ref.version_id)

    def _version(self, template_id: str, version_id: str) -> PromptTemplate | None:
        place = template_id, version_id
        if place not in self._versions:
            found = self._store.prompts.get_version(self._job.project.id, *place)
            self._versions[place] = None if found is None else found.template
        return self._versions[place]

    def _compare(self, place: int, source_id: str | None, record_id: str | None) -> None:
        """Say how alike an answer and the original's are, where there are two."""
        if source_id is None or record_id is None:
            return
        of = self._job.project.id
        before, after = self._store.completions.get(of, source_id), self._store.completions.get(of, record_id)
        if before is not None and after is not None and after.outcome not in ("error", "cancelled", "interrupted"):
            self._store.replays.compare_item(self._job, place, likeness(said_in(before), said_in(after)))
