"""The tools of a call."""

from __future__ import annotations

from datetime import UTC, datetime

import attrs
import pytest

from freeplay_like.core.completion import Choice
from freeplay_like.core.messages import Message, ToolCall
from freeplay_like.core.parameters import ParameterSetting
from freeplay_like.core.records import Record
from freeplay_like.server.pages.call.tools import MOST_TOOLS, tools_of

RECORD = Record(record_id="r", project_id="p", started_at=datetime(2026, 1, 1, tzinfo=UTC))
SCHEMA = {"type": "object"}


def offering(*tools: object) -> Record:
    return attrs.evolve(RECORD, parameters={"tools": ParameterSetting(value=list(tools), layer="call")})


@pytest.mark.parametrize(
    "tool",
    [
        {"name": "f", "description": "d", "parameters": SCHEMA},
        {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA}},
        {"name": "f", "description": "d", "input_schema": SCHEMA},
    ],
    ids=["ours", "chat", "anthropic"],
)
def test_a_tool_is_read_in_any_providers_words(tool: object) -> None:
    (found,) = tools_of(offering(tool)).tools
    assert (found.name, found.description, found.parameters) == ("f", "d", '{\n  "type": "object"\n}')


def test_the_request_tells_where_no_parameter_does() -> None:
    record = attrs.evolve(RECORD, request={"tools": [{"name": "f"}], "tool_choice": "auto"})
    assert [tool.name for tool in tools_of(record).tools] == ["f"]
    assert tools_of(record).choice == "auto"


def test_calls_are_counted_and_a_tool_that_was_not_offered_stands_out() -> None:
    call = ToolCall(id="1", name="made_up")
    record = attrs.evolve(
        offering({"name": "f"}),
        messages=(Message(role="assistant", tool_calls=(ToolCall(id="0", name="f"),)),),
        choices=(Choice(tool_calls=(call, call)),),
    )
    found = tools_of(record)
    assert [(tool.name, tool.asked, tool.asked_before, tool.is_offered) for tool in found.tools] == [
        ("f", 0, 1, True),
        ("made_up", 2, 0, False),
    ]
    assert found.asked == 2


def test_what_is_no_list_of_tools_is_none() -> None:
    assert tools_of(attrs.evolve(RECORD, request={"tools": "<b>"})).tools == ()
    assert tools_of(attrs.evolve(RECORD, request={"tools": [7, None]})).tools == ()


def test_thousands_of_tools_are_not_all_listed() -> None:
    found = tools_of(offering(*({"name": f"f{n}"} for n in range(1000))))
    assert (len(found.tools), found.left_out) == (MOST_TOOLS, 1000 - MOST_TOOLS)
