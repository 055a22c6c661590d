"""The pages of datasets, and what can be done there."""

from __future__ import annotations

import re
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from freeplay_like.core.case_files import to_csv, to_jsonl
from freeplay_like.errors import ConfigurationError
from freeplay_like.server.auth import require_person
from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.pages.addresses import dataset_address, project_address, test_case_address
from freeplay_like.server.pages.forms import Sent, action, then
from freeplay_like.server.pages.page import Endpoint, PageProblem, message_page, page, project_of, render
from freeplay_like.server.pages.trials.case_import import choose_columns, form_of, read_import
from freeplay_like.server.pages.trials.cases import content_of, for_file, from_fields, from_json, holds, input_names
from freeplay_like.server.pages.trials.dataset_contexts import (
    CASES_A_PAGE,
    CaseContext,
    DatasetContext,
    DatasetsContext,
    DeleteContext,
    ImportContext,
)
from freeplay_like.server.state import State
from freeplay_like.server.store.trials.datasets import DatasetChange
from freeplay_like.server.store.trials.test_cases import CaseDraft
from freeplay_like.server.store.trials.test_runs import WhichRuns
from freeplay_like.server.store.views import CaseContent, DatasetDraft, DatasetKind, NotFound, Project, Refused

DATASETS_A_PAGE: Final = 50
RUNS_SHOWN: Final = 10
_NAMES_FROM: Final = 50
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")


def dataset_routes(state: State) -> list[BaseRoute]:
    """The pages of datasets, their forms, and their files."""
    room = "/projects/{project_id}/datasets"
    one = f"{room}/{{dataset_id}}"
    case = f"{one}/cases/{{case_id}}"
    return [
        *page(room, "trials/datasets.html", build_datasets, state),
        action(room, _create, state),
        *page(f"{one}/import", "trials/import.html", build_import, state),
        action(f"{one}/import", _import, state),
        *page(f"{one}/delete", "trials/delete_dataset.html", build_delete, state),
        action(f"{one}/delete", _delete, state),
        Route(f"{one}/export", _export(state), methods=["GET"]),
        *page(f"{one}/cases/new", "trials/case.html", build_new_case, state),
        action(f"{one}/cases/new", _add_case, state),
        *page(case, "trials/case.html", build_case, state),
        action(case, _change_case, state),
        action(f"{case}/delete", _delete_case, state),
        *page(one, "trials/dataset.html", build_dataset, state),
        action(one, _change, state),
    ]


def page_number(request: Request) -> int:
    """Which page the address asks for, from 1.

    Raises:
        PageProblem: it is no number.
    """
    text = request.query_params.get("page", "1")
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 6 and int(text) > 0):
        raise PageProblem("This address is damaged", f"page={text[:50]!r} is no number of a page.", status=400)
    return int(text)


def build_datasets(state: State, request: Request) -> DatasetsContext:
    """The datasets of a project."""
    project, number = project_of(state, request), page_number(request)
    found = state.store.datasets.page(project, None, (number - 1) * DATASETS_A_PAGE, DATASETS_A_PAGE + 1)
    shown = found[:DATASETS_A_PAGE]
    return DatasetsContext(
        project=project,
        datasets=shown,
        last_runs=state.store.trials.last_runs(project, [each.id for each in shown]),
        page_number=number,
        has_next=len(found) > len(shown),
    )


def build_dataset(state: State, request: Request) -> DatasetContext:
    """A dataset: `q` narrows its cases, `page` pages."""
    project, number = project_of(state, request), page_number(request)
    dataset = state.store.datasets.get(project, request.path_params["dataset_id"])
    q, offset = request.query_params.get("q", "").strip(), (number - 1) * CASES_A_PAGE
    if q:  # the cases lie compressed, so looking means reading: a dataset has its limits
        matching = [case for case in state.store.test_cases.page(project, dataset.id) if holds(case, q)]
        found, cases = len(matching), tuple(matching[offset : offset + CASES_A_PAGE])
    else:
        found, cases = dataset.cases, state.store.test_cases.page(project, dataset.id, offset, CASES_A_PAGE)
    return DatasetContext(
        project=project,
        dataset=dataset,
        names=input_names(dataset.input_names, cases),
        cases=cases,
        q=q,
        page_number=number,
        found=found,
        runs=state.store.test_runs.page(project, 0, RUNS_SHOWN, WhichRuns(dataset_id=dataset.id)),
    )


def build_new_case(state: State, request: Request) -> CaseContext:
    """A test case that is to be made."""
    return _case_context(state, request, None)


def build_case(state: State, request: Request) -> CaseContext:
    """A test case."""
    return _case_context(state, request, request.path_params["case_id"])


def _case_context(state: State, request: Request, case_id: str | None) -> CaseContext:
    project = project_of(state, request)
    dataset = state.store.datasets.get(project, request.path_params["dataset_id"])
    case = None if case_id is None else state.store.test_cases.get(project, dataset.id, case_id)
    some = state.store.test_cases.page(project, dataset.id, 0, _NAMES_FROM) if case is None else ()
    names = input_names(dataset.input_names, some) or (("input",) if dataset.kind == "agent" else ())
    is_json = request.query_params.get("as") == "json"
    return CaseContext(project=project, dataset=dataset, case=case, names=names, is_json=is_json)


def build_import(state: State, request: Request) -> ImportContext:
    """Where cases are pasted, or chosen as a file."""
    project = project_of(state, request)
    return ImportContext(
        project=project, dataset=state.store.datasets.get(project, request.path_params["dataset_id"], "prompt")
    )


def build_delete(state: State, request: Request) -> DeleteContext:
    """What goes with a dataset that is deleted."""
    project = project_of(state, request)
    dataset = state.store.datasets.get(project, request.path_params["dataset_id"])
    runs = state.store.test_runs.page(project, 0, RUNS_SHOWN, WhichRuns(dataset_id=dataset.id))
    return DeleteContext(project=project, dataset=dataset, runs=runs)


def _place(sent: Sent) -> tuple[Project, str]:
    return project_of(sent.state, sent.request), sent.request.path_params["dataset_id"]


def _name(sent: Sent) -> str:
    name = sent.form.require("name", "the name")
    if not is_name(name):
        raise Refused(f"a dataset's {said_of_name(name)}")
    return name


def _create(sent: Sent) -> Response:
    project = project_of(sent.state, sent.request)
    kind: DatasetKind = "agent" if sent.form.get("kind") == "agent" else "prompt"
    draft = DatasetDraft(name=_name(sent), kind=kind, description=sent.form.get("description"))
    return then(dataset_address(project.id, sent.state.store.datasets.create(project, draft).id))


def _change(sent: Sent) -> Response:
    project, dataset_id = _place(sent)
    said = DatasetChange(name=_name(sent), description=sent.form.get("description"))
    return then(dataset_address(project.id, sent.state.store.datasets.change(project, dataset_id, said).id))


def _delete(sent: Sent) -> Response:
    project, dataset_id = _place(sent)
    sent.state.store.datasets.delete(project, dataset_id)
    return then(project_address(project.id, "datasets"))


def _add_case(sent: Sent) -> Response:
    project, dataset_id = _place(sent)
    dataset = sent.state.store.datasets.get(project, dataset_id)
    content = _typed(sent, CaseContent(), is_agent=dataset.kind == "agent")
    sent.state.store.test_cases.add(project, dataset_id, [CaseDraft(content=content)])
    if sent.form.has("and_another"):
        return then(test_case_address(project.id, dataset_id, "new"))
    return then(dataset_address(project.id, dataset_id))


def _change_case(sent: Sent) -> Response:
    project, dataset_id = _place(sent)
    dataset, case_id = sent.state.store.datasets.get(project, dataset_id), sent.request.path_params["case_id"]
    before = sent.state.store.test_cases.get(project, dataset_id, case_id).content
    content = _typed(sent, before, is_agent=dataset.kind == "agent")
    case = sent.state.store.test_cases.change(project, dataset_id, case_id, lambda _: content)
    return then(test_case_address(project.id, dataset_id, case.id))


def _typed(sent: Sent, before: CaseContent, *, is_agent: bool) -> CaseContent:
    if sent.form.has("json"):
        return from_json(sent.form.raw("json"))
    return from_fields(sent.form, before, "agent" if is_agent else "prompt")


def _delete_case(sent: Sent) -> Response:
    project, dataset_id = _place(sent)
    sent.state.store.test_cases.delete(project, dataset_id, [sent.request.path_params["case_id"]])
    return then(dataset_address(project.id, dataset_id))


def _import(sent: Sent) -> Response:
    """Show what a text would become; store it where that was seen and nothing is wrong with it."""
    project, dataset_id = _place(sent)
    dataset = sent.state.store.datasets.get(project, dataset_id, "prompt")
    text = sent.form.raw("text").removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
    if not text.strip():
        raise Refused("there is nothing to import: paste the lines of a file, or choose one")
    found, shown = read_import(project, dataset, text, form_of(sent.form, text), choose_columns(sent.form))
    is_wanted = sent.form.has("store")
    if is_wanted and not shown.problems:
        drafts = [CaseDraft(content=content_of(case), id=str(case.fields["id"])) for case in found]
        sent.state.store.test_cases.add(project, dataset_id, drafts, "prompt")
        return then(dataset_address(project.id, dataset_id))
    html = render("trials/import.html", shown, person=sent.person, warning=sent.state.store.disk.problem)
    return HTMLResponse(html, 400 if is_wanted else 200, {"Cache-Control": "no-store"})


def _export(state: State) -> Endpoint:
    def answer(request: Request) -> Response:
        try:
            project = project_of(state, request)
            dataset = state.store.datasets.get(project, request.path_params["dataset_id"])
            cases = state.store.test_cases.page(project, dataset.id)
            lines = [for_file(case, dataset.kind) for case in cases]
            is_csv = request.query_params.get("format") == "csv"
            text = to_csv(lines) if is_csv else to_jsonl(lines)
        except PageProblem as problem:
            return message_page(problem.title, problem.message, status=problem.status)
        except NotFound as exc:
            return message_page("There is no such thing", f"{exc}.")
        except ConfigurationError as exc:
            return message_page("This has no place in a table", f"{str(exc).capitalize()}.", status=400)
        name = _UNSAFE.sub("-", dataset.name).strip("-.") or "dataset"
        ending, kind = ("csv", "text/csv") if is_csv else ("jsonl", "application/x-ndjson")
        headers = {"Content-Disposition": f'attachment; filename="{name}.{ending}"', "Cache-Control": "no-store"}
        return Response(text, media_type=kind, headers=headers)

    async def endpoint(request: Request) -> Response:
        require_person(request)
        return await run_in_threadpool(answer, request)

    return endpoint
