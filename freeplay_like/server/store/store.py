"""The store's one door: named questions, and a few things that can be changed.

Every question is answered from one connection in one snapshot. Questions name the project by its id: where there is
no such project, the answer is the empty one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Concatenate, Final, ParamSpec, TypeVar

import sqlalchemy as sa

from freeplay_like.clock import Clock, SystemClock
from freeplay_like.core.records import Amendment
from freeplay_like.server.store import (
    amendments,
    datasets,
    keys,
    prompts,
    records,
    saving,
    schema,
    search,
    sqlite,
    test_runs,
)
from freeplay_like.server.store.tables import store_state, to_micros
from freeplay_like.server.store.views import (
    ApiKey,
    Batch,
    CallFilter,
    CallPage,
    CallRow,
    CaseContent,
    Dataset,
    DatasetCase,
    DatasetDraft,
    FilterValues,
    KnownSender,
    NameTaken,
    NearTemplates,
    NewRun,
    Project,
    RunDraft,
    RunState,
    Scope,
    SentRecord,
    SentSession,
    StoredCall,
    StoreResult,
    TemplateSummary,
    TemplateVersion,
)
from freeplay_like.server.store.writer import Settled, Writer

P = ParamSpec("P")
T = TypeVar("T")

DATABASE_NAME: Final = "freeplay_like.db"
LINK_AGE: Final = timedelta(hours=24)
SESSION_AGE: Final = timedelta(days=30)


class Store:
    """Everything that is kept. Methods block: async code calls them in a thread."""

    def __init__(self, path: Path, *, is_fsync: bool = False, clock: Clock | None = None) -> None:
        """Open the database file, made or brought up to date where needed.

        `is_fsync`: what is committed has reached the disk, not only the kernel.

        Raises:
            DatabaseTooNew: a newer release wrote it.
        """
        self._clock = clock or SystemClock()
        writing = sqlite.open_engine(path, is_writer=True, is_fsync=is_fsync)
        schema.upgrade(writing)
        self._reading = sqlite.open_engine(path, is_writer=False)
        self._writer = Writer(writing, saving.save_batches, search.index_slice)

    def close(self) -> None:
        """Write what was taken, and let go of the file. Safe to call twice."""
        self._writer.close()
        self._reading.dispose()

    def _ask(self, question: Callable[Concatenate[sa.Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        with self._reading.begin() as connection:
            return question(connection, *args, **kwargs)

    def _ask_of(
        self,
        project_id: str,
        question: Callable[Concatenate[sa.Connection, Project, P], T],
        otherwise: T,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        with self._reading.begin() as connection:
            of = keys.get_project(connection, project_id)
            return otherwise if of is None else question(connection, of, *args, **kwargs)

    # --- storing

    def submit(self, batch: Batch) -> None:
        """Queue a batch; whoever called `on_settled` hears what became of it.

        Raises:
            StoreUnavailable: nothing more can be taken now.
        """
        self._writer.submit(batch)

    def on_settled(self, tell: Callable[[Sequence[Settled]], None]) -> None:
        """Set who hears, in the writer's thread, of each group of batches once it is committed, or could not be."""
        self._writer.on_settled = tell

    def save(self, batch: Batch) -> StoreResult:
        """Store a batch and wait for it.

        Raises:
            StoreUnavailable: it could not be stored now.
        """
        return self._writer.run(lambda connection: saving.save_batches(connection, [batch])[0])

    def amend(self, project: Project, amendment: Amendment) -> bool:
        """Store something said of a record; False where the project has no such record.

        Raises:
            StoreUnavailable: it could not be stored now.
        """
        now = self._clock.now()
        return self._writer.run(lambda connection: amendments.amend(connection, project, amendment, now))

    def check(self, timeout_s: float) -> None:
        """Write something, to know whether records could be stored.

        Raises:
            StoreUnavailable: they could not.
            TimeoutError: the writer did not come to it in time.
        """
        now = to_micros(self._clock.now())

        def touch(connection: sa.Connection) -> None:
            connection.execute(sa.update(store_state).where(store_state.c.name == "checked_at").values(value=now))

        self._writer.enqueue(touch).result(timeout_s)

    @property
    def commits(self) -> int:
        """How many groups of batches were committed since the store was opened."""
        return self._writer.commits

    # --- calls

    def list_calls(
        self,
        project_id: str,
        filter: CallFilter,
        *,
        before: str | None = None,
        after: str | None = None,
        limit: int = 50,
    ) -> CallPage:
        """Calls in the order of their arrival, newest first.

        `before` takes the `older` cursor of another page, `after` its `newer` one.

        Raises:
            ValueError: a cursor that no page gave out.
        """
        nothing = CallPage(rows=(), older=None, newer=None)
        return self._ask_of(project_id, records.list_calls, nothing, filter, before, after, limit)

    def calls_after(self, project_id: str, filter: CallFilter, after_seq: int, limit: int = 100) -> tuple[CallRow, ...]:
        """The first calls that arrived after the one of that number, oldest first."""
        return self._ask_of(project_id, records.calls_after, (), filter, after_seq, limit)

    def newest_seq(self, project_id: str) -> int:
        """The number of the call that arrived last, 0 where there is none."""
        return self._ask_of(project_id, records.newest_seq, 0)

    def get_call(self, project_id: str, record_id: str) -> StoredCall | None:
        """One call, whole."""
        return self._ask_of(project_id, records.get_call, None, record_id)

    def get_sent(self, project_id: str, record_id: str) -> SentRecord | None:
        """One record as it was sent, and what was said of it."""
        return self._ask_of(project_id, records.get_sent, None, record_id)

    def sent_session(self, project_id: str, session_id: str, limit: int) -> SentSession | None:
        """The newest records of a session as they were sent, in the order they began; None where there is none."""
        return self._ask_of(project_id, records.sent_session, None, session_id, limit)

    def session_calls(self, project_id: str, session_id: str) -> tuple[CallRow, ...]:
        """The first thousand calls of a session, in the order they began."""
        return self._ask_of(project_id, records.session_calls, (), session_id)

    def filter_values(self, project_id: str) -> FilterValues:
        """What the filters can offer."""
        nothing = FilterValues(models=(), outcomes=(), templates=())
        return self._ask_of(project_id, records.filter_values, nothing)

    def senders(self, project_id: str) -> tuple[KnownSender, ...]:
        """The SDK processes that delivered records, the last heard of first; at most 200."""
        return self._ask_of(project_id, records.senders, ())

    # --- templates

    def templates(self, project_id: str) -> tuple[TemplateSummary, ...]:
        """All templates by name, each with its versions, newest first."""
        return self._ask_of(project_id, prompts.templates, ())

    def templates_in(self, project_id: str, environment: str) -> tuple[TemplateVersion, ...]:
        """What an environment points at, of every template that has it."""
        return self._ask_of(project_id, prompts.templates_in, (), environment)

    def get_template(self, project_id: str, name: str, environment: str) -> TemplateVersion | None:
        """The version an environment points at; `latest` is the newest."""
        return self._ask_of(project_id, prompts.get_template, None, name, environment)

    def get_template_version(self, project_id: str, template_id: str, version_id: str) -> TemplateVersion | None:
        """One version by its ids."""
        return self._ask_of(project_id, prompts.get_version, None, template_id, version_id)

    def near_templates(self, project_id: str, name: str) -> NearTemplates:
        """What there is instead of a template that was not found."""
        return self._ask_of(project_id, prompts.near_templates, NearTemplates(names=(), environments=()), name)

    def create_version(self, project: Project, draft: prompts.Draft) -> TemplateVersion:
        """A new version of a template, or the one that has this content already.

        Raises:
            LatestIsNewest: see `prompts.create_version`.
            StoreUnavailable: it could not be stored now.
        """
        ids, now = (self._clock.new_id(), self._clock.new_id()), self._clock.now()
        return self._writer.run(
            lambda connection: prompts.create_version(connection, project, draft, new_ids=ids, now=now)
        )

    def set_environments(self, project: Project, template_id: str, version_id: str, names: Sequence[str]) -> None:
        """Let exactly these environments point at a version.

        Raises:
            VersionNotFound, LatestIsNewest: see `prompts.set_environments`.
            StoreUnavailable: it could not be stored now.
        """
        now = self._clock.now()
        self._writer.run(
            lambda connection: prompts.set_environments(connection, project, template_id, version_id, names, now)
        )

    # --- datasets and test runs

    def create_dataset(self, project: Project, draft: DatasetDraft) -> Dataset:
        """A new dataset.

        Raises:
            NameTaken: there is one of that name.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._clock.new_id(), self._clock.now()
        return self._writer.run(lambda connection: datasets.create(connection, project, draft, new_id, now))

    def datasets(self, project_id: str, offset: int, limit: int) -> tuple[Dataset, ...]:
        """The datasets of a project, newest first."""
        return self._ask_of(project_id, datasets.datasets, (), offset, limit)

    def add_cases(self, project: Project, dataset_id: str, contents: Sequence[CaseContent]) -> tuple[str, ...]:
        """Put test cases at the end of a dataset; their ids.

        Raises:
            DatasetNotFound, DatasetFull: see `datasets.add_cases`.
            StoreUnavailable: they could not be stored now.
        """
        new_id, now = self._clock.new_id, self._clock.now()
        return self._writer.run(
            lambda connection: datasets.add_cases(connection, project, dataset_id, contents, new_id, now)
        )

    def dataset_cases(self, project: Project, dataset_id: str) -> tuple[DatasetCase, ...]:
        """The test cases of a dataset, in the order they were added.

        Raises:
            DatasetNotFound: there is no such dataset.
        """
        return self._ask(datasets.cases, project, dataset_id)

    def create_run(self, project: Project, draft: RunDraft) -> NewRun:
        """A new test run over the cases that its dataset has now.

        Raises:
            DatasetNotFound, DatasetEmpty: see `test_runs.create`.
            StoreUnavailable: it could not be stored now.
        """
        new_id, now = self._clock.new_id(), self._clock.now()
        self._writer.run(lambda connection: test_runs.create(connection, project, draft, new_id, now))
        # read by a reader: unpacking a large dataset would keep the writer from taking records
        return NewRun(id=new_id, cases=self._ask(test_runs.cases, new_id))

    def get_run(self, project_id: str, run_id: str) -> RunState | None:
        """Where a test run stands."""
        return self._ask_of(project_id, test_runs.get, None, run_id)

    # --- projects and who may see them

    def projects(self) -> tuple[Project, ...]:
        """All projects, newest first."""
        return self._ask(keys.projects)

    def get_project(self, project_id: str) -> Project | None:
        """A project by its id."""
        return self._ask(keys.get_project, project_id)

    def find_project(self, name: str) -> Project | None:
        """A project by its name."""
        return self._ask(keys.find_project, name)

    def create_project(self, name: str) -> Project:
        """A new project.

        Raises:
            NameTaken: there is one of that name.
            StoreUnavailable: it could not be stored now.
        """
        project_id, now = self._clock.new_id(), self._clock.now()
        created = self._writer.run(lambda connection: keys.create_project(connection, name, project_id, now))
        if created is None:
            raise NameTaken(f"there is a project {name!r} already")
        return created

    def create_key(self, project: Project, scopes: frozenset[Scope] = keys.ALL_SCOPES) -> str:
        """A new API key, in clear: it cannot be read again."""
        now = self._clock.now()
        return self._writer.run(lambda connection: keys.create_key(connection, project, scopes, now))

    def find_key(self, text: str) -> ApiKey | None:
        """Whose key this is, None where it is nobody's."""
        parts = keys.parse_key(text)
        return None if parts is None else self._ask(keys.find_key, parts)

    def create_sign_in_link(self) -> str:
        """The token of a link that signs in one browser, once, within a day."""
        now = self._clock.now()
        return self._writer.run(lambda connection: keys.create_sign_in_link(connection, now, now + LINK_AGE))

    def sign_in(self, token: str) -> str | None:
        """Use up a link: the token of a new browser session, None where the link is not good (any more)."""
        now = self._clock.now()
        return self._writer.run(lambda connection: keys.sign_in(connection, token, now, now + SESSION_AGE))

    def sign_out(self, session_token: str) -> None:
        """End a browser session."""
        self._writer.run(lambda connection: keys.sign_out(connection, session_token))

    def is_signed_in(self, session_token: str) -> bool:
        """Whether this browser session is good."""
        return self._ask(keys.is_signed_in, session_token, self._clock.now())

    def can_anybody_sign_in(self) -> bool:
        """Whether there is a browser session or a link that is still good."""
        return self._ask(keys.can_anybody_sign_in, self._clock.now())
