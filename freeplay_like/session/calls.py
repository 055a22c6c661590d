"""A call before it is made: messages rendered, parameters merged, request formatted, record begun."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import attrs

from freeplay_like import __version__
from freeplay_like.clock import Clock
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Layer, merge
from freeplay_like.core.records import Record
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.flavors.base import Flavor, Request


@attrs.frozen(kw_only=True)
class Call:
    """Everything about a call that is known before its request leaves."""

    flavor: Flavor
    request: Request
    record: Record


@attrs.frozen(kw_only=True)
class Setting:
    """Where a call belongs: the session it is part of, and what is said of it beside its contents."""

    project_id: str
    environment: str
    session_id: str
    metadata: JsonObject = attrs.field(factory=dict)
    parameters: Mapping[str, JsonValue] = attrs.field(factory=dict)


def template_layer(template: PromptTemplate) -> Mapping[str, JsonValue]:
    """The template's parameters, its model among them."""
    return template.parameters if template.model is None else {"model": template.model, **template.parameters}


def prepare(
    *,
    clock: Clock,
    flavor: Flavor,
    setting: Setting,
    template: PromptTemplate,
    messages: Sequence[Message],
    variables: Mapping[str, JsonValue],
    client_parameters: Mapping[str, JsonValue],
    call_parameters: Mapping[str, JsonValue],
    is_stream: bool,
) -> Call:
    """Merge the layers, have the flavor format the request, begin the record. No I/O.

    Raises:
        ConfigurationError: a parameter, a message or a key is not right; nothing was sent.
    """
    layers: list[tuple[Layer, Mapping[str, JsonValue]]] = [
        ("flavor", flavor.default_parameters),
        ("template", template_layer(template)),
        ("client", client_parameters),
        ("session", setting.parameters),
        ("call", call_parameters),
    ]
    parameters = merge(layers)
    request = flavor.format(messages, parameters, is_stream=is_stream)
    flavor.check()
    record = Record(
        record_id=clock.new_id(),
        project_id=setting.project_id,
        session_id=setting.session_id,
        template=attrs.evolve(template.ref, environment=setting.environment),
        variables=dict(variables),
        messages=tuple(messages),
        metadata=setting.metadata,
        provider=flavor.provider,
        endpoint=flavor.endpoint,
        flavor=flavor.name,
        requested_model=request.model,
        parameters=parameters.settings,
        is_stream=is_stream,
        request=request.body,
        started_at=clock.now(),
        sdk=f"freeplay-like/{__version__}",
    )
    return Call(flavor=flavor, request=request, record=record)
