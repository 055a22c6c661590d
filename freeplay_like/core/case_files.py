"""Test cases as the text of files, and back: CSV for people with a spreadsheet, JSONL for everything. Pure.

The first row of a CSV file names the inputs; the columns `output`, `history` (JSON) and `metadata.NAME` are those of a
case. A line of a JSONL file is a case in the words of the API.
"""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
from freeplay_like.errors import ConfigurationError

FileFormat = Literal["csv", "jsonl"]

CASE_LIMIT_BYTES: Final = 3 * 1024 * 1024
"""The most JSON of one case: a request holds at least one."""
LEFT_OUT: Final = ""
"""What a column is renamed to that is no part of a case."""

_METADATA: Final = "metadata."
_RESERVED: Final = ("output", "history")
_FIELDS: Final[Mapping[str, type | tuple[type, ...]]] = {
    "inputs": dict,
    "output": str,
    "output_message": dict,
    "history": list,
    "metadata": dict,
    "media_inputs": dict,
}
_OPTIONAL_TYPES: Final = {dict: "an object", str: "a text", list: "a list of messages"}


class _Bad(Exception):
    """A line is no case; the message says why, without the line."""


@attrs.frozen(kw_only=True)
class FileCase:
    """A case of a file, in the shape of the API; `line` is where it begins, counted from 1."""

    line: int
    fields: JsonObject

    def with_id(self, dataset_id: str, occurrence: int) -> JsonObject:
        """The case with an id that is its own for what it says and how often the file has said it before.

        So a file that is added again after a failure adds only what is missing.
        """
        if "id" in self.fields:
            return self.fields
        said = json.dumps(self.fields, sort_keys=True, ensure_ascii=False)
        return {**self.fields, "id": str(uuid.uuid5(uuid.UUID(dataset_id), f"{occurrence}\n{said}"))}


@attrs.frozen(kw_only=True)
class LineProblem:
    """A line that is no case, and why; `part` is the column or field that it is about, None for the whole line."""

    line: int
    part: str | None
    message: str

    @property
    def text(self) -> str:
        """`line 3, column 'history': ...`."""
        return f"line {self.line}{f', {self.part}' if self.part else ''}: {self.message}"


@attrs.frozen(kw_only=True)
class CaseText:
    """What the text of a file holds: its columns where it is a table, its cases, and every line that is none."""

    columns: tuple[str, ...]
    cases: tuple[FileCase, ...]
    problems: tuple[LineProblem, ...]


def read_text(text: str, form: FileFormat, columns: Mapping[str, str] | None = None) -> CaseText:
    """The cases of a text. All of it is looked at, so that all problems are known at once.

    `columns` renames those of a table; `LEFT_OUT` leaves one out.
    """
    names, lines = _csv_lines(text, columns or {}) if form == "csv" else ((), _jsonl_lines(text))
    found = [_checked_size(line) for line in lines]
    return CaseText(
        columns=names,
        cases=tuple(line for line in found if isinstance(line, FileCase)),
        problems=tuple(line for line in found if isinstance(line, LineProblem)),
    )


def with_ids(cases: Sequence[FileCase], dataset_id: str) -> list[JsonObject]:
    """The cases as they are sent, each with an id."""
    seen: Counter[bytes] = Counter()
    sent = []
    for case in cases:
        said = to_wire(sorted(case.fields.items()))
        sent.append(case.with_id(dataset_id, seen[said]))
        seen[said] += 1
    return sent


def to_jsonl(cases: Iterable[JsonObject]) -> str:
    """Cases a line each, in the shape that `read_text` takes."""
    lines = ({name: value for name, value in case.items() if value is not None} for case in cases)
    return "".join(f"{to_wire(line).decode()}\n" for line in lines)


def to_csv(cases: Sequence[JsonObject]) -> str:
    """Cases a row each, in the shape that `read_text` takes.

    Raises:
        ConfigurationError: a case holds what a table cannot: values that are no text, media, messages.
    """
    rows = [_row(number, case) for number, case in enumerate(cases, 1)]
    columns = list(dict.fromkeys(column for row in rows for column in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _row(number: int, case: JsonObject) -> dict[str, str]:
    row: dict[str, str] = {}
    for field, prefix in (("inputs", ""), ("metadata", _METADATA)):
        values = case.get(field)
        for name, value in values.items() if isinstance(values, dict) else ():
            column = f"{prefix}{name}"
            is_taken = field == "inputs" and (name in _RESERVED or name.startswith(_METADATA))
            if not isinstance(value, str) or is_taken:
                raise ConfigurationError(
                    f"case {number}: {field} {name!r} has no place in a table; export JSONL instead"
                )
            row[column] = value
    for field in ("output_message", "media_inputs"):
        if case.get(field) is not None:
            raise ConfigurationError(f"case {number}: {field} has no place in a table; export JSONL instead")
    if case.get("output") is not None:
        row["output"] = str(case["output"])
    if case.get("history") is not None:
        row["history"] = to_wire(case["history"]).decode()
    return row


def _checked_size(line: FileCase | LineProblem) -> FileCase | LineProblem:
    if isinstance(line, FileCase) and len(to_wire(line.fields)) > CASE_LIMIT_BYTES:
        return LineProblem(line=line.line, part=None, message=f"a case of over {CASE_LIMIT_BYTES} bytes of JSON")
    return line


def _csv_lines(text: str, renamed: Mapping[str, str]) -> tuple[tuple[str, ...], list[FileCase | LineProblem]]:
    """The columns of a table, and its rows; the first problem of the table itself is its last line."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: tuple[str, ...] = ()
    found: list[FileCase | LineProblem] = []
    try:
        columns = tuple(column.strip() for column in next(reader, []))
        _check_header(columns)
        names = tuple(renamed.get(column, column) for column in columns)
        _check_header(tuple(name for name in names if name != LEFT_OUT))
        line = reader.line_num + 1
        for cells in reader:
            if cells and not (len(cells) == 1 and not cells[0].strip()):
                found.append(_csv_line(line, names, cells))
            line = reader.line_num + 1
    except _Bad as exc:
        found.append(LineProblem(line=1, part=None, message=str(exc)))
    except csv.Error as exc:
        found.append(LineProblem(line=reader.line_num, part=None, message=str(exc)))
    return columns, found


def _check_header(header: Sequence[str]) -> None:
    if not any(header):
        raise _Bad("no header; the first row names the inputs (and output, history)")
    for number, column in enumerate(header, 1):
        if not column or column == _METADATA:
            raise _Bad(f"column {number} has no name")
        if header.count(column) > 1:
            raise _Bad(f"there are two columns {column!r}")


def _csv_line(line: int, names: Sequence[str], cells: Sequence[str]) -> FileCase | LineProblem:
    """A row as a case: an empty cell in `output`, `history` or metadata says nothing, in an input the empty text."""
    if len(cells) != len(names):
        return LineProblem(line=line, part=None, message=f"{len(cells)} cells under {len(names)} columns")
    inputs: JsonObject = {}
    metadata: JsonObject = {}
    fields: JsonObject = {"inputs": inputs}
    for column, cell in zip(names, cells, strict=True):
        if column == "output":
            if cell:
                fields["output"] = cell
        elif column == "history":
            if cell.strip():
                try:
                    fields["history"] = _history(cell)
                except _Bad as exc:
                    return LineProblem(line=line, part="column 'history'", message=str(exc))
        elif column.startswith(_METADATA):
            if cell:
                metadata[column.removeprefix(_METADATA)] = cell
        elif column != LEFT_OUT:
            inputs[column] = cell
    return FileCase(line=line, fields={**fields, "metadata": metadata} if metadata else fields)


def _history(cell: str) -> list[JsonValue]:
    try:
        found = from_wire(cell, object)
    except WireError as exc:
        raise _Bad(f"not JSON: {exc}") from exc
    if not isinstance(found, list):
        raise _Bad("a list of messages is expected")
    _check_messages(found)
    return found


def _jsonl_lines(text: str) -> Iterator[FileCase | LineProblem]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield _jsonl_line(number, line)


def _jsonl_line(number: int, line: str) -> FileCase | LineProblem:
    try:
        fields = from_wire(line, dict[str, object])
    except WireError as exc:
        return LineProblem(line=number, part=None, message=str(exc))
    part: str | None = None
    try:
        _check_fields(fields)
        for field in ("history", "output_message"):
            part, said = f"field {field!r}", fields.get(field)
            if said is not None:
                _check_messages(said if isinstance(said, list) else [said])
    except _Bad as exc:
        return LineProblem(line=number, part=part, message=str(exc))
    return FileCase(line=number, fields={field: value for field, value in fields.items() if value is not None})


def _check_fields(fields: JsonObject) -> None:
    for field, value in fields.items():
        kind = _FIELDS.get(field)
        if field == "id":
            _check_id(value)
        elif kind is None:
            raise _Bad(f"unknown field {field!r}; known: id, {', '.join(_FIELDS)}")
        elif value is not None and not isinstance(value, kind):
            expected = next(said for each, said in _OPTIONAL_TYPES.items() if each is kind)
            raise _Bad(f"{field!r} is a {type(value).__name__}; {expected} is expected")
    if not isinstance(fields.get("inputs"), dict):
        raise _Bad("no 'inputs'; a case is {'inputs': {...}, 'output': ...}")


def _check_id(value: JsonValue) -> None:
    try:
        is_id = isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        is_id = False
    if not is_id:
        raise _Bad(f"'id' is {value!r}; a UUID in small letters is expected, or no id")


def _check_messages(messages: Sequence[object]) -> None:
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise _Bad(f"message {place + 1} has no role; a message is {{'role', 'content'}}")
