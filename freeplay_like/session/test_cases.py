"""The cases of a test run, and which of them a call belongs to."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from freeplay_like.core.messages import Message
from freeplay_like.core.wire import JsonObject, JsonValue


@attrs.frozen(kw_only=True)
class TestCase:
    """One case: the variables to fill in, the conversation before, and the answer that is expected, if one is."""

    __test__ = False  # not one of pytest's

    test_case_id: str
    variables: JsonObject
    expected: str | None = None
    history: tuple[Message, ...] = ()


@attrs.frozen(kw_only=True)
class TestCases:
    """The cases that a session's calls can belong to: all of a run, or the one that was chosen."""

    __test__ = False

    test_run_id: str
    cases: tuple[TestCase, ...]

    def case_id_for(self, variables: Mapping[str, JsonValue]) -> str | None:
        """The case whose variables these are: the very same ones first, else equal ones; None where there is none.

        A single case that was chosen by hand needs no such match.
        """
        if len(self.cases) == 1:
            return self.cases[0].test_case_id
        for case in self.cases:
            if case.variables is variables:
                return case.test_case_id
        return next((case.test_case_id for case in self.cases if case.variables == variables), None)
