"""The tools that a call offered, and those that its answer asked for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from freeplay_like.core.records import Record
from freeplay_like.core.wire import JsonValue
from freeplay_like.server.pages.formats import clipped, pretty

SCHEMA_LIMIT_CHARACTERS: Final = 20_000
MOST_TOOLS: Final = 200
"""The most tools that a page lists."""


@attrs.frozen(kw_only=True)
class Tool:
    """A tool. `asked` is how often the answer called it, `asked_before` how often the conversation before did.

    `is_offered` is False for one that the model made up, or whose offer the record does not hold.
    """

    name: str
    description: str = ""
    parameters: str | None = None
    is_offered: bool = True
    asked: int = 0
    asked_before: int = 0


@attrs.frozen(kw_only=True)
class Tools:
    """What the model could use, and did. `choice` is what was said of which to use."""

    tools: tuple[Tool, ...]
    left_out: int
    choice: JsonValue

    @property
    def asked(self) -> int:
        """How many calls the answer asked for."""
        return sum(tool.asked for tool in self.tools)


def tools_of(record: Record) -> Tools:
    """The tools of a record, those that were offered first."""
    asked = Counter(call.name for choice in record.choices for call in choice.tool_calls)
    before = Counter(call.name for message in record.messages for call in message.tool_calls)
    offered = {name: (about, schema) for name, about, schema in _offered(_said(record, "tools"))}
    names = [*offered, *(name for name in dict.fromkeys([*asked, *before]) if name not in offered)]
    tools = []
    for name in names[:MOST_TOOLS]:
        about, schema = offered.get(name, ("", None))
        tools.append(
            Tool(
                name=name,
                description=clipped(about, 2_000),
                parameters=None if schema is None else clipped(pretty(schema), SCHEMA_LIMIT_CHARACTERS),
                is_offered=name in offered,
                asked=asked[name],
                asked_before=before[name],
            )
        )
    return Tools(tools=tuple(tools), left_out=len(names) - len(tools), choice=_said(record, "tool_choice"))


def _said(record: Record, name: str) -> JsonValue:
    """What was sent under a name: as a parameter, or else in the request's body."""
    setting = record.parameters.get(name)
    if setting is not None and not setting.is_removed:
        return setting.value
    return (record.request or {}).get(name)


def _offered(tools: JsonValue) -> Iterator[tuple[str, str, JsonValue]]:
    """Name, description and schema of each tool, in any provider's words."""
    for tool in tools if isinstance(tools, list | tuple) else ():
        if not isinstance(tool, Mapping):
            continue
        inner = tool.get("function")
        said = inner if isinstance(inner, Mapping) else tool
        name = said.get("name") or tool.get("type") or "unnamed"
        schema = said.get("parameters", said.get("input_schema"))
        yield str(name), str(said.get("description") or ""), schema
