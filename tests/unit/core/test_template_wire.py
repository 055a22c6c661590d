from __future__ import annotations

import pytest

from freeplay_like.core.template_wire import freeplay_tools
from freeplay_like.core.templates import PromptTemplate

PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
FLAT = {"name": "weather", "description": "tells it", "parameters": PARAMETERS}


@pytest.mark.parametrize(
    ("tool", "told"),
    [
        (FLAT, FLAT),
        ({**FLAT, "strict": True}, {**FLAT, "strict": True}),
        ({"type": "function", "function": FLAT}, FLAT),
        (
            {"type": "function", "function": {"name": "weather"}},
            {"name": "weather", "description": "", "parameters": {}},
        ),
        ({"name": "weather", "description": "tells it", "input_schema": PARAMETERS}, FLAT),
        ({"type": "web_search"}, {"name": "web_search", "description": "", "parameters": {}}),
        ("weather", {"name": "", "description": "", "parameters": {}}),
    ],
)
def test_every_tool_has_the_three_fields_that_freeplays_client_asks_for(tool: object, told: object) -> None:
    assert freeplay_tools([tool]) == [told]


def test_no_tools_are_no_tools() -> None:
    assert freeplay_tools(None) is None
    assert freeplay_tools([]) == []


@pytest.mark.parametrize("tools", [[{"type": "web_search"}], None])
def test_tools_in_their_own_words_are_read_before_those_in_freeplays(tools: object) -> None:
    wire = {"prompt_template_name": "n", "content": [], "tool_schema": [FLAT], "tools": tools}
    assert PromptTemplate.from_wire(wire, source="backend").tools == (tools or [FLAT])
