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
    ChangedCase,
    DatasetInfo,
    FromCalls,
    NewCase,
    SkippedCall,
    TakenCalls,
    case_to_wire,
    check_messages,
    example_to_wire,
    info_of,
)
from freeplay_like.server.api.dataset_kinds import cases_address_of, operations_on_cases, operations_on_datasets
from freeplay_like.server.api.operations import PROJECT, Ask, operation
from freeplay_like.server.auth import require_scope
from freeplay_like.server.store.trials.test_cases import CaseDraft

_CASES: Final = cases_address_of("prompt")
_BY_ID: Final = f"{PROJECT}/datasets/id/{{dataset_id}}"
_BY_NAME: Final = f"{PROJECT}/datasets/name/{{dataset_name:path}}"


@attrs.frozen(kw_only=True)
class NewCases:
    """The body that adds test cases; more than 500 at once are refused."""

    examples: Annotated[list[NewCase], Meta(max_length=10_000)]


@operation("POST", f"{_CASES}/bulk", scope="prompts", body=Bulk[NewCase], status=201)
def add_dataset_cases(ask: Ask[Bulk[NewCase]]) -> JsonObject:
    """Put up to 100 test cases at the end of a dataset."""
    drafts = _drafts("data", ask.body.data)
    ids = ask.store.test_cases.add(ask.project, ask.path("dataset_id"), drafts, "prompt")
    made = zip(ids, ask.body.data, strict=True)
    return {"data": [{**attrs.asdict(case, recurse=False), "id": case_id} for case_id, case in made]}


@operation("PATCH", f"{_CASES}/{{test_case_id}}", scope="prompts", body=ChangedCase)
def change_dataset_case(ask: Ask[ChangedCase]) -> JsonObject:
    """Let a test case say something else.

    A test run that used it keeps it as it was: the changed case then has an id of its own, which the answer holds.
    """
    where = ask.path("dataset_id"), ask.path("test_case_id")
    before = ask.store.test_cases.get(ask.project, *where, "prompt").content
    check_messages("", ask.body.over(before))
    return case_to_wire(ask.store.test_cases.change(ask.project, *where, ask.body.over, "prompt"))


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
    *operations_on_datasets("prompt"),
    *operations_on_cases("prompt", case_to_wire),
    add_dataset_cases,
    change_dataset_case,
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
