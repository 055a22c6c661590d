"""The cases of a test run, and which of them a call belongs to."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from freeplay_like.core.media import Media
from freeplay_like.core.messages import Message
from freeplay_like.core.template_messages import MediaSlot, TemplateMessage
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue


@attrs.frozen(kw_only=True)
class TestCase:
    """One case: the variables to fill in, the conversation before, and the answer that is expected, if one is.

    `media` is by placeholder, `{"type": "url", "url"}` or `{"type": "base64", "data", "content_type"}`.
    """

    __test__ = False  # not one of pytest's

    test_case_id: str
    variables: JsonObject
    expected: str | None = None
    history: tuple[Message, ...] = ()
    media: JsonObject = attrs.field(factory=dict)

    def variables_for(self, template: PromptTemplate) -> JsonObject:
        """The variables of a call from a template: those of the case, and its media for the template's slots."""
        own = (message for message in template.messages if isinstance(message, TemplateMessage))
        slots = (slot for message in own for slot in message.media_slots if slot.name in self.media)
        return {**self.variables, **{slot.name: _medium(slot, self.media[slot.name]) for slot in slots}}


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


def _medium(slot: MediaSlot, given: JsonValue) -> JsonValue:
    """A medium as a slot takes it; what is none is left for the template to refuse."""
    if not isinstance(given, dict):
        return given
    url, data, content_type = given.get("url"), given.get("data"), given.get("content_type")
    if isinstance(url, str) and url:
        return Media.from_url(url, kind=slot.kind)
    if isinstance(data, str) and isinstance(content_type, str):
        return Media.from_base64(data, content_type, kind=slot.kind)
    return given
