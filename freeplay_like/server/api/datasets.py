"""Datasets and their test cases, in Freeplay's words."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.auth import require_key
from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.http import PageOf, json_response, read_json
from freeplay_like.server.state import state_of
from freeplay_like.server.store.datasets import DatasetFull, DatasetNotFound
from freeplay_like.server.store.views import CaseContent, Dataset, DatasetCase, DatasetDraft, NameTaken

CASES_A_REQUEST: Final = 500
_NAMES_LIMIT: Final = 200


@attrs.frozen(kw_only=True)
class NewDataset:
    """The body that makes a dataset."""

    name: str
    description: str | None = None
    input_names: tuple[str, ...] | None = None
    media_input_names: tuple[str, ...] | None = None
    support_history: bool = False


@attrs.frozen(kw_only=True)
class NewCases:
    """The body that adds test cases."""

    examples: list[CaseContent]


async def create_dataset(request: Request) -> Response:
    """A new dataset."""
    project = await require_key(request, "prompts")
    body = await read_json(request, NewDataset)
    name = body.name.strip()
    if not is_name(name):
        raise HTTPException(400, f"a dataset's {said_of_name(name)}")
    draft = DatasetDraft(
        name=name,
        description=body.description or "",
        input_names=_names("input_names", body.input_names),
        media_input_names=_names("media_input_names", body.media_input_names),
        support_history=body.support_history,
    )
    try:
        dataset = await run_in_threadpool(state_of(request).store.create_dataset, project, draft)
    except NameTaken as exc:
        raise HTTPException(409, f"{exc}; add to it, or choose another name") from exc
    return json_response(_to_wire(dataset), 201)


async def list_datasets(request: Request) -> Response:
    """The datasets of a project, newest first (`?page=`, `?page_size=`)."""
    project = await require_key(request, "read")
    page = PageOf.asked_for(request)
    datasets = await run_in_threadpool(state_of(request).store.datasets, project.id, page.offset, page.limit)
    return json_response(page.answer([_to_wire(dataset) for dataset in datasets]))


async def add_cases(request: Request) -> Response:
    """Put test cases at the end of a dataset."""
    project = await require_key(request, "prompts")
    contents = (await read_json(request, NewCases)).examples
    if len(contents) > CASES_A_REQUEST:
        raise HTTPException(413, f"'examples' has {len(contents)} test cases; {CASES_A_REQUEST} are taken at once")
    for index, content in enumerate(contents):
        _check_messages(index, content)
    dataset_id = request.path_params["dataset_id"]
    try:
        ids = await run_in_threadpool(state_of(request).store.add_cases, project, dataset_id, contents)
    except DatasetNotFound as exc:
        raise HTTPException(404, str(exc)) from exc
    except DatasetFull as exc:
        raise HTTPException(413, str(exc)) from exc
    return json_response({"test_case_ids": ids}, 201)


async def list_cases(request: Request) -> Response:
    """All test cases of a dataset, in the order they were added: a bare list."""
    project = await require_key(request, "read")
    dataset_id = request.path_params["dataset_id"]
    try:
        cases = await run_in_threadpool(state_of(request).store.dataset_cases, project, dataset_id)
    except DatasetNotFound as exc:
        raise HTTPException(404, str(exc)) from exc
    return json_response([_case_to_wire(case) for case in cases])


def _names(field: str, names: tuple[str, ...] | None) -> tuple[str, ...]:
    for name in names or ():
        if not is_name(name):
            raise HTTPException(400, f"{field}: a variable's {said_of_name(name)}")
    if names is not None and len(names) > _NAMES_LIMIT:
        raise HTTPException(400, f"{field} has {len(names)} names; at most {_NAMES_LIMIT} can be declared")
    return names or ()


def _check_messages(index: int, content: CaseContent) -> None:
    """A message of a test case is kept as it was sent: all that is asked of it is a role."""
    messages = [(f"history[{place}]", message) for place, message in enumerate(content.history or ())]
    if content.output_message is not None:
        messages.append(("output_message", content.output_message))
    for where, message in messages:
        if not isinstance(message.get("role"), str):
            raise HTTPException(400, f"examples[{index}].{where} has no role; a message is {{'role', 'content'}}")


def _to_wire(dataset: Dataset) -> JsonObject:
    return attrs.asdict(dataset, filter=lambda field, _: field.name != "key")


def _case_to_wire(case: DatasetCase) -> JsonObject:
    content = case.content
    return {
        "id": case.id,
        "values": content.inputs,
        "output": content.output,
        "output_message": content.output_message,
        "history": content.history,
        "metadata": content.metadata,
        "media_inputs": content.media_inputs,
    }
