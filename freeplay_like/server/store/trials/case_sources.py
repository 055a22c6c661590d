"""Test cases out of recorded calls: what went in, and the answer as what is expected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs
import sqlalchemy as sa

from freeplay_like.core.messages import Message, to_chat
from freeplay_like.core.records import Record
from freeplay_like.core.template_messages import HistorySlot, MediaSlot, TemplateMessage
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import FreeplayError
from freeplay_like.server.store.engines.database import database_of
from freeplay_like.server.store.prompts import reading as prompt_reading
from freeplay_like.server.store.records.calls import whole_record
from freeplay_like.server.store.views import CaseContent, Project


@attrs.frozen(kw_only=True)
class Skipped:
    """A recorded call that is no test case, and why."""

    record_id: str
    message: str


def cases_of_records(
    connection: sa.Connection, of: Project, record_ids: Sequence[str]
) -> tuple[dict[str, CaseContent], tuple[Skipped, ...]]:
    """What recorded calls are as test cases, by record id, and those that are none."""
    seqs = database_of(connection).seqs_of(connection, of.key, record_ids)
    contents: dict[str, CaseContent] = {}
    skipped: list[Skipped] = []
    templates: dict[str, PromptTemplate | None] = {}
    for record_id in dict.fromkeys(record_ids):
        if record_id not in seqs:
            skipped.append(Skipped(record_id=record_id, message=f"no record {record_id!r} in project {of.name!r}"))
            continue
        found = whole_record(connection, seqs[record_id])
        content = case_of(found, _template_of(connection, of, found, templates))
        if content is None:
            said = "it is a later turn of a conversation: its template alone would not send the same messages"
            skipped.append(Skipped(record_id=record_id, message=said))
        else:
            contents[record_id] = content
    return contents, tuple(skipped)


def case_of(call: Record, template: PromptTemplate | None) -> CaseContent | None:
    """A recorded call as a test case; None where its template would not send the same messages for it.

    The history is what was sent beside the template's own messages; without a template it is everything that was sent.
    Only an answer that is complete is what is expected.
    """
    media = {} if template is None else _media(template, call.variables)
    history = call.messages if template is None else _history(template, call)
    if history is None:
        return None
    answer = call.choices[0].as_message() if call.choices and call.outcome == "complete" else None
    return CaseContent(
        inputs={name: value for name, value in call.variables.items() if name not in media},
        output=None if answer is None else answer.text,
        output_message=_chat([answer])[0] if answer is not None and answer.tool_calls else None,
        history=tuple(_chat(history)) or None,
        media_inputs=media or None,
    )


def _history(template: PromptTemplate, call: Record) -> tuple[Message, ...] | None:
    """The messages that are not the template's own; None where these were not sent in the places they have there.

    Each of a template's messages is sent as one, so their places follow from their number.
    """
    slot = HistorySlot()
    place = template.messages.index(slot) if slot in template.messages else len(template.messages)
    own = [message for message in template.messages if isinstance(message, TemplateMessage)]
    end = len(call.messages) - (len(own) - place)
    if end < place:
        return None
    sent = (*call.messages[:place], *call.messages[end:])
    if [message.role for message in sent] != [message.role for message in own]:
        return None
    try:
        rendered = template.render(call.variables)
    except FreeplayError:  # media among the variables, or variables that were taken out: the roles have to do
        rendered = sent
    return call.messages[place:end] if [m.text for m in rendered] == [m.text for m in sent] else None


def _media(template: PromptTemplate, variables: Mapping[str, JsonValue]) -> JsonObject:
    """The media among a call's variables, as test cases hold them."""
    own = (message for message in template.messages if isinstance(message, TemplateMessage))
    slots = (slot for message in own for slot in message.media_slots)
    return {slot.name: found for slot in slots if (found := _medium(slot, variables)) is not None}


def _medium(slot: MediaSlot, variables: Mapping[str, JsonValue]) -> JsonObject | None:
    value = variables.get(slot.name)
    if not isinstance(value, dict):
        return None
    if value.get("url"):
        return {"type": "url", "url": value["url"]}
    return {"type": "base64", "data": value.get("data"), "content_type": value.get("content_type")}


def _chat(messages: Iterable[Message]) -> list[JsonObject]:
    return [dict(message) for message in to_chat(messages)]


def _template_of(
    connection: sa.Connection, of: Project, call: Record, known: dict[str, PromptTemplate | None]
) -> PromptTemplate | None:
    """The version that a call was made from; None where it came from none, or the store has it no more."""
    ref = call.template
    if ref is None or ref.template_id is None or ref.version_id is None:
        return None
    if ref.version_id not in known:
        version = prompt_reading.get_version(connection, of, ref.template_id, ref.version_id)
        known[ref.version_id] = None if version is None else version.template
    return known[ref.version_id]
