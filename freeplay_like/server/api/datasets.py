"""Datasets of cases for prompts, and those of either kind by id or name, in Freeplay's words."""

from __future__ import annotations

from typing import Annotated, Final

import attrs
from msgspec import Meta
from starlette.exceptions import HTTPException

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.dataset_forms import (
    CASES_A_REQUEST,
    AddedCases,
    Bulk,
    CaseIds,
    ChangedCase,
    ChangedDataset,
    DatasetInfo,
    Done,
    FromCalls,
    NewCase,
    NewDataset,
    SkippedCall,
    TakenCalls,
    case_to_wire,
    change_of,
    check_messages,
    draft_of,
    example_to_wire,
    info_of,
)
from freeplay_like.server.api.operations import PAGE, PROJECT, Ask, Query, operation
from freeplay_like.server.auth import require_scope
from freeplay_like.server.store.trials.test_cases import CaseDraft

_DATASETS: Final = f"{PROJECT}/prompt-datasets"
_DATASET: Final = f"{_DATASETS}/{{dataset_id}}"
_CASES: Final = f"{_DATASET}/test-cases"
_CASE: Final = f"{_CASES}/{{test_case_id}}"
_BY_ID: Final = f"{PROJECT}/datasets/id/{{dataset_id}}"
_BY_NAME: Final = f"{PROJECT}/datasets/name/{{dataset_name:path}}"

LISTED: Final = (*PAGE, Query("id", "Only the dataset of this id."), Query("name", "Only the dataset of this name."))
"""What a list of datasets can be asked for."""


@attrs.frozen(kw_only=True)
class NewCases:
    """The body that adds test cases; more than 500 at once are refused."""

    examples: Annotated[list[NewCase], Meta(max_length=10_000)]


@operation("POST", _DATASETS, scope="prompts", body=NewDataset, status=201, returns=DatasetInfo)
def create_dataset(ask: Ask[NewDataset]) -> DatasetInfo:
    """A new dataset of cases for prompts."""
    return info_of(ask.store.datasets.create(ask.project, draft_of(ask.body, "prompt")))


@operation("GET", _DATASETS, scope="read", query=LISTED)
def list_datasets(ask: Ask[None]) -> JsonObject:
    """The datasets of cases for prompts, newest first."""
    page = ask.page()
    given = {"dataset_id": ask.query("id"), "name": ask.query("name")}
    found = ask.store.datasets.page(ask.project, "prompt", page.offset, page.limit, **given)
    return page.answer([info_of(dataset) for dataset in found])


@operation("GET", _DATASET, scope="read", returns=DatasetInfo)
def get_dataset(ask: Ask[None]) -> DatasetInfo:
    """A dataset of cases for prompts."""
    return info_of(ask.store.datasets.get(ask.project, ask.path("dataset_id"), "prompt"))


@operation("PATCH", _DATASET, scope="prompts", body=ChangedDataset, returns=DatasetInfo)
def change_dataset(ask: Ask[ChangedDataset]) -> DatasetInfo:
    """Say something else of a dataset; what is left out stays as it is."""
    return info_of(ask.store.datasets.change(ask.project, ask.path("dataset_id"), change_of(ask.body), "prompt"))


@operation("DELETE", _DATASET, scope="prompts", returns=Done)
def delete_dataset(ask: Ask[None]) -> Done:
    """Delete a dataset with its test cases. Those that a test run used stay for that run alone."""
    ask.store.datasets.delete(ask.project, ask.path("dataset_id"), "prompt")
    return Done(message="the dataset is deleted")


@operation("GET", _CASES, scope="read", query=PAGE)
def list_dataset_cases(ask: Ask[None]) -> JsonObject:
    """The test cases of a dataset, in its order."""
    page = ask.page()
    found = ask.store.test_cases.page(ask.project, ask.path("dataset_id"), page.offset, page.limit, "prompt")
    return page.answer([case_to_wire(case) for case in found])


@operation("POST", f"{_CASES}/bulk", scope="prompts", body=Bulk[NewCase], status=201)
def add_dataset_cases(ask: Ask[Bulk[NewCase]]) -> JsonObject:
    """Put up to 100 test cases at the end of a dataset."""
    drafts = _drafts("data", ask.body.data)
    ids = ask.store.test_cases.add(ask.project, ask.path("dataset_id"), drafts, "prompt")
    made = zip(ids, ask.body.data, strict=True)
    return {"data": [{**attrs.asdict(case, recurse=False), "id": case_id} for case_id, case in made]}


@operation("DELETE", f"{_CASES}/bulk", scope="prompts", body=CaseIds, returns=Done)
def delete_dataset_cases(ask: Ask[CaseIds]) -> Done:
    """Delete up to 100 test cases. One that a test run used stays for that run alone."""
    ids = ask.body.test_case_ids
    ask.store.test_cases.delete(ask.project, ask.path("dataset_id"), ids, "prompt")
    return Done(message=f"{len(set(ids))} test cases are deleted")


@operation("GET", _CASE, scope="read")
def get_dataset_case(ask: Ask[None]) -> JsonObject:
    """One test case."""
    found = ask.store.test_cases.get(ask.project, ask.path("dataset_id"), ask.path("test_case_id"), "prompt")
    return case_to_wire(found)


@operation("PATCH", _CASE, scope="prompts", body=ChangedCase)
def change_dataset_case(ask: Ask[ChangedCase]) -> JsonObject:
    """Let a test case say something else.

    A test run that used it keeps it as it was: the changed case then has an id of its own, which the answer holds.
    """
    where = ask.path("dataset_id"), ask.path("test_case_id")
    before = ask.store.test_cases.get(ask.project, *where, "prompt").content
    check_messages("", ask.body.over(before))
    return case_to_wire(ask.store.test_cases.change(ask.project, *where, ask.body.over, "prompt"))


@operation("DELETE", _CASE, scope="prompts", returns=Done)
def delete_dataset_case(ask: Ask[None]) -> Done:
    """Delete a test case. One that a test run used stays for that run alone."""
    ask.store.test_cases.delete(ask.project, ask.path("dataset_id"), [ask.path("test_case_id")], "prompt")
    return Done(message="the test case is deleted")


@operation("GET", _BY_ID, scope="read", returns=DatasetInfo)
def get_dataset_by_id(ask: Ask[None]) -> DatasetInfo:
    """A dataset of either kind, by its id."""
    return info_of(ask.store.datasets.get(ask.project, ask.path("dataset_id")))


@operation("POST", f"{_BY_ID}/test-cases", scope="prompts", body=NewCases, status=201, returns=AddedCases)
def add_cases(ask: Ask[NewCases]) -> AddedCases:
    """Put up to 500 test cases at the end of a dataset of either kind."""
    examples = ask.body.examples
    if len(examples) > CASES_A_REQUEST:
        raise HTTPException(413, f"'examples' has {len(examples)} test cases; {CASES_A_REQUEST} are taken at once")
    ids = ask.store.test_cases.add(ask.project, ask.path("dataset_id"), _drafts("examples", examples))
    return AddedCases(message=f"{len(ids)} test cases are in the dataset", test_case_ids=ids)


@operation("GET", f"{_BY_ID}/test-cases", scope="read")
def list_cases(ask: Ask[None]) -> list[JsonObject]:
    """All test cases of a dataset of either kind, in its order: a bare list."""
    return [example_to_wire(case) for case in ask.store.test_cases.page(ask.project, ask.path("dataset_id"))]


@operation("POST", f"{_BY_ID}/from-calls", scope="prompts", body=FromCalls, status=201, returns=TakenCalls)
def add_cases_from_calls(ask: Ask[FromCalls]) -> TakenCalls:
    """Make recorded calls test cases of a dataset, each once however often it is asked for.

    Their variables become the inputs, the conversation before becomes the history, and a complete answer what is
    expected. Needs the scope `read` too.
    """
    require_scope(ask.key, "read")
    taken = ask.store.test_cases.add_from_calls(ask.project, ask.path("dataset_id"), ask.body.record_ids)
    skipped = tuple(SkippedCall(record_id=each.record_id, message=each.message) for each in taken.skipped)
    return TakenCalls(test_case_ids=taken.case_ids, skipped=skipped)


@operation("GET", f"{_BY_NAME}/test-cases", scope="read")
def list_cases_by_name(ask: Ask[None]) -> list[JsonObject]:
    """All test cases of a dataset of either kind, by its name: a bare list."""
    found = ask.store.datasets.named(ask.project, ask.path("dataset_name"))
    return [example_to_wire(case) for case in ask.store.test_cases.page(ask.project, found.id)]


@operation("GET", _BY_NAME, scope="read", returns=DatasetInfo)
def get_dataset_by_name(ask: Ask[None]) -> DatasetInfo:
    """A dataset of either kind, by its name."""
    return info_of(ask.store.datasets.named(ask.project, ask.path("dataset_name")))


OPERATIONS: Final = (
    create_dataset,
    list_datasets,
    get_dataset,
    change_dataset,
    delete_dataset,
    list_dataset_cases,
    add_dataset_cases,
    delete_dataset_cases,
    get_dataset_case,
    change_dataset_case,
    delete_dataset_case,
    get_dataset_by_id,
    add_cases,
    list_cases,
    add_cases_from_calls,
    list_cases_by_name,
    get_dataset_by_name,
)


def _drafts(field: str, cases: list[NewCase]) -> list[CaseDraft]:
    for index, case in enumerate(cases):
        check_messages(f"{field}[{index}].", case.content)
    return [CaseDraft(content=case.content, id=case.id) for case in cases]
