"""All that is wrong with a draft, at once: each problem names the control it is about, and where in it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final, NoReturn, cast

import attrs

from freeplay_like.core import fstring, mustache
from freeplay_like.core.interpolation import LimitProblem, SyntaxProblem, check_length
from freeplay_like.core.media import MEDIA_KINDS
from freeplay_like.core.parameters import merge
from freeplay_like.core.templates import SYNTAXES, TEMPLATE_ROLES, PromptTemplate, Syntax
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import ParameterError, TemplateError
from freeplay_like.server.checks import check_depth
from freeplay_like.server.pages.templates.draft import HISTORY, MessageDraft, TemplateDraft
from freeplay_like.server.store.prompts.views import check_name

_LIMITS: Final = {
    "model": 200,
    "provider": 200,
    "flavor": 200,
    "version_name": 200,
    "version_description": 4_000,
}
LABELS: Final = {
    "name": "Name",
    "syntax": "Syntax",
    "model": "Model",
    "provider": "Provider",
    "flavor": "Flavor",
    "parameters": "Parameters",
    "tools": "Tools",
    "output_schema": "Output schema",
    "version_name": "Name of this version",
    "version_description": "What changed",
    "variables": "Variables",
}
"""What people call the controls of the editor."""


@attrs.frozen(kw_only=True)
class Problem:
    """Something that is wrong: `control` is the id of a control, `where` what people call it, with line and column."""

    control: str
    where: str
    message: str


@attrs.frozen(kw_only=True)
class Checked:
    """A draft that was looked at: the template that it is where nothing is wrong, else None and what is wrong."""

    template: PromptTemplate | None
    problems: tuple[Problem, ...]


class _Wrong(Exception):
    def __init__(self, message: str, place: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.place = place


def check(draft: TemplateDraft, template_id: str | None = None) -> Checked:
    """The template that a draft is, or all that is wrong with it."""
    problems = [*_name_problems(draft), *_message_problems(draft), *_length_problems(draft)]
    values: dict[str, JsonValue] = {}
    for name, read in (("parameters", _parameters), ("tools", _tools), ("output_schema", _schema)):
        try:
            values[name] = read(getattr(draft, name))
        except _Wrong as wrong:
            problems.append(_problem(name, wrong))
    if problems:
        return Checked(template=None, problems=tuple(problems))
    template = PromptTemplate(
        name=draft.name,
        template_id=template_id,
        messages=tuple(message.read() for message in draft.messages),
        syntax=cast("Syntax", draft.syntax),
        provider=draft.provider or None,
        flavor_name=draft.flavor or None,
        model=draft.model or None,
        parameters=cast("JsonObject", values["parameters"]),
        tools=values["tools"],
        output_schema=values["output_schema"],
        description=draft.version_description or None,
        source="backend",
    )
    return Checked(template=template, problems=())


def message_problems(message: MessageDraft, number: int, syntax: str) -> Iterator[Problem]:
    """What is wrong with a message; `number` is counted from 1."""
    text, where = f"m{number - 1}-text", f"Message {number}"
    if message.role == HISTORY:
        if message.text.strip() or message.media:
            yield Problem(
                control=text,
                where=where,
                message="the conversation so far goes here, and no text of its own: empty it, or give it a role",
            )
        return
    if message.role not in TEMPLATE_ROLES:
        known = ", ".join(TEMPLATE_ROLES)
        yield Problem(
            control=f"m{number - 1}-role", where=where, message=f"role {message.role[:100]!r}; there are {known}"
        )
    yield from _media_problems(message, number)
    try:
        _parse(message.text, syntax)
    except _Wrong as wrong:
        yield Problem(control=text, where=where + wrong.place, message=wrong.message)


def _object(text: str, what: str) -> JsonObject:
    """The JSON object of a text; an empty one where it is blank.

    Raises:
        _Wrong: it is none.
    """
    value = _json(text)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _Wrong(f'{what} are an object, {{"name": value}}, not {_kind(value)}')
    return value


def read_variables(draft: TemplateDraft) -> tuple[JsonObject, tuple[Problem, ...]]:
    """The variables of the example, or what is wrong with them."""
    try:
        return _object(draft.variables, "variables"), ()
    except _Wrong as wrong:
        return {}, (_problem("variables", wrong),)


def _name_problems(draft: TemplateDraft) -> Iterator[Problem]:
    try:
        check_name(draft.name)
    except TemplateError as exc:
        message = "the template needs a name" if not draft.name else str(exc)
        yield Problem(control="name", where=LABELS["name"], message=message)


def _message_problems(draft: TemplateDraft) -> Iterator[Problem]:
    if draft.syntax not in SYNTAXES:
        said = f"{draft.syntax[:100]!r}; there are {', '.join(SYNTAXES)}"
        yield Problem(control="syntax", where=LABELS["syntax"], message=said)
    if not draft.messages:
        yield Problem(control="add", where="Messages", message="a template needs at least one")
    for number, message in enumerate(draft.messages, 1):
        yield from message_problems(message, number, draft.syntax)
    slots = [number for number, message in enumerate(draft.messages, 1) if message.role == HISTORY]
    for number in slots[1:]:
        yield Problem(
            control=f"m{number - 1}-role",
            where=f"Message {number}",
            message=f"the conversation so far goes into message {slots[0]} already; keep one",
        )


def _media_problems(message: MessageDraft, number: int) -> Iterator[Problem]:
    for kind, name in message.slots():
        said = None
        if kind not in MEDIA_KINDS:
            said = f"{kind[:100]!r} is no kind of medium; there are {', '.join(MEDIA_KINDS)}"
        elif not name or not name.isprintable():
            said = f"the {kind} needs the name of a variable, as in '{kind} photo'"
        if said is not None:
            yield Problem(control=f"m{number - 1}-media", where=f"Message {number}, media", message=said)


def _length_problems(draft: TemplateDraft) -> Iterator[Problem]:
    for name, limit in _LIMITS.items():
        length = len(getattr(draft, name))
        if length > limit:
            yield Problem(
                control=name, where=LABELS[name], message=f"{length:,} characters; at most {limit:,} are kept"
            )


def _parse(text: str, syntax: str) -> None:
    try:
        check_length(text)
        if syntax == "mustache":
            mustache.parse(text)
        elif syntax == "fstring":
            fstring.parse(text)
    except SyntaxProblem as exc:
        line_start = text.rfind("\n", 0, exc.offset) + 1
        place = f", line {text.count(chr(10), 0, exc.offset) + 1}:{exc.offset - line_start + 1}"
        raise _Wrong(str(exc), place) from exc
    except LimitProblem as exc:
        raise _Wrong(str(exc)) from exc


def _parameters(text: str) -> JsonObject:
    values = _object(text, "parameters")
    try:
        merge([("template", values)])
    except ParameterError as exc:
        raise _Wrong(str(exc)) from exc
    return values


def _tools(text: str) -> JsonValue:
    value = _json(text)
    if value is not None and not (isinstance(value, list) and all(isinstance(each, dict) for each in value)):
        raise _Wrong(f"tools are a list of objects, not {_kind(value)}")
    return value


def _schema(text: str) -> JsonValue:
    value = _json(text)
    if value is not None and not isinstance(value, dict):
        raise _Wrong(f"a schema is an object, not {_kind(value)}")
    return value


def _json(text: str) -> JsonValue:
    """The value of a JSON text, None where it is blank."""
    if not text.strip():
        return None
    try:
        value: JsonValue = json.loads(text, parse_constant=_refuse)
        check_depth("the value", value)
    except json.JSONDecodeError as exc:
        raise _Wrong(f"this is not JSON: {exc.msg}", f", line {exc.lineno}:{exc.colno}") from exc
    except RecursionError as exc:
        raise _Wrong("this nests too deeply") from exc
    except ValueError as exc:
        raise _Wrong(f"this cannot be kept: {exc}") from exc
    return value


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _kind(value: JsonValue) -> str:
    if isinstance(value, list):
        return "a list" if all(isinstance(each, dict) for each in value) else "a list of other things"
    return {dict: "an object", str: "text", bool: "true or false", int: "a number", float: "a number"}[type(value)]


def _problem(name: str, wrong: _Wrong) -> Problem:
    return Problem(control=name, where=LABELS[name] + wrong.place, message=wrong.message)
