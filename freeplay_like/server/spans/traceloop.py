"""Traceloop's and openlit's own words, beside the common ones: kinds of spans, and whom a call belongs to."""

from __future__ import annotations

from typing import Final

from freeplay_like.server.spans.attributes import Attributes
from freeplay_like.server.spans.facts import Facts
from freeplay_like.server.spans.span import Span

_KINDS: Final = {"workflow": "invoke_workflow", "task": "task", "agent": "invoke_agent", "tool": "execute_tool"}
_PROPERTIES: Final = "traceloop.association.properties."
_SESSION: Final = ("session_id", "conversation_id", "chat_id", "thread_id")
_USER: Final = ("user_id", "user")


def read(span: Span) -> Facts | None:
    """What the span says in these words; None where it does not speak them."""
    said = Attributes(span.attributes)
    kind = said.text("traceloop.span.kind")
    properties = said.under(_PROPERTIES)
    environment = said.label("gen_ai.environment")
    if kind is None and environment is None and not properties.values:
        return None
    known = {*_SESSION, *_USER}
    labels = {name: value for name, value in properties.values.items() if name not in known}
    return Facts(
        operation=None if kind is None else _KINDS.get(kind.lower(), kind.lower()),
        session_id=properties.label(*_SESSION),
        user_id=properties.label(*_USER),
        prompt_name=said.label("traceloop.prompt.key"),
        prompt_version=said.label("traceloop.prompt.version_name", "traceloop.prompt.version"),
        labels=labels if environment is None else {**labels, "environment": environment},
    )
