"""Reading what the forms of this room send: JSON, and the values of variables. Pure."""

from __future__ import annotations

from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire
from freeplay_like.server.pages.formats import inline, pretty
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.store.views import Refused

VARIABLE: str = "var."
"""What the name of a field begins with that holds the value of a variable."""


def json_object(text: str, what: str) -> JsonObject:
    """An object that was typed; blank is an empty one.

    Raises:
        Refused: it is none.
    """
    if not text.strip():
        return {}
    try:
        return from_wire(text, dict)
    except WireError as exc:
        raise Refused(f"{what}: this is no JSON object ({exc})") from exc


def json_list(text: str, what: str) -> list[JsonValue] | None:
    """A list that was typed; None where the field is blank.

    Raises:
        Refused: it is none.
    """
    if not text.strip():
        return None
    try:
        return from_wire(text, list)
    except WireError as exc:
        raise Refused(f"{what}: this is no JSON list ({exc})") from exc


def shown_json(value: JsonValue) -> str:
    """A value for a field of JSON; blank for nothing."""
    return pretty(value) if value else ""


def shown_variable(value: JsonValue) -> str:
    """A variable's value for a field: text as it is, everything else as JSON."""
    return pretty(value) if isinstance(value, (dict, list)) else inline(value)


def variables_in(form: Form, known: JsonObject) -> JsonObject:
    """The values of variables. One that is as it was keeps its kind; lists, objects, true and false are JSON, and
    everything else is text."""
    names = [name.removeprefix(VARIABLE) for name, _ in form.fields if name.startswith(VARIABLE)]
    return {name: _value(form.raw(VARIABLE + name), name, known) for name in names}


def _value(text: str, name: str, known: JsonObject) -> JsonValue:
    if name in known and shown_variable(known[name]) == text:
        return known[name]
    for begin, kind in (("{", dict), ("[", list)):
        if text.lstrip().startswith(begin):
            try:
                found: JsonValue = from_wire(text, kind)
            except WireError:
                return text  # a text may begin with a bracket
            return found
    return {"true": True, "false": False}.get(text, text)
