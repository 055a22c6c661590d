"""What can be done alike with both kinds of datasets, of cases for prompts and of cases for agents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.dataset_forms import (
    CaseIds,
    ChangedDataset,
    DatasetInfo,
    Done,
    NewDataset,
    change_of,
    draft_of,
    info_of,
)
from freeplay_like.server.api.operations import PAGE, PROJECT, Ask, Operation, Query, operation
from freeplay_like.server.store.views import DatasetCase, DatasetKind

_LISTED: Final = (*PAGE, Query("id", "Only the dataset of this id."), Query("name", "Only the dataset of this name."))


def address_of(kind: DatasetKind) -> str:
    """Where the datasets of a kind are."""
    return f"{PROJECT}/{kind}-datasets"


def cases_address_of(kind: DatasetKind) -> str:
    """Where the test cases of such a dataset are."""
    return f"{address_of(kind)}/{{dataset_id}}/test-cases"


def operations_on_datasets(kind: DatasetKind) -> tuple[Operation, ...]:
    """Making, listing, changing and deleting datasets of a kind."""
    address = f"{address_of(kind)}/{{dataset_id}}"

    @operation("POST", address_of(kind), scope="prompts", body=NewDataset, status=201, returns=DatasetInfo)
    def create_dataset(ask: Ask[NewDataset]) -> DatasetInfo:
        """A new dataset of this kind."""
        return info_of(ask.store.datasets.create(ask.project, draft_of(ask.body, kind)))

    @operation("GET", address_of(kind), scope="read", query=_LISTED)
    def list_datasets(ask: Ask[None]) -> JsonObject:
        """The datasets of this kind, newest first."""
        page = ask.page()
        given = {"dataset_id": ask.query("id"), "name": ask.query("name")}
        found = ask.store.datasets.page(ask.project, kind, page.offset, page.limit, **given)
        return page.answer([info_of(dataset) for dataset in found])

    @operation("GET", address, scope="read", returns=DatasetInfo)
    def get_dataset(ask: Ask[None]) -> DatasetInfo:
        """A dataset of this kind."""
        return info_of(ask.store.datasets.get(ask.project, ask.path("dataset_id"), kind))

    @operation("PATCH", address, scope="prompts", body=ChangedDataset, returns=DatasetInfo)
    def change_dataset(ask: Ask[ChangedDataset]) -> DatasetInfo:
        """Say something else of a dataset; what is left out stays as it is."""
        return info_of(ask.store.datasets.change(ask.project, ask.path("dataset_id"), change_of(ask.body), kind))

    @operation("DELETE", address, scope="prompts", returns=Done)
    def delete_dataset(ask: Ask[None]) -> Done:
        """Delete a dataset with its test cases. Those that a test run used stay for that run alone."""
        ask.store.datasets.delete(ask.project, ask.path("dataset_id"), kind)
        return Done(message="the dataset is deleted")

    return create_dataset, list_datasets, get_dataset, change_dataset, delete_dataset


def operations_on_cases(kind: DatasetKind, to_wire: Callable[[DatasetCase], JsonObject]) -> tuple[Operation, ...]:
    """Listing, reading and deleting the test cases of such datasets; `to_wire` is how a case is shown."""
    address = cases_address_of(kind)

    @operation("GET", address, scope="read", query=PAGE)
    def list_dataset_cases(ask: Ask[None]) -> JsonObject:
        """The test cases of a dataset, in its order."""
        page = ask.page()
        found = ask.store.test_cases.page(ask.project, ask.path("dataset_id"), page.offset, page.limit, kind)
        return page.answer([to_wire(case) for case in found])

    @operation("DELETE", f"{address}/bulk", scope="prompts", body=CaseIds, returns=Done)
    def delete_dataset_cases(ask: Ask[CaseIds]) -> Done:
        """Delete up to 100 test cases. One that a test run used stays for that run alone."""
        ids = ask.body.test_case_ids
        ask.store.test_cases.delete(ask.project, ask.path("dataset_id"), ids, kind)
        return Done(message=f"{len(set(ids))} test cases are deleted")

    @operation("GET", f"{address}/{{test_case_id}}", scope="read")
    def get_dataset_case(ask: Ask[None]) -> JsonObject:
        """One test case."""
        return to_wire(ask.store.test_cases.get(ask.project, ask.path("dataset_id"), ask.path("test_case_id"), kind))

    @operation("DELETE", f"{address}/{{test_case_id}}", scope="prompts", returns=Done)
    def delete_dataset_case(ask: Ask[None]) -> Done:
        """Delete a test case. One that a test run used stays for that run alone."""
        ask.store.test_cases.delete(ask.project, ask.path("dataset_id"), [ask.path("test_case_id")], kind)
        return Done(message="the test case is deleted")

    return list_dataset_cases, delete_dataset_cases, get_dataset_case, delete_dataset_case
