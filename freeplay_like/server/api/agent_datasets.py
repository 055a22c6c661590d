"""Datasets of cases for agents, in Freeplay's words: any JSON goes in, any is expected to come out."""

from __future__ import annotations

from typing import Final

from freeplay_like.core.wire import JsonObject
from freeplay_like.server.api.dataset_forms import (
    Bulk,
    ChangedAgentCase,
    NewAgentCase,
    agent_case_to_wire,
)
from freeplay_like.server.api.dataset_kinds import cases_address_of, operations_on_cases, operations_on_datasets
from freeplay_like.server.api.operations import Ask, operation
from freeplay_like.server.store.trials.test_cases import CaseDraft

_CASES: Final = cases_address_of("agent")


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


@operation("PATCH", f"{_CASES}/{{test_case_id}}", scope="prompts", body=ChangedAgentCase)
def change_agent_case(ask: Ask[ChangedAgentCase]) -> JsonObject:
    """Let a test case say something else.

    A test run that used it keeps it as it was: the changed case then has an id of its own, which the answer holds.
    """
    where = ask.path("dataset_id"), ask.path("test_case_id")
    return agent_case_to_wire(ask.store.test_cases.change(ask.project, *where, ask.body.over, "agent"))


OPERATIONS: Final = (
    *operations_on_datasets("agent"),
    *operations_on_cases("agent", agent_case_to_wire),
    add_agent_cases,
    change_agent_case,
)
