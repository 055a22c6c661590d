"""Where test runs are begun that the server carries out: versions over a dataset, a run each."""

from __future__ import annotations

import math
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.core.answer_checks import ANSWER_CHECKS
from freeplay_like.core.wire import JsonObject, WireError, from_wire
from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.pages.addresses import compare_address, run_address
from freeplay_like.server.pages.forms import Form, Sent, then
from freeplay_like.server.pages.page import project_of
from freeplay_like.server.pages.trials.run_contexts import NewRunContext
from freeplay_like.server.pages.trials.versions import named
from freeplay_like.server.state import State
from freeplay_like.server.store.trials.trials import TrialDraft
from freeplay_like.server.store.views import Project, Refused

VERSIONS_AT_ONCE: Final = 4
_LISTED: Final = 500


@attrs.frozen(kw_only=True)
class _Begun:
    """What a form begins with: that of a run or a suite to do again, else what the address says."""

    dataset_id: str | None = None
    versions: tuple[str, ...] = ()
    name: str = ""
    parameters: JsonObject = attrs.field(factory=dict)
    thresholds: dict[str, float] = attrs.field(factory=dict)


def build_new_run(state: State, request: Request) -> NewRunContext:
    """The form: `dataset` and `version` are chosen already; `run` and `suite` are to be done again.

    Raises:
        RunNotFound, SuiteNotFound: there is no such thing.
    """
    project = project_of(state, request)
    templates = state.store.prompts.summaries(project.id)
    begun = _begun(state, project, request)
    known = named(templates)
    parameters = dict(begun.parameters)
    model = parameters.pop("model", "")
    uses_environment = state.settings.uses_provider_environment
    return NewRunContext(
        project=project,
        datasets=state.store.datasets.page(project, "prompt", 0, _LISTED),
        templates=templates,
        dataset_id=begun.dataset_id,
        versions=tuple(each for each in begun.versions if each in known)[:VERSIONS_AT_ONCE],
        name=begun.name,
        model=model if isinstance(model, str) else "",
        parameters=parameters,
        thresholds=begun.thresholds,
        connected=None if uses_environment else tuple(each.flavor for each in state.store.providers.all(project)),
    )


def _begun(state: State, project: Project, request: Request) -> _Begun:
    said = request.query_params
    dataset_id, versions = said.get("dataset") or None, tuple(said.getlist("version"))
    if run_id := said.get("run"):
        run = state.store.test_runs.get(project, run_id).info
        suite = None if run.suite_id is None else state.store.test_suites.get(project, run.suite_id)
        return _Begun(
            dataset_id=run.dataset_id,
            versions=versions or ((run.template_version_id,) if run.template_version_id else ()),
            parameters=run.parameters,
            thresholds={} if suite is None else dict(suite.thresholds),
        )
    if suite_id := said.get("suite"):
        suite = state.store.test_suites.get(project, suite_id)
        newest: tuple[str, ...] = ()
        if suite.template_id is not None:
            newest = tuple(
                each.version_id for each in state.store.prompts.find(project, suite.template_id).versions[:1]
            )
        return _Begun(dataset_id=suite.dataset_id, versions=versions or newest, thresholds=dict(suite.thresholds))
    template_id, environment = said.get("template"), said.get("environment")
    if template_id and not versions:
        found = state.store.prompts.find(project, template_id).versions
        wanted = [each for each in found if not environment or environment in each.environments] or found
        versions = tuple(each.version_id for each in wanted[:1])
    return _Begun(dataset_id=dataset_id, versions=versions, thresholds=dict.fromkeys(("contains",), 0.0))


def start_runs(sent: Sent) -> Response:
    """Begin a run for each version; leads to the run, or to all of them side by side."""
    state, form = sent.state, sent.form
    project = project_of(state, sent.request)
    known = named(state.store.prompts.summaries(project.id))
    chosen = tuple(dict.fromkeys(form.all("version")))
    if not chosen:
        raise Refused("no version is chosen: there is nothing to try")
    if len(chosen) > VERSIONS_AT_ONCE:
        raise Refused(f"{len(chosen)} versions are chosen; {VERSIONS_AT_ONCE} can be tried at once")
    missing = next((each for each in chosen if each not in known), None)
    if missing is not None:
        raise Refused(f"there is no version {missing[:100]!r} any more")
    draft = TrialDraft(
        dataset_id=form.require("dataset", "the dataset"),
        versions=tuple((known[each].template_id, each) for each in chosen),
        name=_name(form),
        parameters=parameters_of(form),
        thresholds=thresholds_of(form),
    )
    needs_connection = not state.settings.uses_provider_environment
    run_ids = state.store.trials.start(project, draft, needs_connection=needs_connection)
    state.work.set()
    if len(run_ids) == 1:
        return then(run_address(project.id, run_ids[0]))
    return then(compare_address(project.id, "run", *run_ids))


def _name(form: Form) -> str | None:
    name = form.get("name")
    if name and not is_name(name):
        raise Refused(f"a test run's {said_of_name(name)}")
    return name or None


def parameters_of(form: Form) -> JsonObject:
    """What is set over a version's own parameters: a model, and a JSON object.

    Raises:
        Refused: it is none.
    """
    text, model = form.raw("parameters").strip(), form.get("model")
    found: JsonObject = {}
    if text:
        try:
            found = from_wire(text, dict[str, object])
        except WireError as exc:
            raise Refused(f'the parameters are no JSON object, such as {{"temperature": 0.2}}: {exc}') from exc
    return {**found, "model": model} if model else found


def thresholds_of(form: Form) -> dict[str, float]:
    """The checks that are chosen, each with the share of cases that has to pass it; 0 asks for none.

    Raises:
        Refused: there is no such check, or a share is none.
    """
    found = {}
    for name in form.all("check"):
        if name not in ANSWER_CHECKS:
            raise Refused(f"there is no check {name[:100]!r}; there are {', '.join(ANSWER_CHECKS)}")
        text = form.get(f"least.{name}") or "0"
        try:
            least = float(text.removesuffix("%")) / 100
        except ValueError:
            least = math.nan
        if not 0 <= least <= 1:
            raise Refused(f"what has to pass {name} is a percentage from 0 to 100, not {text[:100]!r}")
        found[name] = least
    return found
