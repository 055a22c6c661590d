"""Test cases as forms, tables and lines: what people see of a case, and what they meant by what they typed. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import attrs

from freeplay_like.core.case_files import FileCase
from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
from freeplay_like.server.pages.formats import inline, pretty
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.store.views import CaseContent, DatasetCase, DatasetKind, Refused

NAMES_SHOWN: Final = 3
"""How many inputs have a column of their own."""
_FIELDS: Final = ("inputs", "output", "output_message", "history", "metadata", "media_inputs")


@attrs.frozen(kw_only=True)
class InputField:
    """An input of a case in a form; `is_json`: what is typed is JSON, not a text."""

    name: str
    value: str
    is_json: bool = False


def input_names(declared: Sequence[str], cases: Iterable[DatasetCase]) -> tuple[str, ...]:
    """The names of inputs: those that the dataset declares, then those that its cases have."""
    return tuple(dict.fromkeys((*declared, *(name for case in cases for name in case.content.inputs))))


def fields_of(content: CaseContent, names: Sequence[str]) -> tuple[InputField, ...]:
    """The inputs of a case as they stand in a form."""
    known = dict.fromkeys((*names, *content.inputs))
    values = {name: content.inputs.get(name, "") for name in known}
    return tuple(
        InputField(
            name=name, value=value if isinstance(value, str) else pretty(value), is_json=not isinstance(value, str)
        )
        for name, value in values.items()
    )


def expected_of(content: CaseContent) -> str:
    """What is expected, as a text; "" where nothing is."""
    if content.output is not None:
        return content.output
    rest = content.agent_output if content.agent_output is not None else content.output_message
    return "" if rest is None else inline(rest)


def holds(case: DatasetCase, text: str) -> bool:
    """Whether a text stands anywhere in a case, in capitals or not."""
    return text.casefold() in pretty(to_object(case.content)).casefold()


def to_object(content: CaseContent) -> JsonObject:
    """A case in the words of the API, without what it does not have."""
    return {name: value for name, value in attrs.asdict(content, recurse=False).items() if value is not None}


def for_file(case: DatasetCase, kind: DatasetKind) -> JsonObject:
    """A case as a line of a file: without its id, which is that of the one dataset."""
    content = case.content
    if kind == "prompt":
        return to_object(content)
    output = content.output if content.agent_output is None else content.agent_output
    given = content.inputs["input"] if content.inputs.keys() == {"input"} else content.inputs
    return {"inputs": given, "outputs": output, "metadata": content.metadata}


def content_of(case: FileCase) -> CaseContent:
    """A case of a file as it is stored."""
    return _content({name: value for name, value in case.fields.items() if name != "id"})


def from_json(text: str) -> CaseContent:
    """A case that was typed as JSON.

    Raises:
        Refused: it is none.
    """
    try:
        found, fields = from_wire(text, CaseContent), from_wire(text, dict[str, object])
    except WireError as exc:
        raise Refused(f"this is no JSON of a test case: {exc}") from exc
    unknown = sorted(fields.keys() - {field.name for field in attrs.fields(CaseContent)})
    if unknown:
        raise Refused(f"a test case has no field {unknown[0]!r}; it has {', '.join(_FIELDS)}")
    for message in (*(found.history or ()), *([found.output_message] if found.output_message else [])):
        if not isinstance(message.get("role"), str):
            raise Refused("a message has no role; a message is {'role', 'content'}")
    return found


def from_fields(form: Form, before: CaseContent, kind: DatasetKind) -> CaseContent:
    """A case that was typed field by field; what the form has no field for stays as it was.

    Raises:
        Refused: a field that holds JSON does not.
    """
    inputs: JsonObject = {}
    for name, value in form.fields:
        if name.startswith("input."):
            inputs[name.removeprefix("input.")] = value.replace("\r\n", "\n")
        elif name.startswith("json."):
            inputs[name.removeprefix("json.")] = _json(name.removeprefix("json."), value)
    more = form.get("more_name")
    if more:
        if more in inputs:
            raise Refused(f"there are two inputs {more!r}")
        inputs[more] = form.raw("more_value")
    expected = form.raw("output") if form.has("expects") else None
    changed = attrs.evolve(before, inputs=inputs)
    if kind == "agent" and before.agent_output is not None and expected is not None:
        return attrs.evolve(changed, agent_output=_json("expected", expected))
    return attrs.evolve(changed, output=expected)


def _json(name: str, text: str) -> JsonValue:
    try:
        return from_wire(text, object)
    except WireError as exc:
        raise Refused(f"{name!r} is no JSON: {exc}") from exc


def _content(fields: JsonObject) -> CaseContent:
    return from_wire(to_wire(fields), CaseContent)
