"""Test runs: the backend gives the cases of a dataset, the program calls for each, each record names its case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs

from freeplay_like.backend_link import BackendLink, segment
from freeplay_like.core.completion import CompletionResponse
from freeplay_like.core.messages import messages_from
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
from freeplay_like.errors import BackendError, ConfigurationError, MessageError
from freeplay_like.flavors.base import Flavor
from freeplay_like.session.calls import Call
from freeplay_like.session.state import SessionState
from freeplay_like.session.test_cases import TestCase, TestCases

if TYPE_CHECKING:
    from freeplay_like.session.client import AsyncFreeplay, Freeplay
    from freeplay_like.session.completions import AsyncSession, Session
    from freeplay_like.session.streams import CompletionStream


@attrs.frozen(kw_only=True)
class WireCase:
    """A test case as the backend gives it out."""

    test_case_id: str
    variables: JsonObject
    output: str | None = None
    history: list[JsonObject] | None = None
    media_variables: JsonObject | None = None


@attrs.frozen(kw_only=True)
class _WireRun:
    test_run_id: str
    test_cases: list[WireCase] | None = None


def begin_test_run(
    link: BackendLink,
    project_id: str,
    dataset: str,
    *,
    name: str | None = None,
    description: str | None = None,
    details: JsonObject | None = None,
) -> TestCases:
    """Ask the backend for a new run over a dataset. Blocks on the network.

    `details` are further fields of the request: what is tried, for people to see.

    Raises:
        BackendError: no such dataset, or no answer that can be used.
    """
    path = f"/v2/projects/{segment(project_id, 'project id')}/test-runs"
    body: JsonObject = {
        "dataset_name": dataset,
        "include_outputs": True,
        "test_run_name": name,
        "test_run_description": description,
        **(details or {}),
    }
    answer = link.post(path, body)
    try:
        run = from_wire(to_wire(answer), _WireRun)
    except WireError as exc:
        raise BackendError(f"the backend's answer is no test run: {exc}", url=path) from exc
    return TestCases(test_run_id=run.test_run_id, cases=tuple(map(case_from, run.test_cases or [])))


def case_from(case: WireCase) -> TestCase:
    """A test case out of what the backend gave.

    Raises:
        BackendError: its history holds no messages.
    """
    try:
        history = messages_from(case.history or [])
    except MessageError as exc:
        raise BackendError(f"the history of test case {case.test_case_id} cannot be used: {exc}") from exc
    return TestCase(
        test_case_id=case.test_case_id,
        variables=case.variables,
        expected=case.output,
        history=history,
        media=case.media_variables or {},
    )


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

    def get_completion(
        self,
        project_id: str,
        case: TestCase,
        template_name: str,
        tag: str = "latest",
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> CompletionResponse:
        """The whole answer to one case: its variables, media and history put into a template, in a session of its own.

        Errors as in `Freeplay.get_completion`.
        """
        session = self.create_session(project_id, tag, test_case_id=case.test_case_id)
        call = _plan(session, session._template(template_name), case, parameters, flavor, is_stream=False)
        return session._open(call).result()


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

    async def get_completion(
        self,
        project_id: str,
        case: TestCase,
        template_name: str,
        tag: str = "latest",
        flavor: Flavor | None = None,
        **parameters: JsonValue,
    ) -> CompletionResponse:
        """The whole answer to one case: its variables, media and history put into a template, in a session of its own.

        Errors as in `Freeplay.get_completion`.
        """
        session = self.create_session(project_id, tag, test_case_id=case.test_case_id)
        call = _plan(session, await session._template(template_name), case, parameters, flavor, is_stream=False)
        return await (await session._open(call)).result()


def open_case(
    session: Session, template: PromptTemplate, case: TestCase, parameters: Mapping[str, JsonValue]
) -> CompletionStream:
    """The answer to one case as a stream: its variables, media and history put into a template, in any session.

    The record names the case where the session is one of a run. Errors as in `Freeplay.get_completion_stream`.
    """
    return session._open(_plan(session, template, case, parameters, None, is_stream=True))


def _plan(
    session: SessionState,
    template: PromptTemplate,
    case: TestCase,
    parameters: Mapping[str, JsonValue],
    flavor: Flavor | None,
    *,
    is_stream: bool,
) -> Call:
    variables = case.variables_for(template)
    messages = template.render(variables, case.history)
    return session._plan(template, variables, parameters, messages=messages, flavor=flavor, is_stream=is_stream)
