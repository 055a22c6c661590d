"""Test cases out of files, and into files: CSV for people with a spreadsheet, JSONL for everything."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, Literal

import attrs

from freeplay_like.core.wire import JsonObject, JsonValue, WireError, from_wire, to_wire
from freeplay_like.errors import ConfigurationError

FileFormat = Literal["csv", "jsonl"]

CASE_LIMIT_BYTES: Final = 3 * 1024 * 1024
"""The most JSON of one case: a request holds at least one."""

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


def read_cases(path: Path) -> list[FileCase]:
    """The cases of a file, all of them checked.

    Raises:
        ConfigurationError: the file cannot be read, or a case is none; names the line and the column or field.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as exc:
        raise ConfigurationError(f"{str(path)!r} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigurationError(f"{str(path)!r} is not UTF-8 (at byte {exc.start}); save it as UTF-8") from exc
    form = format_of(path)
    cases = list(_csv_cases(path.name, text) if form == "csv" else _jsonl_cases(path.name, text))
    if not cases:
        raise ConfigurationError(f"{str(path)!r} holds no test cases")
    for case in cases:
        if len(to_wire(case.fields)) > CASE_LIMIT_BYTES:
            raise ConfigurationError(f"{path.name} line {case.line}: a case of over {CASE_LIMIT_BYTES} bytes of JSON")
    return cases


def format_of(path: Path) -> FileFormat:
    """The format that a file's name tells.

    Raises:
        ConfigurationError: it tells none.
    """
    ending = path.suffix.lower()
    if ending in (".csv", ".jsonl"):
        return "csv" if ending == ".csv" else "jsonl"
    raise ConfigurationError(f"{str(path)!r} ends neither in .csv nor in .jsonl")


def with_ids(cases: Sequence[FileCase], dataset_id: str) -> list[JsonObject]:
    """The cases as they are sent, each with an id."""
    seen: Counter[bytes] = Counter()
    sent = []
    for case in cases:
        said = to_wire(sorted(case.fields.items()))
        sent.append(case.with_id(dataset_id, seen[said]))
        seen[said] += 1
    return sent


def parts(cases: Iterable[JsonObject], count: int, limit_bytes: int = CASE_LIMIT_BYTES) -> Iterator[list[JsonObject]]:
    """The cases in lists of at most so many, and about so much JSON."""
    part: list[JsonObject] = []
    size = 0
    for case in cases:
        length = len(to_wire(case))
        if part and (len(part) == count or size + length > limit_bytes):
            yield part
            part, size = [], 0
        part.append(case)
        size += length
    if part:
        yield part


def to_jsonl(cases: Iterable[JsonObject]) -> str:
    """Cases a line each, in the shape that `read_cases` takes."""
    lines = ({name: value for name, value in case.items() if value is not None} for case in cases)
    return "".join(f"{to_wire(line).decode()}\n" for line in lines)


def to_csv(cases: Sequence[JsonObject]) -> str:
    """Cases a row each, in the shape that `read_cases` takes.

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


def _csv_cases(name: str, text: str) -> Iterator[FileCase]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [column.strip() for column in next(reader, [])]
        _check_header(name, header)
        line = reader.line_num + 1
        for cells in reader:
            if cells and not (len(cells) == 1 and not cells[0].strip()):
                if len(cells) != len(header):
                    raise ConfigurationError(f"{name} line {line}: {len(cells)} cells under {len(header)} columns")
                yield FileCase(line=line, fields=_csv_fields(f"{name} line {line}", header, cells))
            line = reader.line_num + 1
    except csv.Error as exc:
        raise ConfigurationError(f"{name} line {reader.line_num}: {exc}") from exc


def _check_header(name: str, header: Sequence[str]) -> None:
    if not any(header):
        raise ConfigurationError(f"{name} line 1: no header; the first row names the inputs (and output, history)")
    for number, column in enumerate(header, 1):
        if not column or column == _METADATA:
            raise ConfigurationError(f"{name} line 1: column {number} has no name")
        if header.count(column) > 1:
            raise ConfigurationError(f"{name} line 1: there are two columns {column!r}")


def _csv_fields(where: str, header: Sequence[str], cells: Sequence[str]) -> JsonObject:
    """A row as a case: an empty cell in `output`, `history` or metadata says nothing, in an input the empty text."""
    inputs: JsonObject = {}
    metadata: JsonObject = {}
    fields: JsonObject = {"inputs": inputs}
    for column, cell in zip(header, cells, strict=True):
        if column == "output":
            if cell:
                fields["output"] = cell
        elif column == "history":
            if cell.strip():
                fields["history"] = _history(f"{where}, column 'history'", cell)
        elif column.startswith(_METADATA):
            if cell:
                metadata[column.removeprefix(_METADATA)] = cell
        else:
            inputs[column] = cell
    return {**fields, "metadata": metadata} if metadata else fields


def _history(where: str, cell: str) -> list[JsonValue]:
    try:
        found = from_wire(cell, object)
    except WireError as exc:
        raise ConfigurationError(f"{where}: not JSON: {exc}") from exc
    if not isinstance(found, list):
        raise ConfigurationError(f"{where}: a list of messages is expected")
    _check_messages(where, found)
    return found


def _jsonl_cases(name: str, text: str) -> Iterator[FileCase]:
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            yield FileCase(line=number, fields=_jsonl_fields(f"{name} line {number}", line))


def _jsonl_fields(where: str, line: str) -> JsonObject:
    try:
        fields = from_wire(line, dict[str, object])
    except WireError as exc:
        raise ConfigurationError(f"{where}: {exc}") from exc
    for field, value in fields.items():
        kind = _FIELDS.get(field)
        if field == "id":
            _check_id(where, value)
        elif kind is None:
            raise ConfigurationError(f"{where}: unknown field {field!r}; known: id, {', '.join(_FIELDS)}")
        elif value is not None and not isinstance(value, kind):
            expected = next(said for each, said in _OPTIONAL_TYPES.items() if each is kind)
            raise ConfigurationError(f"{where}: {field!r} is a {type(value).__name__}; {expected} is expected")
    if not isinstance(fields.get("inputs"), dict):
        raise ConfigurationError(f"{where}: no 'inputs'; a case is {{'inputs': {{...}}, 'output': ...}}")
    history = fields.get("history")
    if isinstance(history, list):
        _check_messages(f"{where}, field 'history'", history)
    if fields.get("output_message") is not None:
        _check_messages(f"{where}, field 'output_message'", [fields["output_message"]])
    return {field: value for field, value in fields.items() if value is not None}


def _check_id(where: str, value: JsonValue) -> None:
    try:
        is_id = isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        is_id = False
    if not is_id:
        raise ConfigurationError(f"{where}: 'id' is {value!r}; a UUID in small letters is expected, or no id")


def _check_messages(where: str, messages: Sequence[object]) -> None:
    for place, message in enumerate(messages):
        if not isinstance(message, dict) or not isinstance(message.get("role"), str):
            raise ConfigurationError(f"{where}: message {place + 1} has no role; a message is {{'role', 'content'}}")
