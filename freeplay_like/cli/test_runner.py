"""Running a template version over a dataset: every case asked and scored, a few at a time, and resumable."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import attrs

from freeplay_like.cli.run_backend import KnownCall, RunBackend, TriedCase
from freeplay_like.cli.scorers import Scorer, ScorerFailed
from freeplay_like.core.completion import Choice, CompletionResponse
from freeplay_like.core.records import Record, ScoreValue
from freeplay_like.core.run_results import UNANSWERED
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject
from freeplay_like.errors import BackendError, ConfigurationError
from freeplay_like.flavors.base import Flavor
from freeplay_like.flavors.registry import flavor_named
from freeplay_like.prompts.base import PromptSource
from freeplay_like.prompts.project import PromptProject
from freeplay_like.session.client import Freeplay
from freeplay_like.session.parallel import parallel
from freeplay_like.session.test_cases import TestCase, TestCases
from freeplay_like.session.test_runs import TestRun, begin_test_run, case_from

FLUSH_S: Final = 60.0
"""How long a run waits at its end for the backend to take its records."""


@attrs.frozen(kw_only=True)
class Failure:
    """A case without an answer or without a score, and why."""

    test_case_id: str
    error: str


@attrs.frozen(kw_only=True)
class Job:
    """A case and, where it was answered before, the record of the answer; `is_scored`: there is nothing to do."""

    case: TestCase
    record_id: str | None = None
    is_scored: bool = False


@attrs.frozen(kw_only=True)
class Plan:
    """A run that is to be carried out: what is asked, with which version and parameters."""

    run_id: str
    template: PromptTemplate
    environment: str
    parameters: JsonObject
    jobs: tuple[Job, ...]

    @property
    def answered(self) -> int:
        """How many cases have an answer already."""
        return sum(job.record_id is not None for job in self.jobs)


def find_template(
    backend: RunBackend, prompts: PromptSource, name: str, environment: str, version: str | None
) -> PromptTemplate:
    """The version that is to be tried: the one of that number or id, else the one that the environment points at.

    Raises:
        TemplateNotFoundError: there is no such template.
        ConfigurationError: it has no such version.
    """
    if version is None:
        return prompts.get(backend.project_id, name, environment)
    project = PromptProject(backend.link, backend.project_id)
    template = next((each for each in project.templates() if each.name == name), None)
    if template is None:
        return prompts.get(backend.project_id, name, environment)  # its error lists near names
    versions = project.versions(template.id)
    for known in versions:
        if version in (known.version, known.prompt_template_version_id):
            return prompts.version(backend.project_id, template.id, known.prompt_template_version_id)
    numbers = ", ".join(known.version for known in versions) or "none"
    raise ConfigurationError(f"template {name!r} has no version {version!r}; its versions: {numbers}")


def new_plan(
    backend: RunBackend,
    template: PromptTemplate,
    dataset: str,
    *,
    name: str | None,
    environment: str,
    parameters: JsonObject,
) -> Plan:
    """A new run over a dataset.

    Raises:
        ConfigurationError: the dataset is one for agents.
        BackendError: no such dataset, or it has no cases.
    """
    found = backend.dataset(dataset)
    if found.kind != "prompt":
        raise ConfigurationError(f"dataset {dataset!r} is one for agents: a template cannot be tried over it")
    details: JsonObject = {
        "prompt_template_id": template.template_id,
        "prompt_template_version_id": template.version_id,
        "environment": environment,
        "flavor_name": template.flavor_name,
        "parameters": parameters,
    }
    run_name = name or f"{template.name} v{template.version} over {dataset}"[:200]
    run = begin_test_run(backend.link, backend.project_id, dataset, name=run_name, details=details)
    jobs = tuple(Job(case=case) for case in run.cases)
    return Plan(run_id=run.test_run_id, template=template, environment=environment, parameters=parameters, jobs=jobs)


def resumed_plan(backend: RunBackend, prompts: PromptSource, run_id: str) -> Plan:
    """A run that was begun before: cases with an answer are not asked again, those without a score are scored.

    Raises:
        ConfigurationError: nobody said which version the run tries.
        BackendError: no such run.
    """
    run = backend.run(run_id)
    if run.prompt_template_id is None or run.prompt_template_version_id is None:
        raise ConfigurationError(
            f"test run {run_id} was not made by `freeplay-like test run`, and cannot be resumed by it"
        )
    template = prompts.version(backend.project_id, run.prompt_template_id, run.prompt_template_version_id)
    return Plan(
        run_id=run_id,
        template=template,
        environment=run.environment or "latest",
        parameters=run.parameters,
        jobs=tuple(_job(tried) for tried in backend.run_cases(run_id)),
    )


def flavor_of(template: PromptTemplate) -> Flavor:
    """The flavor that a template names, with the provider's key from its environment variable.

    Raises:
        ConfigurationError: it names none, or the key is missing.
    """
    if template.flavor_name is None:
        raise ConfigurationError(f"template {template.name!r} names no flavor; set its provider in the backend")
    flavor = flavor_named(template.flavor_name)()
    flavor.check()
    return flavor


class Runner:
    """Carries out a plan. Where it is interrupted, what was answered is kept."""

    def __init__(self, backend: RunBackend, client: Freeplay, plan: Plan, scorers: Sequence[Scorer]) -> None:
        self._backend = backend
        self._client = client
        self._plan = plan
        self._scorers = scorers
        self._jobs = [job for job in plan.jobs if job.record_id is None or (scorers and not job.is_scored)]
        self._lock = threading.Lock()
        cases = TestCases(test_run_id=plan.run_id, cases=tuple(job.case for job in plan.jobs))
        self._run = TestRun(client, cases)

    @property
    def total(self) -> int:
        """How many cases there is something to do for."""
        return len(self._jobs)

    def run(self, at_once: int, on_done: Callable[[], None]) -> tuple[Failure, ...]:
        """Ask and score every case, at most `at_once` at a time; what went wrong, in the order of the cases."""

        def do(job: Job) -> None:
            try:
                self._do(job)
            finally:
                with self._lock:
                    on_done()

        found = parallel((partial(do, job) for job in self._jobs), at_once)
        return tuple(
            Failure(test_case_id=job.case.test_case_id, error=f"{type(result).__name__}: {result}")
            for job, result in zip(self._jobs, found, strict=True)
            if isinstance(result, Exception)
        )

    def _do(self, job: Job) -> None:
        if job.record_id is not None:
            self._score(job.case, job.record_id, response_of(self._backend.record(job.record_id)))
            return
        plan = self._plan
        response = self._run.get_completion(
            self._backend.project_id, job.case, plan.template.name, plan.environment, None, **plan.parameters
        )
        self._score(job.case, str(response.record_id), response)

    def _score(self, case: TestCase, record_id: str, response: CompletionResponse) -> None:
        """Keep what the scorers say; where one fails, what the others said is kept all the same."""
        scores: dict[str, ScoreValue] = {}
        failures: list[str] = []
        for scorer in self._scorers:
            try:
                scores |= scorer.scores(case, response)
            except ScorerFailed as exc:
                failures.append(str(exc))
        if scores:
            self._client.update_record(self._backend.project_id, record_id, scores=scores)
        if failures:
            raise ScorerFailed("; ".join(failures))


def deliver(client: Freeplay) -> None:
    """Wait until the backend has every record.

    Raises:
        BackendError: it has not; they are kept on this machine.
    """
    report = client.flush(FLUSH_S)
    if not report.is_complete:
        why = "; ".join(report.errors[-1:]) or "no answer"
        raise BackendError(
            f"the backend has not taken {report.pending} records ({report.dropped} were lost): {why}; what is kept "
            "on this machine is sent by `freeplay-like spool flush`"
        )


def response_of(record: Record) -> CompletionResponse:
    """The answer that a record keeps."""
    choices = record.choices or (Choice(),)
    return CompletionResponse(
        content=choices[0].text,
        is_complete=record.outcome == "complete",
        choices=choices,
        usage=record.usage,
        model=record.model,
        response_id=record.response_id,
        record_id=record.record_id,
        latency_ms=record.latency_ms,
        time_to_first_chunk_ms=record.time_to_first_chunk_ms,
    )


def _job(tried: TriedCase) -> Job:
    answer = next((call for call in reversed(tried.records) if _is_answer(call)), None)
    case = case_from(tried)
    return (
        Job(case=case) if answer is None else Job(case=case, record_id=answer.record_id, is_scored=bool(answer.scores))
    )


def _is_answer(call: KnownCall) -> bool:
    return call.has_ended and call.outcome not in UNANSWERED
