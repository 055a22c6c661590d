"""From a review to a dataset in one step: a call becomes a test case, with the answer it should have given."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.server.pages.addresses import dataset_address
from freeplay_like.server.pages.forms import Sent, then
from freeplay_like.server.pages.page import PageProblem, project_of
from freeplay_like.server.pages.review.saying import said_address, stored_call
from freeplay_like.server.state import State
from freeplay_like.server.store.records.reviews import Holding
from freeplay_like.server.store.views import CaseContent, Dataset, DatasetDraft, Project, Refused, StoredCall

DATASETS_LIMIT: Final = 200
"""The most datasets that a form offers."""
ANSWER_LIMIT: Final = 200_000
"""The most characters of an answer that can be corrected in a form."""


@attrs.frozen(kw_only=True)
class CaseFormContext:
    """The form that makes a test case of a call; `holding` are the datasets that have it."""

    project: Project
    call: StoredCall
    datasets: tuple[Dataset, ...]
    holding: tuple[Holding, ...]


def build_case_form(state: State, request: Request) -> CaseFormContext:
    """The form.

    Raises:
        PageProblem: no such project or call.
    """
    project = project_of(state, request)
    record_id = request.path_params["record_id"]
    call = state.store.calls.get(project.id, record_id)
    if call is None:
        raise PageProblem("No such call", f"Project {project.name!r} has no call {record_id[:100]!r}.")
    return CaseFormContext(
        project=project,
        call=call,
        datasets=datasets_of(state, project),
        holding=state.store.reviews.holding(project, record_id),
    )


def datasets_of(state: State, project: Project) -> tuple[Dataset, ...]:
    """The datasets that a call can be put into, newest first."""
    return state.store.datasets.page(project, "prompt", 0, DATASETS_LIMIT)


def add_case(sent: Sent) -> Response:
    """Put a call into a dataset that is there, or a new one; `output` is what it should have answered.

    Raises:
        PageProblem, NotFound: no such project, call or dataset.
        NameTaken: there is a dataset of that name.
        Refused: the call is no test case, or no dataset was chosen.
    """
    project = project_of(sent.state, sent.request)
    call = stored_call(sent, project)
    output = sent.form.raw("output")
    if len(output) > ANSWER_LIMIT:
        raise Refused(f"the answer has {len(output)} characters; at most {ANSWER_LIMIT} can be given here")
    dataset_id, cases = _dataset(sent, project), sent.state.store.test_cases
    taken = cases.add_from_calls(project, dataset_id, [call.row.record_id])
    if not taken.case_ids:
        if sent.form.get("new_dataset"):
            sent.state.store.datasets.delete(project, dataset_id)  # made for this call alone
        raise Refused(f"this call is no test case: {taken.skipped[0].message}")
    if sent.form.has("output") and output.strip() != call.record.text.replace("\r\n", "\n").strip():
        cases.change(project, dataset_id, taken.case_ids[0], lambda content: expecting(content, output.strip()))
    return then(said_address(sent.form, "next", project, dataset_address(project.id, dataset_id)))


def expecting(content: CaseContent, output: str) -> CaseContent:
    """The case with another answer expected; without one where it is blank."""
    return attrs.evolve(content, output=output or None, output_message=None)


def _dataset(sent: Sent, project: Project) -> str:
    name = sent.form.get("new_dataset")
    if name:
        return sent.state.store.datasets.create(project, DatasetDraft(name=name)).id
    return sent.state.store.datasets.get(project, sent.form.require("dataset", "the dataset"), "prompt").id
