"""Datasets of cases for agents, in Freeplay's words: any JSON goes in, any is expected to come out."""

from __future__ import annotations

from typing import Final

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.dataset_forms import (
    Bulk,
    CaseIds,
    ChangedAgentCase,
    ChangedDataset,
    DatasetInfo,
    Done,
    NewAgentCase,
    NewDataset,
    agent_case_to_wire,
    change_of,
    draft_of,
    info_of,
)
from freeplay_like.server.api.datasets import LISTED
from freeplay_like.server.api.operations import PAGE, PROJECT, Ask, operation
from freeplay_like.server.store.trials.test_cases import CaseDraft

_DATASETS: Final = f"{PROJECT}/agent-datasets"
_DATASET: Final = f"{_DATASETS}/{{dataset_id}}"
_CASES: Final = f"{_DATASET}/test-cases"
_CASE: Final = f"{_CASES}/{{test_case_id}}"


@operation("POST", _DATASETS, scope="prompts", body=NewDataset, status=201, returns=DatasetInfo)
def create_agent_dataset(ask: Ask[NewDataset]) -> DatasetInfo:
    """A new dataset of cases for agents."""
    return info_of(ask.store.datasets.create(ask.project, draft_of(ask.body, "agent")))


@operation("GET", _DATASETS, scope="read", query=LISTED)
def list_agent_datasets(ask: Ask[None]) -> JsonObject:
    """The datasets of cases for agents, newest first."""
    page = ask.page()
    given = {"dataset_id": ask.query("id"), "name": ask.query("name")}
    found = ask.store.datasets.page(ask.project, "agent", page.offset, page.limit, **given)
    return page.answer([info_of(dataset) for dataset in found])


@operation("GET", _DATASET, scope="read", returns=DatasetInfo)
def get_agent_dataset(ask: Ask[None]) -> DatasetInfo:
    """A dataset of cases for agents."""
    return info_of(ask.store.datasets.get(ask.project, ask.path("dataset_id"), "agent"))


@operation("PATCH", _DATASET, scope="prompts", body=ChangedDataset, returns=DatasetInfo)
def change_agent_dataset(ask: Ask[ChangedDataset]) -> DatasetInfo:
    """Say something else of a dataset; what is left out stays as it is."""
    return info_of(ask.store.datasets.change(ask.project, ask.path("dataset_id"), change_of(ask.body), "agent"))


@operation("DELETE", _DATASET, scope="prompts", returns=Done)
def delete_agent_dataset(ask: Ask[None]) -> Done:
    """Delete a dataset with its test cases. Those that a test run used stay for that run alone."""
    ask.store.datasets.delete(ask.project, ask.path("dataset_id"), "agent")
    return Done(message="the dataset is deleted")


@operation("GET", _CASES, scope="read", query=PAGE)
def list_agent_cases(ask: Ask[None]) -> JsonObject:
    """The test cases of a dataset, in its order."""
    page = ask.page()
    found = ask.store.test_cases.page(ask.project, ask.path("dataset_id"), page.offset, page.limit, "agent")
    return page.answer([agent_case_to_wire(case) for case in found])


@operation("POST", f"{_CASES}/bulk", scope="prompts", body=Bulk[NewAgentCase], status=201)
def add_agent_cases(ask: Ask[Bulk[NewAgentCase]]) -> JsonObject:
    """Put up to 100 test cases at the end of a dataset."""
    cases = ask.body.data
    drafts = [CaseDraft(content=case.content, id=case.id) for case in cases]
    ids = ask.store.test_cases.add(ask.project, ask.path("dataset_id"), drafts, "agent")
    made = [
        {"id": case_id, "input": case.inputs, "output": case.outputs, "metadata": case.metadata}
        for case_id, case in zip(ids, cases, strict=True)
    ]
    return {"data": made}


@operation("DELETE", f"{_CASES}/bulk", scope="prompts", body=CaseIds, returns=Done)
def delete_agent_cases(ask: Ask[CaseIds]) -> Done:
    """Delete up to 100 test cases. One that a test run used stays for that run alone."""
    ids = ask.body.test_case_ids
    ask.store.test_cases.delete(ask.project, ask.path("dataset_id"), ids, "agent")
    return Done(message=f"{len(set(ids))} test cases are deleted")


@operation("GET", _CASE, scope="read")
def get_agent_case(ask: Ask[None]) -> JsonObject:
    """One test case."""
    found = ask.store.test_cases.get(ask.project, ask.path("dataset_id"), ask.path("test_case_id"), "agent")
    return agent_case_to_wire(found)


@operation("PATCH", _CASE, scope="prompts", body=ChangedAgentCase)
def change_agent_case(ask: Ask[ChangedAgentCase]) -> JsonObject:
    """Let a test case say something else.

    A test run that used it keeps it as it was: the changed case then has an id of its own, which the answer holds.
    """
    where = ask.path("dataset_id"), ask.path("test_case_id")
    return agent_case_to_wire(ask.store.test_cases.change(ask.project, *where, ask.body.over, "agent"))


@operation("DELETE", _CASE, scope="prompts", returns=Done)
def delete_agent_case(ask: Ask[None]) -> Done:
    """Delete a test case. One that a test run used stays for that run alone."""
    ask.store.test_cases.delete(ask.project, ask.path("dataset_id"), [ask.path("test_case_id")], "agent")
    return Done(message="the test case is deleted")


OPERATIONS: Final = (
    create_agent_dataset,
    list_agent_datasets,
    get_agent_dataset,
    change_agent_dataset,
    delete_agent_dataset,
    list_agent_cases,
    add_agent_cases,
    delete_agent_cases,
    get_agent_case,
    change_agent_case,
    delete_agent_case,
)
