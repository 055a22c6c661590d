"""From a recorded call, and what is to be different, to the call that is made. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from freeplay_like.core.messages import Message, messages_from
from freeplay_like.core.records import Record, TemplateRef
from freeplay_like.core.template_messages import HistorySlot, TemplateMessage
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue, from_wire, to_wire
from freeplay_like.errors import TemplateError
from freeplay_like.server.asking import Asked
from freeplay_like.server.store.trials.replay_views import Change, Written
from freeplay_like.server.store.views import Project, Refused

MADE_IN: Final = "made_in"
"""The key of the metadata that says that a call was made here: in a `replay`, or in the `playground`."""

_MASK: Final = "[redacted]"
_APART: Final = ("model", "tools", "output_schema")
"""The parameters that a template has fields of their own for."""


class NotReplayable(Refused):
    """A call that cannot be asked again; the message says why."""


def why_not(record: Record) -> str | None:
    """Why a recorded call cannot be asked again, None where it can."""
    if "redaction" in record.metadata:
        return "its contents were not kept (redaction), so there is nothing to send"
    if not record.messages:
        return "its record holds no messages, so there is nothing to send"
    parts = (part for message in record.messages if isinstance(message.content, tuple) for part in message.content)
    if any(part.get("type") != "text" and _MASK in to_wire(part).decode() for part in parts):
        return "a picture, sound or file that it sent was not kept, so it cannot be sent again"
    return None


def has_masks(record: Record) -> bool:
    """Whether parts of the messages were masked when the record was kept: they are sent as they are."""
    return any(_MASK in message.text for message in record.messages)


def parameters_of(record: Record) -> JsonObject:
    """The parameters that a call was made with, without its model, and without what the flavor sets by itself."""
    return {
        name: setting.value
        for name, setting in record.parameters.items()
        if name != "model" and setting.layer != "flavor" and not setting.is_removed
    }


def difference(base: Mapping[str, JsonValue], wanted: Mapping[str, JsonValue]) -> JsonObject:
    """What has to be said over some parameters to have others: None takes one away."""
    changed = {name: value for name, value in wanted.items() if name not in base or base[name] != value}
    return {**changed, **dict.fromkeys((name for name in base if name not in wanted), None)}


def replay_of(
    of: Project,
    record: Record,
    change: Change,
    *,
    version: PromptTemplate | None,
    original: PromptTemplate | None,
) -> Asked:
    """A recorded call, asked again. `version` is the one that the change names, `original` that of the call.

    Raises:
        NotReplayable: there is nothing to send, or no way to know what the version would have sent.
        TemplateError: the variables do not fit the version.
    """
    problem = why_not(record)
    if problem is not None:
        raise NotReplayable(problem)
    asked = _as_it_was(of, record) if version is None else _through(of, record, change, version, original)
    template = attrs.evolve(
        asked.template,
        flavor_name=change.flavor or asked.template.flavor_name or record.flavor or None,
        model=change.model or asked.template.model or record.requested_model or record.model,
    )
    return attrs.evolve(
        asked, template=template, parameters=change.parameters, replay_of=record.record_id, is_apart=True
    )


def written(of: Project, said: Written, change: Change) -> Asked:
    """What somebody wrote in the playground, asked of the model that a change names.

    Raises:
        TemplateError: it is no template.
    """
    template = PromptTemplate.from_wire(said.template, source="inline")
    template = attrs.evolve(
        template, flavor_name=change.flavor or template.flavor_name, model=change.model or template.model
    )
    variables, media = _with_media(template, said.variables)
    return Asked(
        project=of,
        template=template,
        variables=variables,
        history=said.history,
        media=media,
        parameters=change.parameters,
        metadata={MADE_IN: "playground"},
        is_apart=True,
        names_template=template.version_id is not None,
    )


def rendered(asked: Asked) -> tuple[Message, ...]:
    """The messages that a call would send; its media are left to the call itself.

    Raises:
        TemplateError: its variables do not fit its template.
    """
    if asked.media:
        return ()
    return asked.template.render(asked.variables, messages_from(asked.history))


def _as_it_was(of: Project, record: Record) -> Asked:
    """The messages of a record, once more."""
    ref = record.template or TemplateRef(name="recorded messages")
    said = parameters_of(record)
    template = PromptTemplate(
        name=ref.name,
        template_id=ref.template_id,
        version_id=ref.version_id,
        version=ref.version,
        source=ref.source,
        messages=(HistorySlot(),),
        parameters={name: value for name, value in said.items() if name not in _APART},
        tools=said.get("tools"),
        output_schema=said.get("output_schema"),
    )
    return Asked(
        project=of,
        template=template,
        variables=record.variables,
        history=_as_json(record.messages),
        names_template=record.template is not None,
    )


def _through(
    of: Project, record: Record, change: Change, version: PromptTemplate, original: PromptTemplate | None
) -> Asked:
    """The variables and the history of a record, put into a version of a template."""
    history = history_in(record, original)
    variables = record.variables if change.variables is None else change.variables
    texts, media = _with_media(version, variables)
    return Asked(project=of, template=version, variables=texts, history=_as_json(history), media=media)


def history_in(record: Record, original: PromptTemplate | None) -> tuple[Message, ...]:
    """The messages of a record that did not come from its template: the conversation before.

    Raises:
        NotReplayable: that cannot be known.
    """
    if record.template is None:
        return ()
    if original is None:
        raise NotReplayable(
            "the version that it was made from is not on this server, so nobody knows which of its messages are the "
            "template's: send the recorded messages instead"
        )
    texts, media = _with_media(original, record.variables)
    if media:
        return ()  # a template with media begins its conversation: what it made cannot be told from what was kept
    try:
        own = original.render(texts)
    except TemplateError as exc:
        raise NotReplayable(f"its variables do not fit the version that it names: {exc}") from exc
    found = _between(record.messages, own, _slot(original))
    if found is None:
        raise NotReplayable(
            "its messages are not what its template and variables make: send the recorded messages instead"
        )
    return found


def _between(messages: tuple[Message, ...], own: tuple[Message, ...], slot: int | None) -> tuple[Message, ...] | None:
    """What stands where the history goes, or behind all of a template's own messages."""
    if slot is not None:
        end = len(messages) - (len(own) - slot)
        if end >= slot and messages[:slot] == own[:slot] and messages[end:] == own[slot:]:
            return messages[slot:end]
    return messages[len(own) :] if messages[: len(own)] == own else None


def _slot(template: PromptTemplate) -> int | None:
    return next((i for i, message in enumerate(template.messages) if isinstance(message, HistorySlot)), None)


def _with_media(template: PromptTemplate, variables: JsonObject) -> tuple[JsonObject, JsonObject]:
    """The variables of a call, and apart from them those that stand in a template's places for media."""
    own = (message for message in template.messages if isinstance(message, TemplateMessage))
    names = {slot.name for message in own for slot in message.media_slots} & variables.keys()
    texts = {name: value for name, value in variables.items() if name not in names}
    return texts, {name: variables[name] for name in names}


def _as_json(messages: tuple[Message, ...]) -> tuple[JsonObject, ...]:
    return tuple(from_wire(to_wire(message.to_chat()), dict) for message in messages)
