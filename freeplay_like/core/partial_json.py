"""The beginning of a JSON text, read as far as it goes."""

from __future__ import annotations

from freeplay_like.core.fences import json_text
from freeplay_like.core.wire import JsonValue


def partial_json(text: str) -> JsonValue:
    """The value that a beginning of JSON holds so far; None where there is nothing yet, or where it is not JSON.

    An unfinished text is given as far as it came, and so is an unfinished number (`12` may yet become `123`); an
    unfinished word (`tr`), escape or key is left out. What follows a whole value is not looked at. JSON in one fenced
    block is found as `Schema.parse` finds it. Linear in the length of the text; nesting is limited to 200.
    """
    import jiter  # loaded when somebody first looks; both provider clients bring it

    data = json_text(text).encode("utf-8", "replace")
    try:
        value: JsonValue = jiter.from_json(
            data, partial_mode="trailing-strings", allow_inf_nan=False, cache_mode="none"
        )
    except ValueError:
        return None
    return value
