"""How alike two answers are. Pure."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import Final

from freeplay_like.core.records import Record

WORDS_LIMIT: Final = 2_000
"""Of longer answers the beginnings are compared: the time grows with the square of what is compared."""

_WORDS: Final = re.compile(r"\w+|[^\w\s]")


def said_in(record: Record) -> str:
    """What a call answered: the text of its first choice, a refusal, and the tools that it asked for."""
    if not record.choices:
        return ""
    choice = record.choices[0]
    tools = [f"{call.name}({call.arguments})" for call in choice.tool_calls]
    return "\n".join(part for part in (choice.text, choice.refusal, *tools) if part)


def likeness(first: str, second: str) -> float:
    """From 0, nothing in common, to 1, the same but for blanks at the ends. Less than 1 for any other difference."""
    if first.strip() == second.strip():
        return 1.0
    before, after = _WORDS.findall(first)[:WORDS_LIMIT], _WORDS.findall(second)[:WORDS_LIMIT]
    return min(SequenceMatcher(None, before, after, autojunk=False).ratio(), 0.999)
