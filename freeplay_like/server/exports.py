"""Calls as a file: JSON lines with all there is of each, or a table of what most people ask for.

A writer turns a slice of calls into the next bytes of the file, so that no file is ever whole in memory.
"""

from __future__ import annotations

import csv
import importlib
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final, Literal, Protocol, TypeAlias, get_args

import attrs
import msgspec

from freeplay_like.core.records import Amendment, Record
from freeplay_like.core.reviews import standing
from freeplay_like.core.wire import from_wire, to_wire
from freeplay_like.server.store.records.exports import ExportedCall
from freeplay_like.server.store.views import Refused

FileFormat = Literal["jsonl", "csv", "parquet"]
FILE_FORMATS: Final[tuple[FileFormat, ...]] = get_args(FileFormat)

_NANO: Final = 1_000_000_000
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""With what a text begins that spreadsheet programs take for a formula: full-width signs too (OWASP, CSV Injection)."""

Cell: TypeAlias = str | int | float | bool | datetime | None
CellKind = Literal["text", "time", "number", "whole", "truth"]


@attrs.frozen
class _Call:
    """A call, read for a table."""

    stored: ExportedCall
    record: Record
    amendments: Sequence[Amendment]

    @classmethod
    def read(cls, stored: ExportedCall) -> _Call:
        said = [from_wire(body, Amendment) for body in stored.amendments]
        return cls(stored, from_wire(stored.body, Record), said)


@attrs.frozen
class Column:
    """A column of a table."""

    name: str
    kind: CellKind
    cell: Callable[[_Call], Cell]


def _json(value: object) -> str | None:
    return to_wire(value).decode() if value else None


def _cost_usd(call: _Call) -> float | None:
    cost = call.stored.cost_nano_usd
    return None if cost is None else cost / _NANO


def _question(call: _Call) -> str | None:
    return next((message.text for message in reversed(call.record.messages) if message.role == "user"), None)


def _feedback(call: _Call) -> str | None:
    return next((said.feedback for said in reversed(call.amendments) if said.feedback is not None), None)


def _scores(call: _Call) -> str | None:
    return _json({name: value for said in standing(call.amendments) for name, value in said.scores.items()})


COLUMNS: Final[tuple[Column, ...]] = (
    Column("record_id", "text", lambda call: call.record.record_id),
    Column("session_id", "text", lambda call: call.record.session_id),
    Column("started_at", "time", lambda call: call.record.started_at),
    Column("ended_at", "time", lambda call: call.record.ended_at),
    Column("received_at", "time", lambda call: call.stored.received_at),
    Column("template", "text", lambda call: call.record.template.name if call.record.template else None),
    Column("version", "text", lambda call: call.record.template.version if call.record.template else None),
    Column("environment", "text", lambda call: call.record.template.environment if call.record.template else None),
    Column("provider", "text", lambda call: call.record.provider),
    Column("flavor", "text", lambda call: call.record.flavor),
    Column("requested_model", "text", lambda call: call.record.requested_model),
    Column("model", "text", lambda call: call.record.model),
    Column("outcome", "text", lambda call: call.record.outcome),
    Column("is_stream", "truth", lambda call: call.record.is_stream),
    Column("latency_ms", "number", lambda call: call.record.latency_ms),
    Column("time_to_first_chunk_ms", "number", lambda call: call.record.time_to_first_chunk_ms),
    Column("input_tokens", "whole", lambda call: call.record.usage.input_tokens if call.record.usage else None),
    Column("output_tokens", "whole", lambda call: call.record.usage.output_tokens if call.record.usage else None),
    Column("cost_usd", "number", _cost_usd),
    Column("question", "text", _question),
    Column("answer", "text", lambda call: call.record.choices[0].text if call.record.choices else None),
    Column("error_type", "text", lambda call: call.record.error.type if call.record.error else None),
    Column("error_message", "text", lambda call: call.record.error.message if call.record.error else None),
    Column("messages", "text", lambda call: _json(call.record.messages)),
    Column("variables", "text", lambda call: _json(call.record.variables)),
    Column("metadata", "text", lambda call: _json(call.record.metadata)),
    Column("feedback", "text", _feedback),
    Column("scores", "text", _scores),
    Column("trace_id", "text", lambda call: call.record.trace_id),
    Column("test_run_id", "text", lambda call: call.record.test_run_id),
    Column("test_case_id", "text", lambda call: call.record.test_case_id),
)  # fmt: skip
"""The columns of a table. `messages`, `variables`, `metadata` and `scores` hold JSON."""


class FileWriter(Protocol):
    """Makes a file of calls, in parts."""

    media_type: str

    def begin(self) -> bytes:
        """The first bytes."""
        ...

    def add(self, calls: Iterable[ExportedCall]) -> bytes:
        """The bytes of some calls."""
        ...

    def end(self) -> bytes:
        """The last bytes."""
        ...


class JsonLines:
    """A line for each call: its record as it was sent, with what was said of it, and what the server knows of it."""

    media_type = "application/x-ndjson"

    def begin(self) -> bytes:
        """Nothing."""
        return b""

    def add(self, calls: Iterable[ExportedCall]) -> bytes:
        """A line each."""
        return b"".join(map(_json_line, calls))

    def end(self) -> bytes:
        """Nothing."""
        return b""


def _json_line(call: ExportedCall) -> bytes:
    cost = None if call.cost_nano_usd is None else call.cost_nano_usd / _NANO
    # Ours come last: of two fields of one name, readers of JSON take the last. The record stays as it was sent, but
    # for line breaks between its fields.
    said = [msgspec.Raw(each) for each in call.amendments]
    own = to_wire({"received_at": call.received_at, "cost_usd": cost, "amendments": said})
    line = call.body.strip()[:-1] + b"," + own[1:]
    return (msgspec.json.format(line, indent=-1) if b"\n" in line or b"\r" in line else line) + b"\n"


class Csv:
    """A table with a head, in UTF-8 with a mark at its beginning, by which spreadsheet programs know it."""

    media_type = "text/csv; charset=utf-8"

    def begin(self) -> bytes:
        """The head."""
        return "\ufeff".encode() + self._lines([[column.name for column in COLUMNS]])

    def add(self, calls: Iterable[ExportedCall]) -> bytes:
        """A row each."""
        read = map(_Call.read, calls)
        return self._lines([_csv_cell(column.cell(call)) for column in COLUMNS] for call in read)

    def end(self) -> bytes:
        """Nothing."""
        return b""

    @staticmethod
    def _lines(rows: Iterable[Sequence[object]]) -> bytes:
        text = io.StringIO(newline="")
        csv.writer(text).writerows(rows)
        return text.getvalue().encode()


def _csv_cell(cell: Cell) -> Cell:
    """A text that a spreadsheet program would run gets an apostrophe before it, by which those programs know a text."""
    if isinstance(cell, datetime):
        return cell.isoformat()
    if isinstance(cell, str):
        cell = cell.replace("\0", "\N{REPLACEMENT CHARACTER}")
        return f"'{cell}" if cell.startswith(_FORMULA_STARTS) else cell
    return cell


class Parquet:
    """The same table with types, compressed; each slice is a group of rows. Needs pyarrow."""

    media_type = "application/vnd.apache.parquet"

    def __init__(self) -> None:
        try:
            pyarrow, parquet = importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
        except ModuleNotFoundError as exc:
            raise Refused(
                "format 'parquet' needs pyarrow where the server runs: pip install 'freeplay-like[parquet]'; or ask "
                "for 'jsonl' or 'csv'"
            ) from exc
        kinds = {
            "text": pyarrow.string(),
            "time": pyarrow.timestamp("us", tz="UTC"),
            "number": pyarrow.float64(),
            "whole": pyarrow.int64(),
            "truth": pyarrow.bool_(),
        }
        self._batch = pyarrow.RecordBatch
        self._schema = pyarrow.schema([(column.name, kinds[column.kind]) for column in COLUMNS])
        self._file = io.BytesIO()
        self._writer = parquet.ParquetWriter(_Sink(self._file), self._schema, compression="zstd")

    def begin(self) -> bytes:
        """The mark of the format."""
        return self._taken()

    def add(self, calls: Iterable[ExportedCall]) -> bytes:
        """A group of rows."""
        rows = [{column.name: column.cell(call) for column in COLUMNS} for call in map(_Call.read, calls)]
        self._writer.write_batch(self._batch.from_pylist(rows, schema=self._schema))
        return self._taken()

    def end(self) -> bytes:
        """Where the groups are."""
        self._writer.close()
        return self._taken()

    def _taken(self) -> bytes:
        data = self._file.getvalue()
        self._file.seek(0)
        self._file.truncate()
        return data


class _Sink(io.RawIOBase):
    """A file that only grows: it tells how far it got, whatever was taken from its buffer."""

    def __init__(self, buffer: io.BytesIO) -> None:
        self._buffer = buffer
        self._size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # pyarrow hands in bytes alone
        written = self._buffer.write(data)
        self._size += written
        return written

    def tell(self) -> int:
        return self._size


_WRITERS: Final[dict[FileFormat, Callable[[], FileWriter]]] = {"jsonl": JsonLines, "csv": Csv, "parquet": Parquet}


def writer_for(format: FileFormat) -> FileWriter:
    """What makes a file of a format.

    Raises:
        Refused: its package is not installed.
    """
    return _WRITERS[format]()


def file_of(writer: FileWriter, slices: Iterable[tuple[ExportedCall, ...]]) -> Iterator[bytes]:
    """The file, in parts."""
    yield writer.begin()
    for calls in slices:
        yield writer.add(calls)
    yield writer.end()
