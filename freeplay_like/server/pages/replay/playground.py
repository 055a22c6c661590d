"""The playground: messages with variables in them, asked of one model or of several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from freeplay_like.core.records import Record
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import to_wire
from freeplay_like.server.pages.addresses import playground_address, version_address
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import PageProblem, project_of, render
from freeplay_like.server.pages.replay import sheet as sheets
from freeplay_like.server.pages.replay.options import Options, options_of, require_way
from freeplay_like.server.pages.replay.results import Pair, has_to_look, pairs_of
from freeplay_like.server.pages.replay.sheet import Checked, Column, Line, Sheet
from freeplay_like.server.state import State
from freeplay_like.server.store.prompts.views import Draft, Mover, check_name
from freeplay_like.server.store.trials.replay_views import ItemDraft, Replay, ReplayDraft, ReplaySpec, Written
from freeplay_like.server.store.views import Project, Refused

_HEADERS: Final = {"Cache-Control": "private, no-store"}


@attrs.frozen(kw_only=True)
class PlaygroundContext:
    """The editor, what is wrong with it, and the answers of the last run."""

    project: Project
    sheet: Sheet
    checked: Checked
    options: Options
    problems: tuple[str, ...] = ()
    call_id: str | None = None
    replay: Replay | None = None
    pairs: tuple[Pair, ...] = ()

    @property
    def variables(self) -> tuple[tuple[str, str, bool], ...]:
        """Name and value of each variable, and whether it has to have one."""
        return sheets.values_of(self.checked, self.sheet)

    @property
    def known(self) -> str:
        """The values of the variables, so that one which nobody touches keeps its kind."""
        return to_wire(self.sheet.variables).decode()

    @property
    def slots(self) -> tuple[str, ...]:
        """The places for media of each message, as they are sent back."""
        return tuple(to_wire(line.slots).decode() if line.slots else "" for line in self.sheet.lines)

    @property
    def is_waiting(self) -> bool:
        """Whether the page has to look again by itself."""
        return self.replay is not None and has_to_look(self.replay, self.pairs)

    @property
    def address(self) -> str:
        """The page of the last run."""
        return playground_address(self.project.id, run=None if self.replay is None else self.replay.id)


def build_playground(state: State, request: Request) -> PlaygroundContext:
    """The playground, with what the address names in it: a `call`, a `version`, or what was `run` in it.

    Raises:
        PageProblem: no such project, call or version.
        ReplayNotFound: no such run.
    """
    project = project_of(state, request)
    query = request.query_params
    options = options_of(state, project)
    if "run" in query:
        return _of_run(state, project, options, query["run"])
    if "call" in query:
        record = state.store.completions.get(project.id, query["call"])
        if record is None:
            raise PageProblem("No such call", f"Project {project.name!r} has no call {query['call'][:100]!r}.")
        run = state.store.replays.of_record(project, record.record_id)
        if run is not None and record.replay_of is None:
            return _of_run(state, project, options, run)
        sheet = sheets.sheet_of_record(record, _original(state, project, record))
        return _context(project, sheet, options, call_id=record.record_id)
    if "version" in query:
        template = _version(state, project, query["version"])
        return _context(project, sheets.sheet_of_template(template, options.first_flavor), options)
    first = Column(flavor=options.first_flavor)
    return _context(project, attrs.evolve(sheets.EMPTY, columns=(first,)), options)


def act_in_playground(sent: Sent) -> Response:
    """Do what a button of the editor says: run, save, or change what stands in it and show it again.

    Raises:
        PageProblem, Refused, NobodyToAsk, StoreUnavailable, and what `create_version` raises: it was not done.
    """
    state = sent.state
    project = project_of(state, sent.request)
    sheet = sheets.sheet_of_form(sent.form)
    does, _, place = sent.form.get("do", "check").partition(".")
    if does in ("run", "save"):
        checked = sheets.check(sheet)
        if checked.written is None or checked.template is None:
            return _shown(sent, project, sheet, problems=checked.problems, status=422)
        if does == "run":
            return _run(sent, project, sheet, checked.written, checked.template)
        return _save(sent, project, sheet, checked.template)
    if does not in _EDITS:
        raise Refused(f"there is no button {does[:50]!r} here")
    at = int(place) if place.isascii() and place.isdigit() and len(place) < 4 else -1
    return _shown(sent, project, _EDITS[does](sheet, at))


def _run(sent: Sent, project: Project, sheet: Sheet, written: Written, template: PromptTemplate) -> Response:
    state = sent.state
    changes = sheets.changes_of(sheet)
    for column in sheet.columns:
        require_way(state, project, column.flavor)
    origin = _unchanged_version(state, project, sheet, template)
    named = written.template | {
        "prompt_template_name": "playground" if origin is None else origin.name,
        "prompt_template_id": sheet.template_id or None,
        "prompt_template_version_id": None if origin is None else origin.version_id,
        "version": None if origin is None else origin.version,
    }
    if sheet.name:
        named["prompt_template_name"] = sheet.name
    spec = ReplaySpec(changes=changes, written=attrs.evolve(written, template=named))
    items = tuple(ItemDraft(choice=place) for place in range(len(changes)))
    draft = ReplayDraft(kind="playground", spec=spec, items=items)
    replay_id = state.store.replays.start(project, draft, sent.person.id)
    state.work.set()
    return then(f"{playground_address(project.id, run=replay_id)}#replay")


def _save(sent: Sent, project: Project, sheet: Sheet, template: PromptTemplate) -> Response:
    """A new version: of the template that the messages came from, or of the one that is named."""
    name = sent.form.get("save_as")
    is_same = not name or name == sheet.name
    if is_same and not sheet.template_id:
        raise Refused("give the template a name to save it under")
    if not is_same:
        check_name(name)
        template = attrs.evolve(template, name=name, template_id=None)
    by = Mover(kind="person", id=sent.person.id)
    made = sent.state.store.prompts.create_version(project, Draft(template=template), by).template
    if made.template_id is None or made.version_id is None:
        raise Refused("the version was saved without an id")
    return then(version_address(project.id, made.template_id, made.version_id))


def _unchanged_version(state: State, project: Project, sheet: Sheet, template: PromptTemplate) -> PromptTemplate | None:
    """The version that the messages came from, where they are still its own."""
    if not sheet.template_id or not sheet.version_id:
        return None
    found = state.store.prompts.get_version(project.id, sheet.template_id, sheet.version_id)
    if found is None:
        return None
    said, own = (template.messages, template.syntax), (found.template.messages, found.template.syntax)
    return found.template if said == own else None


# --- what the buttons do ----------------------------------------------------------------------------------


def _add(sheet: Sheet, at: int) -> Sheet:
    role = "assistant" if sheet.lines and sheet.lines[-1].role == "user" else "user"
    return attrs.evolve(sheet, lines=(*sheet.lines, Line(role=role))[: sheets.MOST_LINES])


def _remove(sheet: Sheet, at: int) -> Sheet:
    return attrs.evolve(sheet, lines=tuple(line for place, line in enumerate(sheet.lines) if place != at))


def _swap(sheet: Sheet, at: int, other: int) -> Sheet:
    lines = list(sheet.lines)
    if 0 <= at < len(lines) and 0 <= other < len(lines):
        lines[at], lines[other] = lines[other], lines[at]
    return attrs.evolve(sheet, lines=tuple(lines))


def _add_column(sheet: Sheet, at: int) -> Sheet:
    return attrs.evolve(sheet, columns=(*sheet.columns, sheet.columns[-1])[: sheets.MOST_COLUMNS])


def _remove_column(sheet: Sheet, at: int) -> Sheet:
    left = tuple(column for place, column in enumerate(sheet.columns) if place != at)
    return attrs.evolve(sheet, columns=left or sheet.columns)


_EDITS: Final[dict[str, Callable[[Sheet, int], Sheet]]] = {
    "check": lambda sheet, at: sheet,
    "add": _add,
    "remove": _remove,
    "up": lambda sheet, at: _swap(sheet, at, at - 1),
    "down": lambda sheet, at: _swap(sheet, at, at + 1),
    "column": _add_column,
    "drop": _remove_column,
}


# --- what is shown ----------------------------------------------------------------------------------------


def _shown(
    sent: Sent, project: Project, sheet: Sheet, *, problems: tuple[str, ...] = (), status: int = 200
) -> Response:
    context = _context(project, sheet, options_of(sent.state, project), problems=problems)
    warning = sent.state.store.disk.problem
    html = render("replay/playground.html", context, person=sent.person, warning=warning)
    return HTMLResponse(html, status, headers=_HEADERS)


def _context(
    project: Project,
    sheet: Sheet,
    options: Options,
    *,
    problems: tuple[str, ...] = (),
    call_id: str | None = None,
    replay: Replay | None = None,
    pairs: tuple[Pair, ...] = (),
) -> PlaygroundContext:
    return PlaygroundContext(
        project=project,
        sheet=sheet,
        checked=sheets.check(sheet),
        options=options,
        problems=problems,
        call_id=call_id,
        replay=replay,
        pairs=pairs,
    )


def _of_run(state: State, project: Project, options: Options, run: str) -> PlaygroundContext:
    replay = state.store.replays.get(project, run)
    sheet = sheets.sheet_of_run(replay.spec)
    if sheet is None:
        raise PageProblem("Not of the playground", "This replay was begun from recorded calls.")
    return _context(project, sheet, options, replay=replay, pairs=pairs_of(state, project, replay))


def _original(state: State, project: Project, record: Record) -> PromptTemplate | None:
    ref = record.template
    if ref is None or ref.template_id is None or ref.version_id is None:
        return None
    found = state.store.prompts.get_version(project.id, ref.template_id, ref.version_id)
    return None if found is None else found.template


def _version(state: State, project: Project, version_id: str) -> PromptTemplate:
    known = state.store.completions.known(project.id, version_id, None).version
    template_id = None if known is None else known.template.template_id
    found = None if template_id is None else state.store.prompts.get_version(project.id, template_id, version_id)
    if found is None:
        raise PageProblem("No such version", f"Project {project.name!r} has no version {version_id[:100]!r}.")
    return found.template
