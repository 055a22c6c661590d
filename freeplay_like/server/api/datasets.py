"""Datasets and their test cases, in Freeplay's words."""

from __future__ import annotations

from typing import Final

import attrs
from starlette.exceptions import HTTPException

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.operations import PAGE, PROJECT, Ask, operation
from freeplay_like.server.checks import is_name, said_of_name
from freeplay_like.server.store.views import CaseContent, Dataset, DatasetCase, DatasetDraft

CASES_A_REQUEST: Final = 500
_NAMES_LIMIT: Final = 200

_DATASETS: Final = f"{PROJECT}/prompt-datasets"
_CASES: Final = f"{PROJECT}/datasets/id/{{dataset_id}}/test-cases"


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


@operation("POST", _DATASETS, scope="prompts", body=NewDataset, status=201)
def create_dataset(ask: Ask[NewDataset]) -> JsonObject:
    """A new dataset."""
    body = ask.body
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
    return _to_wire(ask.store.datasets.create(ask.project, draft))


@operation("GET", _DATASETS, scope="read", query=PAGE)
def list_datasets(ask: Ask[None]) -> JsonObject:
    """The datasets of a project, newest first."""
    page = ask.page()
    datasets = ask.store.datasets.page(ask.project.id, page.offset, page.limit)
    return page.answer([_to_wire(dataset) for dataset in datasets])


@operation("POST", _CASES, scope="prompts", body=NewCases, status=201)
def add_cases(ask: Ask[NewCases]) -> JsonObject:
    """Put test cases at the end of a dataset."""
    contents = ask.body.examples
    if len(contents) > CASES_A_REQUEST:
        raise HTTPException(413, f"'examples' has {len(contents)} test cases; {CASES_A_REQUEST} are taken at once")
    for index, content in enumerate(contents):
        _check_messages(index, content)
    return {"test_case_ids": ask.store.datasets.add_cases(ask.project, ask.path("dataset_id"), contents)}


@operation("GET", _CASES, scope="read")
def list_cases(ask: Ask[None]) -> list[JsonObject]:
    """All test cases of a dataset, in the order they were added: a bare list."""
    return [_case_to_wire(case) for case in ask.store.datasets.cases(ask.project, ask.path("dataset_id"))]


OPERATIONS: Final = (create_dataset, list_datasets, add_cases, list_cases)


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
