"""A conversation read back from the backend, to go on with in another process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import attrs

from freeplay_like.backend_link import BackendLink, segment
from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message
from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, WireError, from_wire, to_wire
from freeplay_like.errors import BackendError, ConfigurationError
from freeplay_like.prompts.base import PromptSource
from freeplay_like.session.conversation import Used, used_by

_REMEMBERED: Final = ("complete", "truncated", "refused")


@attrs.frozen(kw_only=True)
class _Amendments:
    amendments: list[Amendment] = attrs.field(factory=list)


@attrs.frozen(kw_only=True)
class _WireSession:
    records: list[JsonObject]
    metadata: JsonObject = attrs.field(factory=dict)


@attrs.frozen(kw_only=True)
class Restored:
    """A conversation as it stood after its last turn that ended well."""

    template: PromptTemplate
    environment: str
    record: Record
    messages: tuple[Message, ...]
    metadata: JsonObject
    used: tuple[Used, ...]


def restore(link: BackendLink, prompts: PromptSource, project_id: str, session_id: str) -> Restored:
    """Read a session back. Blocks on the network.

    Raises:
        BackendError: no such session, or no answer that can be used.
        ConfigurationError: the session holds no conversation that could be continued.
    """
    path = f"/v2/projects/{segment(project_id, 'project id')}/sessions/{segment(session_id, 'session id')}"
    answer = link.get(path)
    try:
        session = from_wire(to_wire(answer), _WireSession)
        wires = [to_wire(record) for record in session.records]
        records = [from_wire(wire, Record) for wire in wires]
        said = [from_wire(wire, _Amendments).amendments for wire in wires]
    except WireError as exc:
        raise BackendError(f"the backend's answer is no session: {exc}", url=path) from exc
    turns = [
        (record, amendments)
        for record, amendments in zip(records, said, strict=True)
        if record.outcome in _REMEMBERED and _is_turn(record, records)
    ]
    if not turns:
        raise ConfigurationError(
            f"session {session_id} has no turn that ended well and came from a template; start a new one"
        )
    record, amendments = turns[-1]
    return Restored(
        template=_template(prompts, project_id, record),
        environment=_environment(record),
        record=record,
        messages=(*record.messages, *_answer(record.choices), *(m for a in amendments for m in a.new_messages)),
        metadata=session.metadata,
        used=tuple(used_by(record, record) for record in records),
    )


def _is_turn(record: Record, records: Sequence[Record]) -> bool:
    """Whether a record is of the conversation: from the template it began with, and no part or repair of an answer."""
    first = next((each.template for each in records if each.template is not None), None)
    name = None if record.template is None else record.template.name
    return first is not None and name == first.name and record.parent_id is None


def _answer(choices: Sequence[Choice]) -> tuple[Message, ...]:
    return (choices[0].as_message(),) if choices else ()


def _environment(record: Record) -> str:
    return (record.template and record.template.environment) or "latest"


def _template(prompts: PromptSource, project_id: str, record: Record) -> PromptTemplate:
    """The version that the conversation began with: a prompt does not change in the middle of it."""
    ref = record.template
    if ref is None:
        raise ConfigurationError(f"record {record.record_id} did not come from a template")
    if ref.template_id and ref.version_id:
        return prompts.version(project_id, ref.template_id, ref.version_id)
    return prompts.get(project_id, ref.name, _environment(record))
