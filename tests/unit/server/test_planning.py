"""From a recorded call, and what is to be different, to the call that is made."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import ParameterSetting
from freeplay_like.core.records import Record
from freeplay_like.core.template_messages import HistorySlot, TemplateMessage
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.errors import MissingVariablesError
from freeplay_like.server import planning
from freeplay_like.server.planning import NotReplayable
from freeplay_like.server.store.trials.replay_views import Change
from freeplay_like.server.store.views import Project
from support.plain_records import a_record

OF = Project(key=1, id="p", name="bakery", created_at=datetime(2026, 1, 1, tzinfo=UTC))
SYSTEM, QUESTION = "Answer as a {{role}}.", "{{question}}"
VARIABLES: dict[str, object] = {"role": "baker", "question": "When?"}
TURNS = (Message(role="assistant", content="At seven."), Message(role="user", content="And on Sundays?"))


def a_version(*texts: tuple[str, str] | None, version: str = "1", **more: object) -> PromptTemplate:
    """A version with these messages; None is the place of the history."""
    messages = tuple(
        HistorySlot() if text is None else TemplateMessage(role=text[0], content=text[1])  # type: ignore[arg-type]
        for text in texts
    )
    made = PromptTemplate(name="shop", messages=messages, template_id="t", version_id=f"v{version}", version=version)
    return attrs.evolve(made, **more)


FIRST = a_version(("system", SYSTEM), ("user", QUESTION))


def a_call(template: PromptTemplate = FIRST, *, later: tuple[Message, ...] = (), **more: object) -> Record:
    messages = (*template.render(VARIABLES), *later)
    settings = {
        "model": ParameterSetting(value="m", layer="template"),
        "temperature": ParameterSetting(value=0.2, layer="template"),
        "max_tokens": ParameterSetting(value=512, layer="flavor"),
    }
    fields = {"template": template.ref, "variables": VARIABLES, "messages": messages, "parameters": settings}
    return a_record("p", **{**fields, "flavor": "openai_chat", "requested_model": "m", **more})


def sent(record: Record, change: Change, version: PromptTemplate | None = None) -> tuple[Message, ...]:
    asked = planning.replay_of(OF, record, change, version=version, original=FIRST)
    return planning.rendered(asked)


def test_the_recorded_messages_are_sent_as_they_were() -> None:
    record = a_call(later=TURNS)
    asked = planning.replay_of(OF, record, Change(), version=None, original=None)
    assert planning.rendered(asked) == record.messages
    assert (asked.template.model, asked.template.flavor_name) == ("m", "openai_chat")
    assert asked.template.parameters == {"temperature": 0.2}, "what the flavor sets by itself it sets again"
    assert (asked.replay_of, asked.template.version_id, asked.names_template) == (record.record_id, "v1", True)


def test_what_came_from_no_template_names_none() -> None:
    asked = planning.replay_of(OF, a_call(template=FIRST), Change(), version=None, original=None)
    bare = planning.replay_of(OF, attrs.evolve(a_call(), template=None), Change(), version=None, original=None)
    assert (asked.names_template, bare.names_template) == (True, False)


def test_another_version_is_filled_with_the_variables_and_the_conversation_of_the_call() -> None:
    second = a_version(("system", "Be brief, {{role}}."), None, ("user", "Again: {{question}}"), version="2")
    assert [message.text for message in sent(a_call(later=TURNS), Change(), second)] == [
        "Be brief, baker.",
        "At seven.",
        "And on Sundays?",
        "Again: When?",
    ]


def test_a_history_is_found_in_its_place() -> None:
    template = a_version(("system", SYSTEM), None, ("user", QUESTION))
    record = a_call(template, messages=template.render(VARIABLES, TURNS))
    assert planning.history_in(record, template) == TURNS
    assert planning.history_in(a_call(template, later=TURNS), template) == TURNS, "or behind the template's messages"


def test_changes_go_over_what_the_call_had() -> None:
    change = Change(model="other", flavor="anthropic_chat", parameters={"temperature": None, "top_p": 0.5})
    asked = planning.replay_of(OF, a_call(), change, version=None, original=None)
    assert (asked.template.model, asked.template.flavor_name) == ("other", "anthropic_chat")
    assert asked.parameters == {"temperature": None, "top_p": 0.5}
    assert planning.difference({"a": 1, "b": 2}, {"b": 3, "c": 4}) == {"b": 3, "c": 4, "a": None}


def test_other_variables_stand_in_the_place_of_the_recorded_ones() -> None:
    change = Change(variables={"role": "miller", "question": "Why?"})
    assert [message.text for message in sent(a_call(), change, FIRST)] == ["Answer as a miller.", "Why?"]
    with pytest.raises(MissingVariablesError, match="question"):
        sent(a_call(), Change(variables={"role": "miller"}), FIRST)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (a_call(metadata={"redaction": "the hook raised"}), "contents were not kept"),
        (a_call(messages=()), "no messages"),
        (
            a_call(
                messages=(Message(role="user", content=({"type": "image_url", "image_url": {"url": "[redacted]"}},)),)
            ),
            "picture",
        ),
    ],
    ids=["redacted", "empty", "media"],
)
def test_a_call_whose_contents_are_gone_says_so(record: Record, why: str) -> None:
    assert why in (planning.why_not(record) or "")
    with pytest.raises(NotReplayable, match=why):
        planning.replay_of(OF, record, Change(), version=None, original=None)


def test_a_version_needs_to_know_which_messages_were_the_templates() -> None:
    changed = attrs.evolve(a_call(), messages=(Message(role="user", content="something else"),))
    with pytest.raises(NotReplayable, match="are not what its template and variables make"):
        planning.history_in(changed, FIRST)
    with pytest.raises(NotReplayable, match="is not on this server"):
        planning.history_in(a_call(), None)
    assert planning.history_in(attrs.evolve(changed, template=None), None) == ()
