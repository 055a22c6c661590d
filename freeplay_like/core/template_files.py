"""Templates as files people read and edit: one template a file, its name the path below a folder.

    +++
    model = "gpt-4o-mini"
    flavor = "openai_chat"

    [parameters]
    temperature = 0.2
    +++
    === system ===
    You help {{name}}.

    === history ===

    === user ===
    {{question}}
    === image photo ===

The head between the two `+++` lines is TOML. `tools` and `output_schema` may stand there as TOML or, which keeps
every JSON value exact, as a text of JSON. A message is what stands between two markers, to the letter, less one blank
line before the next marker. A line of the message that would read as a marker has a backslash in front of it. Markers
of media (`=== image photo ===`: kind and name) come after the message they belong to.

Ids, version and environment are not in the file: they belong to the place where the template is kept.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from typing import Final, cast

import attrs

from freeplay_like.core.media import MEDIA_KINDS, MediaKind
from freeplay_like.core.messages import Role
from freeplay_like.core.templates import (
    TEMPLATE_ROLES,
    HistorySlot,
    MediaSlot,
    PromptTemplate,
    Syntax,
    TemplateMessage,
)
from freeplay_like.core.wire import JsonObject, JsonValue
from freeplay_like.errors import TemplateError, TemplateSyntaxError

SUFFIX: Final = ".prompt"

_FENCE: Final = "+++"
_MARKERS: Final = {f"=== {word} ===": word for word in (*TEMPLATE_ROLES, "history")}
_MEDIA_MARKER: Final = re.compile(rf"=== ({'|'.join(MEDIA_KINDS)}) (\S(?:.*\S)?) ===")
_LIKE_MARKER: Final = re.compile(rf"===[ \t]*(?:\w+[ \t]*|(?:{'|'.join(MEDIA_KINDS)})[ \t].*)===[ \t]*")
_ESCAPED: Final = re.compile(r"(\\+)" + _LIKE_MARKER.pattern)
_TEXT_KEYS: Final = ("description", "model", "flavor", "provider", "syntax")
_JSON_KEYS: Final = ("parameters", "tools", "output_schema")
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_REFUSED_IN_NAMES: Final = re.compile(r"[\\\x00-\x1f\x7f]")


def check_name(name: str) -> None:
    """Refuse a name that is no plain path: empty, absolute, with `.` or `..` parts, backslashes or control characters.

    Raises:
        TemplateError: says what a name looks like.
    """
    if any(part in ("", ".", "..") for part in name.split("/")) or _REFUSED_IN_NAMES.search(name):
        raise TemplateError(
            f"{name!r} cannot name a template; expected words with '/' between them, as in 'support/greeting'",
            template=name,
        )


def file_path(name: str) -> str:
    """The path of a template's file below its folder, with `/` between parts.

    Raises:
        TemplateError: the name is no plain path.
    """
    check_name(name)
    return name + SUFFIX


# --- reading ----------------------------------------------------------------------------------------------


def from_text(text: str, *, name: str) -> PromptTemplate:
    """The template in a file's text. Line ends may be those of Windows.

    Raises:
        TemplateSyntaxError: names the template, the line, and what was expected.
    """
    lines = text.removesuffix("\n").split("\n")
    if lines[0].endswith("\r"):
        lines = text.replace("\r\n", "\n").removesuffix("\n").split("\n")
    head, start = _split(lines, name)
    fields = _head_fields(head, name)
    parameters = _json_field(fields, "parameters", name)
    if not isinstance(parameters, (dict, type(None))):
        raise TemplateSyntaxError(f"template {name!r}: 'parameters' must be a table of names and values", template=name)
    return PromptTemplate(
        name=name,
        messages=_messages(lines, start, name),
        syntax=cast("Syntax", _text_field(fields, "syntax", name) or "mustache"),
        provider=_text_field(fields, "provider", name),
        flavor_name=_text_field(fields, "flavor", name),
        model=_text_field(fields, "model", name),
        parameters=parameters or {},
        tools=_json_field(fields, "tools", name),
        output_schema=_json_field(fields, "output_schema", name),
        description=_text_field(fields, "description", name),
    )


def _split(lines: list[str], name: str) -> tuple[str, int]:
    """The text of the head, and the index of the first line after it. A file without a head is all messages."""
    if lines[0] != _FENCE:
        return "", 0
    try:
        end = lines.index(_FENCE, 1)
    except ValueError:
        raise _wrong(name, 1, f"the head is never closed; expected a second line of exactly {_FENCE!r}") from None
    return "\n".join(["", *lines[1:end], ""]), end + 1  # the empty line keeps TOML's line numbers those of the file


def _head_fields(head: str, name: str) -> JsonObject:
    try:
        fields = tomllib.loads(head)
    except (tomllib.TOMLDecodeError, RecursionError) as exc:
        raise TemplateSyntaxError(f"template {name!r}: the head is not TOML: {exc}", template=name) from exc
    known = (*_TEXT_KEYS, *_JSON_KEYS)
    for key in fields:
        if key not in known:
            raise TemplateSyntaxError(
                f"template {name!r}: unknown key {key!r} in the head; known: {', '.join(known)} "
                "(a parameter belongs under [parameters])",
                template=name,
            )
    return fields


def _text_field(fields: JsonObject, key: str, name: str) -> str | None:
    value = fields.get(key)
    if value is None or isinstance(value, str):
        return value
    raise TemplateSyntaxError(f"template {name!r}: {key!r} is {value!r}; expected text in quotes", template=name)


def _json_field(fields: JsonObject, key: str, name: str) -> JsonValue:
    value = fields.get(key)
    if not isinstance(value, str):
        return _only_json(value, key, name)
    try:
        parsed: JsonValue = json.loads(value)
    except (ValueError, RecursionError) as exc:
        raise TemplateSyntaxError(f"template {name!r}: the text of {key!r} is not JSON: {exc}", template=name) from exc
    return parsed


def _only_json(value: JsonValue, key: str, name: str) -> JsonValue:
    """The value, if JSON has its type: TOML has dates and times beside."""
    if isinstance(value, dict):
        return {str(k): _only_json(v, f"{key}.{k}", name) for k, v in value.items()}
    if isinstance(value, list):
        return [_only_json(item, key, name) for item in value]
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise TemplateSyntaxError(f"template {name!r}: {key!r} holds a date or time; write it as text", template=name)


def _messages(lines: list[str], start: int, name: str) -> tuple[TemplateMessage | HistorySlot, ...]:
    messages: list[TemplateMessage | HistorySlot] = []
    word: str | MediaSlot | None = None
    begun = start
    for index in range(start, len(lines) + 1):
        marker = _marker(lines[index], index, name) if index < len(lines) else "end"
        if marker is not None:
            _take(messages, word, lines[begun:index], begun, name)
            word, begun = marker, index + 1
    return tuple(messages)


def _marker(line: str, index: int, name: str) -> str | MediaSlot | None:
    """What a line marks the beginning of, None where it is text."""
    word = _MARKERS.get(line)
    if word is not None or not _LIKE_MARKER.fullmatch(line):
        return word
    media = _MEDIA_MARKER.fullmatch(line)
    if media is None:
        known = f"{', '.join(_MARKERS)}, and === image NAME === and the like"
        raise _wrong(name, index + 1, f"{line!r} is no marker; known: {known} (as text: a backslash in front)")
    return MediaSlot(kind=cast("MediaKind", media[1]), name=media[2])


def _take(
    messages: list[TemplateMessage | HistorySlot], word: str | MediaSlot | None, lines: list[str], begun: int, name: str
) -> None:
    """Add to the messages what stands under one marker, or before the first."""
    if word is None or word == "history" or isinstance(word, MediaSlot):
        _expect_blank(word, lines, begun, name)
    if isinstance(word, MediaSlot):
        last = messages[-1] if messages else None
        if not isinstance(last, TemplateMessage):
            raise _wrong(name, begun, f"{_marker_line(word)!r} follows no message; put it after the one it belongs to")
        messages[-1] = attrs.evolve(last, media_slots=(*last.media_slots, word))
    elif word == "history":
        messages.append(HistorySlot())
    elif word is not None:
        if lines and not lines[-1]:
            lines = lines[:-1]
        content = "\n".join(line[1:] if _ESCAPED.fullmatch(line) else line for line in lines)
        messages.append(TemplateMessage(role=cast("Role", word), content=content))


def _expect_blank(word: str | MediaSlot | None, lines: list[str], begun: int, name: str) -> None:
    for offset, line in enumerate(lines):
        if line.strip():
            where = "before the first marker" if word is None else f"under '{_marker_line(word)}'"
            raise _wrong(name, begun + offset + 1, f"text {where}; expected a marker such as '=== user ==='")


def _wrong(name: str, line: int, what: str) -> TemplateSyntaxError:
    return TemplateSyntaxError(f"template {name!r}, line {line}: {what}", template=name)


# --- writing ----------------------------------------------------------------------------------------------


def to_text(template: PromptTemplate) -> str:
    """The file's text of a template; `from_text` gives the same template back, less ids, version and environment.

    Raises:
        TemplateError: something in it cannot be written to a file; names it.
    """
    parts = [_FENCE, *_head_lines(template), _FENCE]
    last = len(template.messages) - 1
    for index, message in enumerate(template.messages):
        lines = [] if isinstance(message, HistorySlot) else [_escaped(line) for line in message.content.split("\n")]
        slots = () if isinstance(message, HistorySlot) else message.media_slots
        parts += [_marker_line("history" if isinstance(message, HistorySlot) else message.role), *lines]
        if slots and not lines[-1]:
            parts.append("")
        parts += map(_marker_line, slots)
        if index < last or (not slots and lines and not lines[-1]):
            parts.append("")
    text = "\n".join(parts) + "\n"
    try:
        text.encode()
    except UnicodeEncodeError as exc:
        raise TemplateError(
            f"template {template.name!r} holds half a character (a lone surrogate, {text[exc.start]!r}); take it out",
            template=template.name,
        ) from exc
    return text


def _marker_line(word: str | MediaSlot) -> str:
    return f"=== {word.kind} {word.name} ===" if isinstance(word, MediaSlot) else f"=== {word} ==="


def _escaped(line: str) -> str:
    return f"\\{line}" if _LIKE_MARKER.fullmatch(line) or _ESCAPED.fullmatch(line) else line


def _head_lines(template: PromptTemplate) -> list[str]:
    texts = {
        "description": template.description,
        "model": template.model,
        "flavor": template.flavor_name,
        "provider": template.provider,
        "syntax": None if template.syntax == "mustache" else template.syntax,
    }
    lines = [f"{key} = {_toml_text(text)}" for key, text in texts.items() if text is not None]
    for key, value in (("tools", template.tools), ("output_schema", template.output_schema)):
        if value is not None:
            lines.append(f"{key} = {_json_text(value, key, template.name)}")
    if not template.parameters:
        return lines
    values = {key: _toml_value(value) for key, value in template.parameters.items()}
    if None in values.values():  # TOML has no null
        return [*lines, f"parameters = {_json_text(template.parameters, 'parameters', template.name)}"]
    return [*lines, "", "[parameters]", *(f"{_toml_key(key)} = {value}" for key, value in values.items())]


def _json_text(value: JsonValue, key: str, name: str) -> str:
    """JSON as a text of TOML: over several lines where that can be, because people read it."""
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError) as exc:
        raise TemplateError(f"template {name!r}: {key!r} is not JSON: {exc}", template=name) from exc
    if "'''" in text or "\x7f" in text:
        return _toml_text(json.dumps(value, ensure_ascii=False))
    return f"'''\n{text}'''"


def _toml_key(key: str) -> str:
    return key if _BARE_KEY.fullmatch(key) else _toml_text(key)


def _toml_text(text: str) -> str:
    """Text as JSON writes it, which is how TOML writes it, but for one character that TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _toml_value(value: JsonValue) -> str | None:
    """The value in TOML, None where TOML has no word for it."""
    if isinstance(value, str):
        return _toml_text(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        inner = {str(key): _toml_value(child) for key, child in value.items()}
        pairs = [f"{_toml_key(key)} = {child}" for key, child in inner.items()]
        return None if None in inner.values() else "{" + ", ".join(pairs) + "}"
    if isinstance(value, list):
        items = [_toml_value(item) for item in value]
        return None if None in items else "[" + ", ".join(map(str, items)) + "]"
    return None
