"""`freeplay-like test`: a template version tried over a dataset, for people and for CI."""

from __future__ import annotations

import math
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn, TypeVar

import attrs
import click

from freeplay_like.cli.backend_options import at_backend
from freeplay_like.cli.run_backend import RunBackend, run_backend
from freeplay_like.cli.scorers import BUILT_IN, Scorer, load_scorers
from freeplay_like.cli.test_report import Report, RunProgress, Threshold, judged, show
from freeplay_like.cli.test_runner import (
    Failure,
    Plan,
    Runner,
    deliver,
    find_template,
    flavor_of,
    new_plan,
    resumed_plan,
)
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
from freeplay_like.errors import BackendError
from freeplay_like.prompts.backend import BackendPrompts
from freeplay_like.prompts.base import PromptSource
from freeplay_like.prompts.pinned import PinnedPrompts
from freeplay_like.recording.folders import spool_candidates
from freeplay_like.recording.spool import spool_flush
from freeplay_like.session.client import Freeplay

T = TypeVar("T")

EXIT_FAILED: Final = 1
EXIT_INTERRUPTED: Final = 130
LATEST: Final = "latest"
_SPOOL_S: Final = 30.0
_NOT_PARAMETERS: Final = frozenset({"self", "project_id", "case", "template_name", "tag", "flavor"})
"""The names that a call's own arguments have."""


def _each(read: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, Sequence[str]], tuple[T, ...]]:
    """What reads every value of an option that can be given again and again."""
    return lambda context, parameter, values: tuple(map(read, values))


def _setting(text: str) -> tuple[str, JsonValue]:
    """`name=value`, where the value is JSON, or else a text."""
    name, equals, value = text.partition("=")
    name = name.strip()
    if not name or not equals:
        raise click.BadParameter(f"{text!r} is not name=value")
    if name in _NOT_PARAMETERS:
        raise click.BadParameter(f"{name!r} is no parameter of a call")
    try:
        return name, from_wire(value, object)
    except WireError:
        return name, value


def _threshold(text: str) -> Threshold:
    """`name=number`."""
    name, _, number = text.rpartition("=")
    try:
        least = float(number)
    except ValueError:
        least = math.nan
    if not name.strip() or not math.isfinite(least):
        raise click.BadParameter(f"{text!r} is not name=number")
    return Threshold(name=name.strip(), least=least)


@attrs.frozen(kw_only=True)
class _Wanted:
    """What the options say."""

    template: str | None
    dataset: str | None
    name: str | None
    environment: str | None
    version: str | None
    parameters: JsonObject
    at_once: int
    scorers: tuple[Scorer, ...]
    thresholds: Sequence[Threshold]
    compare: str | None
    resume: str | None
    again: str

    def check(self) -> None:
        """Refuse options that do not go together."""
        ours = (self.template, self.dataset, self.name, self.environment, self.version)
        if self.resume is not None:
            if any(ours) or self.parameters:
                raise click.UsageError("--resume goes on with what the run was begun with: leave out what is tried")
        elif not self.template or not self.dataset:
            raise click.UsageError("--template and --dataset say what is tried, or --resume which run goes on")
        if self.environment and self.version:
            raise click.UsageError("--environment and --version each say which version is tried: give one of them")


@click.group()
def test() -> None:
    """Prompt templates tried over datasets."""


@test.command()
@click.option("--template", help="The prompt template that is tried.")
@click.option("--environment", help=f"The environment whose version is tried.  [default: {LATEST}]")
@click.option("--version", help="The version that is tried, by its number or id, instead of an environment's.")
@click.option("--dataset", help="The dataset whose cases are asked.")
@click.option("--name", help="What the run is called.")
@click.option("--model", help="The model to ask instead of the template's.")
@click.option(
    "--param",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    callback=_each(_setting),
    help="A parameter over the template's own; the value is JSON, or else a text.",
)
@click.option("--parallel", "at_once", type=click.IntRange(1, 256), default=4, show_default=True, help="Calls at once.")
@click.option(
    "--scorer",
    "scorers",
    multiple=True,
    metavar="NAME",
    help=f"What scores each answer: {', '.join(BUILT_IN)}, or module:function of your own.",
)
@click.option(
    "--min-score",
    "thresholds",
    multiple=True,
    metavar="NAME=NUMBER",
    callback=_each(_threshold),
    help="The least mean of a score.",
)
@click.option("--compare", metavar="RUN", help="An earlier run to compare with.")
@click.option("--resume", metavar="RUN", help="Go on with a run: cases that have an answer are not asked again.")
@click.option("--json", "is_json", is_flag=True, help="Print one JSON object on standard output; all else on error.")
@at_backend
def run(
    *,
    project_id: str | None,
    template: str | None,
    environment: str | None,
    version: str | None,
    dataset: str | None,
    name: str | None,
    model: str | None,
    parameters: Sequence[tuple[str, JsonValue]],
    at_once: int,
    scorers: Sequence[str],
    thresholds: Sequence[Threshold],
    compare: str | None,
    resume: str | None,
    is_json: bool,
    api_base: str,
    api_key: str,
) -> int:
    """Ask a version of a template every case of a dataset, and score the answers.

    The provider's key comes from its own environment variable. Every call is recorded with its run and its case.
    Exits with 0 where all cases were answered and every --min-score is reached, with 1 where not, with 4 where the
    backend cannot be reached, and with 130 where it was interrupted; --resume then goes on.
    """
    wanted = _Wanted(
        template=template,
        dataset=dataset,
        name=name,
        environment=environment,
        version=version,
        parameters={**dict(parameters), **({} if model is None else {"model": model})},
        at_once=at_once,
        scorers=load_scorers(scorers),
        thresholds=thresholds,
        compare=compare,
        resume=resume,
        again="".join(f" --scorer {scorer}" for scorer in scorers),
    )
    wanted.check()
    with run_backend(api_base, api_key, project_id) as backend, _stopped_by_signals():
        report = _carry_out(backend, wanted, api_base, api_key)
    if is_json:
        click.echo(to_wire(report))
    show(report, to_stderr=is_json)
    return 0 if report.is_good else EXIT_FAILED


def _carry_out(backend: RunBackend, wanted: _Wanted, api_base: str, api_key: str) -> Report:
    if wanted.compare is not None:
        backend.run(wanted.compare)  # before anything is asked: that costs money
    prompts = BackendPrompts(api_base, api_key)
    try:
        plan = _plan(backend, prompts, wanted, api_base, api_key)
    finally:
        prompts.close()
    flavor = flavor_of(plan.template)
    click.echo(f"test run {plan.run_id}", err=True)
    with Freeplay(flavor, api_key, api_base, prompts=PinnedPrompts(plan.template)) as client:
        failures = _ask(backend, client, plan, wanted)
        try:
            deliver(client)
        except BackendError:
            click.echo(_way_on(plan, wanted), err=True)
            raise
    known = backend.run(plan.run_id)
    return Report(
        test_run_id=plan.run_id,
        project_id=backend.project_id,
        name=known.name,
        dataset=known.dataset_name,
        template=plan.template.name,
        version=plan.template.version,
        status=known.status,
        cases=known.test_cases,
        answered_before=plan.answered,
        failures=failures,
        thresholds=judged(wanted.thresholds, known),
        results=known.results,
        comparison=None if wanted.compare is None else backend.compare(wanted.compare, plan.run_id),
    )


def _plan(backend: RunBackend, prompts: PromptSource, wanted: _Wanted, api_base: str, api_key: str) -> Plan:
    if wanted.resume is not None:
        for spool in spool_candidates(None):  # what a killed run has answered is known once the backend has it
            spool_flush(spool, api_base, api_key, timeout_s=_SPOOL_S)
        return resumed_plan(backend, prompts, wanted.resume)
    environment = wanted.environment or LATEST
    template = find_template(backend, prompts, wanted.template or "", environment, wanted.version)
    flavor_of(template)  # a missing key is said before there is a run
    return new_plan(
        backend,
        template,
        wanted.dataset or "",
        name=wanted.name,
        environment=environment,
        parameters=wanted.parameters,
    )


def _ask(backend: RunBackend, client: Freeplay, plan: Plan, wanted: _Wanted) -> tuple[Failure, ...]:
    runner = Runner(backend, client, plan, wanted.scorers)
    try:
        with RunProgress(runner.total) as progress:
            return runner.run(wanted.at_once, progress.advance)
    except KeyboardInterrupt:
        client.close()
        click.echo(f"interrupted; {_way_on(plan, wanted)}", err=True)
        sys.stdout.flush()
        sys.stderr.flush()
        # threads still wait for the provider: their calls are kept as interrupted, and asked again
        os._exit(EXIT_INTERRUPTED)


def _way_on(plan: Plan, wanted: _Wanted) -> str:
    return f"go on with: freeplay-like test run --resume {plan.run_id}{wanted.again}"


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """SIGTERM stops a run as Ctrl-C does."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
