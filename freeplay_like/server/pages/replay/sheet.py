"""What stands in the playground's editor, and the template that it makes. Pure."""

from __future__ import annotations

from typing import Final, cast

import attrs

from freeplay_like.core.media import MediaKind
from freeplay_like.core.messages import Message, Role, messages_from
from freeplay_like.core.records import Record
from freeplay_like.core.templates import (
    SYNTAXES,
    TEMPLATE_ROLES,
    HistorySlot,
    MediaSlot,
    PromptTemplate,
    Syntax,
    TemplateMessage,
)
from freeplay_like.core.wire import JsonObject, from_wire, to_wire
from freeplay_like.errors import MessageError, TemplateError
from freeplay_like.server import planning
from freeplay_like.server.pages.forms import Form
from freeplay_like.server.pages.replay.reading import (
    json_list,
    json_object,
    shown_json,
    shown_variable,
    variables_in,
)
from freeplay_like.server.store.trials.replay_views import Change, ReplaySpec, Written
from freeplay_like.server.store.views import Refused

HISTORY: Final = "history"
"""The role of a line that holds a conversation as JSON, where a template has its history slot."""
ROLES: Final = (*TEMPLATE_ROLES, HISTORY)
MOST_LINES: Final = 100
MOST_COLUMNS: Final = 3
_NAME: Final = "playground"


@attrs.frozen(kw_only=True)
class Line:
    """A message as it is typed; the content of a `history` is a JSON list of messages. `slots` are for media."""

    role: str
    content: str = ""
    slots: tuple[MediaSlot, ...] = ()


@attrs.frozen(kw_only=True)
class Column:
    """Whom to ask."""

    flavor: str = ""
    model: str = ""


@attrs.frozen(kw_only=True)
class Sheet:
    """What stands in the editor, right or wrong.

    `template_id` and `version_id` say where the messages came from, `name` what that template is called.
    """

    lines: tuple[Line, ...]
    syntax: Syntax = "mustache"
    variables: JsonObject = attrs.field(factory=dict)
    columns: tuple[Column, ...] = (Column(),)
    parameters: str = ""
    tools: str = ""
    output_schema: str = ""
    name: str = ""
    template_id: str = ""
    version_id: str = ""


EMPTY: Final = Sheet(lines=(Line(role="system"), Line(role="user")))


@attrs.frozen(kw_only=True)
class Checked:
    """What a sheet comes to: all that is wrong with it, the variables it looks at, and what can be asked.

    `optional` are variables that may be missing. `written` and `template` are None where something is wrong.
    """

    problems: tuple[str, ...]
    required: tuple[str, ...]
    optional: tuple[str, ...]
    template: PromptTemplate | None
    written: Written | None


# --- into a sheet -----------------------------------------------------------------------------------------


def sheet_of_form(form: Form) -> Sheet:
    """What somebody sent.

    Raises:
        Refused: the form has more in it than an editor may.
    """
    lines = form.number("lines", "how many messages", lowest=0, highest=MOST_LINES) or 0
    columns = form.number("columns", "how many models", lowest=1, highest=MOST_COLUMNS) or 1
    syntax = form.get("syntax", "mustache")
    return Sheet(
        lines=tuple(_typed_line(form, place) for place in range(lines)),
        syntax=cast("Syntax", syntax if syntax in SYNTAXES else "mustache"),
        variables=variables_in(form, json_object(form.raw("known"), "Variables")),
        columns=tuple(
            Column(flavor=form.get(f"flavor.{place}"), model=form.get(f"model.{place}")) for place in range(columns)
        ),
        parameters=form.raw("parameters"),
        tools=form.raw("tools"),
        output_schema=form.raw("output_schema"),
        name=form.get("name"),
        template_id=form.get("template_id"),
        version_id=form.get("version_id"),
    )


def sheet_of_template(template: PromptTemplate, flavor: str = "") -> Sheet:
    """A version of a template, to be tried; `flavor` is spoken where it names none."""
    lines = tuple(
        Line(role=HISTORY)
        if isinstance(message, HistorySlot)
        else Line(role=message.role, content=message.content, slots=message.media_slots)
        for message in template.messages
    )
    return Sheet(
        lines=lines,
        syntax=template.syntax,
        columns=(Column(flavor=template.flavor_name or flavor, model=template.model or ""),),
        parameters=shown_json(template.parameters),
        tools=shown_json(template.tools),
        output_schema=shown_json(template.output_schema),
        name=template.name,
        template_id=template.template_id or "",
        version_id=template.version_id or "",
    )


def sheet_of_record(record: Record, original: PromptTemplate | None) -> Sheet:
    """A recorded call: its template and variables where they make its messages, else the messages as they were sent."""
    said = planning.parameters_of(record)
    tools, output_schema = shown_json(said.pop("tools", None)), shown_json(said.pop("output_schema", None))
    column = Column(flavor=record.flavor, model=record.requested_model or record.model or "")
    try:
        history = None if original is None else planning.history_in(record, original)
    except planning.NotReplayable:
        history = None
    if original is None or history is None:
        sheet = Sheet(lines=_plain_lines(record.messages), syntax="none")
    else:
        sheet = attrs.evolve(sheet_of_template(original), variables=record.variables)
        sheet = attrs.evolve(sheet, lines=_with_history(sheet.lines, history))
    return attrs.evolve(sheet, columns=(column,), parameters=shown_json(said), tools=tools, output_schema=output_schema)


def sheet_of_run(spec: ReplaySpec) -> Sheet | None:
    """What the playground was run with; None where it was no run of the playground."""
    if spec.written is None:
        return None
    template = PromptTemplate.from_wire(spec.written.template, source="inline")
    sheet = sheet_of_template(template)
    columns = tuple(Column(flavor=change.flavor or "", model=change.model or "") for change in spec.changes)
    history = messages_from(spec.written.history)
    name = sheet.name if template.template_id else ""
    lines = _with_history(sheet.lines, history)
    return attrs.evolve(sheet, lines=lines, variables=spec.written.variables, columns=columns, name=name)


def _typed_line(form: Form, place: int) -> Line:
    role = form.get(f"role.{place}", "user")
    slots = json_list(form.raw(f"slots.{place}"), "Media") or []
    return Line(
        role=role if role in ROLES else "user",
        content=form.raw(f"content.{place}"),
        slots=tuple(_slot(each) for each in slots),
    )


def _slot(said: object) -> MediaSlot:
    fields = said if isinstance(said, dict) else {}
    return MediaSlot(name=str(fields.get("name", "")), kind=cast("MediaKind", str(fields.get("kind", ""))))


def _plain_lines(messages: tuple[Message, ...]) -> tuple[Line, ...]:
    """Messages that can be typed, each as a line; from the first that cannot on, all of them as JSON."""
    plain = 0
    for message in messages:
        if message.role not in TEMPLATE_ROLES or not isinstance(message.content, str) or message.tool_calls:
            break
        plain += 1
    lines = tuple(Line(role=message.role, content=message.text) for message in messages[:plain])
    return lines if plain == len(messages) else (*lines, Line(role=HISTORY, content=_json(messages[plain:])))


def _with_history(lines: tuple[Line, ...], history: tuple[Message, ...]) -> tuple[Line, ...]:
    """The lines with a history in its place, or behind them."""
    if not history:
        return lines
    said = Line(role=HISTORY, content=_json(history))
    if all(line.role != HISTORY for line in lines):
        return (*lines, said)
    return tuple(said if line.role == HISTORY else line for line in lines)


def _json(messages: tuple[Message, ...]) -> str:
    return shown_json([message.to_chat() for message in messages])


# --- out of a sheet ---------------------------------------------------------------------------------------


def check(sheet: Sheet) -> Checked:
    """All that is wrong with a sheet at once, and what it makes where nothing is."""
    problems: list[str] = []
    messages = tuple(_message(line) for line in sheet.lines)
    required, optional = _variables(messages, sheet.syntax, problems)
    history = _history(sheet.lines, problems)
    said = _said(sheet, problems)
    template = None if problems else _template(sheet, messages, said, problems)
    if template is not None:
        _render(template, sheet, history, problems)
    if not sheet.lines:
        problems.append("There is no message to send.")
    if problems or template is None:
        return Checked(problems=tuple(problems), required=required, optional=optional, template=None, written=None)
    known = {*required, *optional}
    variables = {name: value for name, value in sheet.variables.items() if name in known}
    written = Written(template=template.to_wire(), variables=variables, history=history)
    return Checked(problems=(), required=required, optional=optional, template=template, written=written)


def changes_of(sheet: Sheet) -> tuple[Change, ...]:
    """Whom a sheet asks: a change for each column.

    Raises:
        Refused: a column names no model.
    """
    for column in sheet.columns:
        if not column.flavor or not column.model:
            raise Refused("each column needs a provider and a model")
    return tuple(Change(flavor=column.flavor, model=column.model) for column in sheet.columns)


def _message(line: Line) -> TemplateMessage | HistorySlot:
    if line.role == HISTORY:
        return HistorySlot()
    return TemplateMessage(role=cast("Role", line.role), content=line.content, media_slots=line.slots)


def _variables(
    messages: tuple[TemplateMessage | HistorySlot, ...], syntax: Syntax, problems: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The variables of every message that parses; the others are problems."""
    required: dict[str, None] = {}
    optional: dict[str, None] = {}
    blank = TemplateMessage(role="user", content="")
    for place, message in enumerate(messages):
        # the others are blank, so that each is numbered as people see it, and none hides what is wrong with another
        alone = (*[blank] * place, message)
        try:
            template = PromptTemplate(name=_NAME, messages=alone, syntax=syntax)
        except TemplateError as exc:
            problems.append(_sentence(exc))
            continue
        required |= dict.fromkeys(template.variables)
        optional |= dict.fromkeys(template.optional_variables)
    return tuple(required), tuple(name for name in optional if name not in required)


def _history(lines: tuple[Line, ...], problems: list[str]) -> tuple[JsonObject, ...]:
    found: list[JsonObject] = []
    for number, line in enumerate(lines, 1):
        if line.role != HISTORY:
            continue
        try:
            said = messages_from(cast("list[JsonObject]", json_list(line.content, f"Message {number}") or []))
        except (Refused, MessageError) as exc:
            problems.append(f"{exc}.")
            continue
        found += [from_wire(to_wire(message.to_chat()), dict) for message in said]
    return tuple(found)


def _said(sheet: Sheet, problems: list[str]) -> JsonObject:
    """Parameters, tools and output schema; what cannot be read is a problem."""
    said: JsonObject = {}
    for name, read in (
        ("parameters", lambda: json_object(sheet.parameters, "Parameters")),
        ("tools", lambda: json_list(sheet.tools, "Tools")),
        ("output_schema", lambda: json_object(sheet.output_schema, "Output schema") or None),
    ):
        try:
            said[name] = read()
        except Refused as exc:
            problems.append(f"{exc}.")
    return said


def _template(
    sheet: Sheet, messages: tuple[TemplateMessage | HistorySlot, ...], said: JsonObject, problems: list[str]
) -> PromptTemplate | None:
    first = sheet.columns[0]
    try:
        return PromptTemplate(
            name=sheet.name or _NAME,
            template_id=sheet.template_id or None,
            messages=messages,
            syntax=sheet.syntax,
            flavor_name=first.flavor or None,
            model=first.model or None,
            parameters=cast("JsonObject", said["parameters"]),
            tools=said["tools"],
            output_schema=said["output_schema"],
        )
    except TemplateError as exc:
        problems.append(_sentence(exc))
        return None


def _render(template: PromptTemplate, sheet: Sheet, history: tuple[JsonObject, ...], problems: list[str]) -> None:
    if any(isinstance(message, TemplateMessage) and message.media_slots for message in template.messages):
        return  # what stands for a medium is judged when the call is made
    try:
        template.render(sheet.variables, messages_from(history))
    except TemplateError as exc:
        problems.append(_sentence(exc))


def _sentence(exc: Exception) -> str:
    text = str(exc)
    return text[:1].upper() + text[1:] + "."


def values_of(checked: Checked, sheet: Sheet) -> tuple[tuple[str, str, bool], ...]:
    """The fields for the variables that a sheet looks at: name, value, and whether it has to have one."""
    names = [(name, True) for name in checked.required] + [(name, False) for name in checked.optional]
    return tuple(
        (name, shown_variable(sheet.variables[name]) if name in sheet.variables else "", is_required)
        for name, is_required in names
    )
