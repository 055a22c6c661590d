"""A call before it is made: messages rendered, parameters merged, request formatted, record begun."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import attrs

from freeplay_like import __version__
from freeplay_like.clock import Clock
from freeplay_like.core.limits import Retry, Timeout
from freeplay_like.core.messages import Message
from freeplay_like.core.parameters import Layer, merge
from freeplay_like.core.records import Record
from freeplay_like.core.templates import PromptTemplate
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import ConfigurationError
from freeplay_like.flavors.base import Flavor, Request
from freeplay_like.recording.base import Redact
from freeplay_like.session.rate_limit import RateLimit, rate_limit_from
from freeplay_like.session.test_cases import TestCases

T = TypeVar("T")


def _of(kind: type[T]) -> Callable[[object, attrs.Attribute[T], T], None]:
    def check(instance: object, attribute: attrs.Attribute[T], value: object) -> None:
        if not isinstance(value, kind):
            raise ConfigurationError(f"{attribute.name}={value!r}: give a {kind.__name__}, e.g. {kind.__name__}()")

    return check


@attrs.frozen(kw_only=True)
class Options:
    """How calls are made: how often tried, how long they may take, how many at once, and what hides contents."""

    retry: Retry = attrs.field(factory=Retry, validator=_of(Retry))
    timeout: Timeout = attrs.field(factory=Timeout, validator=_of(Timeout))
    rate_limit: RateLimit | None = attrs.field(default=None, converter=rate_limit_from)
    allow_incomplete: bool = False
    redact: Redact | None = None

    def with_given(self, **given: Any) -> Options:
        """These options with those that are given (not None) in their place.

        Raises:
            ConfigurationError: one is not of its kind; names it.
        """
        return attrs.evolve(self, **{name: value for name, value in given.items() if value is not None})


@attrs.frozen(kw_only=True)
class Call:
    """Everything about a call that is known before its request leaves."""

    flavor: Flavor
    request: Request
    record: Record
    options: Options


@attrs.frozen(kw_only=True)
class Setting:
    """Where a call belongs: the session it is part of, and what is said of it beside its contents."""

    project_id: str
    environment: str
    session_id: str
    metadata: JsonObject = attrs.field(factory=dict)
    parameters: Mapping[str, JsonValue] = attrs.field(factory=dict)
    test_cases: TestCases | None = None


def template_layer(template: PromptTemplate) -> Mapping[str, JsonValue]:
    """The template's parameters, its model, tools and output schema among them."""
    said: dict[str, JsonValue] = {
        "model": template.model,
        "tools": template.tools,
        "output_schema": template.output_schema,
    }
    return {name: value for name, value in said.items() if value is not None} | dict(template.parameters)


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
    options: Options,
    parent_id: str | None = None,
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
    cases = setting.test_cases
    record = Record(
        record_id=clock.new_id(),
        project_id=setting.project_id,
        session_id=setting.session_id,
        parent_id=parent_id,
        test_run_id=None if cases is None else cases.test_run_id,
        test_case_id=None if cases is None else cases.case_id_for(variables),
        template=attrs.evolve(template.ref, environment=setting.environment),
        variables=copy.deepcopy(dict(variables)),
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
    return Call(flavor=flavor, request=request, record=record, options=options)
