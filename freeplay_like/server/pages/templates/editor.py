"""The editor: a draft of a template's next version, rendered with an example, and saved as a version."""

from __future__ import annotations

import json
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from freeplay_like.core.template_flavors import FLAVORS, PROVIDERS
from freeplay_like.server.pages.addresses import version_address
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import project_of, render, render_part
from freeplay_like.server.pages.templates.checking import LABELS, Problem, check
from freeplay_like.server.pages.templates.draft import MessageDraft, TemplateDraft
from freeplay_like.server.pages.templates.examples import ExampleGroup, examples_of, values_of
from freeplay_like.server.pages.templates.one_template import version_of
from freeplay_like.server.pages.templates.rendering import Rendering, render_draft
from freeplay_like.server.state import State
from freeplay_like.server.store.derived.filters import EVERYTHING
from freeplay_like.server.store.prompts.views import Draft, Mover, NewerVersion
from freeplay_like.server.store.views import Project, StoreUnavailable, TemplateSummary, VersionSummary

_MODELS: Final = 50
"""How many models are offered: those that calls name most."""
_FRESH: Final = TemplateDraft(messages=(MessageDraft(role="system"), MessageDraft(role="user")))


@attrs.frozen(kw_only=True)
class EditorContext:
    """The editor with a draft in it. `template` is None while there is none yet.

    `newer` is a version that appeared since the draft was begun, `same` one that says what the draft does; either
    stands in the way of saving, as do `problems`. `is_dirty`: there is input that would be lost. `focus` is the control
    to go on in.
    """

    project: Project
    template: TemplateSummary | None
    draft: TemplateDraft
    rendering: Rendering
    examples: tuple[ExampleGroup, ...]
    models: tuple[str, ...]
    providers: tuple[str, ...] = PROVIDERS
    flavors: tuple[str, ...] = FLAVORS
    newer: VersionSummary | None = None
    same: VersionSummary | None = None
    is_dirty: bool = False
    problems: tuple[Problem, ...] = ()
    focus: str = ""

    @property
    def base(self) -> VersionSummary | None:
        """The version that the draft was begun on."""
        versions = self.template.versions if self.template else ()
        return next((version for version in versions if version.version_id == self.draft.based_on), None)


def build_new(state: State, request: Request) -> EditorContext:
    """The editor for a template that is not there yet; `name` may say what it is called.

    Raises:
        PageProblem: no such project.
    """
    draft = attrs.evolve(_FRESH, name=request.query_params.get("name", ""))
    return _context(state, project_of(state, request), None, draft)


def build_editor(state: State, request: Request) -> EditorContext:
    """The editor for the next version of a template, which begins as `version` or as the newest.

    Raises:
        PageProblem: no such project or version.
        TemplateNotFound: no such template.
    """
    project = project_of(state, request)
    template = state.store.prompts.find(project, request.path_params["template_id"])
    if not template.versions:
        return _context(state, project, template, attrs.evolve(_FRESH, name=template.name))
    newest = template.versions[0].version_id
    stored = version_of(state, project, template.template_id, request.query_params.get("version") or newest)
    draft = TemplateDraft.of(stored, newest)
    examples = examples_of(state, project, template.name)
    if examples and draft.messages:
        key = examples[0].examples[0].key
        draft = attrs.evolve(draft, example=key, variables=_json(values_of(state, project, key)))
    return _context(state, project, template, draft, examples=examples)


def edit(sent: Sent) -> Response:
    """What the editor's form asks for: a change of the draft, its rendering, or to save it.

    Raises:
        PageProblem, NotFound, Refused: the project or the template is not there, or no such button.
    """
    state, project = sent.state, project_of(sent.state, sent.request)
    template_id = sent.request.path_params.get("template_id")
    template = None if template_id is None else state.store.prompts.find(project, template_id)
    draft = TemplateDraft.read(sent.form)
    if template is not None:
        draft = attrs.evolve(draft, name=template.name)
    do = sent.form.get("do", "render")
    if do == "save":
        return _save(sent, project, template, draft)
    focus = ""
    if do == "example":
        draft, focus = attrs.evolve(draft, variables=_json(values_of(state, project, draft.example))), "example"
    elif do != "render":
        draft, focus = draft.changed(do)
    return _page(sent, _context(state, project, template, draft, is_dirty=True, focus=focus))


def rendered(sent: Sent) -> Response:
    """The draft of a form, rendered: a part of the editor's page.

    Raises:
        Refused: it has more messages than a template may.
    """
    draft = TemplateDraft.read(sent.form)
    return HTMLResponse(
        render_part("templates/rendering.html", {"rendering": render_draft(draft)}),
        headers={"Cache-Control": "no-store"},
    )


def _save(sent: Sent, project: Project, template: TemplateSummary | None, draft: TemplateDraft) -> Response:
    """A new version; or the editor again, with all input, and what stands in the way."""
    state = sent.state
    checked = check(draft, template.template_id if template else None)
    if checked.template is None:
        return _page(sent, _context(state, project, template, draft, problems=checked.problems), 400)
    known = {version.version_id: version for version in template.versions} if template else {}
    try:
        made = state.store.prompts.create_version(
            project,
            Draft(
                template=checked.template,
                name=draft.version_name or None,
                based_on=draft.based_on,
                is_renewal=draft.is_renewal,
            ),
            Mover(kind="person", id=sent.person.id, may_deploy=sent.person.is_admin),
        ).template
    except NewerVersion:
        return _page(sent, _overtaken(state, project, template, draft), 409)
    except StoreUnavailable as exc:
        problem = Problem(control="save", where="Saving", message=f"{exc}; try again")
        return _page(sent, _context(state, project, template, draft, problems=(problem,)), 503)
    template_id, version_id = made.template_id or "", made.version_id or ""
    if version_id not in known:
        return then(f"{version_address(project.id, template_id, version_id)}?said=saved")
    context = _context(state, project, template, draft, is_dirty=True)
    return _page(sent, attrs.evolve(context, same=known[version_id]), 409)


def _overtaken(state: State, project: Project, template: TemplateSummary | None, draft: TemplateDraft) -> EditorContext:
    """The editor, with what somebody else made meanwhile; to save again is to save after it."""
    if template is None:
        problem = Problem(control="name", where=LABELS["name"], message=f"there is a template {draft.name!r} already")
        return _context(state, project, None, draft, problems=(problem,))
    now = state.store.prompts.find(project, template.template_id)
    newest = now.versions[0] if now.versions else None
    draft = attrs.evolve(draft, based_on=newest.version_id if newest else "")
    return attrs.evolve(_context(state, project, now, draft, is_dirty=True), newer=newest)


def _context(
    state: State,
    project: Project,
    template: TemplateSummary | None,
    draft: TemplateDraft,
    *,
    examples: tuple[ExampleGroup, ...] | None = None,
    is_dirty: bool = False,
    problems: tuple[Problem, ...] = (),
    focus: str = "",
) -> EditorContext:
    name = template.name if template else draft.name
    models = state.store.statistics.facets(project.id, EVERYTHING, ("model",), _MODELS)
    return EditorContext(
        project=project,
        template=template,
        draft=draft,
        rendering=render_draft(draft),
        examples=examples_of(state, project, name) if examples is None else examples,
        models=tuple(each.value for each in models.fields["model"]),
        is_dirty=is_dirty or bool(problems),
        problems=problems,
        focus=focus,
    )


def _page(sent: Sent, context: EditorContext, status: int = 200) -> Response:
    html = render("templates/editor.html", context, person=sent.person, warning=sent.state.store.disk.problem)
    return HTMLResponse(html, status, headers={"Cache-Control": "no-store"})


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
