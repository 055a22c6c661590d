"""Test runs: the backend gives the cases of a dataset, the program calls for each, each record names its case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from freeplay_like.backend_link import BackendLink, segment
from freeplay_like.core.messages import messages_from
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
from freeplay_like.errors import BackendError, ConfigurationError, MessageError
from freeplay_like.session.test_cases import TestCase, TestCases

if TYPE_CHECKING:
    from freeplay_like.session.client import AsyncFreeplay, Freeplay
    from freeplay_like.session.completions import AsyncSession, Session


@attrs.frozen(kw_only=True)
class _WireCase:
    test_case_id: str
    variables: JsonObject
    output: str | None = None
    history: list[JsonObject] | None = None


@attrs.frozen(kw_only=True)
class _WireRun:
    test_run_id: str
    test_cases: list[_WireCase] | None = None


def begin_test_run(
    link: BackendLink, project_id: str, dataset: str, *, name: str | None = None, description: str | None = None
) -> TestCases:
    """Ask the backend for a new run over a dataset. Blocks on the network.

    Raises:
        BackendError: no such dataset, or no answer that can be used.
    """
    path = f"/v2/projects/{segment(project_id, 'project id')}/test-runs"
    body: JsonObject = {
        "dataset_name": dataset,
        "include_outputs": True,
        "test_run_name": name,
        "test_run_description": description,
    }
    answer = link.post(path, body)
    try:
        run = from_wire(to_wire(answer), _WireRun)
    except WireError as exc:
        raise BackendError(f"the backend's answer is no test run: {exc}", url=path) from exc
    return TestCases(test_run_id=run.test_run_id, cases=tuple(map(_case, run.test_cases or [])))


def _case(case: _WireCase) -> TestCase:
    try:
        history = messages_from(case.history or [])
    except MessageError as exc:
        raise BackendError(f"the history of test case {case.test_case_id} cannot be used: {exc}") from exc
    return TestCase(test_case_id=case.test_case_id, variables=case.variables, expected=case.output, history=history)


class _Run:
    """What both twins know. No I/O."""

    __test__ = False  # not one of pytest's

    def __init__(self, cases: TestCases) -> None:
        self._cases = cases

    @property
    def test_run_id(self) -> str:
        """The id of the run, which each of its records carries."""
        return self._cases.test_run_id

    @property
    def cases(self) -> tuple[TestCase, ...]:
        """The cases of the dataset, in its order."""
        return self._cases.cases

    @property
    def inputs(self) -> list[JsonObject]:
        """The variables of each case: those of `cases` themselves, so that a call that is given them belongs to its
        case also where another case has equal ones."""
        return [case.variables for case in self._cases.cases]

    def get_inputs(self) -> list[JsonObject]:
        """The same as `inputs` (0.1.6's way to say it)."""
        return self.inputs

    def _chosen(self, test_case_id: str | None) -> TestCases:
        if test_case_id is None:
            return self._cases
        chosen = tuple(case for case in self._cases.cases if case.test_case_id == test_case_id)
        if not chosen:
            raise ConfigurationError(f"test run {self.test_run_id} has no case {test_case_id!r}; see its .cases")
        return attrs.evolve(self._cases, cases=chosen)


class TestRun(_Run):
    """A run over a dataset; see `Freeplay.create_test_run`."""

    def __init__(self, client: Freeplay, cases: TestCases) -> None:
        super().__init__(cases)
        self._client = client

    def create_session(
        self,
        project_id: str,
        tag: str = "latest",
        *,
        test_case_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        **parameters: JsonValue,
    ) -> Session:
        """A session whose records belong to this run.

        The case of a record is `test_case_id` where given, else the case whose variables the call was given.
        """
        cases = self._chosen(test_case_id)
        return self._client._session(project_id, tag, metadata=metadata, parameters=parameters, test_cases=cases)


class AsyncTestRun(_Run):
    """The async twin of `TestRun`."""

    def __init__(self, client: AsyncFreeplay, cases: TestCases) -> None:
        super().__init__(cases)
        self._client = client

    def create_session(
        self,
        project_id: str,
        tag: str = "latest",
        *,
        test_case_id: str | None = None,
        metadata: Mapping[str, JsonValue] | None = None,
        **parameters: JsonValue,
    ) -> AsyncSession:
        """A session whose records belong to this run. No round trip, so nothing to await.

        The case of a record is `test_case_id` where given, else the case whose variables the call was given.
        """
        cases = self._chosen(test_case_id)
        return self._client._session(project_id, tag, metadata=metadata, parameters=parameters, test_cases=cases)
