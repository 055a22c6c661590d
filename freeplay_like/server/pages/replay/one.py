"""The form that asks one call again."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.core.records import Record
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.errors import TemplateError
from freeplay_like.server import planning
from freeplay_like.server.pages.addresses import replay_result_address
from freeplay_like.server.pages.forms import Form, Sent, then
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.replay.options import Options, options_of, require_way, version_place
from freeplay_like.server.pages.replay.reading import json_object, shown_json, shown_variable, variables_in
from freeplay_like.server.state import State
from freeplay_like.server.store.trials.replay_views import Change, ItemDraft, ReplayDraft, ReplaySpec, VersionPlace
from freeplay_like.server.store.views import Project, Refused

MOST_TIMES: Final = 5
"""How often one call is asked again at most."""


@attrs.frozen(kw_only=True)
class OneContext:
    """A call that is to be asked again, and what can be changed. `problem` is why it cannot be."""

    project: Project
    record: Record
    options: Options
    problem: str | None
    has_masks: bool
    version: str

    @property
    def model(self) -> str:
        """The model to ask, unless another is said."""
        return self.record.requested_model or self.record.model or ""

    @property
    def flavor(self) -> str:
        """The flavor to speak, unless another is said: the call's own, where it says one."""
        return self.record.flavor or self.options.first_flavor

    @property
    def parameters(self) -> str:
        """The parameters of the call, as JSON to be changed."""
        return shown_json(planning.parameters_of(self.record))

    @property
    def variables(self) -> tuple[tuple[str, str], ...]:
        """The variables of the call, as text to be changed."""
        return tuple((name, shown_variable(value)) for name, value in self.record.variables.items())

    @property
    def times(self) -> range:
        """How often it can be asked."""
        return range(1, MOST_TIMES + 1)


def build_one(state: State, request: Request) -> OneContext:
    """The form for a call.

    Raises:
        PageProblem: no such project, or no such call in it.
    """
    project = project_of(state, request)
    record = _record(state, project, request.path_params["record_id"])
    ref = record.template
    return OneContext(
        project=project,
        record=record,
        options=options_of(state, project, own=record.flavor, template_id=ref.template_id if ref else ""),
        problem=planning.why_not(record),
        has_masks=planning.has_masks(record),
        version=request.query_params.get("version", ""),
    )


def begin_one(sent: Sent) -> Response:
    """Ask a call again, as the form says; nothing is begun that cannot be sent.

    Raises:
        PageProblem, Refused, NobodyToAsk, StoreUnavailable: it was not begun.
    """
    state, form = sent.state, sent.form
    project = project_of(state, sent.request)
    record = _record(state, project, sent.request.path_params["record_id"])
    version = version_place(state, project, form.get("version"))
    flavor = form.require("flavor", "the provider")
    times = form.number("times", "how often", lowest=1, highest=MOST_TIMES) or 1
    change = Change(
        flavor=flavor,
        model=form.require("model", "the model"),
        version=version,
        variables=_variables(form, record, version),
    )
    template = _template(state, project, version)
    base = planning.parameters_of(record) if template is None else _parameters(template)
    wanted = json_object(form.raw("parameters"), "Parameters")
    change = attrs.evolve(change, parameters=planning.difference(base, wanted))
    _check(state, project, record, change, template)
    require_way(state, project, flavor)
    items = tuple(ItemDraft(source_id=record.record_id) for _ in range(times))
    draft = ReplayDraft(spec=ReplaySpec(changes=(change,)), items=items)
    replay_id = state.store.replays.start(project, draft, sent.person.id)
    state.work.set()
    return then(replay_result_address(project.id, replay_id))


def _record(state: State, project: Project, record_id: str) -> Record:
    record = state.store.completions.get(project.id, record_id)
    if record is None:
        raise PageProblem("No such call", f"Project {project.name!r} has no call {record_id[:100]!r}.")
    return record


def _variables(form: Form, record: Record, version: VersionPlace | None) -> dict[str, object] | None:
    """The values that are to be filled in, None where no version is.

    Raises:
        Refused: values were changed that nothing would be filled in with.
    """
    values = variables_in(form, record.variables)
    values |= json_object(form.raw("more_variables"), "Further variables")
    if version is not None:
        return values
    if values != record.variables:
        raise Refused("the recorded messages are sent as they were: choose a version for other values of variables")
    return None


def _template(state: State, project: Project, version: VersionPlace | None) -> PromptTemplate | None:
    if version is None:
        return None
    found = state.store.prompts.get_version(project.id, version.template_id, version.version_id)
    return None if found is None else found.template


def _parameters(template: PromptTemplate) -> dict[str, object]:
    said = {"tools": template.tools, "output_schema": template.output_schema, **template.parameters}
    return {name: value for name, value in said.items() if value is not None}


def _check(state: State, project: Project, record: Record, change: Change, template: PromptTemplate | None) -> None:
    """Make sure that there is something to send, and that the variables fit."""
    ref = record.template
    original = None
    if ref is not None and ref.template_id is not None and ref.version_id is not None:
        found = state.store.prompts.get_version(project.id, ref.template_id, ref.version_id)
        original = None if found is None else found.template
    try:
        asked = planning.replay_of(project, record, change, version=template, original=original)
        planning.rendered(asked)
    except TemplateError as exc:
        raise Refused(str(exc)) from exc
